"""The recorded allocator: the free lists as the record has them, every block taken and given back at its own place."""

from __future__ import annotations

# Rows of numba records have no static type.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
from typing import Any

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inner, merged, njit
from tracereplay.whatif.buddy_kernels import (
    CMA,
    FREE,
    ISOLATE,
    RECLAIMABLE,
    TAIL,
    USED,
    Z_CMA,
    Z_FREE,
    free_pages,
    isolate,
    list_of,
    move_block,
    restore,
    take_block_at,
    take_pages_at,
    type_of,
    wide,
)
from tracereplay.whatif.page_rows import ORDERS, TYPES, Buddy, Count, Frame, Rule, Step

PCP = int(Frame.PCP)
S_ALLOC, S_FREE, S_DRAIN, S_TAKE = int(Step.ALLOC), int(Step.FREE), int(Step.DRAIN), int(Step.TAKE)
S_FALLBACK, S_CLAIM, S_ISOLATE = int(Step.FALLBACK), int(Step.CLAIM), int(Step.ISOLATE)
S_RESTORE, S_CONTIG, S_COUNT = int(Step.RESTORE), int(Step.CONTIG), int(Step.COUNT)
C_TAKEN, C_NOT_FREE, C_DRAINED_FREE = int(Count.TAKEN), int(Count.TAKEN_NOT_FREE), int(Count.DRAINED_FREE)
C_FREED_FREE, C_RANGE, C_RANGE_NOT_FREE = int(Count.FREED_FREE), int(Count.RANGE), int(Count.RANGE_NOT_FREE)
C_TAKES, C_TAKES_CMA, C_DRAINS, C_FALLBACKS = (
    int(Count.TAKES),
    int(Count.TAKES_CMA),
    int(Count.DRAINS),
    int(Count.FALLBACKS),
)
C_DIRECT, R_WHOLE = int(Count.DIRECT), int(Rule.WHOLE_FREES)
FROM_RANGE = 2  # `movable` of a page that was taken as part of a range
NO_DECISION = -(1 << 62)


@njit
def first_events(
    events: npt.NDArray[Any], first: npt.NDArray[np.uint8], order: npt.NDArray[np.uint8], index: npt.NDArray[np.int32]
) -> None:
    """Of each frame: kind and order of the first event that touched it, and which event that was (-1 = none)."""
    for number in range(len(events)):
        event = events[number]
        kind = event.kind
        if kind > S_FALLBACK and kind != S_CONTIG:
            continue
        for at in range(event.page, event.page + event.pages):
            if first[at] == 0:
                first[at] = kind
                order[at] = event.order
                index[at] = number


@njit
def mark_direct_frees(events: npt.NDArray[Any], last: npt.NDArray[np.int32]) -> int:
    """Mark frees (`other` = 1) whose page is next taken from the buddy, without a drain between; how many.

    free_unref_page goes past the per-cpu list where pcp_spin_trylock fails (5.19 on: another CPU drains that list),
    and kernels may keep CMA pages off the lists. last -- a scratch row for each frame, -1 everywhere.
    """
    marked = 0
    for number in range(len(events)):
        event = events[number]
        kind = event.kind
        if kind > S_FALLBACK and kind != S_CONTIG:
            continue
        takes = kind == S_TAKE or kind == S_FALLBACK or kind == S_CONTIG
        for at in range(event.page, event.page + event.pages):
            if takes and last[at] != -1 and events[last[at]].other == 0:
                events[last[at]].other = 1
                marked += 1
            last[at] = number if kind == S_FREE else -1
    return marked


@njit
def seed_free(b: Buddy, frames: npt.NDArray[np.int32]) -> None:
    """Free these single frames."""
    for number in range(len(frames)):
        free_pages(b, wide(frames[number]), 0)


@njit
def relist(b: Buddy, heads: npt.NDArray[np.int32]) -> None:
    """Order the free lists anew: the first of `heads` becomes the first of its list."""
    for row in range(len(b.lists)):
        b.lists[row].head = -1
        b.lists[row].tail = -1
    for number in range(len(heads)):
        page = heads[number]
        row = b.pages[page]
        free_list = b.lists[list_of(wide(row.zone), row.order, type_of(b, page))]
        row.prev = free_list.tail
        row.next = -1
        if free_list.tail != -1:
            b.pages[free_list.tail].next = page
        else:
            free_list.head = page
        free_list.tail = page


@inner
def write_counts(b: Buddy, row: npt.NDArray[np.int64]) -> None:
    """Free blocks of each zone, order and migratetype, as rows of [zones * ORDERS * TYPES]."""
    for at in range(len(b.lists)):
        row[at] = b.lists[at].blocks


@merged
def take_recorded(b: Buddy, page: int, order: int, state: int) -> None:
    """A block leaves the free lists where the record says; pages that were not free are counted."""
    size = 1 << order
    b.counts[C_TAKEN] += size
    b.counts[C_TAKES] += 1
    if type_of(b, page) == CMA:
        b.counts[C_TAKES_CMA] += 1
    if not take_block_at(b, page, order):
        b.counts[C_NOT_FREE] += size - take_pages_at(b, page, size)
    for at in range(page, page + size):
        b.pages[at].state = state


