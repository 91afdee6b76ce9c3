"""The compiled replay: one entry of the page stream after the other changes the state of its pages.

Rules that the captures taught (kernel versions seen: 6.12.117, 7.2.13) stand beside the branch they decide.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.replay.ledger_kernels import (
    GET,
    I64,
    ISOLATION,
    MOD,
    NONE,
    PIN,
    Memory,
    Row,
    Rows,
    Stamp,
    become_mappings,
    close_life,
    confirm_refs,
    end_stale,
    fault_maps,
    give_back,
    note_visit,
    own_refs,
    push_ref,
    take,
)
from tracereplay.replay.state import (
    LIFE_MARKS,
    MAX_SECTIONS,
    NO_EXCESS,
    SECTION_BITS,
    TYPED_MAPCOUNT,
    Mark,
    PageType,
    State,
    Tally,
)
from tracereplay.schema import COUNT as A_COUNT
from tracereplay.schema import FLAGS as A_FLAGS
from tracereplay.schema import MAPCOUNT as A_MAPCOUNT
from tracereplay.schema import MAPPING as A_MAPPING
from tracereplay.schema import ORDER as A_ORDER
from tracereplay.schema import PFN as A_PFN
from tracereplay.schema import RET as A_RET
from tracereplay.schema import VAL as A_VAL
from tracereplay.schema import Op


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
MAX_ORDER = 20
ABSENT = -1  # in the section table; -2: refused (engine.REFUSED)
PAGE_TYPE_OTHER = int(PageType.OTHER)
PAGE_TYPES_BY_BIT = 5  # buddy, offline, table, guard, hugetlb
TYPED_TOP = TYPED_MAPCOUNT + PAGE_TYPE_OTHER
LOCKED, WRITEBACK, PRIVATE = int(FlagMask.LOCKED), int(FlagMask.WRITEBACK), int(FlagMask.PRIVATE)
SWAPCACHE, HEAD, LRU = int(FlagMask.SWAPCACHE), int(FlagMask.HEAD), int(FlagMask.LRU)

UNSEEN, BUDDY, PCP, ALLOCATED = int(State.UNSEEN), int(State.BUDDY), int(State.PCP), int(State.ALLOCATED)
COUNTED, ANON, FILE, BORN = int(Mark.COUNTED), int(Mark.ANON), int(Mark.FILE), int(Mark.BORN)
CONFLICT, TYPED, ENTRY, HASHED = int(Mark.CONFLICT), int(Mark.TYPED), int(Mark.MIGRATION_ENTRY), int(Mark.HASHED)
TOUCHED, FROZEN, RESTORED = int(Mark.TOUCHED), int(Mark.FROZEN), int(Mark.RESTORED)
SEEN, ENTERED, LEARNED = int(Mark.SEEN), int(Mark.ENTERED), int(Mark.LEARNED)
GUESSED, ON_LRU = int(Mark.GUESSED), int(Mark.ON_LRU)
KEPT_BY_NEW_LIFE = 0xFFFF & ~LIFE_MARKS  # window marks outlive the page's life

T_REFS, T_FILES, T_FAILED = int(Tally.REFS), int(Tally.FILES), int(Tally.FAILED_ALLOCS)
T_FREE_REF, T_UNKNOWN_FREE = int(Tally.FREE_REF), int(Tally.FREE_WITHOUT_ALLOC)
T_OVER_LIVE, T_RESYNCS = int(Tally.ALLOC_OVER_LIVE), int(Tally.RESYNCS)
T_OUT_OF_RANGE, T_EVENTS = int(Tally.OUT_OF_RANGE), int(Tally.EVENTS)
T_SLOTS = int(Tally.FILE_SLOTS)

OP_ALLOC, OP_FREE, OP_DRAIN, OP_TAKE = int(Op.ALLOC), int(Op.FREE), int(Op.PCP_DRAIN), int(Op.BUDDY_TAKE)
OP_SET, OP_MOD, OP_UNLESS = int(Op.REF_SET), int(Op.REF_MOD), int(Op.REF_MOD_UNLESS)
OP_AND_TEST, OP_AND_RETURN = int(Op.REF_MOD_AND_TEST), int(Op.REF_MOD_AND_RETURN)
OP_FREEZE, OP_UNFREEZE = int(Op.REF_FREEZE), int(Op.REF_UNFREEZE)
OP_CACHE_ADD, OP_CACHE_DELETE = int(Op.CACHE_ADD), int(Op.CACHE_DELETE)
OP_SET_PTE, OP_REMOVE_PTE = int(Op.SET_MIGRATION_PTE), int(Op.REMOVE_MIGRATION_PTE)

SLOTS_PER_KEY = 4  # short walks to the key or the free slot behind it
HASH_MULTIPLIER = np.int64(-7046029254386353131)  # 2^64 / golden ratio, as the kernel's hash_64


@inlined
def row_of(sections: npt.NDArray[np.int32], pfn: int) -> int:
    """The same from the section table alone."""
    if pfn < 0 or (pfn >> SECTION_BITS) >= len(sections):
        return NONE
    slot = sections[pfn >> SECTION_BITS]
    if slot < 0:
        return NONE
    return (slot << SECTION_BITS) + (pfn & SECTION_MASK)


@inlined
def find_row(mem: Memory, pfn: int) -> int:
    """Row of the page frame in `mem.pages`, -1 where the model has no such section."""
    return row_of(mem.sections, pfn)


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
    """References beyond the expected ones, isolating tasks' own left out; NO_EXCESS where that cannot be told.

    Expected (folio_expected_ref_count, include/linux/mm.h): one for each mapping; a page-cache page has one more for
    the cache and one for private data. Only the head's own _mapcount is traced: of a large anonymous folio the
    excess is at most what the ledger knows to be taken, of a large file folio nothing is said.
    """
    if (page.marks & (ANON | FILE)) == 0 or (page.marks & (COUNTED | TYPED)) != COUNTED:
        return NO_EXCESS
    large = is_large(masks, page)
    expected = page.mapcount + 1
    if page.marks & FILE:
        if large:
            return NO_EXCESS
        expected += 1
        if page.flags & masks[PRIVATE]:
            expected += 1
    elif page.flags & masks[SWAPCACHE]:
        expected += 1 << page.order
    excess = page.count - expected - own_refs(refs, page)
    if large:
        # Mapped as a whole (by a PMD) a THP's own _mapcount stays -1. Under the migrator's lock that mapping is
        # gone without a trace: say nothing then.
        if page.flags & masks[LOCKED]:
            return NO_EXCESS
        excess = min(excess + expected - max(expected, 1), taken_refs(refs, page))
    return min(max(excess, -NO_EXCESS), NO_EXCESS - 1)


@inlined
def is_large(masks: I64, page: Row) -> bool:
    """Whether it is the head of a large folio, of which only the head's own _mapcount is traced."""
    return page.order > 0 or (page.flags & masks[HEAD]) != 0


