"""One policy on one trace: which obstacles it takes away, where the others are, which pages it makes immovable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Attempt
from tracereplay.whatif.fit import cma_frames
from tracereplay.whatif.guaranteed import GuaranteedNeed, displaced_pages, drop_ns
from tracereplay.whatif.guided import Run
from tracereplay.whatif.guided_kernels import CMA_ALLOWED, STUCK
from tracereplay.whatif.obstacles import Obstacle
from tracereplay.whatif.page_rows import MigrateType, Rule, Step
from tracereplay.whatif.policies.spec import Change
from tracereplay.whatif.pools import PoolNeed, pool_need
from tracereplay.whatif.question import RequestedPolicy as Question
from tracereplay.whatif.replay import Replay, with_rules, without_ranges
from tracereplay.whatif.requests import UNNAMED_DEVICES, WantedPages, ask
from tracereplay.whatif.suspects import PagesInRun, count_tested, drawn

FUSE = "fuse"
PLACING_RULES = (Rule.CMA_MODE, Rule.NUM, Rule.DEN, Rule.OFF_PCP)


@dataclass
class Scene:
    """A policy on a trace."""

    replay: Replay
    question: Question

    @property
    def change(self) -> Change:
        """What the policy changes."""
        return self.question.change

    @cached_property
    def wanted(self) -> WantedPages:
        """The requests under the policy."""
        record = self.replay.requests
        want = self.change.request(record) if self.change.request is not None else record.want
        if not self.replay.has_cma:  # whether a request may use it makes no difference
            want = np.where(want ^ record.want == CMA_ALLOWED, record.want, want)
        return ask(record, want)

    @cached_property
    def migratable(self) -> npt.NDArray[np.bool_] | None:
        """Allocations whose pages the policy makes migratable."""
        chosen = self.change.migratable
        return chosen(self.replay.requests) if chosen is not None else None

    @cached_property
    def moves(self) -> bool:
        """Whether the rule that chooses pages changes, so that other pages than the chosen ones move too.

        All these rules are about CMA: where there is none nothing changes.
        """
        stock = self.replay.stock
        return self.replay.has_cma and any(_differs(stock, self.change, rule) for rule in PLACING_RULES)

    @cached_property
    def has_stuck(self) -> bool:
        """Whether the policy makes pages immovable."""
        return bool(np.any(self.wanted.want & STUCK))

    @property
    def places(self) -> bool:
        """Whether answers need the guided replay."""
        return self.moves or self.has_stuck

    def run(self, number: int, failing: frozenset[str] = frozenset()) -> Run:
        """A run of the guided replay. failing -- attempts that got a range in the record and would not."""
        rules = with_rules(self.replay.stock, self.change.rules, self.wanted.any)
        script = without_ranges(self.replay.script, set(failing)) if failing else None
        return self.replay.run(rules, self.wanted.want, self.wanted.zone, number, script)

    def is_gone(self, one: Obstacle, zone_movable: bool) -> bool | None:
        """Whether the policy alone takes it out of the way; None where that cannot be said.

        zone_movable -- the attempt is on ZONE_MOVABLE (an offline), else on a CMA area.
        """
        change = self.change
        if one.cause in change.gone and (one.cause != "writeback" or self.may_be_fuse(one)):
            return True
        if one.event >= 0 and self.migratable is not None and self.migratable[one.event]:
            return True
        if one.event < 0 or not self.wanted.changed[one.event]:
            return False
        want = int(self.wanted.want[one.event])
        if want & 7 != MigrateType.MOVABLE:
            return True
        return False if zone_movable else not want & CMA_ALLOWED

    def may_be_fuse(self, one: Obstacle) -> bool:
        """Whether its file is of FUSE, or may be: of a file system without a block device that no mount names."""
        if one.file is None:
            return True
        fs = self.replay.facts.layout.file_systems.get(one.file[0])
        return fs.startswith(FUSE) if fs is not None else one.file[0] < UNNAMED_DEVICES

    def pfns_of(self, one: Obstacle, run: Run | None) -> Sequence[int]:
        """Where its pages are: in the record, or in a run; those without a place in a run are left out."""
        if run is None or one.event < 0 or not self.moves:
            return range(one.start_pfn, one.start_pfn + one.pages)
        frame = int(run.out[one.event])
        if frame < 0:
            return ()
        frames = np.arange(frame + one.offset, frame + one.offset + one.pages, dtype=np.int64)
        return [int(pfn) for pfn in self.replay.script.frames.pfns(frames)]

    def stuck(self, run: Run) -> PagesInRun:
        """The pages of a run that the policy makes immovable."""
        return self._pages_in(run, np.flatnonzero(self.wanted.want & STUCK))

    def suspects(self, run: Run, number: int) -> PagesInRun:
        """Pages of block devices that block in this run, wherever it has them."""
        pages = self._pages_in(run, self._block_devices)
        return drawn(pages, *self._suspicion, number)

    @cached_property
    def _block_devices(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.replay.requests.block_devices())

    @cached_property
    def _suspicion(self) -> tuple[int, int]:
        pages = self._pages_in(self.replay.base(), self._block_devices)
        attempts = (one for one in self.replay.facts.attempts if one.operation in ("cma_alloc", "contig_alloc"))
        return count_tested(pages, attempts, self.replay.obstacles)

    def _pages_in(self, run: Run, rows: npt.NDArray[np.int64]) -> PagesInRun:
        """Every page of these allocations."""
        events, frames = self.replay.script.events, self.replay.script.frames
        sizes = events["pages"][rows].astype(np.int64)
        offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        there = np.repeat(run.out[rows].astype(np.int64), sizes)
        here = np.repeat(events["page"][rows].astype(np.int64), sizes)
        pfn = np.where(there >= 0, frames.pfns(np.maximum(there, 0) + offset), -1)
        times = (events["time_ns"][rows], _freed_at(self.replay, rows))
        return PagesInRun(pfn, frames.pfns(here + offset), *(np.repeat(time, sizes) for time in times))

    def waits_saved_ns(self, attempt: Attempt) -> int:
        """How long the attempt waited for pages that the policy takes out of its way."""
        mine = [one for one in self.replay.delays if attempt.id in one.ids]
        here = attempt.operation == "memory_offline"
        gone = [one for one in mine if self.is_gone(one, zone_movable=here)]
        return sum(
            wait.end_ns - wait.start_ns
            for wait in attempt.waits
            if wait.start_pfn is not None
            and any(one.start_pfn <= wait.start_pfn < one.start_pfn + one.pages for one in gone)
        )

    @cached_property
    def pool_need(self) -> PoolNeed | None:
        """What the policy's pool of secretmem comes to; None without one."""
        pool = self.change.pool
        if pool is None or self.replay.missing:
            return None
        chosen = self.replay.requests.secretmem()
        freed_ns = _freed_at(self.replay, np.flatnonzero(chosen))
        return pool_need(self.replay.script, chosen, freed_ns, self.replay.recorded, pool)

    @cached_property
    def guaranteed(self) -> GuaranteedNeed | None:
        """What guaranteed CMA comes to; None under other policies."""
        if not self.change.guaranteed:
            return None
        replay, given = self.replay, self.change.drop_ns
        cached = replay.requests.added()
        if not cached.any():
            return GuaranteedNeed(None, given)
        inside = cma_frames(replay.script, replay.machine)
        there = replay.requests.allocs() & ~cached & inside[np.maximum(replay.script.events["page"], 0)]
        displaced = displaced_pages(replay.script, there, _freed_at(replay, np.flatnonzero(there)))
        return GuaranteedNeed(displaced, given if given is not None else drop_ns(replay.script, cached))

    def costs_unmovable(self) -> int:
        """Pages allocated as unmovable that were movable in the record."""
        events = self.replay.script.events
        lost = self.wanted.changed & (self.wanted.want & 7 != MigrateType.MOVABLE)
        return int(events["pages"][lost].sum())


def _differs(stock: npt.NDArray[np.int64], change: Change, rule: Rule) -> bool:
    """Whether the policy sets this rule to something else; ratios are compared as such."""
    if rule not in change.rules:
        return False
    if rule in (Rule.NUM, Rule.DEN):
        num, den = change.rules.get(Rule.NUM, stock[Rule.NUM]), change.rules.get(Rule.DEN, stock[Rule.DEN])
        return bool(num * stock[Rule.DEN] != den * stock[Rule.NUM])
    return bool(change.rules[rule] != stock[rule])


def _freed_at(replay: Replay, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Time at which each of these allocations is freed in the record; the far future where it is not."""
    events = replay.script.events
    frees = np.flatnonzero(events["kind"] == Step.FREE)
    span = len(events) + 1
    keys = np.sort(events["page"][frees].astype(np.int64) * span + frees)
    place = np.searchsorted(keys, events["page"][rows].astype(np.int64) * span + rows)
    found = keys[np.minimum(place, len(keys) - 1)] if len(keys) else np.zeros(len(rows), np.int64)
    same = (place < len(keys)) & (found // span == events["page"][rows])
    return np.where(same, events["time_ns"][np.where(same, found % span, 0)], np.int64(1) << 62)
