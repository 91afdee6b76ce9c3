"""The pages that blocked attempts, each with the time in which it surely and in which it possibly blocks.

With page_ref a release is an event. Without, the end of a page's life or its migration bounds it from above, the last
try that met the page from below: in between it is not known, and said to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Attempt, Culprit
from tracereplay.whatif.page_rows import ORDERS, Step
from tracereplay.whatif.script import Script

REFERENCES = frozenset({"task_reference", "pin_short", "pin_longterm", "extra_reference"})
FOREVER = 1 << 62


@dataclass(slots=True)
class Obstacle:
    """One run of pages that cannot be moved.

    event -- row of the script of the allocation its pages come from, -1 = before the trace; since_ns -- when it began
    to block at the latest; held_ns -- until when it surely blocks; free_ns -- from when it surely does not.
    """

    start_pfn: int
    pages: int
    cause: str
    event: int
    offset: int  # of start_pfn from the first page of that allocation
    since_ns: int
    held_ns: int
    free_ns: int
    file: tuple[int, int] | None
    comm: str | None
    owner: int | None  # task that allocated it
    ids: dict[str, str] = field(default_factory=dict)  # attempt id -> culprit id
    released_by: int | None = None
    by_attempt: bool = False  # that it is free shows in another attempt, which moved it

    def surely(self, time_ns: int) -> bool:
        """Whether it blocks at this time, as far as is known."""
        return self.since_ns <= time_ns <= self.held_ns

    def possibly(self, time_ns: int) -> bool:
        """Whether it may block at this time."""
        return self.since_ns <= time_ns < self.free_ns

    def while_waiting(self, asking: Attempt) -> tuple[int, int]:
        """(held_ns, free_ns) while this attempt goes on instead of having failed: what it caused does not happen.

        A task that waits in the kernel drops no reference. The attempt that moved the page may have been made because
        this one had failed: then nothing bounds the release from above.
        """
        tid = asking.task.tid if asking.task is not None else None
        if tid is not None and self.released_by == tid:
            return FOREVER, FOREVER
        if self.by_attempt or (tid is not None and self.released_by is None and self.owner == tid):
            return self.held_ns, FOREVER
        return self.held_ns, self.free_ns


def obstacles_of(
    attempts: Sequence[Attempt], script: Script, has_page_ref: bool, delaying: bool = False
) -> list[Obstacle]:
    """Culprits that blocked or would have (or those that only delayed), runs split where allocations meet."""
    found: dict[tuple[int, int], Obstacle] = {}
    index = _Allocations(script)
    for attempt in attempts:
        for culprit in attempt.culprits:
            if (culprit.effect == "delayed") != delaying or culprit.start_pfn is None:
                continue
            for start, pages, event, offset in index.split(culprit.start_pfn, culprit.pages, attempt.begin_ns):
                key = (start, event)
                one = found.get(key)
                if one is None or one.pages < pages:
                    one = found[key] = _obstacle(culprit, start, pages, event, offset, script, one)
                _met(one, attempt, culprit, has_page_ref)
    if not has_page_ref:
        for one in found.values():
            one.by_attempt = any(_moved_by(one, attempt) for attempt in attempts)
    return list(found.values())


def _moved_by(one: Obstacle, attempt: Attempt) -> bool:
    """Whether the page was there no longer while this attempt went through it."""
    if attempt.end_ns is None or not attempt.begin_ns <= one.free_ns <= attempt.end_ns:
        return False
    return any(
        of.start_pfn is not None and of.end_pfn is not None and of.start_pfn <= one.start_pfn < of.end_pfn
        for of in attempt.tries
    )


def _obstacle(
    culprit: Culprit, start: int, pages: int, event: int, offset: int, script: Script, before: Obstacle | None
) -> Obstacle:
    file = culprit.file
    owner = (file.dev, file.ino) if file is not None and file.dev is not None and file.ino is not None else None
    since = int(script.events["time_ns"][event]) if event >= 0 else -FOREVER
    one = Obstacle(
        start, pages, culprit.cause, event, offset, since, -FOREVER, FOREVER, owner,
        culprit.allocated_by.comm if culprit.allocated_by is not None else None,
        culprit.allocated_by.tid if culprit.allocated_by is not None else None,
    )  # fmt: skip
    if before is not None:
        one.held_ns, one.free_ns, one.ids = before.held_ns, before.free_ns, before.ids
        one.released_by = before.released_by
    return one


def _met(one: Obstacle, attempt: Attempt, culprit: Culprit, has_page_ref: bool) -> None:
    """What this attempt says of when the obstacle is there."""
    one.ids[attempt.id] = culprit.id
    last = attempt.begin_ns
    for _, number in culprit.blocked_tries:
        last = max(last, next((t.finish_ns for t in attempt.tries if t.index == number), last))
    if not culprit.blocked_tries and attempt.end_ns is not None:
        last = attempt.end_ns
    one.held_ns = max(one.held_ns, last)
    released = culprit.released_ns
    if culprit.release == "held_at_end":
        one.held_ns = FOREVER
    elif culprit.release == "seen" and released is not None:
        one.free_ns = min(one.free_ns, max(released, one.held_ns + 1))
        if has_page_ref and culprit.cause in REFERENCES:
            one.held_ns = max(one.held_ns, released - 1)
            one.free_ns = max(one.free_ns, one.held_ns + 1)
            one.released_by = culprit.released_by.tid if culprit.released_by is not None else None


class _Allocations:
    """Allocations by page, to find the one a page comes from at a time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        events = script.events
        self.span = len(events) + 1
        rows = np.flatnonzero(events["kind"] == Step.ALLOC)
        self.rows = rows[np.lexsort((rows, events["page"][rows]))]
        self.keys = events["page"][self.rows].astype(np.int64) * self.span + self.rows

    def find(self, frames: npt.NDArray[np.int64], time_ns: int) -> npt.NDArray[np.int64]:
        """Rows of the last allocations up to this time that cover these frames, -1 = none."""
        best = np.full(len(frames), -1, np.int64)
        if not len(self.rows):
            return best
        events = self.script.events
        limit = int(np.searchsorted(events["time_ns"], time_ns, "right"))
        for order in range(ORDERS):
            heads = frames >> order << order
            place = np.searchsorted(self.keys, heads * self.span + limit, "left") - 1
            rows = self.rows[np.maximum(place, 0)]
            fits = (place >= 0) & (frames >= 0) & (events["page"][rows] == heads) & (events["order"][rows] >= order)
            best = np.where(fits & (rows > best), rows, best)
        return best

    def split(self, start_pfn: int, pages: int, time_ns: int) -> Sequence[tuple[int, int, int, int]]:
        """(first pfn, pages, event, offset of the first page) for each allocation in a run of pages."""
        frames = self.script.frames.of(np.arange(start_pfn, start_pfn + pages, dtype=np.int64))
        events = self.find(frames, time_ns)
        cuts = np.flatnonzero((np.diff(events) != 0) | (np.diff(frames) != 1)) + 1
        starts = [0, *cuts.tolist()]
        heads = self.script.events["page"]
        offsets = np.where(events >= 0, frames - heads[np.maximum(events, 0)], 0) if len(heads) else frames * 0
        return [
            (start_pfn + low, high - low, int(events[low]), int(offsets[low]))
            for low, high in pairwise([*starts, pages])
        ]
