"""Attempts that are parts of one request to unplug memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracereplay.model.result import Attempt, Result


@dataclass(slots=True)
class UnplugRequest:
    """One request with its attempts in order of time."""

    id: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def ranges(self) -> set[tuple[int | None, int | None]]:
        """What alloc_contig_range() was to empty: only virtio-mem unplugs by ranges, a DIMM goes by memory blocks."""
        return {(a.request.start_pfn, a.request.end_pfn) for a in self.attempts if a.operation == "contig_alloc"}

    @property
    def blocks(self) -> set[str | int | None]:
        """Memory blocks that were to go offline."""
        return {a.area or a.request.start_pfn for a in self.attempts if a.operation == "memory_offline"}

    @property
    def failed(self) -> int:
        """Attempts that did not succeed."""
        return sum(a.outcome != "succeeded" for a in self.attempts)

    @property
    def end_ns(self) -> int | None:
        """The end of the last attempt; None where the end of one is not known."""
        ends = [a.end_ns for a in self.attempts]
        return None if None in ends else max((end for end in ends if end is not None), default=None)

    @property
    def kept(self) -> list[tuple[int, int]]:
        """Ranges [start, end) that stay: they failed, and no later attempt tried them again, whole or in parts."""
        failed: list[tuple[int, int]] = []
        for attempt in self.attempts:
            start, end = attempt.request.start_pfn, attempt.request.end_pfn
            if start is None or end is None:
                continue
            failed = [span for span in failed if span[1] <= start or end <= span[0]]
            if attempt.outcome != "succeeded":
                failed.append((start, end))
        return failed


def requests_of(result: Result) -> dict[str, UnplugRequest]:
    """Every request by its id, in order of time."""
    found: dict[str, UnplugRequest] = {}
    for attempt in sorted(result.attempts, key=lambda a: a.start_ns or 0):
        if attempt.parent_id is not None:
            found.setdefault(attempt.parent_id, UnplugRequest(attempt.parent_id)).attempts.append(attempt)
    return found
