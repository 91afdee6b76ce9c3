"""Streams as a kernel would emit them for a few pages: lists of steps, carried out on a small model of those pages.

A step is (what, page, task, number): easy to draw, to shrink and to print. The model keeps the count, the mapcount and
the flags true, so that events agree with each other; `lose` and `skew` make traces lie as real ones do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from tests.support.replay_twin import ANON_MAPPING, FILE_MAPPING, Entry, entry, flags, present_pte, stream, swap_pte
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.state import Mark, State
from tracereplay.schema import IrqContext, Op, PageStream

FIRST, PAGES = 4, 4
SPAN = ((FIRST, FIRST + PAGES),)
DRIVER, KSWAPD, APP, OTHER = 9, 5, 7, 8
TASKS = (APP, OTHER, APP, OTHER, DRIVER, KSWAPD)
HUGETLB, OFFLINE, GUARD = -0x0B000001, -1 & ~0x100, -1 & ~0x400  # _mapcount of 6.12 and of 6.11
HASHED, MOVABLE_OPS = 0x199B80D9, FILE_MAPPING + 2
# A page as kpageflags shows it before the trace: a read that has not ended, and writeback.
SEEDED = {"state": State.ALLOCATED, "marks": int(Mark.FILE), "page_flags": flags("locked", "writeback")}

Step = tuple[str, int, int, int]


@dataclass(slots=True)
class TruePage:
    """What the kernel knows of a page."""

    pfn: int
    count: int = 0
    mapcount: int = -1
    order: int = 0
    mapping: int = 0
    flags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a replay gets."""

    entries: tuple[Entry, ...]
    actions: tuple[ReplayAction, ...]
    seeded: bool

    @property
    def chunk(self) -> PageStream:
        """The entries as a page stream (a new one each time: the replay decodes it in place)."""
        return stream(self.entries)


class Machine:
    """Carries out steps; `entries` and `actions` are the trace and what is asked of it."""

    def __init__(self) -> None:
        self.pages = [TruePage(FIRST + at) for at in range(PAGES)]
        self.entries: list[Entry] = []
        self.actions: list[ReplayAction] = []
        self.ns = 0
        self.losing = 0
        self.context, self.in_context = IrqContext.TASK, 0
        self.windows: list[int] = []  # of tasks that isolate now
        self.attempt = 0

    def do(self, step: Step) -> None:
        """One step."""
        what, at, task, number = step
        self.ns += number % 3  # sometimes at the time of the one before
        page = self.pages[at % PAGES]
        STEPS[what](self, page, TASKS[task % len(TASKS)], number)

    def emit(self, tid: int, op: Op, page: TruePage, cpu: int = 0, **args: int) -> None:
        """An event, unless it is lost."""
        if self.losing:
            self.losing -= 1
            return
        irq = self.context if self.in_context else IrqContext.TASK
        self.in_context = max(self.in_context - 1, 0)
        self.entries.append(entry(self.ns, tid, op, page.pfn, cpu=cpu, irq=irq, **args))

    def ref(self, tid: int, op: Op, page: TruePage, val: int, ret: int = 1) -> None:
        """A reference event, its count read after the change."""
        self.emit(
            tid, op, page, cpu=tid % 2, val=val, count=page.count, mapcount=page.mapcount, ret=ret,
            mapping=page.mapping, flags=flags(*page.flags),
        )  # fmt: skip

    def change(self, tid: int, op: Op, page: TruePage, val: int) -> None:
        """References taken or given back."""
        page.count += val
        self.ref(tid, op, page, val)


