"""One attempt under one policy: would it have succeeded, when, and if that cannot be said, why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tracereplay.layout.layout import Span
from tracereplay.model.result import Attempt
from tracereplay.model.whatif import SizeScope
from tracereplay.whatif.guided import Run
from tracereplay.whatif.obstacles import Obstacle
from tracereplay.whatif.policies.spec import Retry
from tracereplay.whatif.ranges_held import HeldRange, RangesHeld
from tracereplay.whatif.scene import Scene
from tracereplay.whatif.suspects import PagesInRun, range_got
from tracereplay.whatif.walk import Walk, first_fit, gaps_between

WHOLE_AREA = 0.95  # of the area: a request of so much was made from its size
NO_PAGE_CAUSES = frozenset({"destination_enomem"})


@dataclass(slots=True)
class Ruling:
    """ok -- None = cannot be said, then `why`; upper -- not all that blocked is known to have been seen."""

    ok: bool | None
    why: str | None = None
    blocked_by: list[str] = field(default_factory=list)
    at_ns: int | None = None
    tries: int | None = None
    upper: bool = False
    stuck: int = 0  # pages in the range that the policy made immovable


@dataclass(slots=True)
class Court:
    """All attempts of one trace under one policy, in one run of the ensemble (None: as recorded)."""

    scene: Scene
    run: Run | None
    held: RangesHeld
    number: int = 0  # of the run
    stuck: PagesInRun | None = None
    suspects: PagesInRun | None = None

    def __post_init__(self) -> None:
        if self.run is not None and self.scene.has_stuck:
            self.stuck = self.scene.stuck(self.run)
        if self.run is not None and self.scene.moves:
            self.suspects = self.scene.suspects(self.run, self.number)

    def judge(self, attempt: Attempt) -> Ruling:
        """The ruling on one attempt; attempts are judged in the order of their time."""
        if self.scene.change.not_modelled is not None:
            return Ruling(None, self.scene.change.not_modelled)
        if attempt.outcome == "unfinished":
            return Ruling(None, "not_modelled")
        if attempt.operation == "kernel_alloc":
            return self._kernel_alloc()
        if self.scene.change.movable_pages is not None:
            return Ruling(None, "not_modelled")
        if attempt.operation == "cma_alloc":
            ruling = self._cma_alloc(attempt)
        elif attempt.operation == "memory_offline":
            ruling = self._range(attempt, zone_movable=True)
        elif attempt.operation == "contig_alloc":
            ruling = self._range(attempt, zone_movable=False)
        elif attempt.operation == "longterm_pin":
            ruling = self._longterm_pin(attempt)
        else:
            ruling = self._as_recorded(attempt)
        self._remember(attempt, ruling)
        return ruling

    def _remember(self, attempt: Attempt, ruling: Ruling) -> None:
        if attempt.operation != "cma_alloc":
            return
        if attempt.outcome == "succeeded" and ruling.ok is False:
            self.held.failing.add(attempt.id)
        if attempt.outcome != "succeeded" and ruling.ok:
            area = self._area(attempt)
            at_ns = ruling.at_ns or attempt.end_ns or attempt.begin_ns
            start = area.start_pfn if area is not None else 0
            self.held.saved.append(HeldRange(attempt.id, start, start + (attempt.request.pages or 0), at_ns, 1 << 62))

    def _kernel_alloc(self) -> Ruling:
        """Only a size says what the kernel would have had; other placement leaves it more or less."""
        change, replay = self.scene.change, self.scene.replay
        scope: SizeScope | None = None
        pages = 0
        if change.movable_pages is not None:
            scope, pages = "movable", change.movable_pages
        elif change.area_pages is not None:
            scope, pages = "cma", change.area_pages
        if scope is None:
            placed = self.scene.places or self.scene.wanted.any or change.guaranteed
            return Ruling(None, "needs_closed_loop") if placed else Ruling(False)
        verdict = replay.requested_size(scope, pages).verdict
        if verdict == "unknown":
            return Ruling(None, "needs_closed_loop")
        return Ruling(verdict == "fits", upper=verdict == "fits")

    def _as_recorded(self, attempt: Attempt) -> Ruling:
        if self.scene.places or self.scene.wanted.any:
            return Ruling(None, "not_modelled")
        return Ruling(attempt.outcome == "succeeded")

    # cma_alloc

    def _area(self, attempt: Attempt) -> Span | None:
        layout = self.scene.replay.facts.layout
        area = layout.area_named(attempt.area) if attempt.area is not None else None
        starts = [one.start_pfn for one in attempt.tries if one.start_pfn is not None]
        if area is None and starts:
            area = layout.area_of(starts[0])
        if area is None and starts:
            ends = [one.end_pfn for one in attempt.tries if one.end_pfn is not None]
            area = Span("tried", min(starts), max(ends) - min(starts))
        return area

    def _cma_alloc(self, attempt: Attempt) -> Ruling:
        change, area, pages = self.scene.change, self._area(attempt), attempt.request.pages
        if area is None or pages is None:
            return Ruling(None, "not_modelled")
        if change.pool is not None and change.pool.in_cma and not self._beside_pool(area, pages):
            return Ruling(None, "needs_closed_loop")
        if change.area_pages is not None:
            return self._other_size(attempt, area, change.area_pages, pages)
        if change.guaranteed:
            return self._guaranteed(attempt, area, pages)
        if attempt.cause == "bitmap_full":
            return self._bitmap_full(attempt, area, pages)
        unclear = self._after_saved(area, pages)
        if unclear is not None:
            return unclear
        if attempt.outcome == "succeeded":
            return self._still_free(attempt, area, pages)
        return self._failed_cma(attempt, area, pages)

    def _beside_pool(self, area: Span, pages: int) -> bool:
        """Whether the pool leaves room for the request, wherever in the area its blocks are: it may cut every run."""
        need = self.scene.pool_need
        pool = self.scene.change.pool
        if need is None or pool is None:
            return False
        taken = need.blocks << pool.order
        return taken == 0 or (area.pages - taken) // (need.blocks + 1) >= pages

    def _other_size(self, attempt: Attempt, area: Span, area_pages: int, pages: int) -> Ruling:
        """A request for nearly the whole area follows its size: what would have been requested is not known."""
        if pages >= WHOLE_AREA * area.pages:
            return Ruling(None, "needs_closed_loop")
        if pages > area_pages:
            return Ruling(False)
        return Ruling(True, upper=True) if attempt.outcome == "succeeded" else Ruling(None, "not_modelled")

    def _guaranteed(self, attempt: Attempt, area: Span, pages: int) -> Ruling:
        gaps = gaps_between(area.start_pfn, area.end_pfn, self.held.at(attempt.begin_ns, attempt))
        if any(high - low >= pages for low, high in gaps):
            return Ruling(True, tries=1)
        return Ruling(False, "bitmap_full")

    def _bitmap_full(self, attempt: Attempt, area: Span, pages: int) -> Ruling:
        if not self.held.freed_by_policy(attempt.begin_ns):
            return Ruling(False)
        walk = self._walk(attempt, area, pages, self._others(attempt, attempt.begin_ns), attempt.begin_ns)
        return (
            Ruling(True, tries=walk.tries, upper=True)
            if walk.start_pfn is not None
            else Ruling(None, "needs_closed_loop")
        )

    def _after_saved(self, area: Span, pages: int) -> Ruling | None:
        """A range saved before may still be held: who repeats the same request has given it back, others may not."""
        saved = [
            one for one in self.held.saved if area.contains(one.start_pfn) and one.end_pfn - one.start_pfn != pages
        ]
        taken = sum(one.end_pfn - one.start_pfn for one in saved)
        if taken and area.pages - taken < pages:
            return Ruling(None, "needs_closed_loop")
        return None

    def _walk(self, attempt: Attempt, area: Span, pages: int, pfns: Iterable[int], time_ns: int) -> Walk:
        """Walk the area with these pages and those the policy made immovable in the way."""
        gaps = gaps_between(area.start_pfn, area.end_pfn, self.held.at(time_ns, attempt))
        step = 1 << (attempt.request.align_order or 0)
        return first_fit(sorted({*pfns, *self._stuck(attempt)}), gaps, pages, step, self.scene.change.past_blocker)

    def _others(self, attempt: Attempt, time_ns: int, surely: bool = False) -> list[int]:
        """Obstacles of other attempts that are somewhere else than in the record: there they block, too.

        Not those whose page this very attempt moved: by then they did not block any more.
        """
        if self.run is None or not self.scene.moves:
            return []
        got = range_got(attempt)
        found: list[int] = []
        for one in self.scene.replay.obstacles:
            if attempt.id in one.ids or (got is not None and got.contains(one.start_pfn)):
                continue
            there = one.surely(time_ns) if surely else one.possibly(time_ns)
            if there and not self.scene.is_gone(one, zone_movable=False):
                found += self.scene.pfns_of(one, self.run)
        return found

    def _suspected(self, attempt: Attempt) -> list[int]:
        """Pages that the policy puts into the way and that block in this run, though they did not in the record."""
        if self.suspects is None:
            return []
        end_ns = attempt.end_ns if attempt.end_ns is not None else attempt.begin_ns
        return self.suspects.at(attempt.begin_ns, end_ns, range_got(attempt))

    def _still_free(self, attempt: Attempt, area: Span, pages: int) -> Ruling:
        suspected = self._suspected(attempt)
        others = [*self._others(attempt, attempt.begin_ns), *suspected]
        possible = self._walk(attempt, area, pages, others, attempt.begin_ns)
        if possible.start_pfn is not None:
            return Ruling(True, tries=possible.tries, upper=self.scene.moves)
        sure = [*self._others(attempt, attempt.begin_ns, surely=True), *suspected]
        if self._walk(attempt, area, pages, sure, attempt.begin_ns).start_pfn is None:
            stuck = sum(area.contains(pfn) for pfn in self._stuck(attempt))
            blocked_by = self._ids(self.scene.replay.obstacles, attempt)
            return Ruling(False, tries=possible.tries, blocked_by=blocked_by, stuck=stuck)
        return Ruling(None, "culprit_unknown")

    def _stuck(self, attempt: Attempt) -> list[int]:
        """Pages that the policy made immovable and that are there all the time the attempt lasts."""
        return self.stuck.at(attempt.begin_ns, attempt.end_ns or attempt.begin_ns) if self.stuck is not None else []

    def _ids(self, obstacles: Iterable[Obstacle], attempt: Attempt) -> list[str]:
        return sorted({one.ids[attempt.id] for one in obstacles if attempt.id in one.ids})

    def _failed_cma(self, attempt: Attempt, area: Span, pages: int) -> Ruling:
        if attempt.cause in NO_PAGE_CAUSES or attempt.errno == "ENOMEM":
            return self._no_destination(attempt)
        own = [one for one in self.scene.replay.obstacles if attempt.id in one.ids]
        if not own:
            return Ruling(None, "culprit_unknown")
        recorded = sorted(pfn for one in own for pfn in range(one.start_pfn, one.start_pfn + one.pages))
        gaps = gaps_between(area.start_pfn, area.end_pfn, self.held.at(attempt.begin_ns, attempt))
        known = first_fit(recorded, gaps, pages, 1 << (attempt.request.align_order or 0)).start_pfn is None
        left = [one for one in own if not self.scene.is_gone(one, zone_movable=False)]
        upper = not self.scene.replay.facts.has_page_ref
        pfns = [pfn for one in left for pfn in self.scene.pfns_of(one, self.run)]
        pfns += [*self._others(attempt, attempt.begin_ns), *self._suspected(attempt)]
        walk = self._walk(attempt, area, pages, pfns, attempt.begin_ns)
        if walk.start_pfn is not None:
            # Whether all that blocked is known shows in the record: the known culprits alone must fail it.
            return Ruling(True, tries=walk.tries, upper=upper) if known or not left else Ruling(None, "culprit_unknown")
        retry = self.scene.change.retry
        if retry is not None and attempt.operation in retry.operations:
            return self._retried(attempt, area, pages, left, retry)
        return Ruling(False, tries=walk.tries, blocked_by=self._ids(left, attempt))

    def _no_destination(self, attempt: Attempt) -> Ruling:
        if self.scene.change.split_destinations:
            return self._split(attempt)
        if self.scene.places or self.scene.wanted.any or self.scene.change.retry is not None:
            return Ruling(None, "needs_closed_loop")
        return Ruling(False)

    def _split(self, attempt: Attempt) -> Ruling:
        """Single pages in place of a large one: enough were free, outside of isolated pageblocks, at the end."""
        replay = self.scene.replay
        if replay.missing or attempt.end_ns is None or not len(replay.script.count_ns):
            return Ruling(None, "events_not_recorded")
        row = max(int(np.searchsorted(replay.script.count_ns, attempt.end_ns)) - 1, 0)
        free = int(replay.recorded.free_pages()[row].sum())
        return Ruling(True, upper=True) if free >= (attempt.request.pages or free + 1) else Ruling(None, "not_modelled")

    def _retried(self, attempt: Attempt, area: Span, pages: int, left: Sequence[Obstacle], retry: Retry) -> Ruling:
        """The first later round in which nothing blocks; not known where a release is only an interval."""
        upper = not self.scene.replay.facts.has_page_ref
        certain = True
        round_ns = _round_ns(attempt)
        times = [(self.scene.pfns_of(one, self.run), *one.while_waiting(attempt)) for one in left]
        for number in range(1, retry.times + 1):
            at_ns = (attempt.end_ns or attempt.begin_ns) + number * retry.sleep_ns + (number - 1) * round_ns
            may = [pfn for pfns, _, free_ns in times if at_ns < free_ns for pfn in pfns]
            must = [pfn for pfns, held_ns, _ in times if at_ns <= held_ns for pfn in pfns]
            got = self._walk(attempt, area, pages, may, at_ns)
            if got.start_pfn is not None:
                return Ruling(True, at_ns=at_ns, tries=number + 1, upper=upper)
            certain = certain and self._walk(attempt, area, pages, must, at_ns).start_pfn is None
        if certain:
            return Ruling(False, blocked_by=self._ids(left, attempt))
        return Ruling(None, "release_unknown", blocked_by=self._ids(left, attempt))

    # offline and other fixed ranges

    def _range(self, attempt: Attempt, zone_movable: bool) -> Ruling:
        request = attempt.request
        low, high = request.start_pfn, request.end_pfn
        if low is None or high is None:
            return self._as_recorded(attempt)
        inside = sum(low <= pfn < high for pfn in self._stuck(attempt))
        if inside:
            return Ruling(False, stuck=inside)
        if attempt.outcome == "succeeded":
            return Ruling(True)
        own = [one for one in self.scene.replay.obstacles if attempt.id in one.ids]
        changed = self.scene.places or self.scene.wanted.any
        if changed and (not own or not self._in_movable_zone(low)):
            return Ruling(None, "culprit_unknown" if not own else "not_modelled")
        if not own:
            return Ruling(False)
        left = [one for one in own if not self.scene.is_gone(one, zone_movable)]
        moved = [one for one in left if not any(low <= pfn < high for pfn in self.scene.pfns_of(one, self.run))]
        left = [one for one in left if one not in moved]
        if left:
            return Ruling(False, blocked_by=self._ids(left, attempt))
        return Ruling(True, upper=not self.scene.replay.facts.has_page_ref)

    def _in_movable_zone(self, pfn: int) -> bool:
        zone = self.scene.replay.facts.layout.zone_of(pfn)
        return zone is not None and zone.name == "Movable"

    # long-term pins

    def _longterm_pin(self, attempt: Attempt) -> Ruling:
        """A pin of pages outside of CMA and ZONE_MOVABLE migrates nothing (folio_is_longterm_pinnable)."""
        if self.scene.change.area_pages is not None:
            return Ruling(None, "not_modelled")
        if attempt.outcome == "succeeded":
            return Ruling(True)
        own = [one for one in self.scene.replay.obstacles if attempt.id in one.ids]
        if not own:
            return self._as_recorded(attempt) if not self.scene.change.retry else Ruling(None, "culprit_unknown")
        layout = self.scene.replay.facts.layout
        left = []
        for one in own:
            movable_zone = self._in_movable_zone(one.start_pfn)
            gone = self.scene.is_gone(one, movable_zone) or (self.scene.change.guaranteed and not movable_zone)
            if not gone and (movable_zone or any(layout.area_of(pfn) for pfn in self.scene.pfns_of(one, self.run))):
                left.append(one)
        if not left:
            return Ruling(True, upper=not self.scene.replay.facts.has_page_ref)
        retry = self.scene.change.retry
        if retry is None or attempt.operation not in retry.operations:
            return Ruling(False, blocked_by=self._ids(left, attempt))
        return self._pin_again(attempt, left, retry)

    def _pin_again(self, attempt: Attempt, left: Sequence[Obstacle], retry: Retry) -> Ruling:
        begin = attempt.end_ns or attempt.begin_ns
        took = begin - attempt.begin_ns
        times = [one.while_waiting(attempt) for one in left]
        held_ns, free_ns = max(held for held, _ in times), max(free for _, free in times)
        last = begin + retry.times * retry.sleep_ns + (retry.times - 1) * took
        for number in range(1, retry.times + 1):
            at_ns = begin + number * retry.sleep_ns + (number - 1) * took
            if at_ns >= free_ns:
                return Ruling(True, at_ns=at_ns, tries=number + 1, upper=not self.scene.replay.facts.has_page_ref)
        if last <= held_ns:
            return Ruling(False, blocked_by=self._ids(left, attempt))
        return Ruling(None, "release_unknown", blocked_by=self._ids(left, attempt))


def _round_ns(attempt: Attempt) -> int:
    """How long a further walk through the area takes: as the recorded one, its first try as short as the others.

    The first try of an attempt migrates what can be migrated; later ones find that done.
    """
    spans = sorted(one.finish_ns - one.begin_ns for one in attempt.tries)
    if not spans:
        return 0
    return spans[len(spans) // 2] * len(spans)
