"""What happens to a whole range of pages at once."""

from __future__ import annotations

from tracereplay.compiled import njit
from tracereplay.replay.ledger_kernels import I64, NONE, UNKNOWN_CONTEXT, EventContext, Memory
from tracereplay.replay.life_kernels import begin_life
from tracereplay.replay.page_kernels import ALLOC_SEEN, ALLOCATED, ANON, FILE, find_row
from tracereplay.replay.state import SECTION_BITS


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
            begin_life(mem.suspects, mem.refs, mem.tally, page, EventContext(ns, 0, NONE, 0, UNKNOWN_CONTEXT), 0)


@njit
def count_states(mem: Memory, start_pfn: int, end_pfn: int, counts: I64) -> None:
    """Add the pages of [start_pfn, end_pfn) to counts[State]; counts[-1]: allocated, and no allocation was seen.

    Sections that the model does not have are passed over: their pages are in no count.
    """
    states, marks = mem.pages.state, mem.pages.marks
    pfn = start_pfn
    while pfn < end_pfn:
        section = pfn >> SECTION_BITS
        if section >= len(mem.sections):
            return
        end = min((section + 1) << SECTION_BITS, end_pfn)
        slot = mem.sections[section]
        if slot >= 0:
            row = (slot << SECTION_BITS) + pfn - (section << SECTION_BITS)
            for at in range(row, row + end - pfn):
                state = states[at]
                counts[state] += 1
                if state == ALLOCATED and marks[at] & ALLOC_SEEN == 0:
                    counts[-1] += 1
        pfn = end
