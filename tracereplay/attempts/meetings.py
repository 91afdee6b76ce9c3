"""When a try came to a page: where its scan was, and the last call of migrate_pages() with which it gave the page up.

A scan passes over a range once, upwards, and stops at the first batch that could not be migrated: pages above it were
not met by that try.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tracereplay.attempts.contig_signs import MIGRATES_FOR, contig_scans
from tracereplay.attempts.draft import Draft
from tracereplay.attempts.events import AttemptEvents, Migration, Rows
from tracereplay.model.result import Try

SCANNING = ("cma_alloc", "contig_alloc")


class GivenUp(NamedTuple):
    """The last call of migrate_pages() in a try, where it failed: its times and the batch it was of."""

    start_ns: int
    end_ns: int
    start_pfn: int
    end_pfn: int


def given_up(events: AttemptEvents, draft: Draft, one: Try) -> GivenUp | None:
    """The batch at whose migration the try gave up; None where the last call moved all, or no scan of it is known."""
    if draft.tid is None or draft.operation not in SCANNING:
        return None
    calls = _calls(events, draft, one)
    if not calls or not calls[-1][3] or calls[-1][1] < 0:
        return None
    start_ns, end_ns = calls[-1][:2]
    scans = contig_scans(events, draft.tid, one.start_ns, start_ns)
    if not len(scans):
        return None
    return GivenUp(start_ns, end_ns, int(scans.ints("start_pfn")[-1]), int(scans.ints("end_pfn")[-1]))


def _calls(events: AttemptEvents, draft: Draft, one: Try) -> list[Migration]:
    reason = MIGRATES_FOR.get(draft.operation)
    if reason is None or draft.tid is None:
        return []
    return events.migrations(draft.tid, reason, one.start_ns, one.end_ns)


@dataclass(slots=True)
class Meetings:
    """Which failing tries of an attempt met a page, and when."""

    events: AttemptEvents
    draft: Draft
    _scans: dict[int, Rows] = field(default_factory=dict)
    _given_up: dict[int, GivenUp | None] = field(default_factory=dict)

    def reached(self, one: Try, start_pfn: int, end_pfn: int) -> bool:
        """Whether the try came to a page of [start_pfn, end_pfn): it scanned it, or its test named it."""
        if one.first_blocking_pfn is not None and start_pfn <= one.first_blocking_pfn < end_pfn:
            return True
        if one.start_pfn is not None and one.end_pfn is not None:
            start_pfn, end_pfn = max(start_pfn, one.start_pfn), min(end_pfn, one.end_pfn)
        visited = self.draft.try_visited[one.index] if one.index < len(self.draft.try_visited) else 0
        return start_pfn < (min(end_pfn, visited) if visited and self.draft.operation in SCANNING else end_pfn)

    def met_ns(self, one: Try, start_pfn: int, end_pfn: int) -> int:
        """Since when a page of [start_pfn, end_pfn) had to move: its last migration call, or when it was scanned.

        The begin of the try where no event tells.
        """
        if self.draft.tid is None or self.draft.operation not in SCANNING:
            calls = _calls(self.events, self.draft, one)
            return calls[-1][0] if calls else one.start_ns
        last = self._last_call(one)
        if last is not None and start_pfn < last.end_pfn and last.start_pfn < end_pfn:
            return last.start_ns
        scans = self._scans_of(one)
        over = (scans.ints("start_pfn") < end_pfn) & (start_pfn < scans.ints("end_pfn"))
        times = scans.time_ns[over]
        return int(times[0]) if len(times) else one.start_ns

    def _last_call(self, one: Try) -> GivenUp | None:
        if one.index not in self._given_up:
            self._given_up[one.index] = given_up(self.events, self.draft, one)
        return self._given_up[one.index]

    def _scans_of(self, one: Try) -> Rows:
        if one.index not in self._scans:
            assert self.draft.tid is not None
            self._scans[one.index] = contig_scans(self.events, self.draft.tid, one.start_ns, one.end_ns)
        return self._scans[one.index]
