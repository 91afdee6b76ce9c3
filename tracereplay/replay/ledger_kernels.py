"""The ledger of references: who took what on a page and when, kept as a list per page, youngest first.

A put is matched to the takes that are open: a task's own youngest first, else the oldest of any task. Where several
tasks hold references, no event says whose a put gives back: those that stay open are marked `shared`, and no holder of
them is ever proved.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined
from tracereplay.replay.state import Mark, RefEnd, RefKind, ReplayCounter
from tracereplay.schema import IrqContext

# One row, and a table, of a dtype in state.py: numba reads and writes its fields as attributes.
Row: TypeAlias = Any
Rows: TypeAlias = Any
I64: TypeAlias = npt.NDArray[np.int64]

NONE = -1
GUP_PIN_COUNTING_BIAS = 1024  # include/linux/mm.h, since 5.7

MOD, GET, PIN, ISOLATION = int(RefKind.MOD), int(RefKind.GET), int(RefKind.PIN), int(RefKind.ISOLATION)
BY_PUT, BY_LIFE, BY_MAPPING, BY_COUNT = int(RefEnd.PUT), int(RefEnd.LIFE), int(RefEnd.MAPPING), int(RefEnd.COUNT)
ALLOC_SEEN = int(Mark.ALLOC_SEEN)
INTERRUPT, UNKNOWN_CONTEXT = int(IrqContext.INTERRUPT), int(IrqContext.UNKNOWN)
NO_TASK = -2  # no reference is this task's
REFS, FREE_REF = int(ReplayCounter.REFS), int(ReplayCounter.FREE_REF)


class Memory(NamedTuple):
    """Everything the kernels work on (rows as declared in state.py)."""

    pages: Rows
    sections: npt.NDArray[np.int32]  # section number -> first row of `pages` / SECTION_PAGES, -1 = absent
    refs: Rows
    suspects: Rows
    claims: Rows
    files: Rows
    file_slots: npt.NDArray[np.int64]  # open addressing: [slot, (key a, key b, row + 1)]
    failed_allocs: Rows
    tally: npt.NDArray[np.int64]  # by ReplayCounter
    conflicts: npt.NDArray[np.int64]  # pfns whose count contradicted the one before; tally RESYNCS counts all
    isolators: npt.NDArray[np.int32]  # [n, 2]: tasks that isolate pages just now, 1 = for an attempt that is watched
    flag_masks: npt.NDArray[np.int64]  # by FlagMask
    blocking_types: npt.NDArray[np.bool_]  # by PageType: whether a page of this type is a suspect by that alone


class EventContext(NamedTuple):
    """When, where and by whom."""

    ns: int
    cpu: int
    tid: int
    op: int
    irq: int  # IrqContext


@inlined
def push_ref(
    refs: Rows, tally: I64, page: Row, pfn: int, stamp: EventContext, val: int, kind: int, before: int, off_lru: bool
) -> None:
    """A reference was taken; before -- the excess then that no known reference explains."""
    row = tally[FREE_REF] - 1
    if row >= 0:
        tally[FREE_REF] = refs[row].next + 1
    else:
        row = tally[REFS]
        tally[REFS] += 1
    ref = refs[row]
    ref.ns, ref.close_ns, ref.pfn = stamp.ns, NONE, pfn
    ref.tid, ref.close_tid, ref.val, ref.next = stamp.tid, NONE, val, page.refs
    ref.cpu, ref.op, ref.kind, ref.kept, ref.confirmed = stamp.cpu, stamp.op, kind, 0, 0
    ref.end, ref.before, ref.on_lru = 0, before, off_lru
    ref.met_ns, ref.shared_ns, ref.unmap_ns = NONE, NONE, NONE
    ref.irq, ref.close_irq = stamp.irq, UNKNOWN_CONTEXT
    page.refs = row


@inlined
def unlink_ref(refs: Rows, tally: I64, page: Row, row: int, stamp: EventContext, end: int) -> None:
    """A reference ended; rows that a suspect claims stay readable, others are used again."""
    ref = refs[row]
    before = page.refs
    if before == row:
        page.refs = ref.next
    else:
        while refs[before].next != row:
            before = refs[before].next
        refs[before].next = ref.next
    ref.close_ns, ref.close_tid = stamp.ns, stamp.tid
    ref.close_cpu, ref.close_op, ref.close_irq, ref.end = stamp.cpu, stamp.op, stamp.irq, end
    if not ref.kept:
        ref.next = tally[FREE_REF] - 1
        tally[FREE_REF] = row + 1


@inlined
def close_life(refs: Rows, tally: I64, page: Row, stamp: EventContext) -> None:
    """The page's life ended: whatever was open is gone."""
    while page.refs != NONE:
        unlink_ref(refs, tally, page, page.refs, stamp, BY_LIFE)


