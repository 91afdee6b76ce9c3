"""The modelled allocator at the trace's first event: from the record backwards, then from the snapshot's counts.

The first event of a page tells where it was: taken from the lists, or part of a range that was allocated without a
free before: free; allocated or drained: on a per-cpu list; freed: in use. Pages that no event touched are free as far
as the snapshot counts more free pages than are known: the largest runs first, because unused memory is whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.machine import Machine
from tracereplay.whatif.page_rows import (
    BLOCK,
    COUNTS,
    LIST,
    ORDERS,
    PAGE,
    TYPES,
    Buddy,
    Frame,
    MigrateType,
    Rule,
    Step,
    ZoneColumn,
)
from tracereplay.whatif.recorded_kernels import first_events, relist, seed_free
from tracereplay.whatif.script import Script

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seed:
    """Where every frame was at the start, before any policy.

    state -- Frame of each; zone -- row of its zone or -1; types -- of each pageblock; first -- number of the first
    event that touched the frame, -1 = none; unknown -- frames no event touched; need -- free pages of (zone, CMA?)
    that the snapshot counts beyond those known from events.
    """

    state: npt.NDArray[np.uint8]
    zone: npt.NDArray[np.int8]
    types: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int32]
    unknown: Bools
    need: dict[tuple[int, bool], int]
    from_events: int  # free pages known from events
    from_counts: int  # free pages that the snapshot counts beyond them
    pageblock_order: int


def seed_of(script: Script, machine: Machine) -> Seed:
    """Look backwards from the first events."""
    frames = script.frames
    kind, order = np.zeros(frames.count, np.uint8), np.zeros(frames.count, np.uint8)
    first = np.full(frames.count, -1, np.int32)
    first_events(script.events, kind, order, first)
    zone = _zones(script, machine, kind)
    state = np.full(frames.count, Frame.USED, np.uint8)
    state[np.isin(kind, (Step.TAKE, Step.FALLBACK, Step.CONTIG))] = Frame.FREE
    state[np.isin(kind, (Step.ALLOC, Step.DRAIN))] = Frame.PCP
    state[zone < 0] = Frame.ABSENT
    types = _block_types(script, machine)
    unknown = (kind == 0) & (zone >= 0)
    in_cma = np.repeat(types == MigrateType.CMA, 1 << machine.pageblock_order)
    need = {}
    for row in range(len(machine.zones)):
        for cma in (False, True):
            target = _counted(machine, row, cma)
            if target is not None:
                known = int(np.count_nonzero((state == Frame.FREE) & (zone == row) & (in_cma == cma)))
                need[row, cma] = target - known
    known_free = int(np.count_nonzero(state == Frame.FREE))
    return Seed(
        state, zone, types, first, unknown, need, known_free,
        sum(max(pages, 0) for pages in need.values()), machine.pageblock_order,
    )  # fmt: skip


def _counted(machine: Machine, zone: int, cma: bool) -> int | None:
    """Free pages of the zone that the snapshot counts, in CMA pageblocks or in the others; None where it has none."""
    found = [
        pages for (row, kind), pages in machine.free_pages.items() if row == zone and (kind == MigrateType.CMA) == cma
    ]
    return sum(found) if found else None


def _zones(script: Script, machine: Machine, kind: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Row of the zone of each frame; -1 where there is no memory. The smaller of two zones that overlap wins."""
    frames = script.frames
    pfns = frames.pfns(np.arange(frames.count, dtype=np.int64))
    zone = np.full(frames.count, -1, np.int8)
    for row in sorted(range(len(machine.zones)), key=lambda row: -machine.zones[row].pages):
        span = machine.zones[row]
        zone[(pfns >= span.start_pfn) & (pfns < span.end_pfn)] = row
    if machine.present is not None:
        present = _inside(pfns, machine.present) & ~_inside(pfns, machine.reserved)
        zone[~present & (kind == 0)] = -1
    return zone


def _inside(pfns: npt.NDArray[np.int64], spans: tuple[tuple[int, int], ...]) -> Bools:
    inside = np.zeros(len(pfns), bool)
    for low, high in spans:
        inside |= (pfns >= low) & (pfns < high)
    return inside


