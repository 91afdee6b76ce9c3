"""How well the guided replay reproduces a trace under its own kernel's rules, and whether that is enough to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tracereplay.model.whatif import Fit, Fitness, Measure
from tracereplay.whatif.guided import Run
from tracereplay.whatif.machine import Machine
from tracereplay.whatif.page_rows import ORDERS, Count, MigrateType, Step
from tracereplay.whatif.recorded import Recorded
from tracereplay.whatif.script import Script

SHARE_LIMIT = 0.05
REFILLS_LIMIT = 0.25
FREE_LIMIT = 0.10  # of the free pages, at all but 2 of 20 checkpoints
ORDER_LIMIT = 0.25  # pages in blocks of the wrong order, as a share of the free pages, likewise
FALLBACKS_FACTOR = 2.0
FEW_FALLBACKS = 20
CHECKPOINTS, CHECKPOINTS_WRONG = 20, 2
DECIDING = ("cma_share", "ranges", "outcomes")  # without these nothing can be said
NAMES = {0: "unmovable", 1: "movable", 2: "reclaimable"}
Bools = npt.NDArray[np.bool_]


def cma_frames(script: Script, machine: Machine) -> Bools:
    """Which frames lie in a CMA area."""
    inside = np.zeros(script.frames.count, bool)
    for area in machine.cma_areas:
        for page, pages in script.frames.runs(area.start_pfn, area.end_pfn):
            inside[page : page + pages] = True
    return inside


def cma_share(script: Script, inside: Bools, frames: npt.NDArray[Any], want: npt.NDArray[np.uint8]) -> float:
    """Share of the pages of movable allocations that lie in CMA areas. frames -- where each event's page is."""
    movable = np.flatnonzero((script.events["kind"] == Step.ALLOC) & (want & 7 == MigrateType.MOVABLE))
    pages = script.events["pages"][movable].astype(np.int64)
    at = frames[movable]
    found = inside[np.maximum(at, 0)] & (at >= 0)
    return float((pages * found).sum() / max(int(pages.sum()), 1))


def measure_fit(script: Script, machine: Machine, recorded: Recorded, run: Run) -> list[Fit]:
    """Every measure of the base run. Refill and drain counts are the record's own in this engine: not measured."""
    inside = cma_frames(script, machine)
    found = []
    if inside.any():
        at = script.events["page"].astype(np.int64)
        record = cma_share(script, inside, at, run.want)
        found.append(_fit("cma_share", "all areas", record, cma_share(script, inside, run.out, run.want), SHARE_LIMIT))
        record_cma, model_cma = int(recorded.counts[Count.TAKES_CMA]), int(run.counts[Count.TAKES_CMA])
        found.append(_relative("refills_cma", "all zones", record_cma, model_cma, REFILLS_LIMIT))
    found += _fallbacks(recorded, run)
    found += _free_pages(recorded, run)
    left = int(run.counts[Count.LEFT])
    ranges = int(recorded.counts[Count.RANGE])
    not_free = int(recorded.counts[Count.RANGE_NOT_FREE])
    if ranges:
        found.append(_fit("ranges", "pages left in ranges allocated", not_free, left, 0.001 * ranges + not_free))
    return found


def _fallbacks(recorded: Recorded, run: Run) -> list[Fit]:
    found = []
    for wanted in range(3):
        for other in range(3):
            at = Count.FALLBACKS + 3 * wanted + other
            record, model = int(recorded.counts[at]), int(run.counts[at])
            if not record and not model:
                continue
            factor = max(record, 1) / max(model, 1)
            factor = max(factor, 1 / factor)
            few = max(record, model) < FEW_FALLBACKS
            scope = f"{NAMES[wanted]} from {NAMES[other]}"
            found.append(
                Fit(
                    measure="extfrag", scope=scope, record=record, model=model, error=round(factor, 3),
                    limit=FALLBACKS_FACTOR, ok=few or factor <= FALLBACKS_FACTOR,
                )
            )  # fmt: skip
    return found


def _free_pages(recorded: Recorded, run: Run) -> list[Fit]:
    """Free pages, and pages in blocks of each order, at checkpoints: the error that all but two stay below."""
    if not len(run.blocks):
        return []
    rows = np.unique(np.linspace(0, len(run.blocks) - 1, CHECKPOINTS).astype(int))
    pages = np.int64(1) << np.arange(ORDERS)
    record = recorded.blocks[rows][..., : MigrateType.ISOLATE].sum(axis=(1, 3)) * pages
    model = run.blocks[rows][..., : MigrateType.ISOLATE].sum(axis=(1, 3)) * pages
    total = np.maximum(record.sum(axis=1), 1)
    wrong = np.abs(record.sum(axis=1) - model.sum(axis=1)) / total
    by_order = np.abs(record - model).sum(axis=1) / total
    measures: tuple[tuple[Measure, npt.NDArray[np.float64], float], ...] = (
        ("free_pages", wrong, FREE_LIMIT),
        ("free_by_order", by_order, ORDER_LIMIT),
    )
    last = -1 - min(CHECKPOINTS_WRONG, len(rows) - 1)
    return [
        Fit(
            measure=measure, scope=f"{len(rows)} checkpoints, all but {CHECKPOINTS_WRONG}", record=float(total.mean()),
            model=float(model.sum(axis=1).mean()), error=round(float(np.sort(errors)[last]), 4), limit=limit,
            ok=bool(np.sort(errors)[last] <= limit),
        )
        for measure, errors, limit in measures
    ]  # fmt: skip


def _fit(measure: Measure, scope: str, record: float, model: float, limit: float) -> Fit:
    error = abs(record - model)
    return Fit(
        measure=measure, scope=scope, record=round(record, 4), model=round(model, 4), error=round(error, 4),
        limit=round(limit, 4), ok=error <= limit,
    )  # fmt: skip


def _relative(measure: Measure, scope: str, record: int, model: int, limit: float) -> Fit:
    error = abs(record - model) / max(record, 1)
    return Fit(
        measure=measure, scope=scope, record=record, model=model, error=round(error, 4), limit=limit, ok=error <= limit
    )


def verdict_of(fits: Sequence[Fit]) -> tuple[Fitness, str | None]:
    """good: every measure; usable: those that decide outcomes, costs are not given; else unfit. With the reason."""
    wrong = [fit.measure for fit in fits if not fit.ok]
    for measure in wrong:
        if measure in DECIDING:
            return "unfit", measure
    return ("usable", wrong[0]) if wrong else ("good", None)
