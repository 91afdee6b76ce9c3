"""The replay again, in plain Python: slow, clear, and written from the rules rather than from the kernels.

Tests hold the compiled replay to it, on real captures and on generated streams. Pages are objects, the ledger is a
list of references per page (oldest first), nothing is shared or reused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.support import oracle_ledger as ledger
from tests.support.oracle_memory import TYPED_TOP, Event, FileId, FlagBits, Page, Suspect, int32, page_type
from tests.support.oracle_reasons import Probed, Rules
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.replay_kernels import MAX_ORDER
from tracereplay.replay.state import (
    END_PFN,
    LIFE_MARKS,
    MOST_MAPPINGS,
    NO_EXCESS,
    TYPED_MAPCOUNT,
    VISIT_MARKS,
    Mark,
    RefKind,
    State,
)
from tracereplay.schema import COUNT, FLAGS, MAPCOUNT, MAPPING, ORDER, PFN, RET, VAL, IrqContext, Op, PageStream

WINDOW = 0xFFFF & ~LIFE_MARKS
PTES = (Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE)
FREES = {Op.FREE: State.PCP, Op.BUDDY_TAKE: State.PCP, Op.PCP_DRAIN: State.BUDDY}
CHANGING = (Op.REF_MOD, Op.REF_MOD_AND_TEST, Op.REF_MOD_AND_RETURN, Op.REF_MOD_UNLESS)
BEGINS = (ActionKind.WATCH, ActionKind.ISOLATE)
AT_ONE_TIME = (*BEGINS, ActionKind.UNWATCH, ActionKind.ISOLATE_END, ActionKind.TAKE, ActionKind.PROBE)  # no others
# What a suspect keeps of its page.
AS_PROBED = (
    "count", "mapcount", "page_flags", "marks", "order", "state", "file", "index", "alloc_ns", "alloc_tid", "gfp",
)  # fmt: skip


class ReplayOracle:
    """The modelled memory. `run` a stream with its actions, then read `pages`, `suspects`, `failed_allocs`."""

    def __init__(
        self,
        page_flag_bits: Mapping[str, int] | None = None,
        background_isolators: Sequence[int] = (),
        rules: Rules | None = None,
    ) -> None:
        self.bits = FlagBits(page_flag_bits)
        self.rules = rules or Rules()
        self.pages: defaultdict[int, Page] = defaultdict(Page)
        self.files: dict[tuple[int, int], FileId] = {}  # by (mapping, 0) or (ino, dev + 1)
        self.suspects: list[Suspect] = []
        self.failed_allocs: list[tuple[int, int, int, int]] = []  # ns, tid, order, gfp
        self.background = set(background_isolators)
        self.attempts: list[int] = []  # tasks of the attempts that are watched now
        self.windows: list[int] = []  # tasks that isolate now, for no attempt: one entry a window

    # -- order -----------------------------------------------------------------------------------------------------

    def run(self, stream: Iterable[PageStream], actions: Iterable[ReplayAction] = ()) -> None:
        """Everything in order of time: what begins before the events of its time, the rest after them."""
        todo = [action for action in actions if action.kind in AT_ONE_TIME]
        todo.sort(key=lambda action: (action.time_ns, AT_ONE_TIME.index(action.kind)))
        for chunk in stream:
            for ns, cpu, tid, irq, op, args in zip(
                chunk.time_ns.tolist(),
                chunk.cpu.tolist(),
                chunk.tid.tolist(),
                chunk.irq.tolist(),
                chunk.op.tolist(),
                chunk.args,
                strict=True,
            ):
                while todo and (todo[0].time_ns < ns or (todo[0].time_ns == ns and todo[0].kind in BEGINS)):
                    self.act(todo.pop(0))
                event = Event(ns, cpu, tid, Op(op), args.tolist(), IrqContext(irq))
                # What an interrupt does is not done by the task that it interrupts.
                event.attempting = tid in self.attempts and not event.interrupt
                event.isolating = tid in (*self.attempts, *self.windows, *self.background) and not event.interrupt
                self.apply(event)
        for action in todo:
            self.act(action)

    def apply(self, event: Event) -> None:
        """One event."""
        args, op = event.args, event.op
        pfn, order = args[PFN], args[ORDER]
        if op is Op.ALLOC and pfn < 0:
            self.failed_allocs.append((event.ns, event.tid, order, event.flags))
        elif not 0 <= pfn < END_PFN or (not 0 <= order <= MAX_ORDER and op not in PTES):
            return
        elif op in PTES:
            self.migration_entry(op, self.head_of(pfn))
        elif Op.REF_SET <= op <= Op.REF_UNFREEZE:
            self.reference(event, pfn, self.pages[pfn])
        elif op is Op.ALLOC:
            for number in range(pfn, pfn + (1 << order)):
                self.allocate(event, self.pages[number], order, event.flags)
        elif op in FREES:
            for number in range(pfn, pfn + (1 << order)):
                self.free(event, self.pages[number], FREES[op], order)
        elif op is Op.CACHE_ADD:
            for offset in range(1 << order):
                if order:
                    self.pages[pfn + offset].state, self.pages[pfn + offset].order = State.ALLOCATED, order
                self.add_to_cache(self.pages[pfn + offset], args[RET], args[MAPPING], args[VAL] + offset)
        elif op is Op.CACHE_DELETE and not self.pages[pfn].is_(Mark.COUNT_KNOWN):
            self.pages[pfn].marks &= ~Mark.FILE  # else its reference events show it more exactly

    # -- lives -----------------------------------------------------------------------------------------------------

    def end_suspects(self, page: Page, event: Event) -> None:
        """It was freed or moved away: it is in no one's way."""
        for suspect in page.suspects:
            suspect.end_ns, suspect.end_tid = event.ns, event.tid
        page.suspects = []

    def end_life(self, page: Page, event: Event) -> None:
        """References are gone, nothing of it stands in the way; what the watch saw outlives the life."""
        self.end_suspects(page, event)
        ledger.close_all(page, event)
        page.marks &= WINDOW
        page.file, page.index, page.min_excess = None, -1, NO_EXCESS

    def begin_life(self, page: Page, event: Event, order: int) -> None:
        """It left the free lists, by whom is not said."""
        self.end_life(page, event)
        page.state, page.order = State.ALLOCATED, order
        page.count, page.mapcount, page.page_flags = 1, -1, 0
        page.alloc_ns, page.alloc_tid, page.gfp = event.ns, -1, 0
        page.marks |= Mark.ALLOCATED_SINCE_WATCH

    def allocate(self, event: Event, page: Page, order: int, gfp: int) -> None:
        """mm_page_alloc. The page_ref_set of the same allocation may have come just before: its count holds."""
        just_set = page.state is State.ALLOCATED and page.alloc_tid == -1 and not page.refs and page.count == 1
        counted = page.marks & Mark.COUNT_KNOWN if just_set else 0
        self.begin_life(page, event, order)
        page.alloc_tid, page.gfp = event.tid, gfp
        page.marks |= Mark.ALLOC_SEEN | counted

    def free(self, event: Event, page: Page, state: State, order: int) -> None:
        """It is on a free list."""
        self.end_life(page, event)
        page.state, page.order = state, order
        page.count, page.mapcount, page.page_flags = 0, -1, 0

    # -- files -----------------------------------------------------------------------------------------------------

    def add_to_cache(self, page: Page, dev: int, ino: int, index: int) -> None:
        """The page holds this part of this file."""
        page.file = self.files.setdefault((ino, dev + 1), FileId(dev, ino))
        page.index = int32(index)
        page.marks = (page.marks | Mark.FILE) & ~(Mark.ANON | Mark.HASHED | Mark.MAPPING_KNOWN | Mark.GUESSED)

    def learn_mapping(self, page: Page, mapping: int) -> None:
        """page->mapping: bit 0 = anonymous, bit 1 = movable_ops, else the page cache of a file."""
        if page.is_(Mark.MAPPING_KNOWN) or mapping == 0:
            return
        if 0 < mapping < 1 << 32:
            self.learn_hashed(page)
        elif mapping & 1:
            page.marks = (page.marks | Mark.ANON | Mark.MAPPING_KNOWN) & ~(Mark.FILE | Mark.GUESSED)
        elif not mapping & 2:
            page.marks = (page.marks | Mark.FILE | Mark.MAPPING_KNOWN) & ~(Mark.ANON | Mark.GUESSED)
            if page.file is None:
                page.file = self.files.setdefault((mapping, 0), FileId(-1, -1))
            else:
                self.files[mapping, 0] = page.file

    def learn_hashed(self, page: Page) -> None:
        """A guess from a hashed pointer: anonymous pages get mapping and first rmap at once, file pages do not.

        Of a page that was in use before its first event neither is known.
        """
        if page.is_(Mark.ANON, Mark.FILE, Mark.HASHED):
            return
        if not page.is_(Mark.COUNT_KNOWN):
            page.marks |= Mark.HASHED
        else:
            page.marks |= Mark.GUESSED | (Mark.ANON if page.mapcount >= 0 or page.order > 0 else Mark.FILE)

    def correct_guess(self, page: Page) -> None:
        """A mapped page with fewer references than its mappings and the page cache would hold is in no page cache.

        That is no guess any more. The excess of a page of a file was one too low.
        """
        mappings = page.mapcount + 1
        if not page.is_(Mark.GUESSED) or page.file is not None or self.bits.is_large(page):
            return
        if mappings > 0 and 0 < page.count < mappings + 1:
            if page.is_(Mark.FILE):
                page.min_excess = NO_EXCESS
            page.marks = (page.marks | Mark.ANON) & ~(Mark.FILE | Mark.GUESSED)

    # -- references ------------------------------------------------------------------------------------------------

    def reference(self, event: Event, pfn: int, page: Page) -> None:
        """A page_ref event. A refused get or freeze changed nothing and tells nothing."""
        op, args = event.op, event.args
        if op in (Op.REF_MOD_UNLESS, Op.REF_FREEZE) and args[RET] == 0:
            return
        if op is Op.REF_SET:
            self.set_count(event, pfn, page)
            return
        if page.state is not State.ALLOCATED:
            self.appear(event, page)
        change = args[VAL] if op in CHANGING else 0
        was_counted, was_on_lru = page.is_(Mark.COUNT_KNOWN), self.bits.has(page.page_flags, FlagMask.LRU)
        was_cached, old_mapcount = page.is_(Mark.FILE), page.mapcount
        new_mappings = self.read_page(page, pfn, args, change)
        uncached = was_cached and was_counted and args[MAPPING] == 0
        if op in (Op.REF_FREEZE, Op.REF_UNFREEZE):
            self.freeze(event, pfn, page)
            return
        if op is Op.REF_MOD_UNLESS and event.attempting:
            page.marks |= Mark.ISOLATED
            if not self.bits.has(page.page_flags, FlagMask.LRU) and not page.is_(Mark.TAKEN_OFF_LRU):
                page.marks &= ~Mark.ON_LRU
        # An unmap takes its mapping away together with its count, truncation the cache's reference: the excess before
        # is the one after. Neither is done in an interrupt.
        pins = not self.bits.is_large(page)  # a large folio counts its pins apart
        pinned = pins and -change >= ledger.PIN_BIAS
        unmap = change < 0 and (new_mappings < 0 or uncached) and not event.interrupt and not pinned
        self.became_mappings(event, page, new_mappings)
        before = ledger.excess(self.bits, page, 0 if unmap else change)
        ledger.end_stale(self.bits, page, event, before)
        if change < 0 and not unmap:
            now_on_lru = self.bits.has(page.page_flags, FlagMask.LRU)
            ledger.give_back(page, event, -change, was_counted and now_on_lru and not was_on_lru, pins)
        elif unmap:
            ledger.unmap_or_put(page, event, old_mapcount, new_mappings)
        ledger.note_visit(self.bits, page, event)
        if change > 0:
            ledger.take(self.bits, page, pfn, event, change, before)
        if op is Op.REF_MOD and args[VAL] == 0 and page.mapcount > TYPED_TOP and new_mappings <= 0:
            ledger.fault_maps(page, event)
            page.mapcount += 1
        self.judge_excess(event, page, before, change, new_mappings < 0)

    def set_count(self, event: Event, pfn: int, page: Page) -> None:
        """page_ref_set: begin of a life; of a folio just allocated its first count, else its split."""
        just_allocated = page.is_(Mark.ALLOC_SEEN) and not page.is_(Mark.COUNT_KNOWN) and pfn % (1 << page.order) == 0
        if page.state is not State.ALLOCATED:
            self.begin_life(page, event, 0)
        elif not just_allocated:
            self.split(pfn, page.order)
        page.count = int32(event.args[COUNT])
        page.marks |= Mark.COUNT_KNOWN

    def appear(self, event: Event, page: Page) -> None:
        """In use although no allocation was seen; an unfrozen one was made by a split or a migration."""
        if event.op is Op.REF_UNFREEZE:
            self.begin_life(page, event, 0)
        elif page.state is not State.UNSEEN:
            self.end_life(page, event)
        page.state, page.order = State.ALLOCATED, 0
        page.marks &= ~Mark.COUNT_KNOWN

    def read_page(self, page: Page, pfn: int, args: Sequence[int], change: int) -> int:
        """Take over what the event read of the page; returns by how much its mapcount grew, 0 = unknown."""
        known = page.is_(Mark.COUNT_KNOWN)
        if change:
            conflict = known and args[COUNT] - change != page.count
            page.marks = page.marks | Mark.CONFLICT if conflict else page.marks & ~Mark.CONFLICT
        typed = args[MAPCOUNT] < -128
        was_typed = page.mapcount <= TYPED_TOP
        mapcount = TYPED_MAPCOUNT + page_type(args[MAPCOUNT]) if typed else min(args[MAPCOUNT], MOST_MAPPINGS)
        grown = mapcount - page.mapcount if known and not typed and not was_typed else 0
        page.count, page.mapcount, page.page_flags = int32(args[COUNT]), mapcount, args[FLAGS] & 0xFFFFFFFF
        if page.order and (pfn % (1 << page.order) or self.head_is_gone(page)):
            self.split(pfn, page.order)  # only heads have references of their own
        self.learn_mapping(page, args[MAPPING])
        if known and args[MAPPING] == 0:
            page.marks &= ~Mark.FILE  # taken out of the cache
        page.marks |= Mark.COUNT_KNOWN | (Mark.TYPED if typed else 0)
        if self.bits.has(page.page_flags, FlagMask.LRU):
            page.marks |= Mark.ON_LRU
        if not typed:
            self.correct_guess(page)
        return grown

    def split(self, pfn: int, order: int) -> None:
        """Each page of the folio stands for itself."""
        start = pfn & -(1 << order)
        for number in range(start, start + (1 << order)) if order else ():
            if self.pages[number].order == order:
                self.pages[number].order = 0

    def head_of(self, pfn: int) -> Page:
        """The first page of the folio that this page belongs to; the page itself where that is another's."""
        page = self.pages[pfn]
        head = self.pages[pfn & -(1 << page.order)]
        return head if head.order == page.order else page

    def head_is_gone(self, page: Page) -> bool:
        """Whether the kernel has PG_head and this page does not."""
        return bool(self.bits.known[FlagMask.HEAD]) and not self.bits.has(page.page_flags, FlagMask.HEAD)

    def freeze(self, event: Event, pfn: int, page: Page) -> None:
        """Count to 0 or back. A hugetlb page is frozen in the pool and unfrozen for the task that is to map it."""
        if page.mapcount <= TYPED_TOP:
            ledger.close_all(page, event)
            if event.op is Op.REF_UNFREEZE:
                page.refs.append(ledger.new_ref(event, pfn, event.args[VAL], RefKind.MOD, NO_EXCESS, on_lru=True))
        if event.op is Op.REF_FREEZE and event.isolating:
            page.marks |= Mark.FROZEN
            self.end_suspects(page, event)

    def became_mappings(self, event: Event, page: Page, mappings: int) -> None:
        """New mappings have no event of their own: references became them."""
        for _ in range(mappings):
            if not ledger.one_becomes_mapping(page, event):
                return

    def judge_excess(self, event: Event, page: Page, before: int, change: int, fewer_mappings: bool) -> None:
        """What the excess now says of the open references and of the suspects.

        Tasks that exit unmap a page-cache page first and put it later: meanwhile an excess confirms no reference.
        """
        after = ledger.excess(self.bits, page)
        comes = event.op is Op.REF_MOD_UNLESS and event.attempting
        page.min_excess = after if comes else min(page.min_excess, after)
        exiting = fewer_mappings and page.is_(Mark.FILE)
        if 0 < after < NO_EXCESS and change <= 0 and not exiting:
            ledger.confirm(page, event, after)
        for suspect in page.suspects:
            self.settle(suspect, page, event, before, after)

    def settle(self, suspect: Suspect, page: Page, event: Event, before: int, after: int) -> None:
        """What the event tells of the time since the probe."""
        if suspect.no_event_since_probe:
            suspect.no_event_since_probe, suspect.post_ns, suspect.post_flags = False, event.ns, page.page_flags
            smallest = min(suspect.min_excess, before)
            if smallest != NO_EXCESS:
                suspect.confirmed = max(suspect.confirmed, smallest)
        if suspect.clear_ns is None and after <= 0:
            suspect.clear_ns, suspect.clear_tid, suspect.clear_irq = event.ns, event.tid, event.irq
        if suspect.unlock_ns is None and not self.bits.has(page.page_flags, FlagMask.LOCKED):
            suspect.unlock_ns = event.ns
        if suspect.written_ns is None and not self.bits.has(page.page_flags, FlagMask.WRITEBACK):
            suspect.written_ns = event.ns

    def migration_entry(self, op: Op, page: Page) -> None:
        """An entry set and then restored on the same pfn: migration failed."""
        if op is Op.SET_MIGRATION_PTE:
            page.marks |= Mark.MIGRATION_ENTRY
        elif page.is_(Mark.MIGRATION_ENTRY):
            page.marks = (page.marks | Mark.RESTORED) & ~Mark.MIGRATION_ENTRY

    # -- questions -------------------------------------------------------------------------------------------------

    def act(self, action: ReplayAction) -> None:
        """One action."""
        known = [] if action.tid is None else [action.tid]
        if action.kind is ActionKind.ISOLATE:
            self.windows += known
        elif action.kind in (ActionKind.UNWATCH, ActionKind.ISOLATE_END):
            begun = self.attempts if action.kind is ActionKind.UNWATCH else self.windows
            if action.tid in begun:
                begun.remove(action.tid)
        elif action.kind is ActionKind.WATCH:
            self.attempts += known
            for page in self._seen(action):
                page.marks &= LIFE_MARKS
                page.min_excess = ledger.excess(self.bits, page)
        elif action.kind is ActionKind.TAKE:
            for page in self._seen(action):
                fresh = page.state is State.ALLOCATED and page.alloc_tid == -1
                if not fresh or page.is_(Mark.ANON, Mark.FILE):
                    self.begin_life(page, Event(action.time_ns, 0, -1, Op.NONE, []), 0)
        elif action.kind is ActionKind.PROBE:
            named_pfn = action.named_pfn if action.named_file is None else self.find_file(action, *action.named_file)
            for start, end in action.spans:
                self.probe(action, start, end, named_pfn)

    def _seen(self, action: ReplayAction) -> list[Page]:
        return [self.pages[pfn] for start, end in action.spans for pfn in range(start, end)]

    def find_file(self, action: ReplayAction, ino: int, index: int) -> int:
        """The page of the spans that holds this part of this file, -1 = none."""
        for start, end in action.spans:
            for pfn in range(start, end):
                page = self.pages.get(pfn, Page())
                held = page.state is State.ALLOCATED and page.file is not None and page.file.ino == ino
                if held and page.index == index:
                    return pfn
        return -1

    def probe(self, action: ReplayAction, start: int, end: int, named_pfn: int) -> None:
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
            probed = Probed(page, self.bits, pfn < action.visited_end_pfn, head <= named_pfn <= last)
            found = self.rules.reasons(probed)
            if found:
                self.note(action, page, head, found)
            pfn = last + 1

    def note(self, action: ReplayAction, page: Page, head: int, found: int) -> None:
        """The suspect row of this attempt and page, brought up to date."""
        known = [suspect for suspect in page.suspects if suspect.attempt == action.attempt]
        suspect = known[0] if known else Suspect(head, action.attempt, action.time_ns)
        if not known:
            page.suspects.append(suspect)
            self.suspects.append(suspect)
        kept = VISIT_MARKS | (Mark.ON_LRU if suspect.no_event_since_probe else 0)
        visited = suspect.marks & kept
        suspect.last_ns, suspect.no_event_since_probe, suspect.reasons = action.time_ns, True, suspect.reasons | found
        suspect.min_excess, suspect.isolation_refs = page.min_excess, page.held(RefKind.ISOLATION)
        for name in AS_PROBED:
            setattr(suspect, name, getattr(page, name))
        suspect.marks |= visited
        suspect.claims += [ref for ref in reversed(page.refs) if ref not in suspect.claims]