def _block_types(script: Script, machine: Machine) -> npt.NDArray[np.uint8]:
    """Type of each pageblock at the start: CMA areas, else what its first take, drain or fallback says, else movable.

    The fallback comes first: its event names the type the block had before.
    """
    events, order = script.events, machine.pageblock_order
    types = np.full(script.frames.count >> order, MigrateType.MOVABLE, np.uint8)
    rows = np.flatnonzero(np.isin(events["kind"], (Step.DRAIN, Step.TAKE, Step.FALLBACK, Step.CLAIM)))
    fallback = np.isin(events["kind"][rows], (Step.FALLBACK, Step.CLAIM))
    kind = np.where(fallback, events["other"][rows], events["type"][rows])
    wide = np.where(fallback, events["gfp"][rows].astype(np.int64), 0)  # order of the whole block
    # A claim below pageblock size prints its take first, with the new type: the fallback's word goes before it.
    rank = np.where(fallback, rows - 64, rows)
    turn = np.argsort(rank, kind="stable")
    turn = turn[kind[turn] <= MigrateType.RECLAIMABLE]
    more = np.maximum(wide[turn] - order, 0)
    count = np.int64(1) << more
    low = events["page"][rows[turn]].astype(np.int64) >> np.maximum(wide[turn], order) << more
    blocks = np.repeat(low, count) + np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    known, first = np.unique(blocks, return_index=True)  # what is said first holds
    types[known] = np.repeat(kind[turn], count)[first]
    for area in machine.cma_areas:
        for page, pages in script.frames.runs(area.start_pfn, area.end_pfn):
            types[page >> order : (page + pages - 1 >> order) + 1] = MigrateType.CMA
    return types


def buddy_of(
    seed: Seed, hidden: dict[int, int], rules: npt.NDArray[np.int64], rng: np.random.Generator | None = None
) -> Buddy:
    """A modelled allocator that starts from the seed.

    hidden -- zone row -> pages that had left the free lists unseen (calibrate.py): so many of the pages free by the
    counts alone are not; what the lists cannot spare stays in the zone's counter HIDDEN. rng -- random choice among
    pages free by the counts alone, and random order of the lists; None: the largest runs, first touched first.
    """
    frames = len(seed.state)
    zones = int(seed.zone.max(initial=-1)) + 1
    state = seed.state.copy()
    buddy = Buddy(
        np.zeros(frames, PAGE), np.zeros(zones * ORDERS * TYPES, LIST), np.zeros(len(seed.types), BLOCK),
        np.zeros((zones, len(ZoneColumn)), np.int64), rules.copy(), np.zeros(COUNTS, np.int64),
    )  # fmt: skip
    buddy.lists["head"] = buddy.lists["tail"] = -1
    buddy.blocks["type"] = buddy.blocks["saved"] = seed.types
    in_cma = np.repeat(seed.types == MigrateType.CMA, 1 << seed.pageblock_order)
    for (row, cma), pages in seed.need.items():
        spare = 0 if cma else hidden.get(row, 0)
        filled = _fill(state, seed.unknown & (seed.zone == row) & (in_cma == cma), pages - spare, rng)
        if not cma:
            buddy.zones[row, ZoneColumn.HIDDEN] = max(filled - (pages - spare), 0)
    for row, pages in hidden.items():
        if (row, False) not in seed.need:
            buddy.zones[row, ZoneColumn.HIDDEN] = pages
    pages_ = buddy.pages
    pages_["zone"], pages_["next"], pages_["prev"] = seed.zone, -1, -1
    pages_["state"] = np.where(state == Frame.FREE, Frame.USED, state)
    movable = np.repeat(np.isin(seed.types, (MigrateType.MOVABLE, MigrateType.CMA)), 1 << seed.pageblock_order)
    pages_["movable"] = movable & (state == Frame.USED)
    buddy.rules[Rule.PAGEBLOCK_ORDER] = seed.pageblock_order
    seed_free(buddy, np.flatnonzero(state == Frame.FREE).astype(np.int32))
    heads = np.flatnonzero(pages_["state"] == Frame.FREE).astype(np.int32)
    if rng is not None:
        relist(buddy, rng.permutation(heads))
    elif len(heads):
        touched = np.where(seed.first < 0, np.iinfo(np.int32).max, seed.first)
        # Heads split the frames into stretches; what follows a block is in use and may be touched early.
        sizes = 1 << pages_["order"][heads].astype(np.int64)
        earliest = np.array([touched[h : h + s].min() for h, s in zip(heads, sizes, strict=True)])
        relist(buddy, heads[np.argsort(earliest, kind="stable")])
    return buddy


def _fill(state: npt.NDArray[np.uint8], candidates: Bools, pages: int, rng: np.random.Generator | None) -> int:
    """Make so many of these frames FREE, run by run; how many there were for it."""
    frames = np.flatnonzero(candidates)
    if pages <= 0 or not len(frames):
        return 0
    runs = np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
    order = rng.permutation(len(runs)) if rng is not None else np.argsort([-len(run) for run in runs], kind="stable")
    left = pages
    for number in order:
        if left <= 0:
            break
        state[runs[number][:left]] = Frame.FREE
        left -= min(left, len(runs[number]))
    return pages - max(left, 0)
