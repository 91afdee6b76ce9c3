"""The buddy allocator: free lists by order and migratetype, merging, splitting, fallbacks (mm/page_alloc.c, 6.12)."""

from __future__ import annotations

# Rows of numba records have no static type.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from tracereplay.compiled import inlined, inner
from tracereplay.whatif.page_rows import ORDERS, TYPES, Buddy, Count, Frame, MigrateType, Rule, ZoneColumn

NONE = -1
ABSENT, FREE, TAIL, USED = int(Frame.ABSENT), int(Frame.FREE), int(Frame.TAIL), int(Frame.USED)
UNMOVABLE, MOVABLE, RECLAIMABLE = int(MigrateType.UNMOVABLE), int(MigrateType.MOVABLE), int(MigrateType.RECLAIMABLE)
CMA, ISOLATE, HIGHATOMIC = int(MigrateType.CMA), int(MigrateType.ISOLATE), int(MigrateType.HIGHATOMIC)
Z_FREE, Z_CMA, Z_HIDDEN, Z_NOFRAGMENT = (
    int(ZoneColumn.FREE),
    int(ZoneColumn.FREE_CMA),
    int(ZoneColumn.HIDDEN),
    int(ZoneColumn.NO_FRAGMENT),
)
R_MODE, R_NUM, R_DEN, R_PAGEBLOCK = int(Rule.CMA_MODE), int(Rule.NUM), int(Rule.DEN), int(Rule.PAGEBLOCK_ORDER)
C_FALLBACKS = int(Count.FALLBACKS)
TOP = ORDERS - 1
NEVER = 1


# A number of a record as int64: every type of argument compiles a function once more.
wide = cast("Callable[[Any], int]", np.int64)


@inlined
def list_of(zone: int, order: int, kind: int) -> int:
    """Row of a free list."""
    return (zone * ORDERS + order) * TYPES + kind


@inlined
def type_of(b: Buddy, page: int) -> int:
    """Migratetype of the page's pageblock."""
    return wide(b.blocks[page >> b.rules[R_PAGEBLOCK]].type)


@inner
def account(b: Buddy, zone: int, pages: int, kind: int) -> None:
    """account_freepages: isolated pages are not free ones."""
    if kind == ISOLATE:
        return
    b.zones[zone, Z_FREE] += pages
    if kind == CMA:
        b.zones[zone, Z_CMA] += pages


@inner
def put_block(b: Buddy, page: int, order: int, kind: int, at_tail: bool) -> None:
    """The block to its free list; its pages are FREE and TAIL afterwards only if they were TAIL before."""
    row = b.pages[page]
    row.state = FREE
    row.order = order
    free_list = b.lists[list_of(wide(row.zone), order, kind)]
    free_list.blocks += 1
    if at_tail:
        last = free_list.tail
        row.prev = last
        row.next = NONE
        free_list.tail = page
        if last != NONE:
            b.pages[last].next = page
        else:
            free_list.head = page
        return
    first = free_list.head
    row.next = first
    row.prev = NONE
    free_list.head = page
    if first != NONE:
        b.pages[first].prev = page
    else:
        free_list.tail = page


@inner
def cut_block(b: Buddy, page: int, order: int, kind: int) -> None:
    """The block off its free list; all its pages are TAIL then."""
    row = b.pages[page]
    free_list = b.lists[list_of(wide(row.zone), order, kind)]
    before, after = row.prev, row.next
    if before != NONE:
        b.pages[before].next = after
    else:
        free_list.head = after
    if after != NONE:
        b.pages[after].prev = before
    else:
        free_list.tail = before
    free_list.blocks -= 1
    row.state = TAIL


@inlined
def is_buddy(b: Buddy, page: int, order: int, zone: int) -> bool:
    """Whether a free block of this order and zone begins there (page_is_buddy)."""
    if page >= len(b.pages):
        return False
    row = b.pages[page]
    return bool(row.state == FREE and row.order == order and row.zone == zone)


@inner
def merge_likely(b: Buddy, page: int, buddy: int, order: int, zone: int) -> bool:
    """buddy_merge_likely: the next higher pair may soon be whole, so the block goes to the list's end."""
    if order >= TOP - 1:
        return False
    return is_buddy(b, (page & buddy) ^ (1 << (order + 1)), order + 1, zone)


@inner
def free_block(b: Buddy, page: int, order: int, kind: int) -> None:
    """__free_one_page. Blocks of a pageblock and more merge with other types only below MIGRATE_PCPTYPES."""
    zone = wide(b.pages[page].zone)
    account(b, zone, 1 << order, kind)
    for at in range(page, page + (1 << order)):
        b.pages[at].state = TAIL
    pageblock_order = b.rules[R_PAGEBLOCK]
    buddy = page
    while order < TOP:
        buddy = page ^ (1 << order)
        if not is_buddy(b, buddy, order, zone):
            break
        buddy_kind = kind
        if order >= pageblock_order:
            buddy_kind = type_of(b, buddy)
            if buddy_kind != kind and (buddy_kind > RECLAIMABLE or kind > RECLAIMABLE):
                break
        cut_block(b, buddy, order, buddy_kind)
        if buddy_kind != kind:
            set_types(b, buddy, order, kind)
            account(b, zone, -(1 << order), buddy_kind)
            account(b, zone, 1 << order, kind)
        page = page & buddy
        order += 1
    put_block(b, page, order, kind, merge_likely(b, page, page ^ (1 << order), order, zone))


