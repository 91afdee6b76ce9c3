"""The replay again, in plain Python: slow, clear, and written from the rules rather than from the kernels.

Tests hold the compiled replay to it, on real captures and on made-up streams. Pages are objects, the ledger is a list
of references per page (oldest first), nothing is shared or reused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tracereplay.replay.engine import Action, ActionKind, flag_masks
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.replay_kernels import MAX_ORDER
from tracereplay.replay.state import (
    END_PFN,
    LIFE_MARKS,
    NO_EXCESS,
    TYPED_MAPCOUNT,
    Mark,
    PageType,
    Reason,
    RefKind,
    State,
)
from tracereplay.schema import COUNT, FLAGS, MAPCOUNT, MAPPING, ORDER, PFN, RET, VAL, Op, PageStream

PIN_BIAS = 1024
MOVABLE = 0x08  # ___GFP_MOVABLE
HELD_TYPES = (PageType.HUGETLB, PageType.OFFLINE)
TYPED_TOP = TYPED_MAPCOUNT + PageType.OTHER
WINDOW = 0xFFFF & ~LIFE_MARKS


@dataclass(slots=True, eq=False)
class Ref:
    """One reference: who took it and when; `close_ns` is None while it is held."""

    pfn: int
    ns: int
    cpu: int
    tid: int
    op: int
    val: int
    kind: RefKind
    confirmed: bool = False
    close_ns: int | None = None
    close_tid: int = -1


@dataclass(slots=True, eq=False)
class FileId:
    """A file; both -1 where only its mapping pointer is known."""

    dev: int
    ino: int


@dataclass(slots=True, eq=False)
class Suspect:
    """A page in the way of an attempt; times are None where the thing never happened."""

    pfn: int
    attempt: int
    first_ns: int
    last_ns: int = 0
    reasons: int = 0
    pending: bool = False
    min_excess: int = NO_EXCESS
    confirmed: int = -NO_EXCESS
    own: int = 0
    count: int = 0
    mapcount: int = -1
    flags: int = 0
    marks: int = 0
    order: int = 0
    state: State = State.UNSEEN
    file: FileId | None = None
    index: int = -1
    post_ns: int | None = None
    post_flags: int = 0
    clear_ns: int | None = None
    clear_tid: int = -1
    unlock_ns: int | None = None
    written_ns: int | None = None
    end_ns: int | None = None
    end_tid: int = -1
    claims: list[Ref] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Page:
    """A page frame."""

    state: State = State.UNSEEN
    order: int = 0
    count: int = 0
    mapcount: int = -1
    flags: int = 0
    marks: int = 0
    alloc_ns: int = 0
    alloc_tid: int = 0
    gfp: int = 0
    file: FileId | None = None
    index: int = -1
    min_excess: int = NO_EXCESS
    refs: list[Ref] = field(default_factory=list)  # open ones, oldest first
    suspects: list[Suspect] = field(default_factory=list)  # unsettled ones, oldest first

    def is_(self, mark: Mark) -> bool:
        """Whether it bears the mark."""
        return bool(self.marks & mark)

    def held(self, *kinds: RefKind) -> int:
        """Sum of open references of these kinds."""
        return sum(ref.val for ref in self.refs if ref.kind in kinds)


@dataclass(slots=True)
class Event:
    """One entry of the page stream."""

    ns: int
    cpu: int
    tid: int
    op: Op
    args: list[int]


class Reference:
    """The modelled memory. `run` a stream with its actions, then read `pages`, `suspects`, `failed_allocs`."""

    def __init__(
        self, page_flag_bits: Mapping[str, int] | None = None, background_isolators: Sequence[int] = ()
    ) -> None:
        self.masks = {flag: int(mask) for flag, mask in zip(FlagMask, flag_masks(page_flag_bits), strict=True)}
        self.pages: defaultdict[int, Page] = defaultdict(Page)
        self.files: dict[tuple[int, int], FileId] = {}  # by (mapping, 0) or (ino, dev + 1)
        self.suspects: list[Suspect] = []
        self.failed_allocs: list[tuple[int, int, int, int]] = []  # ns, tid, order, gfp
        self.background = set(background_isolators)
        self.active: list[int] = []

    # -- order -----------------------------------------------------------------------------------------------------

    def run(self, stream: Iterable[PageStream], actions: Iterable[Action] = ()) -> None:
        """Everything in order of time: an action to WATCH before the events of its time, the others after them."""
        order = (ActionKind.WATCH, ActionKind.UNWATCH, ActionKind.TAKE, ActionKind.PROBE)
        todo = [action for action in actions if action.kind in order]  # others ask without leaving a trace
        todo.sort(key=lambda action: (action.time_ns, order.index(action.kind)))
        for chunk in stream:
            for ns, cpu, tid, op, args in zip(
                chunk.time_ns.tolist(),
                chunk.cpu.tolist(),
                chunk.tid.tolist(),
                chunk.op.tolist(),
                chunk.args,
                strict=True,
            ):
                while todo and (todo[0].time_ns < ns or (todo[0].time_ns == ns and todo[0].kind == ActionKind.WATCH)):
                    self.act(todo.pop(0))
                self.apply(Event(ns, cpu, tid, Op(op), args.tolist()))
        for action in todo:
            self.act(action)

    def apply(self, event: Event) -> None:
        """One event."""
        args, op = event.args, event.op
        pfn, order = args[PFN], args[ORDER]
        if op is Op.ALLOC and pfn < 0:
            self.failed_allocs.append((event.ns, event.tid, order, args[FLAGS] & 0xFFFFFFFF))
        elif not 0 <= pfn < END_PFN or (not 0 <= order <= MAX_ORDER and op not in PTES):
            return
        elif op in PTES:
            self.migration_entry(op, self.pages[pfn])
        elif Op.REF_SET <= op <= Op.REF_UNFREEZE:
            self.reference(event, pfn, self.pages[pfn])
        elif op is Op.ALLOC:
            for number in range(pfn, pfn + (1 << order)):
                self.allocate(event, self.pages[number], order, args[FLAGS] & 0xFFFFFFFF)
        elif op in FREES:
            for number in range(pfn, pfn + (1 << order)):
                self.free(event, self.pages[number], FREES[op], order)
        elif op is Op.CACHE_ADD:
            for offset in range(1 << order):
                self.add_to_cache(self.pages[pfn + offset], args[RET], args[MAPPING], args[VAL] + offset)
        elif op is Op.CACHE_DELETE:
            self.pages[pfn].marks &= ~Mark.FILE

    # -- lives -----------------------------------------------------------------------------------------------------

    def end_life(self, page: Page, ns: int, tid: int) -> None:
        """References are gone, nothing of it stands in the way; what the watch saw outlives the life."""
        for suspect in page.suspects:
            suspect.end_ns, suspect.end_tid = ns, tid
        for ref in page.refs:
            ref.close_ns, ref.close_tid = ns, tid
        page.suspects, page.refs = [], []
        page.marks &= WINDOW
        page.file, page.index, page.min_excess = None, -1, NO_EXCESS

    def begin_life(self, page: Page, ns: int, tid: int, order: int) -> None:
        """It left the free lists, by whom is not said."""
        self.end_life(page, ns, tid)
        page.state, page.order = State.ALLOCATED, order
        page.count, page.mapcount, page.flags = 1, -1, 0
        page.alloc_ns, page.alloc_tid, page.gfp = ns, -1, 0
        page.marks |= Mark.ENTERED

    def allocate(self, event: Event, page: Page, order: int, gfp: int) -> None:
        """mm_page_alloc. The page_ref_set of the same allocation may have come just before: its count holds."""
        just_set = page.state is State.ALLOCATED and page.alloc_tid == -1 and not page.refs and page.count == 1
        counted = page.marks & Mark.COUNTED if just_set else 0
        self.begin_life(page, event.ns, event.tid, order)
        page.alloc_tid, page.gfp = event.tid, gfp
        page.marks |= Mark.BORN | counted

    def free(self, event: Event, page: Page, state: State, order: int) -> None:
        """It is on a free list."""
        self.end_life(page, event.ns, event.tid)
        page.state, page.order = state, order
        page.count, page.mapcount, page.flags = 0, -1, 0

    # -- files -----------------------------------------------------------------------------------------------------

    def add_to_cache(self, page: Page, dev: int, ino: int, index: int) -> None:
        """The page holds this part of this file."""
        page.file, page.index = (
            self.files.setdefault((ino, dev + 1), FileId(dev, ino)),
            int(np.int64(index).astype(np.int32)),
        )
        page.marks = (page.marks | Mark.FILE) & ~(Mark.ANON | Mark.HASHED | Mark.LEARNED)

    def learn_mapping(self, page: Page, mapping: int) -> None:
        """page->mapping: bit 0 = anonymous, bit 1 = movable_ops, else the page cache of a file."""
        if page.is_(Mark.LEARNED) or mapping == 0:
            return
        if 0 < mapping < 1 << 32:
            self.learn_hashed(page)
        elif mapping & 1:
            page.marks = (page.marks | Mark.ANON | Mark.LEARNED) & ~Mark.FILE
        elif not mapping & 2:
            page.marks = (page.marks | Mark.FILE | Mark.LEARNED) & ~Mark.ANON
            if page.file is None:
                page.file = self.files.setdefault((mapping, 0), FileId(-1, -1))
            else:
                self.files[mapping, 0] = page.file

    def learn_hashed(self, page: Page) -> None:
        """A hashed pointer has no bit 0: anonymous pages get mapping and first rmap at once, file pages do not."""
        if page.marks & (Mark.ANON | Mark.FILE | Mark.HASHED):
            return
        if not page.is_(Mark.COUNTED):
            page.marks |= Mark.HASHED
        else:
            page.marks |= Mark.ANON if page.mapcount >= 0 or page.order > 0 else Mark.FILE

    # -- references ------------------------------------------------------------------------------------------------

    def reference(self, event: Event, pfn: int, page: Page) -> None:
        """A page_ref event. A refused get or freeze changed nothing and tells nothing."""
        op, args = event.op, event.args
        if op in (Op.REF_MOD_UNLESS, Op.REF_FREEZE) and args[RET] == 0:
            return
        isolating = event.tid in self.background or event.tid in self.active
        if op is Op.REF_SET:
            self.set_count(event, page)
            return
        if page.state is not State.ALLOCATED:
            self.appear(event, page)
        change = args[VAL] if op in (Op.REF_MOD, Op.REF_MOD_AND_TEST, Op.REF_MOD_AND_RETURN, Op.REF_MOD_UNLESS) else 0
        new_mappings = self.read_page(page, pfn, args, change)
        if op in (Op.REF_FREEZE, Op.REF_UNFREEZE) and page.mapcount <= TYPED_TOP:
            # hugetlb: frozen while in the pool, unfrozen for the task that is to map it
            for ref in page.refs:
                ref.close_ns, ref.close_tid = event.ns, event.tid
            page.refs = []
            if op is Op.REF_UNFREEZE:
                page.refs.append(new_ref(event, pfn, args[VAL], RefKind.MOD))
        if op is Op.REF_FREEZE and isolating:
            page.marks |= Mark.FROZEN
            for suspect in page.suspects:
                suspect.end_ns, suspect.end_tid = event.ns, event.tid
            page.suspects = []
        if op in (Op.REF_FREEZE, Op.REF_UNFREEZE):
            return
        if op is Op.REF_MOD_UNLESS and isolating:
            page.marks |= Mark.TOUCHED
        self.keep_ledger(event, pfn, page, change, new_mappings, isolating)

    def set_count(self, event: Event, page: Page) -> None:
        """page_ref_set: of a free page the begin of its life, of a part of a larger folio its split."""
        if page.state is not State.ALLOCATED:
            self.begin_life(page, event.ns, event.tid, 0)
        page.order = 0
        page.count = int32(event.args[COUNT])
        page.marks |= Mark.COUNTED | Mark.SEEN

    def appear(self, event: Event, page: Page) -> None:
        """In use although no allocation was seen; an unfrozen one was made by a split or a migration."""
        if event.op is Op.REF_UNFREEZE:
            self.begin_life(page, event.ns, event.tid, 0)
        elif page.state is not State.UNSEEN:
            self.end_life(page, event.ns, event.tid)
        page.state, page.order = State.ALLOCATED, 0
        page.marks &= ~Mark.COUNTED

    def read_page(self, page: Page, pfn: int, args: Sequence[int], change: int) -> int:
        """Take over what the event read of the page; returns by how much its mapcount grew, 0 = unknown."""
        known = page.is_(Mark.COUNTED)
        if change:
            conflict = known and args[COUNT] - change != page.count
            page.marks = page.marks | Mark.CONFLICT if conflict else page.marks & ~Mark.CONFLICT
        typed = not -128 <= args[MAPCOUNT] <= 32766
        was_typed = page.mapcount <= TYPED_TOP
        mapcount = TYPED_MAPCOUNT + page_type(args[MAPCOUNT]) if typed else args[MAPCOUNT]
        grown = mapcount - page.mapcount if known and not typed and not was_typed else 0
        page.count, page.mapcount, page.flags = int32(args[COUNT]), mapcount, args[FLAGS] & 0xFFFFFFFF
        head = self.masks[FlagMask.HEAD]
        if page.order and (pfn % (1 << page.order) or (head and not page.flags & head)):
            page.order = 0  # only heads have references of their own: the folio was split
        self.learn_mapping(page, args[MAPPING])
        page.marks |= Mark.COUNTED | Mark.SEEN | (Mark.TYPED if typed else 0)
        return grown

    def keep_ledger(self, event: Event, pfn: int, page: Page, change: int, new_mappings: int, isolating: bool) -> None:
        """Who took, who gave back, what became a mapping; and what that tells of the suspects."""
        for _ in range(new_mappings):
            if not self.one_becomes_mapping(page, event):
                break
        # An unmap takes its mapping away together with its count: the excess before it is the one after.
        unmap = change < 0 and new_mappings < 0
        before = self.excess(page, 0 if unmap else change)
        if change > 0:
            self.take(page, pfn, event, change, isolating)
        elif change < 0 and not unmap:
            self.give_back(page, event, -change)
        if event.op is Op.REF_MOD and event.args[VAL] == 0 and page.mapcount > TYPED_TOP and new_mappings <= 0:
            own = [ref for ref in page.refs if ref.kind is RefKind.GET and ref.tid == event.tid]
            if own:
                self.close(page, own[-1], event)
            page.mapcount += 1
        after = self.excess(page)
        page.min_excess = min(page.min_excess, after)
        if 0 < after < NO_EXCESS and change <= 0:
            self.confirm(page, event, after)
        for suspect in page.suspects:
            self.settle(suspect, page, event, before, after)

    def take(self, page: Page, pfn: int, event: Event, val: int, isolating: bool) -> None:
        """One more reference, of the kind its size and call tell."""
        get = event.op is Op.REF_MOD_UNLESS
        if not get and val % PIN_BIAS and val % (PIN_BIAS - 1) == 0:
            for ref in reversed(page.refs):  # the second half of a fast pin: n, then n * 1023
                if ref.kind is RefKind.GET and ref.tid == event.tid and ref.val * (PIN_BIAS - 1) == val:
                    ref.val, ref.kind = ref.val + val, RefKind.PIN
                    return
        if val % PIN_BIAS == 0:
            kind = RefKind.PIN
        elif get:
            kind = RefKind.ISOLATION if isolating else RefKind.GET
        else:
            kind = RefKind.MOD
        page.refs.append(new_ref(event, pfn, val, kind))

    def give_back(self, page: Page, event: Event, left: int) -> None:
        """References are closed until the put is used up, pins by puts of 1024 and more."""
        pins = left >= PIN_BIAS
        while left > 0:
            ref = self.choose(page, event.tid, pins)
            if ref is None:
                if not pins:
                    return
                pins, left = False, left % PIN_BIAS
            elif ref.val > left:
                ref.val -= left
                return
            else:
                left -= ref.val
                self.close(page, ref, event)

    def choose(self, page: Page, tid: int, pins: bool) -> Ref | None:
        """Which one a put of this task gives back.

        Its own isolation, its own others (youngest first); else the oldest plain one, isolation, get of anybody.
        """
        open_refs = [ref for ref in page.refs if (ref.kind is RefKind.PIN) == pins]
        isolations = [ref for ref in open_refs if ref.kind is RefKind.ISOLATION]
        others = [ref for ref in open_refs if ref.kind is not RefKind.ISOLATION]
        for mine in (isolations, others):
            own = [ref for ref in mine if ref.tid == tid]
            if own:
                return own[-1]
        plain = [ref for ref in others if ref.kind is RefKind.MOD]
        gets = [ref for ref in others if ref.kind is not RefKind.MOD]
        if plain or isolations:
            return (plain or isolations)[0]
        if len({ref.tid for ref in gets}) > 1:
            page.marks |= Mark.AMBIGUOUS
        return gets[0] if gets else None

    def one_becomes_mapping(self, page: Page, event: Event) -> bool:
        """The youngest plain reference, else the youngest get; gets younger than it might have been the one as well."""
        plain = [at for at, ref in enumerate(page.refs) if ref.kind is RefKind.MOD]
        gets = [at for at, ref in enumerate(page.refs) if ref.kind is RefKind.GET]
        if not plain and not gets:
            return False
        chosen = page.refs[plain[-1] if plain else gets[-1]]
        rivals = [page.refs[at].tid for at in gets if not plain or at > plain[-1]]
        if len(set(rivals)) > 1 or (rivals and rivals[0] != chosen.tid):
            page.marks |= Mark.AMBIGUOUS
        self.close(page, chosen, event)
        return True

    def close(self, page: Page, ref: Ref, event: Event) -> None:
        """It is not held any more."""
        page.refs.remove(ref)
        ref.close_ns, ref.close_tid = event.ns, event.tid

    def confirm(self, page: Page, event: Event, excess: int) -> None:
        """The youngest gets and pins that make up the excess are no mappings, if another task still meets it."""
        for ref in reversed(page.refs):
            if excess <= 0:
                return
            if ref.kind in (RefKind.GET, RefKind.PIN):
                excess -= ref.val
                ref.confirmed = ref.confirmed or ref.tid != event.tid

    def excess(self, page: Page, undone: int = 0) -> int:
        """References beyond the expected ones, the isolators' own left out; NO_EXCESS = not told."""
        anon, cached = page.is_(Mark.ANON), page.is_(Mark.FILE)
        if not (anon or cached) or not page.is_(Mark.COUNTED) or page.is_(Mark.TYPED):
            return NO_EXCESS
        large = page.order > 0 or bool(page.flags & self.masks[FlagMask.HEAD])
        own = page.held(RefKind.ISOLATION)
        count = int32(page.count - undone)
        mappings = page.mapcount + 1
        if cached:
            private = 1 if page.flags & self.masks[FlagMask.PRIVATE] else 0
            found = NO_EXCESS if large else count - own - mappings - 1 - private
        else:
            in_swap = (1 << page.order) if page.flags & self.masks[FlagMask.SWAPCACHE] else 0
            if not large:
                found = count - own - mappings - in_swap
            elif page.flags & self.masks[FlagMask.LOCKED]:
                found = NO_EXCESS
            else:  # mapped by a PMD its own mapcount is 0; never more than the ledger knows to be taken
                found = min(count - own - max(mappings + in_swap, 1), page.held(RefKind.GET, RefKind.PIN))
        return found if found == NO_EXCESS else max(-NO_EXCESS, min(found, NO_EXCESS - 1))

    def settle(self, suspect: Suspect, page: Page, event: Event, before: int, after: int) -> None:
        """What the event tells of the time since the probe."""
        if suspect.pending:
            suspect.pending, suspect.post_ns, suspect.post_flags = False, event.ns, page.flags
            smallest = min(suspect.min_excess, before)
            if smallest != NO_EXCESS:
                suspect.confirmed = max(suspect.confirmed, smallest)
        if suspect.clear_ns is None and after <= 0:
            suspect.clear_ns, suspect.clear_tid = event.ns, event.tid
        if suspect.unlock_ns is None and not page.flags & self.masks[FlagMask.LOCKED]:
            suspect.unlock_ns = event.ns
        if suspect.written_ns is None and not page.flags & self.masks[FlagMask.WRITEBACK]:
            suspect.written_ns = event.ns

    def migration_entry(self, op: Op, page: Page) -> None:
        """An entry set and then restored on the same pfn: migration failed."""
        if op is Op.SET_MIGRATION_PTE:
            page.marks |= Mark.MIGRATION_ENTRY
        elif page.is_(Mark.MIGRATION_ENTRY):
            page.marks = (page.marks | Mark.RESTORED) & ~Mark.MIGRATION_ENTRY

    # -- questions -------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> None:
        """One action."""
        if action.kind is ActionKind.UNWATCH:
            if action.tid in self.active:
                self.active.remove(action.tid)
        elif action.kind is ActionKind.WATCH:
            self.active += [] if action.tid is None else [action.tid]
            for page in self._seen(action):
                page.marks &= LIFE_MARKS
                page.min_excess = self.excess(page)
        elif action.kind is ActionKind.TAKE:
            for page in self._seen(action):
                begun = page.state is State.ALLOCATED and page.alloc_tid == -1
                if not begun or page.marks & (Mark.ANON | Mark.FILE):
                    self.begin_life(page, action.time_ns, -1, 0)
        elif action.kind is ActionKind.PROBE:
            named_pfn = action.named_pfn if action.named_file is None else self.find_file(action, *action.named_file)
            for start, end in action.spans:
                self.probe(action, start, end, named_pfn)

    def _seen(self, action: Action) -> list[Page]:
        return [self.pages[pfn] for start, end in action.spans for pfn in range(start, end)]

    def find_file(self, action: Action, ino: int, index: int) -> int:
        """The page of the spans that holds this part of this file, -1 = none."""
        for start, end in action.spans:
            for pfn in range(start, end):
                page = self.pages.get(pfn, Page())
                held = page.state is State.ALLOCATED and page.file is not None and page.file.ino == ino
                if held and page.index == index:
                    return pfn
        return -1

    def probe(self, action: Action, start: int, end: int, named_pfn: int) -> None:
        """Note the pages in the way; a large folio stands for all its pages, also where the span cuts off its head."""
        pfn = start
        while pfn < end:
            page, head, last = self.pages[pfn], pfn, pfn
            first = self.pages[pfn & -(1 << page.order)]
            if page.state is first.state is State.ALLOCATED and page.order == first.order > 0:
                page, head = first, pfn & -(1 << page.order)
                last = head + (1 << page.order) - 1
                if head != pfn != start:
                    pfn += 1
                    continue
            found = self.reasons(page, pfn < action.visited_end_pfn, head <= named_pfn <= last)
            if found:
                self.note(action, page, head, found)
            pfn = last + 1

    def reasons(self, page: Page, visited: bool, named: bool) -> int:
        """Why it stands in the way."""
        found = int(Reason.NAMED) if named else 0
        if page.state is not State.ALLOCATED:
            return found
        settled = page.is_(Mark.BORN) and not page.is_(Mark.ENTERED)
        locked = page.flags & self.masks[FlagMask.LOCKED] and not page.flags & self.masks[FlagMask.UPTODATE]
        counted = page.is_(Mark.COUNTED)
        for reason, holds in {
            Reason.UNMOVABLE: settled and not page.gfp & MOVABLE,
            Reason.RESTORED: page.is_(Mark.RESTORED),
            Reason.EXCESS: counted and 0 < page.min_excess < NO_EXCESS and self.excess(page) > 0,
            Reason.LEFT: counted and page.is_(Mark.TOUCHED) and not page.is_(Mark.FROZEN),
            Reason.LOCKED: counted and page.is_(Mark.FILE) and locked,
            Reason.WRITEBACK: counted and page.flags & self.masks[FlagMask.WRITEBACK],
            Reason.VISITED: not counted and visited and settled,
        }.items():
            found |= reason if holds else 0
        typed = page.is_(Mark.TYPED) and page.count > 0 and page.mapcount - TYPED_MAPCOUNT in HELD_TYPES
        return found | (Reason.TYPED if typed else 0)

    def note(self, action: Action, page: Page, head: int, found: int) -> None:
        """The suspect row of this attempt and page, brought up to date."""
        known = [suspect for suspect in page.suspects if suspect.attempt == action.attempt]
        suspect = known[0] if known else Suspect(head, action.attempt, action.time_ns)
        if not known:
            page.suspects.append(suspect)
            self.suspects.append(suspect)
        suspect.last_ns, suspect.pending, suspect.reasons = action.time_ns, True, suspect.reasons | found
        suspect.min_excess, suspect.own = page.min_excess, page.held(RefKind.ISOLATION)
        for name in ("count", "mapcount", "flags", "marks", "order", "state", "file", "index"):
            setattr(suspect, name, getattr(page, name))
        suspect.claims += [ref for ref in reversed(page.refs) if ref not in suspect.claims]