@inlined
def refute_guess(page: Row, large: bool) -> None:
    """A page whose count is below that of a page-cache page with as many mappings is anonymous: the guess ends.

    The mapping of an anonymous page that was migrated here is set before its first rmap, as a page-cache page's is.
    """
    guessed = page.marks & GUESSED and page.file < 0 and not large
    if guessed and page.mapcount >= 0 and 0 < page.count < page.mapcount + 2:
        page.marks = (page.marks | ANON) & ~(FILE | GUESSED)


@inlined
def leaves_no_excess(refs: Rows, masks: I64, page: Row, excess: int) -> bool:
    """Whether the count is known to be as expected although no isolation reference is left out of it."""
    if excess == NO_EXCESS or is_large(masks, page):
        return False
    return excess + own_refs(refs, page) <= 0


@inlined
def settle_suspects(suspects: Rows, masks: I64, page: Row, stamp: Stamp, before: int, after: int) -> None:
    """A reference event on a page that was in the way: what it tells about the time between probe and now."""
    row = page.suspect
    while row != NONE:
        suspect = suspects[row]
        if suspect.pending:
            suspect.pending = 0
            suspect.post_ns = stamp.ns
            suspect.post_flags = page.flags
            smallest = min(suspect.min_excess, before)
            if smallest != NO_EXCESS and smallest > suspect.confirmed:
                suspect.confirmed = smallest
        if suspect.clear_ns < 0 and after <= 0:
            suspect.clear_ns, suspect.clear_tid, suspect.clear_irq = stamp.ns, stamp.tid, stamp.irq
        if suspect.unlock_ns < 0 and (page.flags & masks[LOCKED]) == 0:
            suspect.unlock_ns = stamp.ns
        if suspect.written_ns < 0 and (page.flags & masks[WRITEBACK]) == 0:
            suspect.written_ns = stamp.ns
        row = suspect.next


