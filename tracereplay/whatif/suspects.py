"""Pages that block now and then: where a policy puts them into a range, it may fail, whatever the record shows.

Pages of block devices (file system metadata) cannot be migrated while a buffer head is in use. How often they were in
the way is counted in the record: of those present where an attempt tested, the ones that blocked. Every run of the
ensemble draws the chance from what that leaves open (Jeffreys: Beta(blocked + 1/2, moved + 1/2)), then the pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.layout.layout import Span
from tracereplay.model.result import Attempt
from tracereplay.whatif.obstacles import Obstacle

CAUSE = "buffer_head"
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PagesInRun:
    """Some pages: PFN in a run of the model and in the record, times of the allocation and of the free."""

    pfn: Numbers
    recorded: Numbers
    from_ns: Numbers
    to_ns: Numbers

    def at(self, start_ns: int, end_ns: int, moved: Span | None = None) -> list[int]:
        """Sorted PFNs of those that are there all the time; moved -- without those that the record has there."""
        there = (self.from_ns <= start_ns) & (self.to_ns > end_ns) & (self.pfn >= 0)
        if moved is not None:
            there &= (self.recorded < moved.start_pfn) | (self.recorded >= moved.end_pfn)
        return sorted(self.pfn[there].tolist())

    def some(self, chosen: npt.NDArray[np.bool_]) -> PagesInRun:
        """The chosen ones."""
        return PagesInRun(self.pfn[chosen], self.recorded[chosen], self.from_ns[chosen], self.to_ns[chosen])


def range_got(attempt: Attempt) -> Span | None:
    """The range that its last try got in the record; None where it failed."""
    last = attempt.tries[-1] if attempt.outcome == "succeeded" and attempt.tries else None
    if last is None or last.start_pfn is None or last.end_pfn is None:
        return None
    return Span("got", last.start_pfn, last.end_pfn - last.start_pfn)


def count_tested(pages: PagesInRun, attempts: Iterable[Attempt], obstacles: Sequence[Obstacle]) -> tuple[int, int]:
    """Of these pages (as recorded) those that attempts tested, and those of them that blocked.

    A failed attempt tests up to the last page that blocked it; one page may be tested by several attempts.
    """
    tested = blocked = 0
    for attempt in attempts:
        starts = [one.start_pfn for one in attempt.tries if one.start_pfn is not None]
        if not starts:
            continue
        mine = [one for one in obstacles if attempt.id in one.ids]
        got = range_got(attempt)
        end = got.end_pfn if got is not None else max((one.start_pfn + one.pages for one in mine), default=0)
        end_ns = attempt.end_ns if attempt.end_ns is not None else attempt.begin_ns
        there = (pages.from_ns <= attempt.begin_ns) & (pages.to_ns > end_ns)
        there &= (pages.recorded >= min(starts)) & (pages.recorded < end)
        tested += int(there.sum())
        for one in (one for one in mine if one.cause == CAUSE):
            held = (pages.recorded >= one.start_pfn) & (pages.recorded < one.start_pfn + one.pages)
            blocked += int((there & held).sum())
    return tested, blocked


def drawn(pages: PagesInRun, tested: int, blocked: int, number: int) -> PagesInRun:
    """Those that block in a run of the ensemble."""
    rng = np.random.default_rng((number, tested, blocked))
    chance = rng.beta(blocked + 0.5, tested - blocked + 0.5)
    return pages.some(rng.random(len(pages.pfn)) < chance)