@inlined
def refs_of_kind(refs: Rows, page: Row, kind: int) -> int:
    """By how much the open references of a kind raise the page's count."""
    known = 0
    row = page.refs
    while row != NONE:
        if refs[row].kind == kind:
            known += refs[row].val
        row = refs[row].next
    return known


@inlined
def take(
    refs: Rows,
    tally: I64,
    page: Row,
    pfn: int,
    stamp: EventContext,
    val: int,
    unless: bool,
    isolating: bool,
    before: int,
    off_lru: bool,
    large: bool,
) -> None:
    """A reference of `val` was added by page_ref_mod (unless=False) or page_ref_mod_unless (True).

    large -- a large folio counts its pins apart (folio_has_pincount()): there 1024 are as many pages of it.
    """
    if val % GUP_PIN_COUNTING_BIAS == 0 and not large:
        push_ref(refs, tally, page, pfn, stamp, val, PIN, before, off_lru)
        return
    # Fast FOLL_PIN of a small page: mod_unless +n, then mod +n*1023 by the same task (mm/gup.c).
    if not unless and not large and val % (GUP_PIN_COUNTING_BIAS - 1) == 0:
        row = page.refs
        while row != NONE:
            ref = refs[row]
            if ref.kind == GET and ref.tid == stamp.tid and ref.val * (GUP_PIN_COUNTING_BIAS - 1) == val:
                ref.val += val
                ref.kind = PIN
                return
            row = ref.next
    if unless and isolating:
        push_ref(refs, tally, page, pfn, stamp, val, ISOLATION, before, off_lru)
    elif unless:
        push_ref(refs, tally, page, pfn, stamp, val, GET, before, off_lru)
    else:
        push_ref(refs, tally, page, pfn, stamp, val, MOD, before, off_lru)


@inlined
def find_to_close(refs: Rows, page: Row, stamp: EventContext, pin: bool, batch: bool) -> int:
    """The open reference that a put of this task gives back: row, or -1 where none fits.

    batch -- with this put the page appears on the LRU: it is the reference of an LRU batch (page_ref_mod) that ends, or
    that of the task which isolated the page and puts it back (move_folios_to_lru(), mm/vmscan.c): its isolation, or
    a get that it took from the LRU and that nothing has shown to be no isolation.
    In interrupt context the task that was interrupted gives nothing back: the put is a stranger's.
    """
    own_tid = stamp.tid if stamp.irq != INTERRUPT else NO_TASK
    own_isolation = own_plain = own_putback = oldest_mod = oldest_get = oldest_isolation = NONE
    row = page.refs
    while row != NONE:
        ref = refs[row]
        if (ref.kind == PIN) == pin:
            if ref.kind == GET and ref.tid == own_tid and not ref.on_lru and own_putback == NONE:
                own_putback = row
            if ref.kind == ISOLATION:
                oldest_isolation = row
                if ref.tid == own_tid and own_isolation == NONE:
                    own_isolation = row
            else:
                if ref.tid == own_tid and own_plain == NONE:
                    own_plain = row
                if ref.kind == MOD:
                    oldest_mod = row
                else:
                    oldest_get = row
        row = ref.next
    if own_isolation != NONE:
        return own_isolation
    if batch and not pin:
        return own_putback if own_putback != NONE else oldest_mod
    if own_plain != NONE:
        return own_plain
    # Somebody else's: LRU batches (plain mod) are drained by others all the time, gets rarely.
    if oldest_mod != NONE:
        return oldest_mod
    if oldest_isolation != NONE:
        return oldest_isolation
    return oldest_get


@inlined
def mark_shared(refs: Rows, page: Row, given_back: int, ns: int, rivals_only: bool) -> None:
    """A reference is about to be given back: another task's get or pin that is open may be the one that was meant.

    rivals_only -- only gets and pins can be mistaken for one another: what ends is a batch's or the migrator's own.
    """
    closing = refs[given_back]
    if closing.kind == ISOLATION or (closing.kind == MOD and rivals_only):
        return
    row = page.refs
    while row != NONE:
        ref = refs[row]
        rival = ref.tid != closing.tid and (ref.kind == PIN or ref.kind == GET)
        if rival and ref.shared_ns < 0 and (ref.kind == PIN) == (closing.kind == PIN):
            ref.shared_ns = ns
        row = ref.next


