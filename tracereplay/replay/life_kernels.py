"""Lives of pages: allocated, free; what became of a page that was in the way."""

from __future__ import annotations

from tracereplay.compiled import inlined
from tracereplay.replay.ledger_kernels import I64, NONE, EventContext, Row, Rows, close_life
from tracereplay.replay.page_kernels import (
    ALLOC_SEEN,
    ALLOCATED,
    ALLOCATED_SINCE_WATCH,
    COUNT_KNOWN,
    I32,
    LOCKED,
    PCP,
    UNSEEN,
    WRITEBACK,
    row_of,
)
from tracereplay.replay.state import LIFE_MARKS, NO_EXCESS, ReplayCounter

KEPT_BY_NEW_LIFE = 0xFFFF & ~LIFE_MARKS  # window marks outlive the page's life
T_UNKNOWN_FREE, T_OVER_LIVE = int(ReplayCounter.FREE_WITHOUT_ALLOC), int(ReplayCounter.ALLOC_OVER_LIVE)


@inlined
def settle_suspects(suspects: Rows, masks: I64, page: Row, stamp: EventContext, before: int, after: int) -> None:
    """A reference event on a page that was in the way: what it tells about the time between probe and now."""
    row = page.suspect
    while row != NONE:
        suspect = suspects[row]
        if suspect.no_event_since_probe:
            suspect.no_event_since_probe = 0
            suspect.post_ns = stamp.ns
            suspect.post_flags = page.page_flags
            smallest = min(suspect.min_excess, before)
            if smallest != NO_EXCESS and smallest > suspect.confirmed:
                suspect.confirmed = smallest
        if suspect.clear_ns < 0 and after <= 0:
            suspect.clear_ns, suspect.clear_tid, suspect.clear_irq = stamp.ns, stamp.tid, stamp.irq
        if suspect.unlock_ns < 0 and (page.page_flags & masks[LOCKED]) == 0:
            suspect.unlock_ns = stamp.ns
        if suspect.written_ns < 0 and (page.page_flags & masks[WRITEBACK]) == 0:
            suspect.written_ns = stamp.ns
        row = suspect.next


@inlined
def end_suspects(suspects: Rows, page: Row, stamp: EventContext) -> None:
    """The page moved away or was freed: it blocks no attempt any more."""
    row = page.suspect
    while row != NONE:
        suspect = suspects[row]
        suspect.end_ns, suspect.end_tid = stamp.ns, stamp.tid
        row = suspect.next
    page.suspect = NONE


@inlined
def forget_life(page: Row) -> None:
    """What the page was is gone; what the watch saw outlives its life."""
    page.marks &= KEPT_BY_NEW_LIFE
    page.file, page.index = NONE, NONE
    page.min_excess = NO_EXCESS


@inlined
def end_life(suspects: Rows, refs: Rows, tally: I64, page: Row, stamp: EventContext) -> None:
    """The page blocks no attempt, its references end, and it is forgotten."""
    if page.suspect != NONE:
        end_suspects(suspects, page, stamp)
    if page.refs != NONE:
        close_life(refs, tally, page, stamp)
    forget_life(page)


@inlined
def begin_life(suspects: Rows, refs: Rows, tally: I64, page: Row, stamp: EventContext, order: int) -> None:
    """The page left the free lists."""
    end_life(suspects, refs, tally, page, stamp)
    page.state, page.order = ALLOCATED, order
    page.alloc_ns, page.alloc_tid, page.gfp = stamp.ns, NONE, 0
    page.count, page.mapcount, page.page_flags = 1, -1, 0
    page.marks |= ALLOCATED_SINCE_WATCH


@inlined
def do_alloc(
    pages: Rows,
    sections: I32,
    suspects: Rows,
    refs: Rows,
    tally: I64,
    pfn: int,
    order: int,
    gfp: int,
    stamp: EventContext,
) -> None:
    """mm_page_alloc: pfn .. pfn + 2^order begin a life whose allocator is known."""
    for number in range(pfn, pfn + (1 << order)):
        row = row_of(sections, number)
        if row < 0:
            continue
        page = pages[row]
        # page_ref_set of the same allocation comes just before and has begun the life already.
        fresh = page.state == ALLOCATED and page.alloc_tid == NONE and page.refs == NONE and page.count == 1
        if page.state == ALLOCATED and not (fresh and page.marks & ALLOCATED_SINCE_WATCH):
            tally[T_OVER_LIVE] += 1
        counted = page.marks & COUNT_KNOWN if fresh else 0
        begin_life(suspects, refs, tally, page, stamp, order)
        page.alloc_tid, page.gfp = stamp.tid, gfp
        page.marks |= ALLOC_SEEN | counted


@inlined
def put_on_free_list(page: Row, state: int, order: int) -> None:
    """The page is free; what it was in its last life is forgotten."""
    forget_life(page)
    page.state, page.order = state, order
    page.count, page.mapcount, page.page_flags = 0, -1, 0


@inlined
def do_free(
    pages: Rows,
    sections: I32,
    suspects: Rows,
    refs: Rows,
    tally: I64,
    pfn: int,
    order: int,
    state: int,
    stamp: EventContext,
) -> None:
    """mm_page_free, mm_page_pcpu_drain, mm_page_alloc_zone_locked: pages are on a free list."""
    for number in range(pfn, pfn + (1 << order)):
        row = row_of(sections, number)
        if row < 0:
            continue
        page = pages[row]
        if page.state == ALLOCATED or page.refs != NONE or page.suspect != NONE:
            end_life(suspects, refs, tally, page, stamp)
        elif page.state == UNSEEN and state == PCP:
            tally[T_UNKNOWN_FREE] += 1
        put_on_free_list(page, state, order)