PTES = (Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE)
FREES = {Op.FREE: State.PCP, Op.BUDDY_TAKE: State.PCP, Op.PCP_DRAIN: State.BUDDY}


def page_type(raw_mapcount: int) -> PageType:
    """The type that a _mapcount word names: by its top byte since 6.12, before by the bit that is cleared."""
    top, low = raw_mapcount >> 24 & 0xFF, raw_mapcount & 0xFFF
    if 0xF0 <= top < 0xFF:
        digit = top - 0xF0
        return PageType(digit) if digit in set(PageType) else PageType.OTHER
    by_bit = {0x80: PageType.BUDDY, 0x100: PageType.OFFLINE, 0x200: PageType.TABLE, 0x400: PageType.GUARD,
              0x800: PageType.HUGETLB}  # fmt: skip
    return next((kind for bit, kind in by_bit.items() if not low & bit), PageType.OTHER)


def new_ref(event: Event, pfn: int, val: int, kind: RefKind) -> Ref:
    """A reference taken by this event."""
    return Ref(pfn, event.ns, event.cpu, event.tid, int(event.op), int32(val), kind)


def int32(value: int) -> int:
    """The value as the 32-bit column keeps it."""
    return int(np.int64(np.uint64(value & 0xFFFFFFFFFFFFFFFF)).astype(np.int32))
