"""What only an inventory has: whether pages would fit (--pages), and parts of a block that are no memory."""

from __future__ import annotations

from msgspec import Struct, field


class FitRange(Struct, kw_only=True):
    """A range that the pages requested could take: pages = free + to_move + blocked + given_out + not_seen.

    to_move -- in use, and nothing is known to keep them from moving; blocked -- of the culprits in culprit_ids;
    given_out -- allocated from the area by cma_alloc().
    """

    start_pfn: int
    pages: int
    free: int
    to_move: int
    blocked: int
    given_out: int
    not_seen: int
    culprit_ids: list[str] = field(default_factory=list)


class Fit(Struct, kw_only=True):
    """Whether so many contiguous pages would fit (--pages).

    ranges -- where they fit, lowest first; if nowhere, the candidates with the fewest pages in the way, those first.
    candidates -- aligned ranges of this size that were looked at.
    """

    pages: int
    align_order: int
    fits: bool
    candidates: int
    ranges: list[FitRange] = field(default_factory=list)


class Hole(Struct, kw_only=True):
    """A part of a memory block that is no memory."""

    start_pfn: int
    pages: int
