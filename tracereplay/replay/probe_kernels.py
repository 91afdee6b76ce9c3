"""Queries of the state: begin to watch a range, and which of its pages stand in the way now."""

from __future__ import annotations

from tracereplay.compiled import njit
from tracereplay.replay.ledger_kernels import ISOLATION, NONE, UNKNOWN_CONTEXT, Memory, Row, refs_of_kind
from tracereplay.replay.page_kernels import (
    ALLOC_SEEN,
    ALLOCATED,
    ALLOCATED_SINCE_WATCH,
    ANON,
    COUNT_KNOWN,
    FILE,
    FROZEN,
    ISOLATED,
    LOCKED,
    ON_LRU,
    RESTORED,
    TYPED,
    WRITEBACK,
    FlagMask,
    excess_of,
    find_row,
)
from tracereplay.replay.state import LIFE_MARKS, NO_EXCESS, TYPED_MAPCOUNT, VISIT_MARKS, Reason, ReplayCounter
from tracereplay.schema import Op

GFP_MOVABLE = 0x08  # ___GFP_MOVABLE: bit 3 in every kernel seen (4.19 to 7.3)
UPTODATE, SWAPCACHE = int(FlagMask.UPTODATE), int(FlagMask.SWAPCACHE)
R_EXCESS, R_LEFT, R_LOCKED, R_WRITEBACK = (
    int(Reason.EXCESS),
    int(Reason.LEFT),
    int(Reason.LOCKED),
    int(Reason.WRITEBACK),
)
R_UNMOVABLE, R_VISITED, R_RESTORED = int(Reason.UNMOVABLE), int(Reason.VISITED), int(Reason.RESTORED)
R_NAMED, R_TYPED, R_HELD = int(Reason.NAMED), int(Reason.TYPED), int(Reason.HELD)
OP_PROBE_GET, OP_PROBE_PIN = int(Op.PROBE_GET), int(Op.PROBE_PIN)
T_SUSPECTS, T_CLAIMS = int(ReplayCounter.SUSPECTS), int(ReplayCounter.CLAIMS)


@njit
def watch(mem: Memory, start_pfn: int, end_pfn: int) -> None:
    """Begin to watch [start_pfn, end_pfn): the smallest excess is counted from the present one on."""
    pfn = start_pfn
    while pfn < end_pfn:
        row = find_row(mem, pfn)
        if row >= 0:
            page = mem.pages[row]
            page.marks &= LIFE_MARKS
            page.min_excess = excess_of(mem.refs, mem.flag_masks, page)
        pfn += 1


@njit
def reasons_of(mem: Memory, page: Row, visited: bool, named: bool) -> int:
    """Why this page stands in the way, as a set of Reason bits; 0 = it does not."""
    reasons = R_NAMED if named else 0
    if page.state != ALLOCATED:
        return reasons
    marks = page.marks
    # Pages on the LRU are migrated whatever they were allocated for.
    lru = marks & (FILE | ANON) != 0 or page.file >= 0  # truncated while it was held, at the last
    if marks & ALLOC_SEEN and not marks & ALLOCATED_SINCE_WATCH and not lru and (page.gfp & GFP_MOVABLE) == 0:
        reasons |= R_UNMOVABLE
    if marks & RESTORED:
        reasons |= R_RESTORED
    if marks & COUNT_KNOWN:
        # Under the migrator's lock the excess of a large folio is not known (NO_EXCESS): the last one known holds.
        if 0 < page.min_excess < NO_EXCESS and excess_of(mem.refs, mem.flag_masks, page) > 0:
            reasons |= R_EXCESS
        if marks & ISOLATED and not marks & FROZEN:
            reasons |= R_LEFT
        read = marks & FILE != 0 or page.page_flags & mem.flag_masks[SWAPCACHE] != 0  # from a file, or from swap
        if read and page.page_flags & mem.flag_masks[LOCKED] and not page.page_flags & mem.flag_masks[UPTODATE]:
            reasons |= R_LOCKED
        if page.page_flags & mem.flag_masks[WRITEBACK]:
            reasons |= R_WRITEBACK
    elif visited and marks & ALLOC_SEEN and not marks & ALLOCATED_SINCE_WATCH:
        reasons |= R_VISITED
    if page.refs != NONE and (mem.refs[page.refs].op == OP_PROBE_GET or mem.refs[page.refs].op == OP_PROBE_PIN):
        reasons |= R_HELD
    kind = int(page.mapcount) - TYPED_MAPCOUNT
    if marks & TYPED and page.count > 0 and kind < len(mem.blocking_types) and mem.blocking_types[kind]:
        reasons |= R_TYPED
    return reasons


@njit
def open_refs(mem: Memory, page: Row) -> int:
    """How many references the page has open."""
    found = 0
    row = page.refs
    while row != NONE:
        found += 1
        row = mem.refs[row].next
    return found


