"""What happens to a whole range of pages at once."""

from __future__ import annotations

from tracereplay.compiled import njit
from tracereplay.replay.ledger_kernels import NONE, Memory, Stamp
from tracereplay.replay.replay_kernels import ALLOCATED, ANON, FILE, begin_life, find_row


@njit
def take_range(mem: Memory, start_pfn: int, end_pfn: int, ns: int) -> None:
    """cma_alloc() got this range. Without page_ref_set nothing else tells that its free pages are in use now."""
    for pfn in range(start_pfn, end_pfn):
        row = find_row(mem, pfn)
        if row < 0:
            continue
        page = mem.pages[row]
        # page_ref_set began its life when the range was isolated (split_map_pages(), mm/compaction.c).
        begun = page.state == ALLOCATED and page.alloc_tid == NONE and (page.marks & (ANON | FILE)) == 0
        if not begun:
            begin_life(mem.suspects, mem.refs, mem.tally, page, Stamp(ns, 0, NONE, 0), 0)