@inlined
def give_back(
    refs: Rows, tally: I64, page: Row, stamp: EventContext, val: int, batch: bool, isolating: bool, large: bool
) -> None:
    """A put of `val` (negative): closes what it matches; what was taken unseen leaves nothing to close."""
    left = -val
    pin = left >= GUP_PIN_COUNTING_BIAS and not large
    while left > 0:
        row = find_to_close(refs, page, stamp, pin, batch)
        if row == NONE:
            if not pin or left % GUP_PIN_COUNTING_BIAS == 0:
                return
            pin = False
            left %= GUP_PIN_COUNTING_BIAS
            continue
        mark_shared(refs, page, row, stamp.ns, batch or isolating)
        ref = refs[row]
        if ref.val > left:
            ref.val -= left
            return
        left -= ref.val
        unlink_ref(refs, tally, page, row, stamp, BY_PUT)


@inlined
def become_mappings(refs: Rows, tally: I64, page: Row, mappings: int, stamp: EventContext) -> None:
    """New mappings appeared, which have no event of their own: the youngest plain references became them.

    A fault takes its reference with page_ref_mod (6.12) or page_ref_mod_unless (7.2) and keeps it as the mapping.
    """
    for _ in range(mappings):
        chosen = NONE
        row = page.refs
        while row != NONE:
            ref = refs[row]
            better = chosen == NONE or (ref.kind == MOD and refs[chosen].kind != MOD)
            if better and (ref.kind == MOD or ref.kind == GET):
                chosen = row
            row = ref.next
        if chosen == NONE:
            return
        # A get younger than the plain reference, or another task's, may as well be the one that became the mapping.
        row = page.refs
        while row != NONE:
            ref = refs[row]
            rival = refs[chosen].kind == GET or ref.ns >= refs[chosen].ns
            if ref.kind == GET and row != chosen and ref.tid != refs[chosen].tid and rival:
                ref.shared_ns = stamp.ns if ref.shared_ns < 0 else ref.shared_ns
            row = ref.next
        unlink_ref(refs, tally, page, chosen, stamp, BY_MAPPING)


@inlined
def end_stale(refs: Rows, tally: I64, page: Row, stamp: EventContext) -> None:
    """The count leaves no excess: gets and pins that are still open have ended unseen.

    Their puts were lost, matched to another reference, or carry an earlier time than the get (clocks of two CPUs).
    """
    row = page.refs
    while row != NONE:
        following = refs[row].next
        if refs[row].kind == GET or refs[row].kind == PIN:
            unlink_ref(refs, tally, page, row, stamp, BY_COUNT)
        row = following


@inlined
def doubt_unmap(refs: Rows, page: Row, stamp: EventContext, unmapped: bool, only_mapping: bool) -> None:
    """A put that finds fewer mappings, or the page out of its file, and is not known to be that of the mapping.

    It may be a get that it gives back, and the mapping another task's, whose own put is still to come (zap_pte_range()
    drops mappings at once and references in batches). It is the mapping's where the task that allocated the page
    was the only one to map it.

    unmapped -- mappings went: then the get may be that of any task, as a pipe is read by another.
    """
    known = page.marks & ALLOC_SEEN != 0 and page.alloc_tid == stamp.tid and only_mapping
    row = NONE if known else page.refs
    while row != NONE:
        ref = refs[row]
        if ref.kind == GET and (unmapped or ref.tid == stamp.tid) and ref.unmap_ns < 0:
            ref.unmap_ns = stamp.ns
        row = ref.next


@inlined
def note_visit(refs: Rows, page: Row, stamp: EventContext, attempting: bool, on_lru: bool) -> bool:
    """An event of the page while references are open: whether an attempt came to it, and whether it is on the LRU.

    Returns whether the attempt's task has taken it off the LRU: it got the page there, and holds it elsewhere.
    """
    taken = False
    row = page.refs
    while row != NONE:
        ref = refs[row]
        if attempting and ref.met_ns < 0:
            ref.met_ns = stamp.ns
        if on_lru:
            ref.on_lru = 1
        taken = taken or (attempting and ref.kind == ISOLATION and ref.tid == stamp.tid and ref.on_lru == 0)
        row = ref.next
    return taken


@inlined
def fault_maps(refs: Rows, tally: I64, page: Row, stamp: EventContext) -> None:
    """page_ref_mod with val 0: a fault turns the one reference it took into a mapping (set_pte_range())."""
    row = page.refs
    while row != NONE:
        ref = refs[row]
        if ref.kind == GET and ref.tid == stamp.tid:
            unlink_ref(refs, tally, page, row, stamp, BY_MAPPING)
            return
        row = ref.next


@inlined
def confirm_refs(refs: Rows, page: Row, stamp: EventContext, excess: int) -> None:
    """The page is still in excess at another task's event: the youngest gets that make it up are no mappings."""
    row = page.refs
    left = excess
    while row != NONE and left > 0:
        ref = refs[row]
        if ref.kind == GET or ref.kind == PIN:
            left -= ref.val
            if ref.tid != stamp.tid:
                ref.confirmed = 1
        row = ref.next
