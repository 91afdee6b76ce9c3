"""Drives the replay: feeds the page stream to the kernels, asks the questions at their times, keeps the tables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tracereplay.layout.spans import Spans
from tracereplay.losses import Loss
from tracereplay.replay import state as st
from tracereplay.replay.file_kernels import SLOTS_PER_KEY, set_file_slot
from tracereplay.replay.inventory_kernels import list_cached
from tracereplay.replay.ledger_kernels import Memory
from tracereplay.replay.migration_entries import decode_ptes
from tracereplay.replay.occupancy import StateCounts
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.probe_kernels import excess_at, probe, watch
from tracereplay.replay.probed_kernels import replay_all
from tracereplay.replay.range_kernels import take_range
from tracereplay.replay.range_snapshots import RangeSnapshots
from tracereplay.replay.replay_kernels import missing_sections
from tracereplay.replay.zeroed_kernels import probe_zeroed
from tracereplay.schema import PageStream

RANGE_PAGES_LIMIT = 1 << 22  # 16 GiB of 4 KiB pages: no CMA allocation is larger
MOST_CONFLICTS = 1 << 12  # pages kept whose counts contradict each other


class ActionKind(IntEnum):
    """What the engine does between two events."""

    WATCH = 0  # an attempt begins: watch its spans, its task isolates
    PROBE = 1  # which pages block migration now?
    UNWATCH = 2  # the attempt ends
    TAKE = 3  # its spans were allocated as a range (cma_alloc_finish)
    COUNT = 4  # how many pages of its spans are in which state? `attempt` is the asker's own number
    SNAPSHOT = 5  # which page of its spans is in which state?
    ISOLATE = 6  # its task begins to isolate pages, for no attempt that is watched
    ISOLATE_END = 7  # and ends


# Before the events of their time stamp; all others come after them.
BEFORE_EVENTS = frozenset({ActionKind.WATCH, ActionKind.ISOLATE})
AT_ONE_TIME = (
    ActionKind.UNWATCH, ActionKind.ISOLATE_END, ActionKind.WATCH, ActionKind.ISOLATE, ActionKind.TAKE,
    ActionKind.PROBE, ActionKind.SNAPSHOT, ActionKind.COUNT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReplayAction:
    """What the engine does at `time_ns`: before the events of that time stamp if in BEFORE_EVENTS, else after them."""

    time_ns: int
    kind: ActionKind
    attempt: int
    spans: Spans = ()
    tid: int | None = None
    visited_end_pfn: int = 0
    named_pfn: int = -1
    named_file: tuple[int, int] | None = None  # (ino, page index): the page to name where only its file is known
    number: int = 0  # SNAPSHOT: the number that its requester gave it
    ignore_budget: bool = False  # SNAPSHOT: take it, whatever it costs
    zeroed: bool = False  # PROBE: note what looks like secret memory too, whether or not the attempt came to it
    taken: Spans = ()  # COUNT: parts that were allocated as ranges before, to be distinguished
    inventory: bool = False  # PROBE: no attempt has tried the pages, so list what one might meet in the page cache too


ABSENT, REFUSED = -1, -2  # in place of a section's row: not there yet, and never to be


def _sections_limit() -> int:
    """Sections that half of this machine's memory holds: a damaged trace may name any page there could be."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(int(memory_bytes) // 2 // (st.PAGE.itemsize << st.SECTION_BITS), 16)


FLAG_NAMES: Mapping[FlagMask, str] = {
    FlagMask.LOCKED: "locked",
    FlagMask.UPTODATE: "uptodate",
    FlagMask.WRITEBACK: "writeback",
    FlagMask.SWAPBACKED: "swapbacked",
    FlagMask.HEAD: "head",
    FlagMask.LRU: "lru",
}
# PG_swapcache is an alias of PG_owner_priv_1 (include/linux/page-flags.h, 4.19 to 6.12); other kernels print its name.
SWAPCACHE_NAMES = ("owner_priv_1", "swapcache")
# page_has_private(): one of them stands for a reference (PG_private_2: fscache, netfs; of btrfs beside the other).
PRIVATE_NAMES = ("private", "private_2")


