"""Does the replay agree with the kernel? The state of pages against a later copy of kpageflags and kpagecount.

Each aspect is compared only where both sides tell it; what is left out is no agreement. Locked, writeback and mapped
come from page_ref events: without them the trace does not tell these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tracereplay.replay.engine import Engine, flag_masks
from tracereplay.replay.kpage_flags import Bools, Words, has, is_anon, is_file, is_free, is_used
from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.state import Mark, State
from tracereplay.schema import KPF, ORDER, PFN, Op, PageStream

ASPECTS = ("free", "anon", "file", "compound", "mapped", "locked", "writeback")
NEVER = np.iinfo(np.int64).min
# A copy of 65,536 words took up to this long to read in the captures; meanwhile the machine went on.
READING_NS = 50_000_000
MULTIPLE_PAGES = (Op.ALLOC, Op.FREE, Op.PCP_DRAIN, Op.BUDDY_TAKE, Op.CACHE_ADD)


class Reason(StrEnum):
    """Why a page may disagree; the first that holds is given."""

    READING = "changed while the snapshot was read"  # an event names it within READING_NS of the moment
    LATER = "changed by an event after the snapshot"  # an event names it between the moment and now
    MAPPING = "mapped or unmapped after its last reference event"  # mapcount changes without an event of its own
    LIST = "on or off a free list without an event"  # both sides say that it is not in use
    LOST = "events lost"  # the trace lacks events of this time
    UNTRACED = "changed without an event"  # no event names it since the seed: its change was not traced


@dataclass(frozen=True, slots=True)
class Aspect:
    """bool[n] each: pages of which both sides tell this aspect, and pages of which they tell the same."""

    known: Bools
    agrees: Bools

    @property
    def differs(self) -> Bools:
        """bool[n]: pages of which they tell different things."""
        return self.known & ~self.agrees


@dataclass(slots=True)
class History:
    """What the stream said of the pages [start_pfn, start_pfn + n): time and operation of the last event of each."""

    start_pfn: int
    last_ns: npt.NDArray[np.int64]  # NEVER = no event
    last_op: npt.NDArray[np.uint8]

    @classmethod
    def blank(cls, start_pfn: int, pages: int) -> History:
        """Nothing was said yet."""
        return cls(start_pfn, np.full(pages, NEVER, np.int64), np.zeros(pages, np.uint8))

    @property
    def touched(self) -> Bools:
        """bool[n]: pages an event named."""
        named: Bools = self.last_ns != NEVER
        return named

    def add(self, chunk: PageStream) -> None:
        """Take note of a stretch of the stream (page table entries decoded)."""
        pages = len(self.last_ns)
        first = chunk.args[:, PFN] - self.start_pfn
        order = np.where(np.isin(chunk.op, MULTIPLE_PAGES), np.clip(chunk.args[:, ORDER], 0, 20), 0)
        single = (order == 0) & (first >= 0) & (first < pages)
        many = np.flatnonzero((order > 0) & (first > -(1 << 20)) & (first < pages))
        # Later entries of one page overwrite earlier ones: numpy assigns in order.
        self.last_ns[first[single]] = chunk.time_ns[single]
        self.last_op[first[single]] = chunk.op[single]
        for at in many:
            span = slice(max(int(first[at]), 0), max(int(first[at]) + (1 << int(order[at])), 0))
            newer = self.last_ns[span] <= chunk.time_ns[at]
            self.last_ns[span][newer] = chunk.time_ns[at]
            self.last_op[span][newer] = chunk.op[at]

    def add_range(self, start_pfn: int, end_pfn: int, time_ns: int) -> None:
        """A range allocated as a whole (cma_alloc_finish) was named too."""
        span = slice(max(start_pfn - self.start_pfn, 0), max(end_pfn - self.start_pfn, 0))
        self.last_ns[span] = np.maximum(self.last_ns[span], time_ns)


def compare(engine: Engine, start_pfn: int, words: Words, mapcount: Words | None = None) -> dict[str, Aspect]:
    """Each of ASPECTS for the pages [start_pfn, start_pfn + n).

    words -- uint64[n] of /proc/kpageflags; mapcount -- uint64[n] of /proc/kpagecount.
    A word of 0 says that the page is on no buddy list: on a per-cpu list, or used by the kernel.
    """
    rows = engine.pages(start_pfn, start_pfn + len(words))
    state, marks, order = rows["state"], rows["marks"], rows["order"]
    allocated: Bools = state == State.ALLOCATED
    buddy: Bools = state == State.BUDDY
    known = (state != State.UNSEEN) & ~has(words, KPF.NOPAGE)
    nothing = words == 0
    free = np.where(is_free(words), ~allocated, np.where(nothing, ~buddy, allocated))
    used = allocated & is_used(words)
    anon, cached = _marked(marks, Mark.ANON), _marked(marks, Mark.FILE)
    placed = used & (anon | cached) & (is_anon(words) | is_file(words))
    counted = _marked(marks, Mark.COUNT_KNOWN) & ~_marked(marks, Mark.TYPED)
    flags = _flags(engine, rows["page_flags"])
    reading = flags[FlagMask.LOCKED] & ~flags[FlagMask.UPTODATE]
    aspects = {
        "free": Aspect(known, free),
        "anon": Aspect(placed, anon == is_anon(words)),
        "file": Aspect(placed, cached == is_file(words)),
        "compound": Aspect(placed, (order > 0) == has(words, KPF.COMPOUND_HEAD, KPF.COMPOUND_TAIL)),
        # PG_locked of the last event is stale on pages that are up to date: locked means that a read has not ended.
        "locked": Aspect(placed & counted & cached, reading == has(words, KPF.LOCKED)),
        "writeback": Aspect(placed & counted, flags[FlagMask.WRITEBACK] == has(words, KPF.WRITEBACK)),
        # Events tell the mapcount of the head alone.
        "mapped": Aspect(
            placed & counted & (order == 0), (rows["mapcount"] >= 0) == (mapcount > 0)
        ) if mapcount is not None else Aspect(np.zeros(len(words), np.bool_), np.zeros(len(words), np.bool_)),
    }  # fmt: skip
    return {name: aspects[name] for name in ASPECTS}


def disagreeing(aspects: Mapping[str, Aspect]) -> Bools:
    """bool[n]: pages that disagree in any aspect."""
    differing: Bools = np.logical_or.reduce([aspect.differs for aspect in aspects.values()])
    return differing


def reasons(
    aspect: str, differs: Bools, words: Words, before: History, after: History, moment_ns: int, has_losses: bool
) -> dict[Reason, int]:
    """Number of pages by the first reason that holds for them.

    before, after -- the events up to the moment of the snapshot and (for a comparison at a later time) behind it;
    has_losses -- the trace lacks events of the time replayed.
    """
    touched_after = after.last_ns != NEVER
    near = before.last_ns >= moment_ns - READING_NS
    holds = {
        Reason.LATER: touched_after,
        Reason.READING: near,
        Reason.MAPPING: before.touched if aspect == "mapped" else np.zeros_like(near),
        Reason.LIST: (words == 0) if aspect == "free" else np.zeros_like(near),
        Reason.LOST: np.full_like(near, has_losses),
        Reason.UNTRACED: np.ones_like(near),
    }
    left = differs.copy()
    counts: dict[Reason, int] = {}
    for reason, held in holds.items():
        number = int(np.count_nonzero(left & held))
        if number:
            counts[reason] = number
        left &= ~held
    return counts


def _marked(marks: npt.NDArray[np.uint16], mark: Mark) -> Bools:
    found: Bools = (marks & np.uint16(mark)) != 0
    return found


def _flags(engine: Engine, flags: npt.NDArray[np.uint32]) -> dict[FlagMask, Bools]:
    masks = flag_masks(engine.page_flag_bits)
    return {flag: (flags & np.uint32(int(masks[flag]) & 0xFFFFFFFF)) != 0 for flag in FlagMask}
