"""The page stream and the attempts' ranges as one script: what the modelled allocators replay."""

from __future__ import annotations

# numpy types the result of a mask too wide.
# pyright: reportArgumentType=false
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Attempt
from tracereplay.schema import FLAGS, MT, ORDER, PFN, RET, VAL, Op, PageStream
from tracereplay.whatif.frames import Frames, frames_of
from tracereplay.whatif.page_rows import EVENT, ORDERS, Step
from tracereplay.whatif.recorded_kernels import mark_direct_frees

STREAMED = frozenset(
    {Op.ALLOC, Op.FREE, Op.PCP_DRAIN, Op.BUDDY_TAKE, Op.EXTFRAG, Op.CACHE_ADD, Op.CACHE_DELETE}
)  # what a script is made of
STEP_OF = {Op.ALLOC: Step.ALLOC, Op.FREE: Step.FREE, Op.PCP_DRAIN: Step.DRAIN, Op.BUDDY_TAKE: Step.TAKE}
RANGE_OPERATIONS = frozenset({"cma_alloc", "contig_alloc", "memory_offline"})
COUNTS = 200  # times at which the free lists are counted
Events = npt.NDArray[Any]  # EVENT


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a range was isolated. taken -- it was allocated (or offlined) at the end."""

    start_ns: int
    end_ns: int
    start_pfn: int
    end_pfn: int
    taken: bool
    attempt_id: str
    try_index: int


@dataclass(frozen=True, slots=True)
class CacheEvents:
    """Additions to the page cache, in time order: place[n] = rows of the page stream before it."""

    place: npt.NDArray[np.int64]
    pfn: npt.NDArray[np.int64]
    ino: npt.NDArray[np.int64]
    dev: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Script:
    """Everything replayed. count_ns -- times of the COUNT rows."""

    events: Events
    frames: Frames
    stretches: Sequence[Stretch]
    count_ns: npt.NDArray[np.int64]
    added_file: npt.NDArray[np.int32]  # for each event (an ALLOC): row of `cache` that made it a file page, -1 = none
    cache: CacheEvents
    whole_frees: bool  # free_contig_range() frees aligned blocks (7.x), not single pages


def stretches_of(attempts: Iterable[Attempt], end_ns: int) -> list[Stretch]:
    """The isolated ranges of all attempts, in time order. An offline keeps its range isolated while it lasts."""
    found = []
    for attempt in attempts:
        if attempt.operation not in RANGE_OPERATIONS or attempt.inventory:
            continue
        tries = [one for one in attempt.tries if one.start_pfn is not None and one.end_pfn is not None]
        if attempt.operation == "memory_offline" and tries:
            first, last = tries[0], tries[-1]
            ends = attempt.end_ns if attempt.end_ns is not None else end_ns
            ok = attempt.outcome == "succeeded"
            found.append(Stretch(attempt.begin_ns, ends, first.start_pfn, first.end_pfn, ok, attempt.id, last.index))  # type: ignore[arg-type]
            continue
        found += [
            Stretch(
                one.begin_ns,
                one.finish_ns,
                int(one.start_pfn or 0),
                int(one.end_pfn or 0),
                one.result == "succeeded",
                attempt.id,
                one.index,
            )
            for one in tries
        ]
    return sorted(found, key=lambda stretch: (stretch.start_ns, stretch.end_ns))


def script_of(chunks: Iterable[PageStream], stretches: Sequence[Stretch], spans: list[tuple[int, int]]) -> Script:
    """The script of a trace. spans -- [start_pfn, end_pfn) of memory that gets rows in any case."""
    parts = list(chunks)
    time_ns = _joined([part.time_ns for part in parts], np.int64)
    op = _joined([part.op for part in parts], np.uint8)
    args = np.concatenate([part.args for part in parts]) if parts else np.zeros((0, 9), np.int64)
    cpu, tid = _joined([part.cpu for part in parts], np.uint16), _joined([part.tid for part in parts], np.int32)
    paged = ~np.isin(op, (Op.CACHE_ADD, Op.CACHE_DELETE))
    added = op == Op.CACHE_ADD
    cache = CacheEvents(
        np.cumsum(paged)[added], args[added, PFN], args[added, 6].copy(), args[added, RET].copy()
    )  # mapping = i_ino, ret = s_dev
    time_ns, op, args, cpu, tid = time_ns[paged], op[paged], args[paged], cpu[paged], tid[paged]
    spans = spans + [(stretch.start_pfn, stretch.end_pfn) for stretch in stretches]
    frames = frames_of(args[args[:, ORDER] < ORDERS, PFN], spans)
    events = _events(time_ns, op, args, cpu, tid, frames)
    owner = _file_pages(events, args[:, PFN], cache)
    keep = events["page"] >= 0
    kept, owner = events[keep], owner[keep]
    rows, count_ns = _window_rows(stretches, frames, kept["time_ns"])
    places = np.searchsorted(kept["time_ns"], rows["time_ns"], side="right")
    whole = np.insert(kept, places, rows)
    mark_direct_frees(whole, np.full(frames.count, -1, np.int32))
    return Script(whole, frames, stretches, count_ns, np.insert(owner, places, -1), cache, _whole_frees(whole))


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _events(
    time_ns: npt.NDArray[np.int64],
    op: npt.NDArray[np.uint8],
    args: npt.NDArray[np.int64],
    cpu: npt.NDArray[np.uint16],
    tid: npt.NDArray[np.int32],
    frames: Frames,
) -> Events:
    """Rows of the page events; `page` is -1 where a row cannot be replayed (no page, or a damaged one)."""
    events = np.zeros(len(op), EVENT)
    order = np.clip(args[:, ORDER], 0, ORDERS)
    size = np.int64(1) << order
    known = (order < ORDERS) & (args[:, PFN] >= 0) & ((args[:, PFN] & (size - 1)) == 0)
    events["page"] = np.where(known, frames.of(args[:, PFN]), -1)
    events["time_ns"], events["cpu"], events["tid"] = time_ns, cpu, tid
    events["order"], events["pages"] = order, size
    events["type"] = args[:, MT] & 7
    events["gfp"] = args[:, FLAGS] & 0xFFFFFFFF
    for one, step in STEP_OF.items():
        events["kind"][op == one] = step
    events["other"] = np.where(op == Op.EXTFRAG, args[:, RET] & 7, 0)
    _mark_fallbacks(events, op, args)
    return events


def _mark_fallbacks(events: Events, op: npt.NDArray[np.uint8], args: npt.NDArray[np.int64]) -> None:
    """FALLBACK where extfrag stands for the page taken, CLAIM where zone_locked tells of that.

    6.12.117 and mainline since 6.15: a claim below pageblock size prints zone_locked, then extfrag for the same page; a
    steal and a claim of whole pageblocks print extfrag alone. Up to 6.1 extfrag names the block that moved, zone_locked
    the page. Both are recognised by what comes next on that page, not by the release.
    """
    rows = np.flatnonzero(op == Op.EXTFRAG)
    if not len(rows):
        return
    named = np.flatnonzero(np.isin(op, (Op.ALLOC, Op.FREE, Op.PCP_DRAIN, Op.BUDDY_TAKE)))
    by_page = named[np.argsort(args[named, PFN], kind="stable")]
    pfns = args[by_page, PFN]
    for row in rows:
        pfn = args[row, PFN]
        low, high = np.searchsorted(pfns, pfn, side="left"), np.searchsorted(pfns, pfn, side="right")
        place = low + np.searchsorted(by_page[low:high], row)
        before = by_page[place - 1] if place > low else -1
        after = by_page[place] if place < high else -1
        taken_before = before >= 0 and op[before] == Op.BUDDY_TAKE and row - before < 64
        taken_after = after >= 0 and op[after] == Op.BUDDY_TAKE
        events["kind"][row] = Step.CLAIM if taken_before or taken_after else Step.FALLBACK
    # The order of the whole block tells which pageblocks had the other type.
    events["gfp"][rows] = np.clip(args[rows, VAL], 0, ORDERS - 1)


def _file_pages(events: Events, pfns: npt.NDArray[np.int64], cache: CacheEvents) -> npt.NDArray[np.int32]:
    """For each ALLOC the row of `cache` that put its page (or one of its pages) into the page cache, -1 = none."""
    owner = np.full(len(events), -1, np.int32)
    allocs = np.flatnonzero((events["kind"] == Step.ALLOC) & (events["page"] >= 0))
    if not len(allocs) or not len(cache.place):
        return owner
    # Heads sorted by (pfn, time); a page added belongs to the last allocation before it that covers its pfn.
    by_page = allocs[np.lexsort((allocs, pfns[allocs]))]
    heads = pfns[by_page]
    span = len(events) + 1
    keys = heads * span + by_page
    best = np.full(len(cache.place), -1, np.int64)
    for order in range(ORDERS):
        want = (cache.pfn >> order << order) * span + cache.place
        place = np.searchsorted(keys, want, side="left") - 1
        found = by_page[np.maximum(place, 0)]
        fits = (place >= 0) & (pfns[found] == cache.pfn >> order << order) & (events["order"][found] >= order)
        best = np.where(fits & (found > best), found, best)
    rows = np.flatnonzero(best >= 0)
    owner[best[rows[::-1]]] = rows[::-1]
    return owner


def _whole_frees(events: Events) -> bool:
    """Whether ranges come back as blocks: frees of orders that no per-cpu list takes, inside ranges allocated before.

    free_contig_range() frees page by page up to 6.12, the largest aligned blocks in 7.2 (seen).
    """
    used = np.isin(events["kind"], (Step.FREE, Step.ALLOC))
    for row in np.flatnonzero(events["kind"] == Step.CONTIG):
        low, high = events["page"][row], events["page"][row] + events["pages"][row]
        later = row + np.flatnonzero(used[row:] & (events["page"][row:] >= low) & (events["page"][row:] < high))
        allocs = np.flatnonzero(events["kind"][later] == Step.ALLOC)
        frees = events["order"][later[: allocs[0]] if len(allocs) else later]
        if np.any((frees > 3) & (frees != 9)):
            return True
    return False


def _window_rows(
    stretches: Sequence[Stretch], frames: Frames, time_ns: npt.NDArray[np.int64]
) -> tuple[Events, npt.NDArray[np.int64]]:
    """ISOLATE, CONTIG, RESTORE of every stretch, and the COUNT rows, in time order."""
    found: list[tuple[int, int, int, int]] = []
    for stretch in stretches:
        runs = frames.runs(stretch.start_pfn, stretch.end_pfn)
        found += [(stretch.start_ns, int(Step.ISOLATE), page, pages) for page, pages in runs]
        if stretch.taken:
            found += [(stretch.end_ns, int(Step.CONTIG), page, pages) for page, pages in runs]
        found += [(stretch.end_ns, int(Step.RESTORE), page, pages) for page, pages in runs]
    count_ns = np.zeros(0, np.int64)
    if len(time_ns):
        count_ns = np.unique(np.linspace(int(time_ns[0]), int(time_ns[-1]), COUNTS).astype(np.int64))
    found += [(int(at), int(Step.COUNT), 0, 0) for at in count_ns]
    # At one time: first the end of a stretch, then the begin of the next.
    rank = {int(Step.CONTIG): 0, int(Step.RESTORE): 1, int(Step.ISOLATE): 2, int(Step.COUNT): 3}
    found.sort(key=lambda row: (row[0], rank[row[1]]))
    rows = np.zeros(len(found), EVENT)
    for name, column in (("time_ns", 0), ("kind", 1), ("page", 2), ("pages", 3)):
        rows[name] = [row[column] for row in found]
    return rows, count_ns
