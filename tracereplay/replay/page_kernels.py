"""What a page's row says: its excess of references, its page type, and where the row is."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined
from tracereplay.replay.ledger_kernels import GET, I64, ISOLATION, NONE, PIN, Memory, Row, Rows, refs_of_kind
from tracereplay.replay.state import (
    MOST_MAPPINGS,
    NO_EXCESS,
    SECTION_BITS,
    TYPED_MAPCOUNT,
    Mark,
    PageType,
    State,
)


class FlagMask(IntEnum):
    """Page flags the model reads, as masks in this trace's own bit order (0 where the kernel has no such flag)."""

    LOCKED = 0
    UPTODATE = 1
    WRITEBACK = 2
    PRIVATE = 3
    SWAPCACHE = 4
    SWAPBACKED = 5
    HEAD = 6
    LRU = 7


I32: TypeAlias = npt.NDArray[np.int32]
SECTION_MASK = (1 << SECTION_BITS) - 1
ABSENT = -1  # in the section table; -2: refused (engine.REFUSED)
PAGE_TYPE_OTHER = int(PageType.OTHER)
PAGE_TYPES_BY_BIT = 5  # buddy, offline, table, guard, hugetlb
TYPED_TOP = TYPED_MAPCOUNT + PAGE_TYPE_OTHER
LOCKED, WRITEBACK, PRIVATE = int(FlagMask.LOCKED), int(FlagMask.WRITEBACK), int(FlagMask.PRIVATE)
SWAPCACHE, HEAD, LRU = int(FlagMask.SWAPCACHE), int(FlagMask.HEAD), int(FlagMask.LRU)
UNSEEN, BUDDY, PCP, ALLOCATED = int(State.UNSEEN), int(State.BUDDY), int(State.PCP), int(State.ALLOCATED)
COUNT_KNOWN, ANON, FILE, ALLOC_SEEN = int(Mark.COUNT_KNOWN), int(Mark.ANON), int(Mark.FILE), int(Mark.ALLOC_SEEN)
CONFLICT, TYPED, ENTRY, HASHED = int(Mark.CONFLICT), int(Mark.TYPED), int(Mark.MIGRATION_ENTRY), int(Mark.HASHED)
ISOLATED, FROZEN, RESTORED = int(Mark.ISOLATED), int(Mark.FROZEN), int(Mark.RESTORED)
TAKEN_OFF_LRU, ALLOCATED_SINCE_WATCH = int(Mark.TAKEN_OFF_LRU), int(Mark.ALLOCATED_SINCE_WATCH)
MAPPING_KNOWN = int(Mark.MAPPING_KNOWN)
GUESSED, ON_LRU = int(Mark.GUESSED), int(Mark.ON_LRU)


@inlined
def row_of(sections: npt.NDArray[np.int32], pfn: int) -> int:
    """Row of `pfn` in the page table, or -1 if its section is not allocated."""
    if pfn < 0 or (pfn >> SECTION_BITS) >= len(sections):
        return NONE
    slot = sections[pfn >> SECTION_BITS]
    if slot < 0:
        return NONE
    return (slot << SECTION_BITS) + (pfn & SECTION_MASK)


@inlined
def find_row(mem: Memory, pfn: int) -> int:
    """The same by the whole memory."""
    return row_of(mem.sections, pfn)


@inlined
def is_head(page: Row, pfn: int) -> bool:
    """Whether the page is the first of its folio (or a page of its own): folios begin at a multiple of their size."""
    return pfn & ((1 << page.order) - 1) == 0


@inlined
def head_row(pages: Rows, sections: npt.NDArray[np.int32], pfn: int) -> int:
    """Row of the head of the folio that the page belongs to, of the page itself where its head is gone; -1 = absent."""
    row = row_of(sections, pfn)
    if row < 0 or pages[row].order == 0:
        return row
    head = row_of(sections, pfn & ~((1 << pages[row].order) - 1))
    return head if head >= 0 and pages[head].order == pages[row].order else row


@inlined
def split_folio(pages: Rows, sections: npt.NDArray[np.int32], page: Row, pfn: int) -> None:
    """The folio of this page is split: each of its pages stands for itself from now on."""
    order = page.order
    first = pfn & ~((1 << order) - 1)
    for number in range(first, first + (1 << order)):
        row = row_of(sections, number)
        if row >= 0 and pages[row].order == order:
            pages[row].order = 0