@inner
def set_types(b: Buddy, page: int, order: int, kind: int) -> None:
    """Set the type of the pageblocks of a block that holds whole ones."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    first = page >> pageblock_order
    for block in range(first, first + (1 << max(order - pageblock_order, 0))):
        b.blocks[block].type = kind


@inner
def free_pages(b: Buddy, page: int, order: int) -> None:
    """free_one_page and split_large_buddy: by the types of its pageblocks (6.10 on)."""
    end = page + (1 << order)
    order = min(order, b.rules[R_PAGEBLOCK])
    while page < end:
        free_block(b, page, order, type_of(b, page))
        page += 1 << order


@inner
def split(b: Buddy, page: int, low: int, high: int, kind: int) -> None:
    """expand: halves of the block after `page` go back to the lists until `low` is left."""
    while high > low:
        high -= 1
        put_block(b, page + (1 << high), high, kind, False)


@inner
def take_smallest(b: Buddy, zone: int, order: int, kind: int) -> int:
    """__rmqueue_smallest: first page of the block, or -1."""
    for high in range(order, ORDERS):
        page = wide(b.lists[list_of(zone, high, kind)].head)
        if page == NONE:
            continue
        cut_block(b, page, high, kind)
        split(b, page, order, high, kind)
        account(b, zone, -(1 << order), kind)
        return page
    return NONE


@inner
def block_around(b: Buddy, page: int) -> int:
    """First page of the free block that holds this page, or -1."""
    if b.pages[page].state != FREE and b.pages[page].state != TAIL:
        return NONE
    for order in range(ORDERS):
        head = page & ~((1 << order) - 1)
        if b.pages[head].state == FREE:
            return head if head + (1 << b.pages[head].order) > page else NONE
    return NONE


@inner
def take_block_at(b: Buddy, page: int, order: int) -> bool:
    """Take exactly [page, page + 2^order) out of one free block that holds it all; False where none does."""
    head = block_around(b, page)
    if head == NONE or b.pages[head].order < order:
        return False
    high = wide(b.pages[head].order)
    kind = type_of(b, head)
    zone = wide(b.pages[head].zone)
    cut_block(b, head, high, kind)
    while high > order:
        high -= 1
        middle = head + (1 << high)
        if page >= middle:
            put_block(b, head, high, kind, False)
            head = middle
        else:
            put_block(b, middle, high, kind, False)
    account(b, zone, -(1 << order), kind)
    return True


@inner
def take_pages_at(b: Buddy, page: int, pages: int) -> int:
    """Take what is free of [page, page + pages); the other pages keep their state. Pages taken (state TAIL)."""
    taken = 0
    at = page
    end = page + pages
    while at < end:
        head = block_around(b, at)
        if head == NONE:
            at += 1
            continue
        order = wide(b.pages[head].order)
        # The largest aligned part of the block that begins here and ends within the range.
        while order > 0 and ((at & ((1 << order) - 1)) or at + (1 << order) > end):
            order -= 1
        take_block_at(b, at, order)
        for one in range(at, at + (1 << order)):
            b.pages[one].state = USED
        taken += 1 << order
        at += 1 << order
    return taken


@inner
def move_block(b: Buddy, page: int, kind: int) -> None:
    """__move_freepages_block: the pageblock of the page, and what is free in it, become of this type."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    first = page >> pageblock_order << pageblock_order
    split_large(b, first)
    old = type_of(b, first)
    at = first
    while at < first + (1 << pageblock_order):
        if b.pages[at].state != FREE:
            at += 1
            continue
        order = wide(b.pages[at].order)
        zone = wide(b.pages[at].zone)
        cut_block(b, at, order, old)
        put_block(b, at, order, kind, True)
        account(b, zone, -(1 << order), old)
        account(b, zone, 1 << order, kind)
        at += 1 << order
    b.blocks[first >> pageblock_order].type = kind


@inner
def split_large(b: Buddy, first: int) -> None:
    """A free block larger than a pageblock becomes pageblocks (split_large_buddy, before one of them is moved)."""
    head = block_around(b, first)
    if head == NONE or b.pages[head].order <= b.rules[R_PAGEBLOCK]:
        return
    order = wide(b.pages[head].order)
    kind = type_of(b, head)
    cut_block(b, head, order, kind)
    size = 1 << b.rules[R_PAGEBLOCK]
    for at in range(head, head + (1 << order), size):
        put_block(b, at, b.rules[R_PAGEBLOCK], type_of(b, at), False)


