"""How large ZONE_MOVABLE and CMA areas may be without starving the kernel, and how small an area would do.

Memory that only movable allocations may use is lost to the kernel's own. What that needs at a time: what was in use at
the start and on no LRU list, and what was allocated as unmovable or reclaimable since and is not freed. A free of a
page whose allocation is not in the trace may be of either kind: it makes the difference between the two bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.layout.layout import Layout
from tracereplay.model.result import Attempt
from tracereplay.model.whatif import Quantity, SizeScope, SizeVerdict, Sizing
from tracereplay.whatif.machine import ZoneCounts
from tracereplay.whatif.page_rows import MigrateType, Step
from tracereplay.whatif.ranges_held import HeldRange
from tracereplay.whatif.script import Script

Numbers = npt.NDArray[np.int64]


BATCHED_PAGES = 1024  # in use, movable, and on no list: per-CPU batches on their way to the LRU, pages isolated


@dataclass(frozen=True, slots=True)
class KernelNeed:
    """Peak of the pages that the kernel's own allocations had in use: at least, at most, and when.

    total_pages -- of the machine; reserve_pages -- min watermarks; censored -- some of its allocations failed: it
    wanted more than the peaks say.
    """

    least_pages: int
    most_pages: int
    least_ns: int
    most_ns: int
    total_pages: int
    reserve_pages: int
    censored: bool

    def fits_up_to(self) -> int | None:
        """The largest movable-only memory that leaves the kernel what it had at its peak."""
        return None if self.censored else max(self.total_pages - self.most_pages - self.reserve_pages, 0)

    def starves_from(self) -> int:
        """From this size on the kernel could not have had what it had."""
        return max(self.total_pages - self.least_pages + 1, 0)

    def verdict(self, pages: int) -> tuple[SizeVerdict, int | None]:
        """(fits, starves or unknown; time of the peak that says so) for so many movable-only pages."""
        if pages >= self.starves_from():
            return "starves", self.least_ns
        fits = self.fits_up_to()
        if fits is not None and pages <= fits:
            return "fits", self.most_ns
        return "unknown", None


def kernel_need(script: Script, zones: Sequence[ZoneCounts], attempts: Sequence[Attempt]) -> KernelNeed | None:
    """None where no snapshot counts the zones' pages, or no allocation was recorded."""
    if not zones or not np.any(script.events["kind"] == Step.ALLOC):
        return None
    outside = [zone for zone in zones if zone.name != "Movable"]
    used = sum(max(zone.managed - zone.free, 0) for zone in outside)
    on_lru = sum(min(zone.lru, max(zone.managed - zone.free, 0)) for zone in outside)
    rows, least, most = _changes(script)
    start_ns = int(script.events["time_ns"][0])
    low, low_ns = _peak(script, rows, least, start_ns)
    high, high_ns = _peak(script, rows, most, start_ns)
    return KernelNeed(
        least_pages=max(low + used - on_lru - sum(zone.cached for zone in outside) - BATCHED_PAGES, 0),
        most_pages=used - on_lru + high,
        least_ns=low_ns,
        most_ns=high_ns,
        total_pages=sum(zone.managed for zone in zones),
        reserve_pages=sum(zone.min for zone in outside),
        censored=any(one.operation == "kernel_alloc" for one in attempts),
    )


def _peak(script: Script, rows: Numbers, changes: Numbers, start_ns: int) -> tuple[int, int]:
    """Largest sum of changes and its time; 0 at the start where it never rises."""
    sums = np.cumsum(changes)
    if not len(sums) or sums.max() <= 0:
        return 0, start_ns
    at = int(sums.argmax())
    return int(sums[at]), int(script.events["time_ns"][rows[at]])