@inlined
def end_suspects(suspects: Rows, page: Row, stamp: Stamp) -> None:
    """The page moved away or was freed: it is in nobody's way any more."""
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
def end_life(suspects: Rows, refs: Rows, tally: I64, page: Row, stamp: Stamp) -> None:
    """The page is in nobody's way, its references end, and it is forgotten."""
    if page.suspect != NONE:
        end_suspects(suspects, page, stamp)
    if page.refs != NONE:
        close_life(refs, tally, page, stamp)
    forget_life(page)


@inlined
def begin_life(suspects: Rows, refs: Rows, tally: I64, page: Row, stamp: Stamp, order: int) -> None:
    """The page left the free lists."""
    end_life(suspects, refs, tally, page, stamp)
    page.state, page.order = ALLOCATED, order
    page.alloc_ns, page.alloc_tid, page.gfp = stamp.ns, NONE, 0
    page.count, page.mapcount, page.flags = 1, -1, 0
    page.marks |= ENTERED


@inlined
def do_alloc(
    pages: Rows, sections: I32, suspects: Rows, refs: Rows, tally: I64, pfn: int, order: int, gfp: int, stamp: Stamp
) -> None:
    """mm_page_alloc: pfn .. pfn + 2^order begin a life whose allocator is known."""
    for number in range(pfn, pfn + (1 << order)):
        row = row_of(sections, number)
        if row < 0:
            continue
        page = pages[row]
        # page_ref_set of the same allocation comes just before and has begun the life already.
        fresh = page.state == ALLOCATED and page.alloc_tid == NONE and page.refs == NONE and page.count == 1
        if page.state == ALLOCATED and not (fresh and page.marks & ENTERED):
            tally[T_OVER_LIVE] += 1
        counted = page.marks & COUNTED if fresh else 0
        begin_life(suspects, refs, tally, page, stamp, order)
        page.alloc_tid, page.gfp = stamp.tid, gfp
        page.marks |= BORN | counted


@inlined
def put_on_free_list(page: Row, state: int, order: int) -> None:
    """The page is free; what it was in its last life is forgotten."""
    forget_life(page)
    page.state, page.order = state, order
    page.count, page.mapcount, page.flags = 0, -1, 0


