"""cma_alloc's walk through its area, when the pages that block are known: first fit, aligned starts, one step on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple


class Walk(NamedTuple):
    """start_pfn -- of the range got, None = none; tries -- ranges tried; blocker -- the first page that blocked."""

    start_pfn: int | None
    tries: int
    blocker: int | None


def first_fit(
    blockers: Sequence[int],
    gaps: Sequence[tuple[int, int]],
    pages: int,
    align_pages: int = 1,
    past_blocker: bool = False,
) -> Walk:
    """Walk the gaps [start_pfn, end_pfn) of the bitmap.

    blockers -- sorted PFNs of pages that cannot be moved. After EBUSY the kernel tries the next aligned start
    (cma_range_alloc: start = bitmap_no + mask + 1); past_blocker: the next one after the page that blocked. All starts
    below a blocker fail alike, so that one look at the next blocker settles them: O(blockers), whatever the tries.
    """
    tries = 0
    first: int | None = None
    for low, high in gaps:
        start = -(-low // align_pages) * align_pages
        while start + pages <= high:
            tries += 1
            at = bisect_left(blockers, start)
            blocker = blockers[at] if at < len(blockers) else high
            if blocker >= start + pages:
                return Walk(start, tries, first)
            first = blocker if first is None else first
            after = -(-(blocker + 1) // align_pages) * align_pages
            if not past_blocker:
                last = (high - pages) // align_pages * align_pages  # the last start that fits
                tries += max(min(after, last + align_pages) - start, 0) // align_pages - 1
            start = after
    return Walk(None, tries, first)


def gaps_between(start_pfn: int, end_pfn: int, taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What [start_pfn, end_pfn) has beside these [start, end) ranges, in order."""
    found = []
    at = start_pfn
    for low, high in sorted(taken):
        if low > at:
            found.append((at, min(low, end_pfn)))
        at = max(at, high)
    if at < end_pfn:
        found.append((at, end_pfn))
    return [(low, high) for low, high in found if low < high]
