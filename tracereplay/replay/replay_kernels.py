"""The compiled replay: one entry of the page stream after the other changes the state of its pages.

Rules that the captures taught (kernel versions seen: 6.12.117, 7.2.13) stand beside the branch they decide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.replay.file_kernels import SLOTS_PER_KEY, do_cache_add, note_mapping
from tracereplay.replay.ledger_kernels import (
    GUP_PIN_COUNTING_BIAS,
    I64,
    INTERRUPT,
    MOD,
    NONE,
    EventContext,
    Memory,
    Rows,
    become_mappings,
    close_life,
    confirm_refs,
    doubt_unmap,
    end_stale,
    fault_maps,
    give_back,
    note_visit,
    push_ref,
    take,
)
from tracereplay.replay.life_kernels import (
    begin_life,
    do_alloc,
    do_free,
    end_life,
    end_suspects,
    put_on_free_list,
    settle_suspects,
)
from tracereplay.replay.page_kernels import (
    ABSENT,
    ALLOC_SEEN,
    ALLOCATED,
    CONFLICT,
    COUNT_KNOWN,
    ENTRY,
    FILE,
    FROZEN,
    HEAD,
    I32,
    ISOLATED,
    LRU,
    ON_LRU,
    RESTORED,
    TAKEN_OFF_LRU,
    TYPED,
    TYPED_TOP,
    UNSEEN,
    excess_of,
    head_row,
    is_head,
    is_large,
    known_refs,
    leaves_no_excess,
    page_type,
    refute_guess,
    row_of,
    split_folio,
)
from tracereplay.replay.state import MAX_SECTIONS, MOST_MAPPINGS, NO_EXCESS, SECTION_BITS, TYPED_MAPCOUNT, ReplayCounter
from tracereplay.schema import COUNT as A_COUNT
from tracereplay.schema import FLAGS as A_FLAGS
from tracereplay.schema import MAPCOUNT as A_MAPCOUNT
from tracereplay.schema import MAPPING as A_MAPPING
from tracereplay.schema import OP_INFO, Op, State
from tracereplay.schema import ORDER as A_ORDER
from tracereplay.schema import PFN as A_PFN
from tracereplay.schema import RET as A_RET
from tracereplay.schema import VAL as A_VAL

MAX_ORDER = 20
T_REFS, T_FREE_REF, T_FILES = int(ReplayCounter.REFS), int(ReplayCounter.FREE_REF), int(ReplayCounter.FILES)
T_FAILED, T_SLOTS, T_EVENTS = int(ReplayCounter.FAILED_ALLOCS), int(ReplayCounter.FILE_SLOTS), int(ReplayCounter.EVENTS)
T_RESYNCS, T_OUT_OF_RANGE = int(ReplayCounter.RESYNCS), int(ReplayCounter.OUT_OF_RANGE)

OP_ALLOC = int(Op.ALLOC)
# The free list that the pages of an operation are on afterwards, UNSEEN = it frees none.
FREES_TO = np.full(256, int(State.UNSEEN), np.uint8)
for _op, _info in OP_INFO.items():
    FREES_TO[_op] = int(_info.frees_to or State.UNSEEN)
OP_SET, OP_MOD, OP_UNLESS = int(Op.REF_SET), int(Op.REF_MOD), int(Op.REF_MOD_UNLESS)
OP_AND_TEST, OP_AND_RETURN = int(Op.REF_MOD_AND_TEST), int(Op.REF_MOD_AND_RETURN)
OP_FREEZE, OP_UNFREEZE = int(Op.REF_FREEZE), int(Op.REF_UNFREEZE)
OP_CACHE_ADD, OP_CACHE_DELETE = int(Op.CACHE_ADD), int(Op.CACHE_DELETE)
OP_SET_PTE, OP_REMOVE_PTE = int(Op.SET_MIGRATION_PTE), int(Op.REMOVE_MIGRATION_PTE)


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
    mem: Memory, pages: Rows, refs: Rows, suspects: Rows, masks: I64, tally: I64,
    row: int, pfn: int, stamp: EventContext, args: I64, isolating: bool, attempting: bool,
) -> None:  # fmt: skip
    """A page_ref event: count, mapcount, flags and mapping as read just after the change, and the ledger."""
    page = pages[row]
    op, val, ret = stamp.op, args[A_VAL], args[A_RET]
    if (op == OP_UNLESS or op == OP_FREEZE) and ret == 0:
        return  # nothing happened; on 7.2 failed freezes are everyday noise
    raw_mapcount = args[A_MAPCOUNT]
    typed = raw_mapcount < -128
    mapcount = TYPED_MAPCOUNT + page_type(raw_mapcount) if typed else min(raw_mapcount, MOST_MAPPINGS)
    if op == OP_SET:
        # Up to 6.12 it comes before mm_page_alloc, since 7.2 after it (post_alloc_hook(), prep_new_page()).
        its_alloc = (
            page.state == ALLOCATED and page.marks & (ALLOC_SEEN | COUNT_KNOWN) == ALLOC_SEEN and is_head(page, pfn)
        )
        if page.state != ALLOCATED:
            begin_life(suspects, refs, tally, page, stamp, 0)
        elif page.order > 0 and not its_alloc:
            split_folio(pages, mem.sections, page, pfn)  # a split gives every page its own count
        page.state = ALLOCATED
        page.count = args[A_COUNT]
        page.marks |= COUNT_KNOWN
        return
    if page.state != ALLOCATED:
        # A page that is in use although its allocation was not seen (before the trace, lost, or not traced).
        if op == OP_UNFREEZE:
            begin_life(suspects, refs, tally, page, stamp, 0)
        else:
            if page.state != UNSEEN:
                end_life(suspects, refs, tally, page, stamp)
            page.state, page.order = ALLOCATED, 0
        page.marks &= ~COUNT_KNOWN
    known = page.marks & COUNT_KNOWN
    change = change_of(op, val, ret)
    old_mapcount, old_flags = page.mapcount, page.page_flags
    if known and change != 0 and args[A_COUNT] - change != page.count:
        if tally[T_RESYNCS] < len(mem.conflicts):
            mem.conflicts[tally[T_RESYNCS]] = pfn
        tally[T_RESYNCS] += 1
        page.marks |= CONFLICT
    elif change != 0:
        page.marks &= ~CONFLICT
    page.count = args[A_COUNT]
    page.mapcount = mapcount
    page.page_flags = np.uint32(args[A_FLAGS] & 0xFFFFFFFF)
    has_head_flag = masks[HEAD] == 0 or page.page_flags & masks[HEAD] != 0
    if page.order > 0 and not (is_head(page, pfn) and has_head_flag):
        split_folio(pages, mem.sections, page, pfn)  # only heads have references of their own
    uncached = note_mapping(mem, page, args[A_MAPPING])
    page.marks |= COUNT_KNOWN
    on_lru = (page.page_flags & masks[LRU]) != 0
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
        page.marks |= ISOLATED
        if not on_lru and page.marks & TAKEN_OFF_LRU == 0:
            page.marks &= ~ON_LRU  # somebody else has isolated it before the attempt came
    remapped = mapcount - old_mapcount if known and not typed and old_mapcount > TYPED_TOP else 0
    if remapped > 0:
        become_mappings(refs, tally, page, remapped, stamp)
    large = is_large(masks, page)
    # An unmap takes its mapping away together with its count, truncation the page's place in the cache: no get ends.
    # No interrupt does either, and neither gives a pin back.
    plain = stamp.irq != INTERRUPT and (large or change > -GUP_PIN_COUNTING_BIAS)
    unmap = change < 0 and (remapped < 0 or uncached) and plain
    # Just before this change, with the mapcount read after it.
    undone = 0 if unmap else change
    page.count -= undone
    before = excess_of(refs, masks, page)
    if page.refs != NONE and leaves_no_excess(refs, masks, page, before):
        end_stale(refs, tally, page, stamp)
    page.count += undone
    if change < 0 and not unmap:
        batch = bool(known and on_lru and (old_flags & masks[LRU]) == 0)
        give_back(refs, tally, page, stamp, change, batch, isolating, large)
    elif unmap and page.refs != NONE:
        doubt_unmap(refs, page, stamp, remapped < 0 and not isolating, old_mapcount <= 0)
    if page.refs != NONE and note_visit(refs, page, stamp, attempting, on_lru):
        page.marks |= TAKEN_OFF_LRU
    if change > 0:
        unexplained = NO_EXCESS if before == NO_EXCESS else max(before - known_refs(refs, page), -NO_EXCESS)
        off_lru = masks[LRU] != 0 and not on_lru
        take(refs, tally, page, pfn, stamp, change, op == OP_UNLESS, isolating, unexplained, off_lru, large)
    if op == OP_MOD and val == 0 and not typed and remapped <= 0:
        fault_maps(refs, tally, page, stamp)
        page.mapcount += 1  # read before the rmap was updated
    after = excess_of(refs, masks, page)
    # What counts is the excess from the last time that an attempt came to the page.
    page.min_excess = after if op == OP_UNLESS and attempting else min(page.min_excess, after)
    # Tasks that exit unmap first and put later, several at once: what a page-cache page shows then is no excess, and
    # a get that became a mapping unseen (fault-around, 7.2) must not look held.
    unmapping = remapped < 0 and page.marks & FILE
    if 0 < after < NO_EXCESS and change <= 0 and not unmapping:
        confirm_refs(refs, page, stamp, after)
    if page.suspect != NONE:
        settle_suspects(suspects, masks, page, stamp, before, after)


@inlined
def do_pte(pages: Rows, sections: I32, op: int, pfn: int) -> None:
    """set_migration_pte / remove_migration_pte: an entry restored on its own pfn is a failed migration."""
    row = head_row(pages, sections, pfn)
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
        stamp = EventContext(int(time_ns[i]), int(cpu[i]), int(tid[i]), what, int(irq[i]))
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
            if stamp.irq != INTERRUPT:  # what an interrupt does is not done by the task that it interrupts
                for isolator in range(len(isolators)):
                    if isolators[isolator, 0] == stamp.tid:
                        isolating, attempting = True, isolators[isolator, 1] != 0
            do_ref(mem, pages, refs, suspects, masks, tally, row, pfn, stamp, args[i], isolating, attempting)
        elif what == OP_ALLOC:
            do_alloc(pages, sections, suspects, refs, tally, pfn, order, args[i, A_FLAGS] & 0xFFFFFFFF, stamp)
        elif FREES_TO[what] != UNSEEN:
            state = int(FREES_TO[what])
            page = pages[row]
            if order == 0 and page.refs == NONE and page.suspect == NONE and page.state != UNSEEN:
                put_on_free_list(page, state, 0)
            else:
                do_free(pages, sections, suspects, refs, tally, pfn, order, state, stamp)
        elif what == OP_CACHE_ADD:
            for number in range(pfn, pfn + (1 << order)):
                sub = row_of(sections, number)
                if sub >= 0:
                    if order > 0:
                        pages[sub].state, pages[sub].order = ALLOCATED, order
                    do_cache_add(mem, pages[sub], args[i, A_RET], args[i, A_MAPPING], args[i, A_VAL] + number - pfn)
        elif what == OP_CACHE_DELETE:
            page = pages[row]
            if page.marks & COUNT_KNOWN == 0:  # else its next reference event shows that it has no mapping any more
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