@merged
def give_recorded(b: Buddy, page: int, order: int) -> None:
    """A block goes to the free lists; one that is free already is counted and left."""
    size = 1 << order
    free = 0
    for at in range(page, page + size):
        if b.pages[at].state == FREE or b.pages[at].state == TAIL:
            free += 1
    if free:
        b.counts[C_DRAINED_FREE] += free
        take_pages_at(b, page, size)
    free_pages(b, page, order)


@inner
def in_one_zone(b: Buddy, page: int, pages: int) -> bool:
    """Whether all these frames are memory of one zone: what a sound record says of every block."""
    zone = b.pages[page].zone
    for at in range(page, page + pages):
        if b.pages[at].zone != zone:
            return False
    return bool(zone >= 0)


@merged
def learn_type(b: Buddy, page: int, kind: int) -> None:
    """The record names the list a block came from: its pageblock has that type (6.1 on: list, not request)."""
    have = type_of(b, page)
    if kind <= RECLAIMABLE and have <= RECLAIMABLE and have != kind:
        move_block(b, page, kind)


@merged
def freed(b: Buddy, page: int, order: int, direct: bool) -> None:
    """mm_page_free: to a per-cpu list, or (other orders, isolated pageblocks, whole ranges) to the buddy at once.

    A page that is free in the model had left the lists without an event: compaction takes its free pages with
    __isolate_free_page, which has no tracepoint.
    """
    size = 1 << order
    pcp = (order <= 3 or order == 9) and type_of(b, page) != ISOLATE
    if pcp and direct:
        b.counts[C_DIRECT] += size
        pcp = False
    if pcp and b.rules[R_WHOLE] and b.pages[page].movable == FROM_RANGE:
        pcp = False
    b.counts[C_FREED_FREE] += take_pages_at(b, page, size)
    for at in range(page, page + size):
        b.pages[at].state = PCP
        b.pages[at].movable = 0
    if not pcp:
        free_pages(b, page, order)


@merged
def allocated(b: Buddy, page: int, order: int, movable: bool) -> None:
    """mm_page_alloc: in use from here on."""
    size = 1 << order
    b.counts[C_FREED_FREE] += take_pages_at(b, page, size)
    for at in range(page, page + size):
        b.pages[at].state = USED
        b.pages[at].movable = 1 if movable else 0


@njit
def replay_recorded(
    b: Buddy, events: npt.NDArray[Any], balance: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> None:
    """Apply a script.

    balance -- for each TAKE: NR_FREE_PAGES - 2 * NR_FREE_CMA_PAGES of its zone before it, NO_DECISION elsewhere;
    counts -- a row for each COUNT: free blocks by list.
    """
    row = 0
    for number in range(len(events)):
        event = events[number]
        kind, page, order, pages = wide(event.kind), wide(event.page), wide(event.order), wide(event.pages)
        type_ = wide(event.type)
        if kind == S_COUNT:
            write_counts(b, counts[row])
            row += 1
        elif kind == S_ISOLATE:
            isolate(b, page, pages)
        elif kind == S_RESTORE:
            restore(b, page, pages)
        elif kind == S_CONTIG:
            take_range(b, page, pages)
        elif not in_one_zone(b, page, pages):
            continue
        elif kind == S_ALLOC:
            allocated(b, page, order, type_ == 1)
        elif kind == S_FREE:
            freed(b, page, order, event.other == 1)
        elif kind == S_DRAIN:
            b.counts[C_DRAINS] += 1
            learn_type(b, page, type_)
            give_recorded(b, page, order)
        elif kind == S_TAKE or kind == S_FALLBACK:
            balance[number] = balance_of(b, page, type_)
            if kind == S_TAKE:
                learn_type(b, page, type_)
            else:
                b.counts[C_FALLBACKS + 3 * type_ + wide(event.other)] += 1
            take_recorded(b, page, order, PCP)
        elif kind == S_CLAIM:
            b.counts[C_FALLBACKS + 3 * type_ + wide(event.other)] += 1
            learn_type(b, page, type_)


@inner
def balance_of(b: Buddy, page: int, kind: int) -> int:
    """What `__rmqueue` compared: only where both a CMA block and a movable one were there to choose from."""
    zone = wide(b.pages[page].zone)
    movable = False
    cma = False
    for order in range(ORDERS):
        base = (zone * ORDERS + order) * TYPES
        movable = movable or b.lists[base + 1].head != -1
        cma = cma or b.lists[base + CMA].head != -1
    if (kind == CMA and movable) or (kind == 1 and cma):
        return wide(b.zones[zone, Z_FREE] - 2 * b.zones[zone, Z_CMA])
    return NO_DECISION


@merged
def take_range(b: Buddy, page: int, pages: int) -> None:
    """A range was allocated: all its pages had become free (isolate_freepages_range)."""
    b.counts[C_RANGE] += pages
    b.counts[C_RANGE_NOT_FREE] += pages - take_pages_at(b, page, pages)
    for at in range(page, page + pages):
        if b.pages[at].zone >= 0:
            b.pages[at].state = USED
            b.pages[at].movable = FROM_RANGE
