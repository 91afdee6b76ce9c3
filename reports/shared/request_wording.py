"""A request to unplug memory in words: one line for the request, its failures below it."""

from __future__ import annotations

from tracereplay.model.derived.requests import UnplugRequest
from tracereplay.reports.shared.wording import count, listing, moment, task_name
from tracereplay.units import format_bytes, format_duration


def request_headline(request: UnplugRequest) -> str:
    """`virtio-mem unplug by kworker/0:1 (9): 66 ranges and 1 memory block, 3 ranges not given back`."""
    what = "virtio-mem unplug" if request.ranges else "memory unplug"
    parts = [count(len(request.ranges), "range")] if request.ranges else []
    parts += [count(len(request.blocks), "memory block")] if request.blocks else []
    how = f"{count(len(request.kept), 'range')} not given back" if request.kept else "all given back"
    return f"{what} by {task_name(request.attempts[0].task)}: {listing(parts)}, {how}"


def request_ending(request: UnplugRequest, page_size: int | None, unit: str) -> str:
    """When it began, how long it took, how much of it was not released."""
    start_ns, end_ns = request.attempts[0].start_ns, request.end_ns
    said = [f"began at {moment(start_ns, unit)}"]
    if end_ns is not None and start_ns is not None and unit == "ns":
        said.append(f"took {format_duration(end_ns - start_ns)}")
    said.append(f"{request.failed:,} of {count(len(request.attempts), 'attempt')} failed")
    pages = sum(end - start for start, end in request.kept)
    if pages:
        size = f" ({format_bytes(pages * page_size)})" if page_size else ""
        said.append(f"{count(pages, 'page')}{size} stay")
    return ", ".join(said)