@njit
def claim_refs(mem: Memory, page: Row, suspect: int) -> None:
    """Keep the references open now with the suspect."""
    row = page.refs
    while row != NONE:
        known = False
        for claim in range(mem.tally[T_CLAIMS] - 1, -1, -1):
            if mem.claims[claim].suspect != suspect:
                break
            known = known or mem.claims[claim].ref == row
        if not known:
            mem.claims[mem.tally[T_CLAIMS]].suspect = suspect
            mem.claims[mem.tally[T_CLAIMS]].ref = row
            mem.tally[T_CLAIMS] += 1
            mem.refs[row].kept = 1
        row = mem.refs[row].next


@njit
def suspect_row(mem: Memory, page: Row, pfn: int, attempt: int, ns: int) -> int:
    """The attempt's row for this page, a new one where it has none yet."""
    row = page.suspect
    while row != NONE:
        if mem.suspects[row].attempt == attempt:
            return row
        row = mem.suspects[row].next
    row = mem.tally[T_SUSPECTS]
    mem.tally[T_SUSPECTS] += 1
    suspect = mem.suspects[row]
    suspect.pfn, suspect.attempt, suspect.first_ns = pfn, attempt, ns
    suspect.confirmed = -NO_EXCESS
    suspect.post_ns, suspect.clear_ns, suspect.unlock_ns = NONE, NONE, NONE
    suspect.written_ns, suspect.end_ns, suspect.clear_tid, suspect.end_tid = NONE, NONE, NONE, NONE
    suspect.marks, suspect.reasons, suspect.clear_irq = 0, 0, UNKNOWN_CONTEXT
    suspect.no_event_since_probe = 0
    suspect.next = page.suspect
    page.suspect = row
    return row


@njit
def fill_suspect(mem: Memory, page: Row, pfn: int, attempt: int, ns: int, reasons: int) -> int:
    """Write the page as it is now into the attempt's row for it; returns the row."""
    number = suspect_row(mem, page, pfn, attempt, ns)
    suspect = mem.suspects[number]
    # What an earlier try did to the page holds for the attempt; that it was on the LRU, while no event follows.
    visited = suspect.marks & (VISIT_MARKS | ON_LRU if suspect.no_event_since_probe else VISIT_MARKS)
    suspect.last_ns, suspect.no_event_since_probe = ns, 1
    suspect.min_excess = page.min_excess
    suspect.isolation_refs = refs_of_kind(mem.refs, page, ISOLATION)
    suspect.count, suspect.mapcount, suspect.page_flags = page.count, page.mapcount, page.page_flags
    suspect.alloc_ns, suspect.alloc_tid, suspect.gfp = page.alloc_ns, page.alloc_tid, page.gfp
    suspect.file, suspect.index = page.file, page.index
    suspect.marks = page.marks | visited
    suspect.order, suspect.state = page.order, page.state
    suspect.reasons |= reasons
    return number


@njit
def note_suspect(mem: Memory, page: Row, pfn: int, attempt: int, ns: int, reasons: int) -> None:
    """Keep what the page is at this probe, and the references open on it."""
    claim_refs(mem, page, fill_suspect(mem, page, pfn, attempt, ns, reasons))


@njit
def probe(mem: Memory, start_pfn: int, end_pfn: int, visited_end: int, named_pfn: int, ns: int, attempt: int) -> int:
    """Note every page of [start_pfn, end_pfn) that stands in the way; returns the pfn it reached (tables full: less).

    visited_end -- pages below it have been scanned for migration; named_pfn -- the page the kernel named, or -1.
    """
    pfn = start_pfn
    while pfn < end_pfn:
        row = find_row(mem, pfn)
        if row < 0:
            pfn += 1
            continue
        page = mem.pages[row]
        head, past = pfn, pfn + 1
        named = pfn == named_pfn
        if page.state == ALLOCATED and page.order > 0:
            head = pfn & ~((1 << page.order) - 1)
            row = find_row(mem, head)
            if row < 0 or mem.pages[row].state != ALLOCATED or mem.pages[row].order != page.order:
                head = pfn  # the rest of its allocation is gone: it stands for itself
            else:
                past = head + (1 << page.order)
                named = head <= named_pfn < head + (1 << page.order)
                if head != pfn and pfn != start_pfn:
                    pfn += 1
                    continue
                page = mem.pages[row]
        claims = mem.tally[T_CLAIMS] + open_refs(mem, page)
        if mem.tally[T_SUSPECTS] + 1 >= len(mem.suspects) or claims >= len(mem.claims):
            return pfn
        reasons = reasons_of(mem, page, pfn < visited_end, named)
        if reasons:
            note_suspect(mem, page, head, attempt, ns, reasons)
        pfn = past
    return end_pfn


@njit
def excess_at(mem: Memory, pfn: int) -> int:
    """Excess of this page now; NO_EXCESS where it is not known."""
    row = find_row(mem, pfn)
    return NO_EXCESS if row < 0 else excess_of(mem.refs, mem.flag_masks, mem.pages[row])
