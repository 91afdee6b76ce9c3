"""Pages that had left the free lists unseen: bounded by the kernel's own choices between CMA and movable lists.

Every refill of a movable list decided NR_FREE_CMA_PAGES > NR_FREE_PAGES / 2 (__rmqueue, same in 5.10, 6.1, 6.12). The
recorded allocator knows both but for the pages that the snapshot counted free and that were gone before the first
event (the trace's own ring buffer, mostly). With b of them each choice is an inequality on b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.page_rows import MigrateType, Step
from tracereplay.whatif.script import Script
from tracereplay.whatif.seed import Seed

NO_DECISION = np.iinfo(np.int64).min // 2
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hidden:
    """pages -- the value used; low, high -- the values that violate fewest decisions (None = open on that side)."""

    pages: int
    low: int | None
    high: int | None
    decisions: int
    violated: int
    held_out: int | None = None  # violated decisions of the second half, with the value of the first half


def hidden_pages(script: Script, seed: Seed, balance: Numbers) -> dict[int, Hidden]:
    """For each zone (by row) with CMA pages: how many pages had left its lists unseen."""
    takes = np.flatnonzero((script.events["kind"] == Step.TAKE) & (balance > NO_DECISION))
    zone = seed.zone[script.events["page"][takes]]
    found = {}
    for row in np.unique(zone):
        mine = takes[zone == row]
        found[int(row)] = fitted(balance[mine], script.events["type"][mine] == MigrateType.CMA)
    return found


def fitted(balance: Numbers, took_cma: npt.NDArray[np.bool_]) -> Hidden:
    """b > balance where CMA was taken, b <= balance where it was not; the b with the fewest violations."""
    low, high, violated = _best(balance, took_cma)
    half = len(balance) // 2
    held_out = None
    if half:
        first_low, first_high, _ = _best(balance[:half], took_cma[:half])
        value = _value(first_low, first_high)
        held_out = int(np.count_nonzero((balance[half:] < value) != took_cma[half:]))
    return Hidden(_value(low, high), low, high, len(balance), violated, held_out)


def _value(low: int | None, high: int | None) -> int:
    """The value of an interval that is nearest to none hidden, its middle where it is bounded on both sides."""
    if low is not None and high is not None:
        return (low + high) // 2
    return max(low or 0, 0) if high is None else min(high, 0)


def _best(balance: Numbers, took_cma: npt.NDArray[np.bool_]) -> tuple[int | None, int | None, int]:
    """(low, high, violations) of the first interval of b with fewest violations."""
    cma, movable = np.sort(balance[took_cma]), np.sort(balance[~took_cma])
    edges = np.unique(np.concatenate([cma + 1, movable + 1]))  # violations change only here
    starts = np.concatenate([[np.iinfo(np.int64).min], edges])
    # b violates the CMA takes with balance >= b and the movable ones with balance < b.
    wrong = len(cma) - np.searchsorted(cma, starts, "left") + np.searchsorted(movable, starts, "left")
    best = np.flatnonzero(wrong == wrong.min())
    # Of equals the run of intervals that is nearest to zero.
    runs = np.split(best, np.flatnonzero(np.diff(best) != 1) + 1)
    ends = [None if run[-1] + 1 == len(starts) else int(starts[run[-1] + 1]) - 1 for run in runs]
    spans = [(None if run[0] == 0 else int(starts[run[0]]), end) for run, end in zip(runs, ends, strict=True)]
    low, high = min(spans, key=lambda span: abs(_value(*span)))
    return low, high, int(wrong.min())
