"""Allocations that attempts make themselves, for pages they migrate: how many there would be under a policy.

They count among the movable allocations of a trace, often as many as all others. The model's runs hold the record's;
what differs under a policy shows in how many movable pages the model has in the range, and in what stops the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Attempt
from tracereplay.whatif.fit import Bools
from tracereplay.whatif.guided import Run
from tracereplay.whatif.page_rows import MigrateType, Step
from tracereplay.whatif.script import Script

# Destinations that a page which is never migrated costs in one try, by the source of 6.12: __alloc_contig_migrate_range
# calls migrate_pages() 5 times for a batch (COMPACT_CLUSTER_MAX folios at most), which tries -EBUSY folios once in
# asynchronous and once in synchronous mode (migrate_pages_batch, migrate_pages_sync).
CALLS, MODES, CLUSTER_PAGES = 5, 2, 32


@dataclass(frozen=True, slots=True)
class OwnAllocations:
    """Of one attempt in the record: rows of its allocations, their pages, and those freed again unused."""

    rows: npt.NDArray[np.int64]
    pages: int
    unused: int
    isolated: npt.NDArray[np.int64]  # rows at which the range of its first try was isolated
    range_pages: int


def own_allocations(script: Script, attempts: Sequence[Attempt]) -> list[OwnAllocations]:
    """Movable allocations by an attempt's task while it lasts."""
    events = script.events
    found = []
    for attempt in attempts:
        low = int(np.searchsorted(events["time_ns"], attempt.begin_ns, "left"))
        end_ns = attempt.end_ns if attempt.end_ns is not None else int(events["time_ns"][-1]) if len(events) else 0
        high = int(np.searchsorted(events["time_ns"], end_ns, "right"))
        part = events[low:high]
        tid = attempt.task.tid if attempt.task is not None and attempt.task.tid is not None else -1
        mine = (part["kind"] == Step.ALLOC) & (part["type"] == MigrateType.MOVABLE) & (part["tid"] == tid)
        if attempt.operation not in ("cma_alloc", "contig_alloc", "memory_offline"):
            mine &= False
        frees = (part["kind"] == Step.FREE) & (part["tid"] == tid)
        isolated = np.flatnonzero((part["kind"] == Step.ISOLATE) & (part["time_ns"] == attempt.begin_ns))
        rows = np.flatnonzero(mine)
        found.append(
            OwnAllocations(
                low + rows,
                int(part["pages"][rows].sum()),
                _unused(part, mine, frees),
                low + isolated,
                int(part["pages"][isolated].sum()),
            )
        )
    return found


def _unused(part: npt.NDArray[np.void], allocs: Bools, frees: Bools) -> int:
    """Pages allocated and then freed by the same task within the attempt: destinations of migrations that failed."""
    rows = np.flatnonzero(allocs | frees)
    rows = rows[np.lexsort((rows, part["page"][rows]))]
    pair = (part["page"][rows[:-1]] == part["page"][rows[1:]]) & allocs[rows[:-1]] & frees[rows[1:]]
    return int(part["pages"][rows[:-1][pair]].sum())


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends under a policy: after so many tries, with so many immovable pages in its range."""

    ok: bool
    tries: int
    stuck: int


def predicted_pages(
    own: Sequence[OwnAllocations], attempts: Sequence[Attempt], endings: Sequence[Ending], base: Run, run: Run
) -> list[int]:
    """Pages that each attempt allocates under the policy.

    carry -- pages that the policy leaves in the range and the record does not, since the last attempt that emptied it.
    """
    carry, origin_pages = 0, 1
    found = []
    for mine, attempt, ending in zip(own, attempts, endings, strict=True):
        succeeded = attempt.outcome == "succeeded"
        if not len(mine.isolated) or (not succeeded and not ending.ok):
            found.append(mine.pages)
            continue
        here, there = int(run.out[mine.isolated].sum()), int(base.out[mine.isolated].sum())
        # Of what was left more (or less) the part in this range, never more than the range has.
        part = min(mine.range_pages / origin_pages, 1.0)
        due = max(carry, -here) if carry < 0 else round(carry * part)
        carry -= due
        pages, left = mine.pages, 0
        if succeeded and ending.ok:
            pages += here - there + due
        elif succeeded and ending.stuck:
            below = int(run.below[mine.isolated].sum())
            batch = min(ending.stuck, CLUSTER_PAGES)
            pages, left = below + due + CALLS * MODES * batch * max(ending.tries, 1), here - below
        elif not succeeded:
            pages, left = here + due, -max(here - (mine.pages - mine.unused), 0)
        if left:
            carry, origin_pages = carry + left, max(mine.range_pages, 1)
        found.append(max(pages, 0))
    return found


@dataclass(frozen=True, slots=True)
class Placed:
    """Pages of movable allocations under a run: of these in CMA, all, and those that each attempt makes itself."""

    in_cma: float
    total: float
    by_attempts: Sequence[int] = ()

    @property
    def share(self) -> float:
        """The share in CMA."""
        return self.in_cma / max(self.total, 1)


def placed_with_migrations(
    script: Script, inside: Bools, run: Run, own: Sequence[OwnAllocations], predicted: Sequence[int]
) -> Placed:
    """Pages of movable allocations in CMA under a run, attempts' own allocations as predicted."""
    movable = (script.events["kind"] == Step.ALLOC) & (run.want & 7 == MigrateType.MOVABLE)
    for mine in own:
        movable[mine.rows] = False
    rows = np.flatnonzero(movable)
    total, in_cma = _pages_in(script, inside, run, rows)
    for mine, pages in zip(own, predicted, strict=True):
        all_pages, cma_pages = _pages_in(script, inside, run, mine.rows)
        total += pages
        in_cma += pages * cma_pages / max(all_pages, 1)
    return Placed(in_cma, total, predicted)


def _pages_in(script: Script, inside: Bools, run: Run, rows: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Pages of these allocations, and how many of them a run has in CMA."""
    pages = script.events["pages"][rows].astype(np.int64)
    at = run.out[rows]
    return float(pages.sum()), float((pages * (inside[np.maximum(at, 0)] & (at >= 0))).sum())