def alloc(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """page_ref_set and mm_page_alloc; without page_ref events, or as part of a folio, now and then."""
    order = (0, 0, 0, 1, 2)[number % 5]
    head = machine.pages[(page.pfn - FIRST) & -(1 << order)]
    for sub in machine.pages[head.pfn - FIRST : head.pfn - FIRST + (1 << order)]:
        sub.count, sub.mapcount, sub.order, sub.mapping, sub.flags = int(sub is head), -1, order, 0, set()
    if order:
        head.flags.add("head")
    if number % 4:
        machine.emit(tid, Op.REF_SET, head, val=1, count=1, mapcount=-1)
    machine.emit(tid, Op.ALLOC, head, order=order, flags=8 if number % 3 else 0)


def free(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """Freed, drained, or taken from the buddy lists."""
    op = (Op.FREE, Op.FREE, Op.PCP_DRAIN, Op.BUDDY_TAKE)[number % 4]
    page.count, page.mapcount, page.mapping, page.flags = 0, -1, 0, set()
    machine.emit(tid, op, page, order=page.order if page.pfn % (1 << page.order) == 0 else 0, ret=1)
    page.order = 0


def anon(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """An anonymous fault: mapped at once, on an LRU batch; of kernel text the mapping is hashed."""
    page.mapping, page.mapcount = (HASHED if number % 4 == 0 else ANON_MAPPING), page.mapcount + 1
    page.flags |= {"uptodate", "swapbacked"}
    machine.change(tid, Op.REF_MOD, page, 1)


def cache(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """Into the page cache, not read yet; where the mapping is hashed, mm_filemap is not traced either."""
    page.mapping = (FILE_MAPPING, FILE_MAPPING + 64, HASHED, MOVABLE_OPS)[number % 4]
    page.flags |= {"locked"} if number % 3 else {"uptodate"}
    if page.mapping != HASHED:
        machine.emit(tid, Op.CACHE_ADD, page, mapping=number % 2 + 1, val=number % 3, ret=5)
    machine.change(tid, Op.REF_MOD, page, 1)


def uncache(machine: Machine, page: TruePage, tid: int, _number: int) -> None:
    """Out of the page cache."""
    page.mapping = 0
    machine.emit(tid, Op.CACHE_DELETE, page, mapping=1, ret=5)
    machine.change(tid, Op.REF_MOD, page, -1)


def drain(machine: Machine, page: TruePage, tid: int, _number: int) -> None:
    """lru_add_drain(): onto the LRU, and the batch's reference is dropped."""
    page.flags.add("lru")
    machine.change(tid, Op.REF_MOD_AND_TEST, page, -1)


def get(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """A reference is taken, by either way, or refused."""
    if number % 8 == 0:
        machine.ref(tid, Op.REF_MOD_UNLESS, page, 1, ret=0)
    else:
        machine.change(tid, Op.REF_MOD_UNLESS if number % 4 else Op.REF_MOD, page, 1 + (number % 11 == 0))


def put(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """A reference is given back, by its taker or another."""
    machine.change(tid, Op.REF_MOD_AND_RETURN if number % 5 == 0 else Op.REF_MOD_AND_TEST, page, -1)


def pin(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """FOLL_PIN in one, in the two halves of a fast pin, or given back."""
    if number % 3 == 0:
        machine.change(tid, Op.REF_MOD_UNLESS, page, 1)
        machine.change(tid, Op.REF_MOD, page, 1023)
    else:
        machine.change(tid, Op.REF_MOD if number % 3 == 1 else Op.REF_MOD_AND_TEST, page, 1024 * (3 - 2 * (number % 3)))


def isolate(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """Taken off the LRU by a task that isolates, or put back (in a batch that takes a reference of its own, or not)."""
    isolator = tid if tid in (KSWAPD, *machine.windows) else DRIVER
    if number % 3 == 0:
        page.flags.add("lru")
        machine.change(isolator, Op.REF_MOD_AND_TEST, page, -1)
    else:
        if number % 3 == 2:
            page.flags.add("lru")
        machine.change(isolator, Op.REF_MOD_UNLESS, page, 1)
        page.flags.discard("lru")
        if number % 3 == 2:
            machine.change(isolator, Op.REF_MOD, page, 1)


def map_(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """One more mapping: a fork, a fault that keeps its get (val 0), or one without an event of its own."""
    if number % 3 == 0:
        page.mapcount += 1
        machine.change(tid, Op.REF_MOD, page, 1)
    elif number % 3 == 1:
        machine.change(tid, Op.REF_MOD_UNLESS, page, 1)
        machine.ref(tid, Op.REF_MOD, page, 0)
        page.mapcount += 1
    else:
        machine.change(tid, Op.REF_MOD_UNLESS, page, 1)
        page.mapcount += 1


def unmap(machine: Machine, page: TruePage, tid: int, _number: int) -> None:
    """One mapping less, its reference with it."""
    page.mapcount = max(page.mapcount - 1, -1)
    machine.change(tid, Op.REF_MOD_AND_TEST, page, -1)


def freeze(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """A migration freezes the count, is refused, or unfreezes it on another page."""
    if number % 3 == 0:
        machine.ref(tid, Op.REF_FREEZE, page, page.count, ret=0)
    elif number % 3 == 1:
        val, page.count = page.count, 0
        machine.ref(tid, Op.REF_FREEZE, page, val)
    else:
        page.count = 1 + number % 2
        machine.ref(tid, Op.REF_UNFREEZE, page, page.count)


def frozen(machine: Machine, page: TruePage, _tid: int, number: int) -> None:
    """Somebody holds the page when an attempt begins, which asks while reclaim or a split has the count frozen."""
    get(machine, page, APP, 1)
    ask(machine, page, DRIVER, 0)
    freeze(machine, page, OTHER, 1)
    ask(machine, page, DRIVER, 1 + number % 3)


def migrate(machine: Machine, page: TruePage, _tid: int, number: int) -> None:
    """An attempt isolates the page and moves it away; it is freed later, or its free is not seen."""
    page.flags.discard("lru")
    machine.change(DRIVER, Op.REF_MOD_UNLESS, page, 1)
    freeze(machine, page, DRIVER, 1)
    if number % 2:
        free(machine, page, DRIVER, 0)


def arrive(machine: Machine, page: TruePage, _tid: int, number: int) -> None:
    """An anonymous page is migrated here, in kernel text: the hashed mapping is seen before the first rmap."""
    alloc(machine, page, DRIVER, 5 + number % 2 * 5)
    page.mapping, page.order = HASHED, 0
    machine.change(DRIVER, Op.REF_MOD, page, 1)
    page.mapcount = 0
    machine.change(DRIVER, Op.REF_MOD_AND_TEST, page, -1)


def type_(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """A page type in the place of the mapcount; a hugetlb page that leaves the pool."""
    page.mapcount = (HUGETLB, OFFLINE, GUARD, -1)[number % 4]
    page.count = number % 3
    machine.ref(tid, Op.REF_UNFREEZE if page.mapcount == HUGETLB else Op.REF_MOD, page, page.count or 1)


def flag(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """A flag is set or cleared; a get of somebody shows it."""
    names = ("locked", "uptodate", "writeback", "private", "owner_priv_1", "lru", "head", "uptodate")
    page.flags ^= {names[number % 8]}
    machine.change(tid, Op.REF_MOD_UNLESS, page, 1)
    machine.change(tid, Op.REF_MOD_AND_TEST, page, -1)


def migration_entry(machine: Machine, page: TruePage, tid: int, number: int) -> None:
    """Set, and then restored, here or elsewhere."""
    machine.emit(tid, Op.SET_MIGRATION_PTE, page, mapping=swap_pte(page.pfn))
    if number % 3:
        machine.emit(tid, Op.REMOVE_MIGRATION_PTE, page, mapping=present_pte(page.pfn + number % 3 - 1))


def ask(machine: Machine, page: TruePage, _tid: int, number: int) -> None:
    """An attempt begins, looks for what stands in its way, or ends; a range is allocated."""
    kinds = (
        ActionKind.WATCH,
        ActionKind.PROBE,
        ActionKind.PROBE,
        ActionKind.PROBE,
        ActionKind.UNWATCH,
        ActionKind.TAKE,
    )
    kind = kinds[number % len(kinds)]
    spans = SPAN if kind is not ActionKind.TAKE else ((page.pfn, page.pfn + 1),)
    question = ReplayAction(machine.ns, kind, machine.attempt, spans, DRIVER, visited_end_pfn=page.pfn + number % 2)
    if kind is ActionKind.PROBE and number % 5 == 0:
        question = replace(question, named_pfn=page.pfn)
    if kind is ActionKind.PROBE and number % 5 == 1:
        question = replace(question, named_file=(1, number % 3))
    if kind is ActionKind.WATCH:
        machine.attempt += 1
        question = replace(question, attempt=machine.attempt)
    machine.actions.append(question)


def watch(machine: Machine, page: TruePage, tid: int, _number: int) -> None:
    """An attempt begins."""
    ask(machine, page, tid, 0)


def window(machine: Machine, _page: TruePage, tid: int, number: int) -> None:
    """A task begins to isolate pages for no attempt, or ends; now and then an end comes without a begin."""
    begins = tid not in machine.windows if number % 4 else number % 8 == 0
    if begins:
        machine.windows.append(tid)
    elif tid in machine.windows:
        machine.windows.remove(tid)
    kind = ActionKind.ISOLATE if begins else ActionKind.ISOLATE_END
    machine.actions.append(ReplayAction(machine.ns, kind, number, (), tid))


def interrupt(machine: Machine, _page: TruePage, _tid: int, number: int) -> None:
    """The next events are those of an interrupt, or it is not told whether they are."""
    machine.context = IrqContext.UNKNOWN if number % 3 == 0 else IrqContext.INTERRUPT
    machine.in_context = 1 + number % 4


def lose(machine: Machine, _page: TruePage, _tid: int, number: int) -> None:
    """The next events are not in the trace."""
    machine.losing = number % 3


def skew(machine: Machine, _page: TruePage, _tid: int, _number: int) -> None:
    """The clocks of two CPUs differ: the last two events stand in the wrong order."""
    if len(machine.entries) > 1:
        *rest, older, newer = machine.entries
        machine.entries = [*rest, (older[0], *newer[1:]), (newer[0], *older[1:])]


STEPS: dict[str, Callable[[Machine, TruePage, int, int], None]] = {
    "alloc": alloc, "free": free, "anon": anon, "cache": cache, "uncache": uncache, "drain": drain, "get": get,
    "put": put, "pin": pin, "isolate": isolate, "map": map_, "unmap": unmap, "freeze": freeze,
    "frozen": frozen, "migrate": migrate, "arrive": arrive, "type": type_, "flag": flag,
    "migration_entry": migration_entry, "ask": ask, "watch": watch,
    "window": window, "interrupt": interrupt, "lose": lose, "skew": skew,
}  # fmt: skip
# What is frequent in a trace, or has to come several times before it matters.
FREQUENT = ("alloc", "anon", "cache", "get", "get", "put", "put", "isolate", "flag", "ask", "ask", "watch", "interrupt")
CHOICES = (*STEPS, *FREQUENT)


def played(steps: list[Step], seeded: bool = False) -> Scenario:
    """The steps carried out."""
    machine = Machine()
    for step in steps:
        machine.do(step)
    return Scenario(tuple(machine.entries), tuple(machine.actions), seeded)


def random_scenario(seed: int) -> Scenario:
    """One of a fixed row of scenarios: 2 to 4 pages, up to 60 steps."""
    random = Random(seed)
    pages = random.randint(2, PAGES)
    steps = [
        (random.choice(CHOICES), PAGES - 1 - random.randrange(pages), random.randrange(60), random.randrange(240))
        for _ in range(random.randint(10, 60))
    ]
    return played(steps, seeded=seed % 3 == 0)