@inlined
def taken_refs(refs: Rows, page: Row) -> int:
    """References that tasks other than isolating ones took by page_ref_mod_unless or as pins, and still hold."""
    taken = 0
    row = page.refs
    while row != NONE:
        kind = refs[row].kind
        if kind == GET or kind == PIN:
            taken += refs[row].val
        row = refs[row].next
    return taken


@inlined
def known_refs(refs: Rows, page: Row) -> int:
    """References whose taking was seen, those of isolating tasks left out."""
    known = 0
    row = page.refs
    while row != NONE:
        if refs[row].kind != ISOLATION:
            known += refs[row].val
        row = refs[row].next
    return known


@inlined
def excess_of(refs: Rows, masks: I64, page: Row) -> int:
    """References beyond the expected ones, isolating tasks' own left out; NO_EXCESS where that is not known.

    Expected (folio_expected_ref_count, include/linux/mm.h): one for each mapping; a page-cache page has one more for
    the cache and one for private data. Only the head's own _mapcount is traced: of a large anonymous folio the
    excess is at most what the ledger knows to be taken, of a large file folio nothing is said. What was taken out of
    the page cache while somebody held it has lost the cache's reference; it may be in the swap cache now (shmem).
    """
    if (page.marks & (ANON | FILE)) == 0 and page.file < 0:
        return NO_EXCESS
    if (page.marks & (COUNT_KNOWN | TYPED)) != COUNT_KNOWN or page.mapcount >= MOST_MAPPINGS:
        return NO_EXCESS
    large = is_large(masks, page)
    expected = page.mapcount + 1
    if page.marks & ANON == 0:
        if large:
            return NO_EXCESS
        if page.marks & FILE or page.page_flags & masks[SWAPCACHE]:
            expected += 1
        if page.page_flags & masks[PRIVATE]:
            expected += 1
    elif page.page_flags & masks[SWAPCACHE]:
        expected += 1 << page.order
    excess = page.count - expected - refs_of_kind(refs, page, ISOLATION)
    if large:
        # Mapped as a whole (by a PMD) a THP's own _mapcount stays -1. Under the migrator's lock that mapping is
        # gone without a trace: say nothing then.
        if page.page_flags & masks[LOCKED]:
            return NO_EXCESS
        excess = min(excess + expected - max(expected, 1), taken_refs(refs, page))
    return min(max(excess, -NO_EXCESS), NO_EXCESS - 1)


@inlined
def is_large(masks: I64, page: Row) -> bool:
    """Whether it is the head of a large folio, of which only the head's own _mapcount is traced."""
    return page.order > 0 or (page.page_flags & masks[HEAD]) != 0


@inlined
def refute_guess(page: Row, large: bool) -> None:
    """A page whose count is below that of a page-cache page with as many mappings is anonymous: the guess ends.

    The mapping of an anonymous page that was migrated here is set before its first rmap, as a page-cache page's is.
    """
    guessed = page.marks & GUESSED and page.file < 0 and not large
    if guessed and page.mapcount >= 0 and 0 < page.count < page.mapcount + 2:
        if page.marks & FILE:
            page.min_excess = NO_EXCESS  # it was counted as a file page's
        page.marks = (page.marks | ANON) & ~(FILE | GUESSED)


@inlined
def leaves_no_excess(refs: Rows, masks: I64, page: Row, excess: int) -> bool:
    """Whether the count is known to be as expected although no isolation reference is left out of it."""
    guessed_file = page.marks & (FILE | GUESSED) == FILE | GUESSED  # an anonymous page is expected to have one less
    if excess == NO_EXCESS or guessed_file or is_large(masks, page):
        return False
    return excess + refs_of_kind(refs, page, ISOLATION) <= 0


@inlined
def page_type(raw_mapcount: int) -> int:
    """The PageType of a _mapcount that holds one."""
    word = raw_mapcount & 0xFFFFFFFF
    top = word >> 24
    if 0xF0 <= top < 0xFF:
        return min(top & 15, PAGE_TYPE_OTHER)
    cleared = ~word & 0xFFF
    for number in range(PAGE_TYPES_BY_BIT):
        if cleared & (0x80 << number):
            return number
    return PAGE_TYPE_OTHER
