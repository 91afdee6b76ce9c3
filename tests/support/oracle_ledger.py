"""The replay oracle's ledger: who took a reference on a page, who gave it back, and what that proves."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.oracle_memory import Event, FlagBits, Page, Ref, int32
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.state import MOST_MAPPINGS, NO_EXCESS, Mark, RefEnd, RefKind
from tracereplay.schema import Op

PIN_BIAS = 1024  # GUP_PIN_COUNTING_BIAS
MOD, GET, PIN, ISOLATION = RefKind.MOD, RefKind.GET, RefKind.PIN, RefKind.ISOLATION


def excess(bits: FlagBits, page: Page, undone: int = 0) -> int:
    """References beyond the expected ones, the isolators' own left out; NO_EXCESS = not known."""
    anon, cached = page.is_(Mark.ANON), page.is_(Mark.FILE)
    was_cached = not anon and not cached and page.file is not None
    if not (anon or cached or was_cached) or not page.is_(Mark.COUNT_KNOWN) or page.is_(Mark.TYPED):
        return NO_EXCESS
    if page.mapcount == MOST_MAPPINGS:
        return NO_EXCESS  # or more
    large = bits.is_large(page)
    extra = int32(page.count - undone) - page.held(ISOLATION)
    mappings = page.mapcount + 1
    if cached or was_cached:
        private = 1 if bits.has(page.page_flags, FlagMask.PRIVATE) else 0
        in_a_cache = 1 if cached or bits.has(page.page_flags, FlagMask.SWAPCACHE) else 0
        found = NO_EXCESS if large else extra - mappings - in_a_cache - private
    else:
        in_swap = (1 << page.order) if bits.has(page.page_flags, FlagMask.SWAPCACHE) else 0
        if not large:
            found = extra - mappings - in_swap
        elif bits.has(page.page_flags, FlagMask.LOCKED):
            found = NO_EXCESS
        else:  # mapped by a PMD its own mapcount is 0; never more than the ledger knows to be taken
            found = min(extra - max(mappings + in_swap, 1), page.held(GET, PIN))
    return found if found == NO_EXCESS else max(-NO_EXCESS, min(found, NO_EXCESS - 1))


def new_ref(event: Event, pfn: int, val: int, kind: RefKind, before: int, on_lru: bool) -> Ref:
    """A reference taken by this event."""
    return Ref(pfn, event.ns, event.cpu, event.tid, int(event.op), event.irq, int32(val), kind, before, on_lru)


def close(page: Page, ref: Ref, event: Event, end: RefEnd) -> None:
    """It is not held any more."""
    page.refs.remove(ref)
    ref.end, ref.close_ns, ref.close_tid = end, event.ns, event.tid
    ref.close_cpu, ref.close_op, ref.close_irq = event.cpu, int(event.op), event.irq


def close_all(page: Page, event: Event) -> None:
    """The life of the page ended, its references with it."""
    for ref in list(page.refs):
        close(page, ref, event, RefEnd.LIFE)


def take(bits: FlagBits, page: Page, pfn: int, event: Event, val: int, before: int) -> None:
    """One more reference, of the kind its size and call tell.

    before -- excess just before the event. What no reference in the ledger explains of it is kept with the reference:
    that much cannot be this task's (isolators' own are no part of the excess). A task that isolates a page finds it on
    the LRU and takes it off: a reference taken while the page was off the LRU is none.
    """
    get, counts_pins = event.op is Op.REF_MOD_UNLESS, not bits.is_large(page)  # large folios count theirs apart
    if counts_pins and not get and val % PIN_BIAS and val % (PIN_BIAS - 1) == 0:
        for ref in reversed(page.refs):  # the second half of a fast pin: n, then n * 1023
            if ref.kind is GET and ref.tid == event.tid and ref.val * (PIN_BIAS - 1) == val:
                ref.val, ref.kind = ref.val + val, PIN
                return
    if counts_pins and val % PIN_BIAS == 0:
        kind = PIN
    elif get:
        kind = ISOLATION if event.isolating else GET
    else:
        kind = MOD
    unexplained = before if before == NO_EXCESS else max(before - page.held(MOD, GET, PIN), -NO_EXCESS)
    off_lru = bool(bits.known[FlagMask.LRU]) and not bits.has(page.page_flags, FlagMask.LRU)
    page.refs.append(new_ref(event, pfn, val, kind, unexplained, off_lru))


def give_back(page: Page, event: Event, left: int, drains_batch: bool, counts_pins: bool) -> None:
    """References are closed until the put is used up, pins by puts of 1024 and more.

    drains_batch -- the put moved the page to the LRU: it ends the reference that the LRU batch had, or the isolation of
    its own task, of no one else.
    """
    pins = left >= PIN_BIAS and counts_pins
    while left > 0:
        ref = choose(page, None if event.interrupt else event.tid, pins, drains_batch and not pins)
        if ref is None:
            if not pins:
                return
            pins, left = False, left % PIN_BIAS
            continue
        # What an LRU batch or an isolating task drops is known to be its own, not somebody's get.
        if ref.kind in (GET, PIN) or (ref.kind is MOD and not drains_batch and not event.isolating):
            note_other_takers(page, ref, event.ns)
        if ref.val > left:
            ref.val -= left
            return
        left -= ref.val
        close(page, ref, event, RefEnd.PUT)


