"""Would so many contiguous pages fit (--pages)? Every aligned range of an inventory is a candidate, as in cma_alloc().

cma_alloc() goes through its bitmap from the lowest aligned range that is not given out (mm/cma.c), so the lowest range
without obstacles is the one it would end with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits.map_runs import FREE, NOT_SEEN, Strip
from tracereplay.layout.spans import Spans
from tracereplay.model.inventory import Fit, FitRange
from tracereplay.model.result import Culprit

RANGES_SHOWN = 4  # of those that fit, or of those nearest to it; they do not overlap

I64 = npt.NDArray[np.int64]


def pages_within(inner: Spans, outer: Spans) -> int:
    """Pages of the inner spans that lie in the outer ones; the spans of each do not overlap."""
    cuts = ((max(low, start), min(high, end)) for low, high in inner for start, end in outer)
    return sum(high - low for low, high in cuts if low < high)


def find_fit(wanted: tuple[int, int], strip: Strip, draft: DetectedAttempt, culprits: Sequence[Culprit]) -> Fit:
    """The answer for `wanted` (pages, align order) in the draft's range, whose pages were as the strip shows."""
    pages, align_order = wanted
    ((start_pfn, end_pfn),) = draft.spans
    sums = _Sums.of(strip, start_pfn, end_pfn, draft.given_out, culprits)
    step = 1 << align_order
    first = -(-start_pfn // step) * step
    starts = np.arange(first, end_pfn - pages + 1, step, dtype=np.int64)
    in_the_way = sums.between(sums.blocked | sums.given_out, starts, pages)
    fitting = starts[in_the_way == 0]
    order = fitting if len(fitting) else starts[np.lexsort((starts, in_the_way))]
    chosen = _apart(order, pages)
    return Fit(
        pages=pages,
        align_order=align_order,
        fits=bool(len(fitting)),
        candidates=len(starts),
        ranges=[_range(sums, start, pages, culprits) for start in chosen],
    )


class _Sums:
    """What each page of the range is, as bool arrays."""

    def __init__(self, start_pfn: int, pages: int) -> None:
        self.start_pfn = start_pfn
        self.free, self.not_seen, self.given_out, self.blocked = (np.zeros(pages, np.bool_) for _ in range(4))

    @classmethod
    def of(cls, strip: Strip, start_pfn: int, end_pfn: int, given_out: Spans, culprits: Sequence[Culprit]) -> _Sums:
        """From runs of states, spans and culprits."""
        sums = cls(start_pfn, end_pfn - start_pfn)
        for low, high, state in zip(strip.start.tolist(), strip.end.tolist(), strip.state.tolist(), strict=True):
            sums.free[low - start_pfn : high - start_pfn] = state == FREE
            sums.not_seen[low - start_pfn : high - start_pfn] = state == NOT_SEEN
        for culprit in culprits:
            if culprit.start_pfn is not None:
                sums._mark(sums.blocked, culprit.start_pfn, culprit.start_pfn + culprit.pages)
        for low, high in given_out:
            sums._mark(sums.given_out, low, high)
        sums.given_out &= ~sums.blocked
        return sums

    def _mark(self, pages: npt.NDArray[np.bool_], low: int, high: int) -> None:
        pages[max(low - self.start_pfn, 0) : max(high - self.start_pfn, 0)] = True

    def between(self, pages: npt.NDArray[np.bool_], starts: I64, number: int) -> I64:
        """How many of these pages are in each of [start, start + number)."""
        total = np.concatenate([[0], np.cumsum(pages, dtype=np.int64)])
        places = starts - self.start_pfn
        found: I64 = total[places + number] - total[places]
        return found


def _apart(starts: I64, pages: int) -> list[int]:
    """The first of these ranges that do not overlap."""
    chosen: list[int] = []
    for start in starts.tolist():
        if all(abs(start - other) >= pages for other in chosen):
            chosen.append(start)
        if len(chosen) == RANGES_SHOWN:
            break
    return chosen


def _range(sums: _Sums, start_pfn: int, pages: int, culprits: Sequence[Culprit]) -> FitRange:
    here = slice(start_pfn - sums.start_pfn, start_pfn - sums.start_pfn + pages)
    blocked, given_out = sums.blocked[here], sums.given_out[here]
    other = ~(blocked | given_out)
    free, not_seen = sums.free[here] & other, sums.not_seen[here] & other
    return FitRange(
        start_pfn=start_pfn,
        pages=pages,
        free=int(free.sum()),
        to_move=int((other & ~free & ~not_seen).sum()),
        blocked=int(blocked.sum()),
        given_out=int(given_out.sum()),
        not_seen=int(not_seen.sum()),
        culprit_ids=[
            c.id
            for c in culprits
            if c.start_pfn is not None and c.start_pfn < start_pfn + pages and start_pfn < c.start_pfn + c.pages
        ],
    )