def flag_masks(bits: Mapping[str, int] | None) -> npt.NDArray[np.int64]:
    """Masks by FlagMask from a kernel's flag bit numbers by name; 0 for flags it does not have."""
    masks = np.zeros(len(FlagMask), np.int64)
    for flag, name in FLAG_NAMES.items():
        if bits and name in bits:
            masks[flag] = 1 << bits[name]
    for flag, names in ((FlagMask.SWAPCACHE, SWAPCACHE_NAMES), (FlagMask.PRIVATE, PRIVATE_NAMES)):
        for name in names:
            if bits and name in bits:
                masks[flag] |= 1 << bits[name]
    return masks


def _isolators(background: Collection[int], active: Collection[int]) -> npt.NDArray[np.int32]:
    """int32[n, 2] for the kernels: each task that isolates, and whether it does so for an attempt."""
    rows = [(tid, tid in active) for tid in sorted({*background, *active})]
    return np.array(rows, np.int32).reshape(-1, 2)


@dataclass(slots=True)
class Engine:
    """The modelled memory of one machine. Feed it streams in time order; ask `pages`, or read the tables at the end.

    page_flag_bits -- bit numbers of page flags by name; machine -- uname machine, for page table entries;
    background_isolators -- tasks that isolate pages all the time (kcompactd, kswapd); blocking_types -- a page of such
    a type is a suspect by that alone.
    """

    page_flag_bits: Mapping[str, int] | None = None
    machine: str | None = None
    background_isolators: Sequence[int] = ()
    actions: Sequence[ReplayAction] = ()
    sections_limit: int = field(default_factory=_sections_limit)
    blocking_types: Collection[st.PageType] = ()
    time_ns: int | None = None
    uncounted: dict[int, int] = field(default_factory=dict, init=False)  # by attempt of an inventory's probe
    counts: StateCounts = field(init=False)
    range_snapshots: RangeSnapshots = field(init=False)
    _mem: Memory = field(init=False)
    _isolating: Counter[int] = field(default_factory=Counter, init=False)  # windows open now, by the task that isolates
    _watched: Counter[int] = field(default_factory=Counter, init=False)  # attempts watched now, by their task
    _next_action: int = field(default=0, init=False)
    _slots: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        rank = {kind: (kind not in BEFORE_EVENTS, place) for place, kind in enumerate(AT_ONE_TIME)}
        self.actions = sorted(self.actions, key=lambda action: (action.time_ns, rank[action.kind]))
        planned = Counter(action.kind for action in self.actions)
        self.counts, self.range_snapshots = (
            StateCounts(planned[ActionKind.COUNT]),
            RangeSnapshots(planned[ActionKind.SNAPSHOT]),
        )
        tables = {name: np.zeros(256, dtype) for name, dtype in st.TABLE_DTYPES.items()}
        self._mem = Memory(
            pages=st.blank_pages(0),
            sections=np.full(1, -1, np.int32),
            refs=tables["refs"],
            suspects=tables["suspects"],
            claims=tables["claims"],
            files=tables["files"],
            file_slots=np.zeros((1024, 3), np.int64),
            failed_allocs=tables["failed_allocs"],
            tally=np.zeros(len(st.ReplayCounter), np.int64),
            conflicts=np.zeros(MOST_CONFLICTS, np.int64),
            isolators=_isolators(self.background_isolators, ()),
            flag_masks=flag_masks(self.page_flag_bits),
            blocking_types=np.isin(np.arange(max(st.PageType) + 1), list(self.blocking_types)),
        )

    # -- feeding -------------------------------------------------------------------------------------------------

    def run(self, stream: Iterable[PageStream]) -> None:
        """Replay the whole stream and every action, those after the last event too."""
        for chunk in stream:
            self.feed(chunk)
        self.finish()

    def feed(self, chunk: PageStream) -> None:
        """Replay one stretch, stopping for actions at their times."""
        if not len(chunk):
            return
        self.decode(chunk)
        self._add_sections(chunk)
        at = 0
        while self._next_action < len(self.actions):
            action = self.actions[self._next_action]
            if action.time_ns > chunk.time_ns[-1]:
                break
            side: str = "left" if action.kind in BEFORE_EVENTS else "right"
            stop = int(np.searchsorted(chunk.time_ns, action.time_ns, side))  # type: ignore[call-overload]
            at = self._replay(chunk, at, max(at, stop))
            if stop == len(chunk) and side == "right":
                break  # more events of this time stamp may follow in the next stretch
            self._act(action)
            self._next_action += 1
        self._replay(chunk, at, len(chunk))
        self.time_ns = int(chunk.time_ns[-1])

    def decode(self, chunk: PageStream) -> None:
        """Give page table entries their pfn (in place; once is enough)."""
        decode_ptes(chunk, self.machine)

    def finish(self) -> None:
        """Carry out what remains after the last event."""
        for action in self.actions[self._next_action :]:
            self._act(action)
        self._next_action = len(self.actions)

    def _replay(self, chunk: PageStream, start: int, stop: int) -> int:
        while start < stop:
            start = replay_all(
                self._mem, chunk.time_ns, chunk.cpu, chunk.tid, chunk.irq, chunk.op, chunk.args, start, stop
            )
            if start < stop:
                self._grow()
        return stop

    def _act(self, action: ReplayAction) -> None:
        if action.kind in (ActionKind.ISOLATE, ActionKind.ISOLATE_END):
            self._set_isolators(self._isolating, action.tid, action.kind == ActionKind.ISOLATE)
            return
        if action.kind == ActionKind.UNWATCH:
            self._set_isolators(self._watched, action.tid, False)
            return
        if action.kind == ActionKind.WATCH:
            self._set_isolators(self._watched, action.tid, True)
            for start_pfn, end_pfn in self._present(action.spans):
                watch(self._mem, start_pfn, end_pfn)
            return
        if action.kind == ActionKind.TAKE:
            self._make_room(action.spans)
            self.counts.forget()
            for start_pfn, end_pfn in self._present(action.spans):
                take_range(self._mem, start_pfn, end_pfn, action.time_ns)
            return
        if action.kind == ActionKind.COUNT:
            self.counts.count(self._mem, action.attempt, action.time_ns, action.spans, action.taken)
            return
        if action.kind == ActionKind.SNAPSHOT:
            self.range_snapshots.take(
                self._mem, action.attempt, action.number, action.spans, ignore_budget=action.ignore_budget
            )
            return
        self._probe(action)

    def _probe(self, action: ReplayAction) -> None:
        """Which pages block migration."""
        if action.inventory:
            self.uncounted[action.attempt] = self._count_unknown(action.spans)
        named_pfn = action.named_pfn if action.named_file is None else self._find_file(action)
        if named_pfn >= 0:
            self._make_room([(named_pfn, named_pfn + 1)])
        for start_pfn, end_pfn in self._present(action.spans):
            at = start_pfn
            while at < end_pfn:
                at = probe(self._mem, at, end_pfn, action.visited_end_pfn, named_pfn, action.time_ns, action.attempt)
                if at < end_pfn:
                    self._grow(("suspects", "claims"))
            if action.zeroed:
                self._probe_zeroed(action, start_pfn, end_pfn)
            at = start_pfn if action.inventory else end_pfn
            while at < end_pfn:
                at = list_cached(self._mem, at, end_pfn, action.time_ns, action.attempt)
                if at < end_pfn:
                    self._grow(("suspects", "claims"))

    def _probe_zeroed(self, action: ReplayAction, start_pfn: int, end_pfn: int) -> None:
        at = start_pfn
        while at < end_pfn:
            at = probe_zeroed(self._mem, at, end_pfn, action.time_ns, action.attempt)
            if at < end_pfn:
                self._grow(("suspects",))

    def _count_unknown(self, spans: Iterable[tuple[int, int]]) -> int:
        """Pages of the spans that are or may be in use whose count no event shows; a folio's count is its head's."""
        unknown = 0
        for start_pfn, end_pfn in spans:
            pages = self.pages(start_pfn, end_pfn)
            heads = (np.arange(start_pfn, end_pfn) & ((1 << pages["order"].astype(np.int64)) - 1)) == 0
            counted = (pages["marks"] & np.uint16(st.Mark.COUNT_KNOWN)) != 0
            free = np.isin(pages["state"], (st.State.BUDDY, st.State.PCP, st.State.SEEDED_FREE))
            unknown += int(np.count_nonzero(heads & ~counted & ~free))
        return unknown

    def _find_file(self, action: ReplayAction) -> int:
        """The page of the action's spans that holds this part of this file now, -1 = not known."""
        assert action.named_file is not None
        ino, index = action.named_file
        files = np.flatnonzero(self.table("files")["ino"] == ino)
        found: dict[int, tuple[int, bool]] = {}  # by file: its page, and whether that is under writeback
        for start_pfn, end_pfn in action.spans:
            pages = self.pages(start_pfn, end_pfn)
            held = (pages["state"] == st.State.ALLOCATED) & np.isin(pages["file"], files) & (pages["index"] == index)
            for at in np.flatnonzero(held).tolist():
                written = bool(int(pages["page_flags"][at]) & int(self._mem.flag_masks[FlagMask.WRITEBACK]))
                found.setdefault(int(pages["file"][at]), (start_pfn + at, written))
        if len(found) > 1:  # inodes of several file systems have that number
            found = {file: one for file, one in found.items() if one[1]}
        return next(iter(found.values()))[0] if len(found) == 1 else -1

    def _set_isolators(self, windows: Counter[int], tid: int | None, begins: bool) -> None:
        """A window of the task begins or ends; its windows may overlap. Most changes are of nothing: that is cheap."""
        if tid is None:
            return
        before = tid in windows
        windows[tid] += 1 if begins else -1
        if windows[tid] <= 0:
            del windows[tid]
        if before != (tid in windows):
            tids = {*self.background_isolators, *self._isolating}
            self._mem = self._mem._replace(isolators=_isolators(tids, self._watched))

    # -- room ----------------------------------------------------------------------------------------------------

    def _add_sections(self, chunk: PageStream) -> None:
        missing = np.empty(1024, np.int64)
        found = len(missing)
        while found == len(missing):
            found = missing_sections(self._mem.sections, chunk.args, chunk.op, missing)
            if found:
                self.add_sections(np.sort(missing[:found]))

    def add_sections(self, numbers: npt.NDArray[np.int64]) -> None:
        """Make room for these sections (section number = pfn >> SECTION_BITS)."""
        sections = self._mem.sections
        if numbers[-1] >= len(sections):
            sections = np.full(int(numbers[-1]) + 1, -1, np.int32)
            sections[: len(self._mem.sections)] = self._mem.sections
        new = numbers[sections[numbers] == ABSENT]
        room_for = max(self.sections_limit - self._slots, 0)
        sections[new[room_for:]] = REFUSED  # their events count as out of range
        new = new[:room_for]
        sections[new] = np.arange(self._slots, self._slots + len(new))
        self._slots += len(new)
        self._mem.tally[st.ReplayCounter.SECTIONS] = self._slots
        pages = self._mem.pages
        room = self._slots << st.SECTION_BITS
        if room > len(pages):
            pages = st.blank_pages(max(room, min(2 * len(pages), len(pages) * 5 // 4 + (1024 << st.SECTION_BITS))))
            pages[: len(self._mem.pages)] = self._mem.pages
        self._mem = self._mem._replace(pages=pages, sections=sections)

    def _make_room(self, spans: Iterable[tuple[int, int]]) -> None:
        """Sections for spans that no event may have named; longer ones are damage."""
        for start_pfn, end_pfn in spans:
            if 0 <= start_pfn < end_pfn <= min(start_pfn + RANGE_PAGES_LIMIT, st.END_PFN):
                self.add_sections(np.arange(start_pfn >> st.SECTION_BITS, ((end_pfn - 1) >> st.SECTION_BITS) + 1))

    def _present(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The parts of the spans that the model has: a span may be as long as a damaged event says."""
        for start_pfn, end_pfn in spans:
            begin, stop = max(start_pfn, 0) >> st.SECTION_BITS, ((end_pfn - 1) >> st.SECTION_BITS) + 1
            there = np.concatenate([[False], self._mem.sections[begin:stop] >= 0, [False]])
            edges = begin + np.flatnonzero(there[1:] != there[:-1])
            for first, last in edges.reshape(-1, 2).tolist():
                yield max(first << st.SECTION_BITS, start_pfn), min(last << st.SECTION_BITS, end_pfn)

    def _grow(self, full: Collection[str] = ()) -> None:
        """Double the tables that are nearly full, and those named."""
        larger = {}
        for name, counter in st.TABLE_COUNTS.items():
            table = getattr(self._mem, name)
            if name in full or self._mem.tally[counter] * 2 + 128 > len(table):
                grown = np.zeros(2 * len(table) + 256, table.dtype)
                grown[: len(table)] = table
                larger[name] = grown
        slots = self._mem.file_slots
        if self._mem.tally[st.ReplayCounter.FILE_SLOTS] * SLOTS_PER_KEY >= len(slots):
            larger["file_slots"] = _rehash(slots)
        self._mem = self._mem._replace(**larger)

    # -- asking --------------------------------------------------------------------------------------------------

    def table(self, name: str) -> npt.NDArray[np.void]:
        """A table's rows: refs, suspects, claims, files or failed_allocs (dtypes in state.TABLE_DTYPES)."""
        rows: npt.NDArray[np.void] = getattr(self._mem, name)
        rows = rows[: int(self._mem.tally[st.TABLE_COUNTS[name]])]
        return _distinct(rows) if name == "claims" else rows  # noted anew at each probe

    def pages(self, start_pfn: int, end_pfn: int) -> npt.NDArray[np.void]:
        """A copy of the rows (state.PAGE) of [start_pfn, end_pfn) as they are now; unseen pages are blank."""
        out = st.blank_pages(end_pfn - start_pfn)
        for section in range(start_pfn >> st.SECTION_BITS, ((end_pfn - 1) >> st.SECTION_BITS) + 1):
            if section >= len(self._mem.sections) or self._mem.sections[section] < 0:
                continue
            first = section << st.SECTION_BITS
            low, high = max(first, start_pfn), min(first + st.SECTION_PAGES, end_pfn)
            base = (int(self._mem.sections[section]) << st.SECTION_BITS) - first
            out[low - start_pfn : high - start_pfn] = self._mem.pages[base + low : base + high]
        return out

    def write_pages(self, start_pfn: int, rows: npt.NDArray[np.void]) -> None:
        """Put rows (state.PAGE) in the place of [start_pfn, start_pfn + n), making room where there is none."""
        end_pfn = start_pfn + len(rows)
        numbers = np.arange(start_pfn >> st.SECTION_BITS, ((end_pfn - 1) >> st.SECTION_BITS) + 1)
        self.add_sections(numbers)
        for section in numbers:
            if self._mem.sections[section] < 0:
                continue  # refused: more than fits into this machine's memory
            first = int(section) << st.SECTION_BITS
            low, high = max(first, start_pfn), min(first + st.SECTION_PAGES, end_pfn)
            base = (int(self._mem.sections[section]) << st.SECTION_BITS) - first
            self._mem.pages[base + low : base + high] = rows[low - start_pfn : high - start_pfn]

    def excess(self, pfn: int) -> int | None:
        """References of the page beyond the expected ones now; None where that cannot be known."""
        excess = int(excess_at(self._mem, pfn))
        return None if excess == st.NO_EXCESS else excess

    def flag_names(self, flags: int) -> list[str]:
        """Names of the page flags set."""
        return sorted(name for name, bit in (self.page_flag_bits or {}).items() if flags >> bit & 1)

    def seen_sections(self) -> npt.NDArray[np.int64]:
        """Numbers of the sections the model has."""
        return np.flatnonzero(self._mem.sections >= 0)

    def open_refs(self, pfn: int) -> list[np.void]:
        """The open references (state.REF rows) of a page, youngest first."""
        out: list[np.void] = []
        row = int(self.pages(pfn, pfn + 1)[0]["refs"])
        while row >= 0:
            out.append(self._mem.refs[row].copy())
            row = int(self._mem.refs[row]["next"])
        return out

    def conflicted_pfns(self) -> npt.NDArray[np.int64]:
        """int64[n], ascending: the first pages of which an event's count contradicted the event before."""
        return np.unique(self._mem.conflicts[: int(self._mem.tally[st.ReplayCounter.RESYNCS])])

    def losses(self) -> list[Loss]:
        """What the replay found the trace to lack."""
        codes = {
            st.ReplayCounter.FREE_WITHOUT_ALLOC: "free_without_alloc",
            st.ReplayCounter.ALLOC_OVER_LIVE: "alloc_over_live",
            st.ReplayCounter.RESYNCS: "count_resynchronised",
            st.ReplayCounter.OUT_OF_RANGE: "pfn_out_of_range",
        }
        tally = self._mem.tally
        return [Loss(code, int(tally[counter])) for counter, code in codes.items() if tally[counter]]


def _distinct(claims: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Each claim once, by suspect and reference: sorted as numbers, which is much quicker than as records."""
    keys = np.unique(claims["suspect"].astype(np.int64) << 32 | claims["ref"].astype(np.int64))
    found = np.empty(len(keys), claims.dtype)
    found["suspect"], found["ref"] = keys >> 32, keys & 0xFFFFFFFF
    return found


def _rehash(slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    larger = np.zeros((4 * len(slots), 3), np.int64)
    for key_a, key_b, row in slots[slots[:, 2] != 0]:
        set_file_slot(larger, key_a, key_b, row - 1)
    return larger