def choose(page: Page, tid: int | None, pins: bool, drains_batch: bool) -> Ref | None:
    """Which one a put of this task gives back; None = an interrupt's, which has none of its own.

    Its own isolation, its own others (youngest first); else the oldest plain one, isolation, get of anybody. With the
    page moved to the LRU: its own isolation, else the oldest plain one.
    """
    open_refs = [ref for ref in page.refs if (ref.kind is PIN) == pins]
    wanted: list[tuple[int, Callable[[Ref], bool]]] = [
        (-1, lambda ref: ref.kind is ISOLATION and ref.tid == tid),
        (-1, lambda ref: ref.kind is not ISOLATION and ref.tid == tid),
        (0, lambda ref: ref.kind is MOD),
        (0, lambda ref: ref.kind is ISOLATION),
        (0, lambda ref: True),  # noqa: ARG005
    ]
    if drains_batch:  # its own get of a page on the LRU, not seen there since, is a putback
        wanted = [wanted[0], (-1, lambda ref: ref.kind is GET and ref.tid == tid and not ref.on_lru), wanted[2]]
    for which, fits in wanted:
        fitting = [ref for ref in open_refs if fits(ref)]
        if fitting:
            return fitting[which]
    return None


def note_other_takers(page: Page, given_back: Ref, ns: int) -> None:
    """A put names no reference: where a get or a plain one ends another's get may be meant, with pins a pin."""
    alike = PIN if given_back.kind is PIN else GET
    for ref in page.refs:
        if ref.kind is alike and ref.tid != given_back.tid:
            share(ref, ns)


def share(ref: Ref, ns: int) -> None:
    """From now on it may have ended already, in the place of another."""
    if ref.shared_ns is None:
        ref.shared_ns = ns


def one_becomes_mapping(page: Page, event: Event) -> bool:
    """The youngest plain reference, else the youngest get.

    A get of another task, no older than the plain reference, may be the one as well. Of gets any may be.
    """
    candidates = [ref for ref in page.refs if ref.kind is MOD] or [ref for ref in page.refs if ref.kind is GET]
    if not candidates:
        return False
    chosen = candidates[-1]
    for ref in page.refs:
        if ref.kind is GET and ref.tid != chosen.tid and (chosen.kind is GET or ref.ns >= chosen.ns):
            share(ref, event.ns)
    close(page, chosen, event, RefEnd.MAPPING)
    return True


def fault_maps(page: Page, event: Event) -> None:
    """page_ref_mod by 0: a fault keeps the get of its task as the mapping."""
    own = [ref for ref in page.refs if ref.kind is GET and ref.tid == event.tid]
    if own:
        close(page, own[-1], event, RefEnd.MAPPING)


def end_stale(bits: FlagBits, page: Page, event: Event, before: int) -> None:
    """A count that leaves room for no reference beyond the expected ones, isolators' included, ends gets and pins.

    Whatever the count was before. Nothing is said of large folios, whose mapcount is not known, nor of a page that is a
    guessed page of a file: were it anonymous, the count would have room for one more.
    """
    guessed_file = page.is_(Mark.GUESSED) and page.is_(Mark.FILE)
    if before == NO_EXCESS or guessed_file or bits.is_large(page):
        return
    if before + page.held(ISOLATION) <= 0:
        for ref in [ref for ref in page.refs if ref.kind in (GET, PIN)]:
            close(page, ref, event, RefEnd.COUNT)


def note_visit(bits: FlagBits, page: Page, event: Event) -> None:
    """References that stay open over an event: an attempt met them; the page is on the LRU although they are held.

    What its own task got from the LRU and holds where it is not on it, it has isolated.
    """
    for ref in page.refs:
        if event.attempting and ref.met_ns is None:
            ref.met_ns = event.ns
        ref.on_lru = ref.on_lru or bits.has(page.page_flags, FlagMask.LRU)
        if event.attempting and ref.kind is ISOLATION and ref.tid == event.tid and not ref.on_lru:
            page.marks |= Mark.TAKEN_OFF_LRU


def unmap_or_put(page: Page, event: Event, old_mapcount: int, new_mappings: int) -> None:
    """Fewer mappings at a put, or no file: unless its allocator drops the only mapping, a get may be what ends.

    Of the same task where the page left its file, or was unmapped by who isolates it.
    """
    if page.is_(Mark.ALLOC_SEEN) and page.alloc_tid == event.tid and old_mapcount <= 0:
        return
    any_task = new_mappings < 0 and not event.isolating
    for ref in page.refs:
        if ref.kind is GET and (any_task or ref.tid == event.tid) and ref.unmap_ns is None:
            ref.unmap_ns = event.ns


def confirm(page: Page, event: Event, left: int) -> None:
    """The youngest gets and pins that make up the excess are no mappings, if another task still meets it."""
    for ref in reversed(page.refs):
        if left <= 0:
            return
        if ref.kind in (GET, PIN):
            left -= ref.val
            ref.confirmed = ref.confirmed or ref.tid != event.tid