@inlined
def do_free(
    pages: Rows, sections: I32, suspects: Rows, refs: Rows, tally: I64, pfn: int, order: int, state: int, stamp: Stamp
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


@inlined
def file_slot(slots: npt.NDArray[np.int64], key_a: int, key_b: int) -> int:
    """Slot of the key, or the empty one where it belongs (open addressing)."""
    slot = int(((key_a ^ (key_b << 17)) * HASH_MULTIPLIER) % len(slots))
    while slots[slot, 2] != 0 and not (slots[slot, 0] == key_a and slots[slot, 1] == key_b):
        slot = (slot + 1) % len(slots)
    return slot


@njit
def set_file_slot(slots: npt.NDArray[np.int64], key_a: int, key_b: int, row: int) -> None:
    """Remember the file of this key."""
    slot = file_slot(slots, key_a, key_b)
    slots[slot, 0], slots[slot, 1], slots[slot, 2] = key_a, key_b, row + 1


@inlined
def remember_file(mem: Memory, key_a: int, key_b: int, row: int) -> None:
    """Another key, or another file of this key: an inode dropped and read again has another mapping pointer."""
    if mem.file_slots[file_slot(mem.file_slots, key_a, key_b), 2] == 0:
        mem.tally[T_SLOTS] += 1
    set_file_slot(mem.file_slots, key_a, key_b, row)


@inlined
def file_row(mem: Memory, key_a: int, key_b: int) -> int:
    """Row of a file by (mapping pointer, 0) or (ino, dev + 1); -1 = not known yet."""
    return mem.file_slots[file_slot(mem.file_slots, key_a, key_b), 2] - 1


@inlined
def new_file(mem: Memory, dev: int, ino: int) -> int:
    """A new row of the file table."""
    row = mem.tally[T_FILES]
    mem.tally[T_FILES] += 1
    mem.files[row].dev, mem.files[row].ino = dev, ino
    return row


@inlined
def do_cache_add(mem: Memory, page: Row, dev: int, ino: int, index: int) -> None:
    """mm_filemap_add_to_page_cache: the page belongs to a file."""
    row = file_row(mem, ino, dev + 1)
    if row < 0:
        row = new_file(mem, dev, ino)
        remember_file(mem, ino, dev + 1, row)
    page.file, page.index = row, index
    page.marks = (page.marks | FILE) & ~(ANON | HASHED | LEARNED | GUESSED)


@inlined
def learn_mapping(mem: Memory, page: Row, mapping: int) -> None:
    """What page->mapping says: anonymous (bit 0), or the page cache of a file known by this pointer."""
    if 0 < mapping < (1 << 32):
        # Kernel text prints a hash (%p), which has lost bit 0. A new anonymous page gets mapping and first rmap at
        # once, a page-cache page its mapping before anyone maps it.
        if page.marks & (ANON | FILE | HASHED) == 0:
            if page.marks & COUNTED == 0:
                page.marks |= HASHED
            elif page.mapcount >= 0 or page.order > 0:
                page.marks |= ANON | GUESSED
            else:
                page.marks |= FILE | GUESSED
        return
    if mapping & 1:
        page.marks = (page.marks | ANON | LEARNED) & ~(FILE | GUESSED)
        return
    if mapping & 2:
        return  # movable_ops page: neither
    page.marks = (page.marks | FILE | LEARNED) & ~(ANON | GUESSED)
    row = file_row(mem, mapping, 0)
    if page.file < 0:
        if row < 0:
            row = new_file(mem, NONE, NONE)
            remember_file(mem, mapping, 0, row)
        page.file = row
    elif row != page.file:
        remember_file(mem, mapping, 0, page.file)


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


@inlined
def change_of(op: int, val: int, ret: int) -> int:
    """By how much a reference event changed the count."""
    if op == OP_MOD or op == OP_AND_TEST or op == OP_AND_RETURN:
        return val
    if op == OP_UNLESS and ret != 0:
        return val
    return 0


@inlined
def do_ref(
    mem: Memory,
    pages: Rows,
    refs: Rows,
    suspects: Rows,
    masks: I64,
    tally: I64,
    row: int,
    pfn: int,
    stamp: Stamp,
    args: I64,
    isolating: bool,
    attempting: bool,
) -> None:
    """A page_ref event: count, mapcount, flags and mapping as read just after the change, and the ledger."""
    page = pages[row]
    op, val, ret = stamp.op, args[A_VAL], args[A_RET]
    if (op == OP_UNLESS or op == OP_FREEZE) and ret == 0:
        return  # nothing happened; on 7.2 failed freezes are everyday noise
    raw_mapcount = args[A_MAPCOUNT]
    typed = raw_mapcount < -128 or raw_mapcount > 32766
    mapcount = TYPED_MAPCOUNT + page_type(raw_mapcount) if typed else raw_mapcount
    if op == OP_SET:
        tail = page.state == ALLOCATED and page.order > 0 and (pfn & ((1 << page.order) - 1)) != 0
        if page.state != ALLOCATED:
            begin_life(suspects, refs, tally, page, stamp, 0)
        elif tail or page.order > 0:
            page.order = 0  # a split gives every page its own count
        page.state = ALLOCATED
        page.count = args[A_COUNT]
        page.marks |= COUNTED | SEEN
        return
    if page.state != ALLOCATED:
        # A page that is in use although its allocation was not seen (before the trace, lost, or not traced).
        if op == OP_UNFREEZE:
            begin_life(suspects, refs, tally, page, stamp, 0)
        else:
            if page.state != UNSEEN:
                end_life(suspects, refs, tally, page, stamp)
            page.state, page.order = ALLOCATED, 0
        page.marks &= ~COUNTED
    known = page.marks & COUNTED
    change = change_of(op, val, ret)
    old_mapcount, old_flags = page.mapcount, page.flags
    if known and change != 0 and args[A_COUNT] - change != page.count:
        tally[T_RESYNCS] += 1
        page.marks |= CONFLICT
    elif change != 0:
        page.marks &= ~CONFLICT
    page.count = args[A_COUNT]
    page.mapcount = mapcount
    page.flags = np.uint32(args[A_FLAGS] & 0xFFFFFFFF)
    if page.order > 0 and (pfn & ((1 << page.order) - 1) != 0 or (masks[HEAD] != 0 and page.flags & masks[HEAD] == 0)):
        page.order = 0  # only heads have references of their own: the folio was split
    if args[A_MAPPING] != 0 and not page.marks & LEARNED:
        learn_mapping(mem, page, args[A_MAPPING])
    page.marks |= COUNTED | SEEN
    on_lru = (page.flags & masks[LRU]) != 0
    if on_lru:
        page.marks |= ON_LRU
    if typed:
        page.marks |= TYPED
    else:
        refute_guess(page, is_large(masks, page))
    if typed and (op == OP_FREEZE or op == OP_UNFREEZE):
        # hugetlb: frozen in the pool, unfrozen for the task that maps it
        close_life(refs, tally, page, stamp)
        if op == OP_UNFREEZE:
            push_ref(refs, tally, page, pfn, stamp, val, MOD, NO_EXCESS, True)
    if op == OP_FREEZE:
        if isolating:
            page.marks |= FROZEN
        if page.suspect != NONE and isolating:
            end_suspects(suspects, page, stamp)
        return
    if op == OP_UNFREEZE:
        return
    if op == OP_UNLESS and attempting:
        page.marks |= TOUCHED
    remapped = mapcount - old_mapcount if known and not typed and old_mapcount > TYPED_TOP else 0
    if remapped > 0:
        become_mappings(refs, tally, page, remapped, stamp)
    # Just before this change, with the mapcount read after it; an unmap took its mapping away together with its count.
    undone = 0 if change < 0 and remapped < 0 else change
    page.count -= undone
    before = excess_of(refs, masks, page)
    if page.refs != NONE and leaves_no_excess(refs, masks, page, before):
        end_stale(refs, tally, page, stamp)
    page.count += undone
    if change < 0 and remapped >= 0:
        # A put that finds fewer mappings than before is an unmap: it gives no get back.
        batch = bool(known and on_lru and (old_flags & masks[LRU]) == 0)
        give_back(refs, tally, page, stamp, change, batch, isolating)
    if page.refs != NONE:
        note_visit(refs, page, stamp.ns, attempting, on_lru)
    if change > 0:
        unexplained = NO_EXCESS if before == NO_EXCESS else max(before - known_refs(refs, page), -NO_EXCESS)
        off_lru = masks[LRU] != 0 and not on_lru
        take(refs, tally, page, pfn, stamp, change, op == OP_UNLESS, isolating, unexplained, off_lru)
    if op == OP_MOD and val == 0 and not typed and remapped <= 0:
        fault_maps(refs, tally, page, stamp)
        page.mapcount += 1  # read before the rmap was updated
    after = excess_of(refs, masks, page)
    page.min_excess = min(page.min_excess, after)
    if 0 < after < NO_EXCESS and change <= 0:
        confirm_refs(refs, page, stamp, after)
    if page.suspect != NONE:
        settle_suspects(suspects, masks, page, stamp, before, after)


@inlined
def do_pte(pages: Rows, sections: I32, op: int, pfn: int) -> None:
    """set_migration_pte / remove_migration_pte: an entry restored on its own pfn is a failed migration."""
    row = row_of(sections, pfn)
    if row < 0:
        return
    page = pages[row]
    if op == OP_SET_PTE:
        page.marks |= ENTRY
    elif page.marks & ENTRY:
        page.marks = (page.marks | RESTORED) & ~ENTRY


@njit
def replay(
    mem: Memory,
    time_ns: npt.NDArray[np.int64],
    cpu: npt.NDArray[np.uint16],
    tid: npt.NDArray[np.int32],
    irq: npt.NDArray[np.uint8],
    op: npt.NDArray[np.uint8],
    args: npt.NDArray[np.int64],
    start: int,
    stop: int,
) -> int:
    """Apply entries [start, stop); returns where it stopped: earlier than `stop` when a table has to grow first."""
    # Taken out of the tuple once: where references are counted (see `njit`), each look into it counts one.
    pages, sections, isolators, tally = mem.pages, mem.sections, mem.isolators, mem.tally
    refs, suspects, files, failed_allocs = mem.refs, mem.suspects, mem.files, mem.failed_allocs
    masks, slots = mem.flag_masks, mem.file_slots
    for i in range(start, stop):
        full = tally[T_REFS] + 1 >= len(refs) and tally[T_FREE_REF] == 0
        if full or tally[T_FILES] + 1 >= len(files) or tally[T_FAILED] + 1 >= len(failed_allocs):
            return i
        if tally[T_SLOTS] * SLOTS_PER_KEY >= len(slots):
            return i
        what = int(op[i])
        pfn = args[i, A_PFN]
        order = args[i, A_ORDER]
        stamp = Stamp(int(time_ns[i]), int(cpu[i]), int(tid[i]), what, int(irq[i]))
        tally[T_EVENTS] += 1
        if what == OP_SET_PTE or what == OP_REMOVE_PTE:
            do_pte(pages, sections, what, pfn)
            continue
        if what == OP_ALLOC and pfn < 0:
            failed = failed_allocs[tally[T_FAILED]]
            failed.ns, failed.tid, failed.order = stamp.ns, stamp.tid, order
            failed.gfp = np.uint32(args[i, A_FLAGS] & 0xFFFFFFFF)
            tally[T_FAILED] += 1
            continue
        row = row_of(sections, pfn)
        if row < 0 or order < 0 or order > MAX_ORDER:
            tally[T_OUT_OF_RANGE] += 1
            continue
        if OP_SET <= what <= OP_UNFREEZE:
            isolating = attempting = False
            for isolator in range(len(isolators)):
                if isolators[isolator, 0] == stamp.tid:
                    isolating, attempting = True, isolators[isolator, 1] != 0
            do_ref(mem, pages, refs, suspects, masks, tally, row, pfn, stamp, args[i], isolating, attempting)
        elif what == OP_ALLOC:
            do_alloc(pages, sections, suspects, refs, tally, pfn, order, args[i, A_FLAGS] & 0xFFFFFFFF, stamp)
        elif what == OP_FREE or what == OP_DRAIN or what == OP_TAKE:
            # Taken: on its way out, whatever percpu_refill says. It is 0 for CMA pages, which refill per-cpu lists too.
            state = BUDDY if what == OP_DRAIN else PCP
            page = pages[row]
            if order == 0 and page.refs == NONE and page.suspect == NONE and page.state != UNSEEN:
                put_on_free_list(page, state, 0)
            else:
                do_free(pages, sections, suspects, refs, tally, pfn, order, state, stamp)
        elif what == OP_CACHE_ADD:
            for number in range(pfn, pfn + (1 << order)):
                sub = row_of(sections, number)
                if sub >= 0:
                    do_cache_add(mem, pages[sub], args[i, A_RET], args[i, A_MAPPING], args[i, A_VAL] + number - pfn)
        elif what == OP_CACHE_DELETE:
            page = pages[row]
            page.marks &= ~FILE
    return stop


@njit
def missing_sections(
    sections: npt.NDArray[np.int32],
    args: npt.NDArray[np.int64],
    op: npt.NDArray[np.uint8],
    missing: npt.NDArray[np.int64],
) -> int:
    """Write the numbers of sections these entries name and the model lacks into `missing`; returns how many (at most
    its length: then call again once they are there)."""
    found = 0
    for i in range(len(op)):
        pfn = args[i, A_PFN]
        if pfn < 0:
            continue
        order = min(max(args[i, A_ORDER], 0), MAX_ORDER)
        for section in range(pfn >> SECTION_BITS, min(((pfn + (1 << order) - 1) >> SECTION_BITS) + 1, MAX_SECTIONS)):
            if section < len(sections) and sections[section] != ABSENT:
                continue
            known = False
            for other in missing[:found]:
                known = known or other == section
            if not known:
                missing[found] = section
                found += 1
                if found == len(missing):
                    return found
    return found