@inner
def isolate(b: Buddy, page: int, pages: int) -> None:
    """start_isolate_page_range: the pageblocks that hold a page of the range."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    for block in range(page >> pageblock_order, ((page + pages - 1) >> pageblock_order) + 1):
        if b.blocks[block].type != ISOLATE:
            b.blocks[block].saved = b.blocks[block].type
            move_block(b, block << pageblock_order, ISOLATE)


@inner
def restore(b: Buddy, page: int, pages: int) -> None:
    """undo_isolate_page_range; free blocks merge with their neighbours again."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    for block in range(page >> pageblock_order, ((page + pages - 1) >> pageblock_order) + 1):
        if b.blocks[block].type != ISOLATE:
            continue
        first = block << pageblock_order
        kind = wide(b.blocks[block].saved)
        move_block(b, first, kind)
        if b.pages[first].state == FREE and b.pages[first].order == pageblock_order:
            cut_block(b, first, pageblock_order, kind)
            account(b, wide(b.pages[first].zone), -(1 << pageblock_order), kind)
            free_block(b, first, pageblock_order, kind)


@inlined
def fallback_of(b: Buddy, zone: int, order: int, kind: int) -> int:
    """find_suitable_fallback: the first other type that has a block of this order, or -1 (never CMA)."""
    first, second = RECLAIMABLE, MOVABLE
    if kind == MOVABLE:
        second = UNMOVABLE
    elif kind == RECLAIMABLE:
        first = UNMOVABLE
    if b.lists[list_of(zone, order, first)].head != NONE:
        return first
    if b.lists[list_of(zone, order, second)].head != NONE:
        return second
    return NONE


@inner
def claimable(b: Buddy, page: int, kind: int) -> bool:
    """try_to_claim_block: half of the pageblock is free or of a compatible kind."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    first = page >> pageblock_order << pageblock_order
    size = 1 << pageblock_order
    free = 0
    movable = 0
    for at in range(first, first + size):
        state = b.pages[at].state
        if state == FREE or state == TAIL:
            free += 1
        elif state == USED and b.pages[at].movable == 1:
            movable += 1
    alike = movable
    if kind != MOVABLE:
        alike = size - free - movable if type_of(b, first) == MOVABLE else 0
    return bool(free + alike >= size // 2)


@inner
def claim(b: Buddy, zone: int, order: int, kind: int) -> int:
    """__rmqueue_claim (6.12.117, mainline since 6.15): largest block first, its pageblock changes type; or -1."""
    pageblock_order = b.rules[R_PAGEBLOCK]
    low = pageblock_order if order < pageblock_order and b.zones[zone, Z_NOFRAGMENT] else order
    for high in range(TOP, low - 1, -1):
        other = fallback_of(b, zone, high, kind)
        if other == NONE:
            continue
        if high < pageblock_order // 2 and kind == MOVABLE:
            return NONE
        page = wide(b.lists[list_of(zone, high, other)].head)
        if high >= pageblock_order:
            cut_block(b, page, high, other)
            account(b, zone, -(1 << high), other)
            set_types(b, page, high, kind)
            split(b, page, order, high, kind)
            account(b, zone, (1 << high) - (1 << order), kind)
            b.counts[C_FALLBACKS + 3 * kind + other] += 1
            return page
        if claimable(b, page, kind):
            move_block(b, page, kind)
            b.counts[C_FALLBACKS + 3 * kind + other] += 1
            return take_smallest(b, zone, order, kind)
    return NONE


@inner
def steal(b: Buddy, zone: int, order: int, kind: int) -> int:
    """__rmqueue_steal: the smallest block of another type, without its pageblock; or -1."""
    for high in range(order, ORDERS):
        other = fallback_of(b, zone, high, kind)
        if other == NONE:
            continue
        b.counts[C_FALLBACKS + 3 * kind + other] += 1
        return take_smallest(b, zone, high, other) if high == order else take_smallest(b, zone, order, other)
    return NONE


@inlined
def wants_cma(b: Buddy, zone: int) -> bool:
    """Whether a movable allocation takes CMA first: stock rule NR_FREE_CMA > NR_FREE / 2 (commit 16867664936e)."""
    if b.rules[R_MODE] == NEVER:
        return False
    free = b.zones[zone, Z_FREE] - b.zones[zone, Z_HIDDEN]
    return bool(b.zones[zone, Z_CMA] * b.rules[R_DEN] > free * b.rules[R_NUM])


@inner
def take_any(b: Buddy, zone: int, order: int, kind: int, may_use_cma: bool) -> int:
    """__rmqueue: a free block for this request, by the rules in force; -1 where the zone has none."""
    if may_use_cma and wants_cma(b, zone):
        page = take_smallest(b, zone, order, CMA)
        if page != NONE:
            return page
    page = take_smallest(b, zone, order, kind)
    if page == NONE and may_use_cma and b.rules[R_MODE] != NEVER:
        page = take_smallest(b, zone, order, CMA)
    if page == NONE:
        page = claim(b, zone, order, kind)
    if page == NONE:
        page = steal(b, zone, order, kind)
    return page
