"""Attempts that are parts of one request to unplug memory: one line for the request, its failures below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tracereplay.model.result import Attempt, Result
from tracereplay.reports.shared.wording import count, listing, moment, task_name
from tracereplay.units import format_bytes, format_duration


@dataclass(slots=True)
class UnplugRequest:
    """One request with its attempts in order of time."""

    id: str
    attempts: list[Attempt] = field(default_factory=list)


def requests_of(result: Result) -> dict[str, UnplugRequest]:
    """Every request by its id, in order of time."""
    found: dict[str, UnplugRequest] = {}
    for attempt in sorted(result.attempts, key=lambda a: a.start_ns or 0):
        if attempt.parent_id is not None:
            found.setdefault(attempt.parent_id, UnplugRequest(attempt.parent_id)).attempts.append(attempt)
    return found


def request_headline(request: UnplugRequest) -> str:
    """`virtio-mem unplug by kworker/0:1 (9): 66 ranges and 1 memory block, 3 attempts failed`."""
    ranges = [a for a in request.attempts if a.operation == "contig_alloc"]
    blocks = {a.area or a.request.start_pfn for a in request.attempts if a.operation == "memory_offline"}
    # Only virtio-mem unplugs by ranges; a DIMM goes by memory blocks.
    what = "virtio-mem unplug" if ranges else "memory unplug"
    spans = {(a.request.start_pfn, a.request.end_pfn) for a in ranges}
    parts = [count(len(spans), "range")] if spans else []
    parts += [count(len(blocks), "memory block")] if blocks else []
    stayed = len(_stayed(request.attempts))
    how = f"{count(stayed, 'range')} not given back" if stayed else "all given back"
    return f"{what} by {task_name(request.attempts[0].task)}: {listing(parts)}, {how}"


def request_ending(request: UnplugRequest, page_size: int | None, unit: str) -> str:
    """When it began, how long it took, how much of it was not released."""
    first, ends = request.attempts[0], [a.end_ns for a in request.attempts]
    said = [f"began at {moment(first.start_ns, unit)}"]
    last = max((end for end in ends if end is not None), default=None)
    if None not in ends and last is not None and first.start_ns is not None and unit == "ns":
        said.append(f"took {format_duration(last - first.start_ns)}")
    failed = sum(a.outcome != "succeeded" for a in request.attempts)
    said.append(f"{failed:,} of {count(len(request.attempts), 'attempt')} failed")
    pages = sum(end - start for start, end in _stayed(request.attempts))
    if pages:
        size = f" ({format_bytes(pages * page_size)})" if page_size else ""
        said.append(f"{count(pages, 'page')}{size} stay")
    return ", ".join(said)


def _stayed(attempts: Sequence[Attempt]) -> list[tuple[int, int]]:
    """The ranges that failed and were not tried again, whole or in parts: later attempts tell what became of those."""
    failed: list[tuple[int, int]] = []
    for attempt in attempts:
        start, end = attempt.request.start_pfn, attempt.request.end_pfn
        if start is None or end is None:
            continue
        failed = [span for span in failed if span[1] <= start or end <= span[0]]
        if attempt.outcome != "succeeded":
            failed.append((start, end))
    return failed
