"""References that kprobes saw taken and released, in the ledger; and folios that migration refused, with their count.

Probes see get_user_pages() and its releases, not every change of a count. So a page's count is known only where its
migration was refused: there the probe reads it, and the excess is what others hold. Takes and releases in between keep
it up to date.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.replay.file_kernels import learn_mapping
from tracereplay.replay.ledger_kernels import (
    BY_PUT,
    GET,
    INTERRUPT,
    NO_TASK,
    NONE,
    PIN,
    EventContext,
    Memory,
    Row,
    Rows,
    confirm_refs,
    mark_shared,
    push_ref,
    refs_of_kind,
    unlink_ref,
)
from tracereplay.replay.life_kernels import end_life, put_on_free_list, settle_suspects
from tracereplay.replay.page_kernels import (
    ALLOC_SEEN,
    ALLOCATED,
    CONFLICT,
    COUNT_KNOWN,
    FROZEN,
    ISOLATED,
    PCP,
    TAKEN_OFF_LRU,
    UNSEEN,
    excess_of,
    row_of,
)
from tracereplay.replay.replay_kernels import MAX_ORDER, T_EVENTS, T_OUT_OF_RANGE, T_REFS, replay
from tracereplay.replay.state import NO_EXCESS, RefKind
from tracereplay.schema import COUNT as A_COUNT
from tracereplay.schema import FLAGS as A_FLAGS
from tracereplay.schema import MAPCOUNT as A_MAPCOUNT
from tracereplay.schema import MAPPING as A_MAPPING
from tracereplay.schema import ORDER as A_ORDER
from tracereplay.schema import PFN as A_PFN
from tracereplay.schema import RET as A_RET
from tracereplay.schema import VAL as A_VAL
from tracereplay.schema import Op

OP_GET, OP_PUT, OP_PIN, OP_UNPIN = int(Op.PROBE_GET), int(Op.PROBE_PUT), int(Op.PROBE_PIN), int(Op.PROBE_UNPIN)
OP_REFUSED, OP_MOVED = int(Op.PROBE_REFUSED), int(Op.PROBE_MOVED)
UNSURE = int(RefKind.UNSURE)
GUP_PIN_COUNTING_BIAS = 1024
# A take of several references is kept as so many rows at most, each released on its own.
ROWS_PER_TAKE = 64
MOST_COUNTED = 1 << 30  # _refcount is an int
MOST_REFS = 1 << 24  # of one event: beyond is damage


@inlined
def doubt_refs(refs: Rows, page: Row, lost: int) -> None:
    """The count no longer includes `lost` references: the youngest that fit may be among them."""
    row = page.refs
    while row != NONE and lost > 0:
        ref = refs[row]
        if ref.kind != UNSURE and ref.val <= lost:
            ref.kind = UNSURE
            lost -= ref.val
        row = ref.next


@inlined
def find_probed(refs: Rows, page: Row, kind: int, stamp: EventContext) -> int:
    """The open reference of this kind that a release gives back: the task's own youngest, else the oldest; -1 = none.

    Who releases is often not who took: a bio ends in an interrupt, a pipe is closed by its other end.
    """
    own_tid = stamp.tid if stamp.irq != INTERRUPT else NO_TASK
    own = oldest = doubted = NONE
    row = page.refs
    while row != NONE:
        ref = refs[row]
        if ref.kind == kind:
            if ref.tid == own_tid and own == NONE:
                own = row
            oldest = row
        elif ref.kind == UNSURE:
            doubted = row
        row = ref.next
    if own != NONE:
        return own
    return oldest if oldest != NONE else doubted


@inlined
def release_probed(mem: Memory, page: Row, stamp: EventContext, kind: int, val: int) -> int:
    """Close what a release of `val` gives back; returns how much of it was found open."""
    refs, left = mem.refs, val
    while left > 0:
        row = find_probed(refs, page, kind, stamp)
        if row == NONE:
            return val - left
        mark_shared(refs, page, row, stamp.ns, rivals_only=False)
        if refs[row].val > left:
            refs[row].val -= left
            return val
        left -= refs[row].val
        unlink_ref(refs, mem.tally, page, row, stamp, BY_PUT)
    return val


@inlined
def push_probed(mem: Memory, page: Row, pfn: int, stamp: EventContext, val: int, count: int) -> None:
    """References taken at once: a row for each (they are released one by one), or for as many as rows allow.

    count -- of the page before, -1 = not fetched; it tells of pins that the ledger does not know.
    """
    before = NO_EXCESS
    if count >= 0 and page.order == 0:
        pins = count // GUP_PIN_COUNTING_BIAS * GUP_PIN_COUNTING_BIAS
        before = min(max(pins - refs_of_kind(mem.refs, page, PIN), 0), NO_EXCESS - 1)
    kind = PIN if stamp.op == OP_PIN else GET
    unit = GUP_PIN_COUNTING_BIAS if kind == PIN and val % GUP_PIN_COUNTING_BIAS == 0 else 1
    unit *= max((val // unit + ROWS_PER_TAKE - 1) // ROWS_PER_TAKE, 1)
    while val > 0:
        push_ref(mem.refs, mem.tally, page, pfn, stamp, min(unit, val), kind, before, True)
        val -= unit


@inlined
def appear(mem: Memory, page: Row, order: int, stamp: EventContext) -> None:
    """The page is in use, in a folio of at least this order, whatever was known of it."""
    if page.state != ALLOCATED:
        if page.state != UNSEEN:
            end_life(mem.suspects, mem.refs, mem.tally, page, stamp)
        page.state, page.order = ALLOCATED, order
        page.count, page.mapcount, page.page_flags = 0, -1, 0
        page.marks &= ~COUNT_KNOWN
    elif page.order < order and page.marks & ALLOC_SEEN == 0:
        page.order = order


@inlined
def change_count(mem: Memory, page: Row, stamp: EventContext, change: int) -> None:
    """Of a page whose count is known: it changed, and with it what others hold."""
    if page.marks & COUNT_KNOWN == 0:
        return
    before = excess_of(mem.refs, mem.flag_masks, page)
    page.count = max(page.count + change, 0)
    after = excess_of(mem.refs, mem.flag_masks, page)
    page.min_excess = min(page.min_excess, after)
    if page.suspect != NONE:
        settle_suspects(mem.suspects, mem.flag_masks, page, stamp, before, after)


@inlined
def do_refused(mem: Memory, page: Row, stamp: EventContext, args: npt.NDArray[np.int64]) -> None:
    """Migration of the folio was refused with this count."""
    if args[A_MAPPING] != 0:
        learn_mapping(mem, page, args[A_MAPPING])
    # A large folio that is mapped as a whole keeps a mapcount of -1, so `excess_of` takes one reference for mapped. The
    # probe sees it unmapped; the mapping comes back when the migration has failed.
    page.count = min(max(args[A_COUNT], 0), MOST_COUNTED) + (1 if page.order > 0 else 0)
    page.mapcount = min(max(args[A_MAPCOUNT], -1), NO_EXCESS)
    page.page_flags = np.uint32(args[A_FLAGS] & 0xFFFFFFFF)
    page.marks = (page.marks | COUNT_KNOWN | ISOLATED | TAKEN_OFF_LRU) & ~(CONFLICT | FROZEN)
    excess = excess_of(mem.refs, mem.flag_masks, page)
    page.min_excess = min(page.min_excess, excess)
    if 0 < excess < NO_EXCESS:
        confirm_refs(mem.refs, page, stamp, excess)
    if page.suspect != NONE:
        settle_suspects(mem.suspects, mem.flag_masks, page, stamp, excess, excess)


@inlined
def do_probed(mem: Memory, pfn: int, order: int, stamp: EventContext, args: npt.NDArray[np.int64]) -> None:
    """One entry that a kprobe made."""
    row = row_of(mem.sections, pfn)
    if row < 0 or order < 0 or order > MAX_ORDER:
        mem.tally[T_OUT_OF_RANGE] += 1
        return
    page = mem.pages[row]
    if stamp.op == OP_MOVED:
        end_life(mem.suspects, mem.refs, mem.tally, page, stamp)
        put_on_free_list(page, PCP, 0)
        page.marks |= FROZEN
        return
    appear(mem, page, order, stamp)
    val = min(max(args[A_VAL], 0), MOST_REFS)
    if stamp.op == OP_REFUSED:
        do_refused(mem, page, stamp, args)
    elif stamp.op == OP_GET or stamp.op == OP_PIN:
        doubt_refs(mem.refs, page, args[A_RET])
        push_probed(mem, page, pfn, stamp, val, args[A_COUNT])
        change_count(mem, page, stamp, val)
    elif stamp.op == OP_PUT or stamp.op == OP_UNPIN:
        release_probed(mem, page, stamp, PIN if stamp.op == OP_UNPIN else GET, val)
        change_count(mem, page, stamp, -val)


@njit
def replay_all(
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
    """Apply entries [start, stop), those of probes among them; returns where it stopped, see `replay`."""
    at = start
    while at < stop:
        run = at
        while run < stop and not OP_GET <= op[run] <= OP_MOVED:
            run += 1
        if run > at:
            reached = replay(mem, time_ns, cpu, tid, irq, op, args, at, run)
            if reached < run:
                return reached
            at = run
        if at < stop:
            if mem.tally[T_REFS] + ROWS_PER_TAKE >= len(mem.refs):
                return at
            mem.tally[T_EVENTS] += 1
            stamp = EventContext(int(time_ns[at]), int(cpu[at]), int(tid[at]), int(op[at]), int(irq[at]))
            do_probed(mem, args[at, A_PFN], args[at, A_ORDER], stamp, args[at])
            at += 1
    return stop
