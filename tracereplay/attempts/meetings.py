"""When a try came to a page: where its scan was, and the last call of migrate_pages() with which it gave the page up.

A scan passes over a range once, upwards, and stops at the first batch that could not be migrated: pages above it were
not met by that try.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.contig_signs import MIGRATES_FOR, contig_scans
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents, EventRows, Migration
from tracereplay.model.result import Try

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
TryRuns = tuple[tuple[int, int], ...]  # [first, last]

LOOKED_UP = 1 << 22  # pairs of a folio and a try looked at together

SCANNING = ("cma_alloc", "contig_alloc")
LOWEST, HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class GivenUp(NamedTuple):
    """The last call of migrate_pages() in a try, where it failed: its times and the batch it was of."""

    start_ns: int
    end_ns: int
    start_pfn: int
    end_pfn: int


def given_up(events: AttemptEvents, draft: DetectedAttempt, one: Try) -> GivenUp | None:
    """The batch at whose migration the try gave up; None where the last call moved all, or no scan of it is known."""
    if draft.tid is None or draft.operation not in SCANNING:
        return None
    calls = _calls(events, draft, one)
    if not calls or not calls[-1][3] or calls[-1][1] < 0:
        return None
    start_ns, end_ns = calls[-1][:2]
    scans = contig_scans(events, draft.tid, one.start_ns or 0, start_ns)
    if not len(scans):
        return None
    return GivenUp(start_ns, end_ns, int(scans.ints("start_pfn")[-1]), int(scans.ints("end_pfn")[-1]))


def _calls(events: AttemptEvents, draft: DetectedAttempt, one: Try) -> list[Migration]:
    reason = MIGRATES_FOR.get(draft.operation)
    if reason is None or draft.tid is None or one.start_ns is None or one.end_ns is None:
        return []
    return events.migrations(draft.tid, reason, one.start_ns, one.end_ns)


def last_call_ns(events: AttemptEvents, draft: DetectedAttempt) -> int | None:
    """When an attempt last scanned its range or came back from migrate_pages(); None where that is not known."""
    reason = MIGRATES_FOR.get(draft.operation)
    if reason is None or draft.tid is None or draft.inventory or not events.recorded("mm_migrate_pages"):
        return None
    end_ns = events.end_ns if draft.end_ns is None else draft.end_ns
    calls = events.migrations(draft.tid, reason, draft.start_ns, end_ns)
    last = [end if end >= 0 else end_ns for _, end, _, _ in calls[-1:]]
    if draft.operation in SCANNING:
        last += contig_scans(events, draft.tid, draft.start_ns, end_ns).time_ns[-1:].tolist()
    return max(last, default=None)


def ended_by_itself(draft: DetectedAttempt, one: Try) -> bool:
    """Whether a signal or the want of a destination ended this try: no page that it met did.

    alloc_contig_range() returns -EINTR and -ENOMEM at once; what remains of its batch is not tried.
    """
    return draft.operation in SCANNING and one.result in ("EINTR", "ENOMEM")


@dataclass(slots=True)
class Meetings:
    """Which failing tries of an attempt met a page, and when."""

    events: AttemptEvents
    draft: DetectedAttempt
    _scans: dict[int, EventRows] = field(default_factory=dict)
    _given_up: dict[int, GivenUp | None] = field(default_factory=dict)
    _failed: FailedTries | None = None
    _ended: FailedTries | None = None

    @property
    def failed(self) -> FailedTries:
        """The tries that did not get their range because of pages, as columns."""
        if self._failed is None:
            tries = [one for one in self.draft.tries if one.result != "succeeded"]
            self._failed = FailedTries.of(self.draft, [one for one in tries if not ended_by_itself(self.draft, one)])
        return self._failed

    @property
    def ended(self) -> FailedTries:
        """Those that a signal or the want of a destination ended, as columns."""
        if self._ended is None:
            tries = [one for one in self.draft.tries if ended_by_itself(self.draft, one)]
            self._ended = FailedTries.of(self.draft, tries)
        return self._ended

    def blocked(
        self, failed: FailedTries, start_pfns: Ints, pages: int, since_ns: Ints, until_ns: Ints
    ) -> list[tuple[TryRuns, list[int]]]:
        """Those of the failed tries that came to a folio while it was held (int64[n] each), with the folios' places.

        A folio that was released before a try came to it blocked that try no more.
        """
        if not failed.tries:
            return [((), list(range(len(start_pfns))))]
        places: dict[Any, list[int]] = {}  # by the bytes of a row
        step = max(LOOKED_UP // len(failed.tries), 1)
        for at in range(0, len(start_pfns), step):
            part = slice(at, at + step)
            met = self._met(failed, start_pfns[part], start_pfns[part] + pages, since_ns[part], until_ns[part])
            for place, row in enumerate(met.view(np.dtype((np.void, met.shape[1]))).ravel().tolist(), at):
                places.setdefault(row, []).append(place)
        return [(_runs(failed.index[np.frombuffer(row, np.bool_)]), those) for row, those in places.items()]

    def _met(self, failed: FailedTries, start_pfns: Ints, end_pfns: Ints, since_ns: Ints, until_ns: Ints) -> Bools:
        """bool[n, tries]."""
        met = failed.reached(start_pfns, end_pfns, scanning=self.draft.operation in SCANNING)
        met &= (since_ns[:, None] <= failed.end_ns) & (until_ns[:, None] >= failed.start_ns)
        released = met & (until_ns[:, None] < failed.end_ns)  # in the middle of the try
        for number in np.flatnonzero(released.any(axis=0)).tolist():
            which = np.flatnonzero(released[:, number])
            met_ns = self._met_ns(failed.tries[number], start_pfns[which], end_pfns[which])
            met[which, number] = until_ns[which] >= met_ns
        return met

    def _met_ns(self, one: Try, start_pfns: Ints, end_pfns: Ints) -> Ints:
        """int64[n]: since when each folio had to move: its last migration call, or when it was scanned.

        The begin of the try where no event tells.
        """
        met_ns = np.full(len(start_pfns), one.start_ns or 0, np.int64)
        if self.draft.tid is None or self.draft.operation not in SCANNING:
            calls = _calls(self.events, self.draft, one)
            met_ns[:] = calls[-1][0] if calls else one.start_ns or 0
            return met_ns
        scans = self._scans_of(one)
        columns = scans.time_ns.tolist(), scans.ints("start_pfn").tolist(), scans.ints("end_pfn").tolist()
        for time_ns, start, end in reversed(list(zip(*columns, strict=True))):
            met_ns[(start < end_pfns) & (start_pfns < end)] = time_ns
        last = self._last_call(one)
        if last is not None:
            met_ns[(start_pfns < last.end_pfn) & (last.start_pfn < end_pfns)] = last.start_ns
        return met_ns

    def _last_call(self, one: Try) -> GivenUp | None:
        if one.index not in self._given_up:
            self._given_up[one.index] = given_up(self.events, self.draft, one)
        return self._given_up[one.index]

    def _scans_of(self, one: Try) -> EventRows:
        if one.index not in self._scans:
            assert self.draft.tid is not None
            self._scans[one.index] = contig_scans(self.events, self.draft.tid, one.start_ns or 0, one.end_ns or 0)
        return self._scans[one.index]


@dataclass(frozen=True, slots=True)
class FailedTries:
    """The failed tries of an attempt: int64[n] each. Of a log without times a try is as long as time itself.

    visited -- the end of what it scanned for migration, 0 = not known; named_pfn -- the page its test named, -1 = none.
    """

    tries: list[Try]
    index: Ints
    start_ns: Ints
    end_ns: Ints
    start_pfn: Ints
    end_pfn: Ints
    visited: Ints
    named_pfn: Ints

    @classmethod
    def of(cls, draft: DetectedAttempt, tries: list[Try]) -> FailedTries:
        """Some of this attempt."""
        timed = [one.start_ns is not None and one.end_ns is not None for one in tries]
        ranged = [one.start_pfn is not None and one.end_pfn is not None for one in tries]
        visited = [draft.try_visited[one.index] if one.index < len(draft.try_visited) else 0 for one in tries]
        columns = (
            [one.index for one in tries],
            [one.start_ns if known else LOWEST for one, known in zip(tries, timed, strict=True)],
            [one.end_ns if known else HIGHEST for one, known in zip(tries, timed, strict=True)],
            [one.start_pfn if known else LOWEST for one, known in zip(tries, ranged, strict=True)],
            [one.end_pfn if known else HIGHEST for one, known in zip(tries, ranged, strict=True)],
            visited,
            [-1 if one.first_blocking_pfn is None else one.first_blocking_pfn for one in tries],
        )
        return cls(tries, *(np.array(column, np.int64) for column in columns))

    def reached(self, start_pfns: Ints, end_pfns: Ints, *, scanning: bool) -> Bools:
        """bool[n, tries]: whether each came to a page of [start, end): it scanned it, or its test named it."""
        starts, ends = start_pfns[:, None], end_pfns[:, None]
        named = (self.named_pfn >= starts) & (self.named_pfn < ends)
        scanned_to = np.where(self.visited > 0, np.minimum(self.end_pfn, self.visited), self.end_pfn)
        return named | (np.maximum(starts, self.start_pfn) < np.minimum(ends, scanned_to if scanning else self.end_pfn))


def _runs(numbers: Ints) -> TryRuns:
    """Ascending numbers as [first, last] runs."""
    if not len(numbers):
        return ()
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return ((int(numbers[0]), int(numbers[-1])),)
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    firsts, lasts = numbers[np.append(0, breaks + 1)], numbers[np.append(breaks, len(numbers) - 1)]
    return tuple(zip(firsts.tolist(), lasts.tolist(), strict=True))