def _changes(script: Script) -> tuple[Numbers, Numbers, Numbers]:
    """Rows of allocations and frees, and by how many pages the kernel's use changes there: at least, at most."""
    events = script.events
    rows = np.flatnonzero(np.isin(events["kind"], (Step.ALLOC, Step.FREE))).astype(np.int64)
    by_page = rows[np.lexsort((rows, events["page"][rows]))]
    is_alloc = events["kind"][by_page] == Step.ALLOC
    movable = (events["type"][by_page] == MigrateType.MOVABLE) | (events["type"][by_page] == MigrateType.CMA)
    same = np.zeros(len(by_page), bool)
    same[1:] = events["page"][by_page[1:]] == events["page"][by_page[:-1]]
    paired = np.zeros(len(by_page), bool)  # a free right after the allocation of that page
    paired[1:] = same[1:] & ~is_alloc[1:] & is_alloc[:-1]
    was_kernel = np.zeros(len(by_page), bool)
    was_kernel[1:] = paired[1:] & ~movable[:-1]
    pages = events["pages"][by_page].astype(np.int64)
    alloc = np.where(is_alloc & ~movable, pages, 0)
    freed = np.where(was_kernel, pages, 0)
    unknown = np.where(~is_alloc & ~paired, pages, 0)
    order = np.argsort(by_page, kind="stable")
    return rows, (alloc - freed - unknown)[order], (alloc - freed)[order]


def held_at_once(ranges: Sequence[HeldRange], attempts: Sequence[Attempt]) -> tuple[int, int | None]:
    """Most CMA pages that were held or wanted at one time, and when: what the smallest area has to hold."""
    best, best_ns = 0, None
    for attempt in attempts:
        if attempt.operation != "cma_alloc" or attempt.request.pages is None:
            continue
        now = attempt.begin_ns
        held = sum(
            one.end_pfn - one.start_pfn
            for one in ranges
            if one.from_ns <= now < one.to_ns and one.attempt_id != attempt.id
        )
        if held + attempt.request.pages > best:
            best, best_ns = held + attempt.request.pages, now
    return best, best_ns


def size_rows(
    input_id: str, scope: SizeScope, need: KernelNeed | None, held: tuple[int, int | None], layout: Layout
) -> list[Sizing]:
    """The bounds for one kind of memory: `movable` or `cma`. The other kind keeps the size it has."""
    movable = sum(zone.pages for zone in layout.zones if zone.name == "Movable")
    areas = sum(area.pages for area in layout.cma_areas)
    other = areas if scope == "movable" else movable
    fits = need.fits_up_to() if need is not None else None
    starves = need.starves_from() if need is not None else None
    rows = [
        _row(input_id, scope, "fits_up_to", _less(fits, other), need.most_ns if need is not None else None, "fits"),
        _row(
            input_id, scope, "starves_from", _less(starves, other), need.least_ns if need is not None else None,
            "starves",
        ),
    ]  # fmt: skip
    if scope == "cma" and held[0]:
        rows.append(_row(input_id, scope, "holds_from", held[0], held[1], "fits"))
    return rows


def requested_row(input_id: str, scope: SizeScope, pages: int, need: KernelNeed | None, layout: Layout) -> Sizing:
    """A size that a policy names."""
    movable = sum(zone.pages for zone in layout.zones if zone.name == "Movable")
    areas = sum(area.pages for area in layout.cma_areas)
    if need is None:
        return _row(input_id, scope, "asked", pages, None, "unknown")
    if need.censored and pages >= (movable if scope == "movable" else areas):
        return _row(input_id, scope, "asked", pages, need.least_ns, "starves")  # as in the record
    verdict, when = need.verdict(pages + (areas if scope == "movable" else movable))
    return _row(input_id, scope, "asked", pages, when, verdict)


def _less(pages: int | None, other: int) -> int | None:
    return None if pages is None else max(pages - other, 0)


def _row(
    input_id: str, scope: SizeScope, quantity: Quantity, pages: int | None, when: int | None, verdict: SizeVerdict
) -> Sizing:
    known: SizeVerdict = verdict if pages is not None else "unknown"
    return Sizing(input_id=input_id, scope=scope, quantity=quantity, pages=pages, time_ns=when, verdict=known)
