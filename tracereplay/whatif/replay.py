"""One trace, ready to be replayed under policies: script, seed, recorded allocator, calibration, fit of the base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.layout.layout import Layout
from tracereplay.model.result import Attempt
from tracereplay.model.whatif import Fit, Fitness, SizeScope, Sizing
from tracereplay.schema import PageStream
from tracereplay.whatif.buddy_kernels import NEVER
from tracereplay.whatif.calibrate import Hidden, hidden_pages
from tracereplay.whatif.fit import measure_fit, verdict_of
from tracereplay.whatif.guided import Run, run_guided
from tracereplay.whatif.machine import Machine, machine_of
from tracereplay.whatif.obstacles import Obstacle, obstacles_of
from tracereplay.whatif.page_rows import Count, MigrateType, Rule
from tracereplay.whatif.policies.spec import PLACING
from tracereplay.whatif.ranges_held import RangesHeld, ranges_held
from tracereplay.whatif.recorded import Recorded, replay_record, stock_rules
from tracereplay.whatif.requests import UNNAMED_DEVICES, Requests, requests_of
from tracereplay.whatif.rules import BaseRules, base_rules
from tracereplay.whatif.script import Script, script_of, stretches_of
from tracereplay.whatif.seed import Seed, seed_of
from tracereplay.whatif.sizing import KernelNeed, held_at_once, kernel_need, requested_row, size_rows

INCOMPLETE = 0.005  # share of pages taken that were not free: beyond, events are missing
WAITED = frozenset({"locked_folio", "writeback"})
FEW_PAGES = 2  # taken without having been free: within this, costs are given


@dataclass(frozen=True, kw_only=True)
class TraceFacts:
    """What a session hands over for one machine's trace."""

    input_id: str
    stream: Callable[[], Iterable[PageStream]]  # of script.STREAMED
    attempts: Sequence[Attempt]
    layout: Layout
    layout_tables: Mapping[str, pa.Table] | None
    by_event: Mapping[str, int]
    comm_of: Callable[[int], str | None]
    has_page_ref: bool
    end_ns: int


@dataclass
class Replay:
    """The models of one trace, each made when first used."""

    facts: TraceFacts
    _runs: dict[int, Run] = field(default_factory=dict)

    @cached_property
    def machine(self) -> Machine:
        """Zones, areas, present memory, free counts."""
        return machine_of(self.facts.layout, self.facts.layout_tables)

    @cached_property
    def script(self) -> Script:
        """What is replayed."""
        stretches = stretches_of(self.facts.attempts, self.facts.end_ns)
        return script_of(self.facts.stream(), stretches, self.machine.spans())

    @cached_property
    def seed(self) -> Seed:
        """The start."""
        return seed_of(self.script, self.machine)

    @cached_property
    def missing(self) -> list[str]:
        """Events that placement needs and the trace has none of."""
        return [name for name in PLACING if not self.facts.by_event.get(name)]

    @cached_property
    def uncalibrated(self) -> Recorded:
        """The recorded allocator with every page free that the snapshot counts: what calibration looks at."""
        return replay_record(self.script, self.seed, self.whole_frees)

    @cached_property
    def hidden(self) -> dict[int, Hidden]:
        """Pages of each zone that had left the lists unseen; empty where the kernel made no choices that bound them."""
        if self.rules.values.get(Rule.CMA_MODE) == NEVER:
            return {}
        return hidden_pages(self.script, self.seed, self.uncalibrated.balance)

    @cached_property
    def recorded(self) -> Recorded:
        """The recorded allocator, calibrated."""
        return replay_record(self.script, self.seed, self.whole_frees, self._hidden_values())

    @cached_property
    def has_cma(self) -> bool:
        """Whether the machine has CMA: an area in the snapshot, or a page that came from or went to its lists."""
        return bool(self.machine.cma_areas) or bool(np.any(self.script.events["type"] == MigrateType.CMA))

    @cached_property
    def whole_frees(self) -> bool:
        """Whether free_contig_range() frees aligned blocks: deduced from the frees of ranges, not from the release."""
        return self.script.whole_frees

    @cached_property
    def rules(self) -> BaseRules:
        """The rules of the kernel that was traced, as its choices show them."""
        return base_rules(self.script, self.uncalibrated.balance)

    @cached_property
    def stock(self) -> npt.NDArray[np.int64]:
        """The rules as the models take them."""
        rules = stock_rules(self.whole_frees)
        for rule, value in self.rules.values.items():
            rules[rule] = value
        return rules

    @cached_property
    def requests(self) -> Requests:
        """What every allocation requested."""
        return requests_of(
            self.script, self.machine, self.facts.comm_of, self.facts.layout.file_systems, self._waited_devices()
        )

    def _waited_devices(self) -> frozenset[int]:
        """Devices without a block device whose pages attempts waited for, where no mount names them."""
        known = self.facts.layout.file_systems
        culprits = [culprit for attempt in self.facts.attempts for culprit in attempt.culprits]
        devices = {one.file.dev for one in culprits if one.cause in WAITED and one.file is not None}
        return frozenset(dev for dev in devices if dev is not None and dev < UNNAMED_DEVICES and dev not in known)

    @cached_property
    def obstacles(self) -> list[Obstacle]:
        """Pages that blocked attempts."""
        return obstacles_of(self.facts.attempts, self.script, self.facts.has_page_ref)

    @cached_property
    def delays(self) -> list[Obstacle]:
        """Pages that attempts waited for."""
        return obstacles_of(self.facts.attempts, self.script, self.facts.has_page_ref, delaying=True)

    @cached_property
    def kernel_need(self) -> KernelNeed | None:
        """What the kernel's own allocations had in use at their peak."""
        return kernel_need(self.script, self.machine.counts, self.facts.attempts)

    @cached_property
    def held(self) -> RangesHeld:
        """The ranges that were allocated."""
        return ranges_held(self.facts.attempts, self.script)

    def sizing(self, scope: SizeScope) -> list[Sizing]:
        """How large this kind of memory may be, how small it would do."""
        held = held_at_once(self.held.ranges, self.facts.attempts)
        return size_rows(self.facts.input_id, scope, self.kernel_need, held, self.facts.layout)

    def requested_size(self, scope: SizeScope, pages: int) -> Sizing:
        """Whether so much of this kind of memory would have left the kernel what it had."""
        return requested_row(self.facts.input_id, scope, pages, self.kernel_need, self.facts.layout)

    def _hidden_values(self) -> dict[int, int]:
        return {zone: hidden.pages for zone, hidden in self.hidden.items()}

    def base(self, number: int = 0) -> Run:
        """The guided replay under the trace's own rules; number 0 is the seed itself, others are of the ensemble."""
        if number not in self._runs:
            self._runs[number] = self.run(self.stock, self.requests.want, None, number)
        return self._runs[number]

    def run(
        self,
        rules: npt.NDArray[np.int64],
        want: npt.NDArray[np.uint8],
        zone: npt.NDArray[np.int8] | None,
        number: int,
        script: Script | None = None,
    ) -> Run:
        """One run of the ensemble under changed rules and requests."""
        rng = np.random.default_rng(number) if number else None
        hidden = self._hidden_values()
        if rng is not None:
            for row, one in self.hidden.items():
                if one.low is not None and one.high is not None:
                    hidden[row] = int(rng.integers(one.low, one.high + 1))
        return run_guided(script or self.script, self.seed, hidden, rules, want, zone, rng)

    @cached_property
    def fit(self) -> list[Fit]:
        """The base run against the record; empty where placement cannot be modelled."""
        if self.missing:
            return []
        return measure_fit(self.script, self.machine, self.recorded, self.base())

    @cached_property
    def verdict(self) -> tuple[Fitness, str | None]:
        """Whether answers that hang on placement are given, and the reason if not."""
        if self.missing:
            return "unfit", "events_not_recorded"
        counts = self.recorded.counts
        if counts[Count.TAKEN_NOT_FREE] > INCOMPLETE * max(counts[Count.TAKEN], 1):
            return "unfit", "loss_in_interval"
        verdict, why = verdict_of(self.fit)
        if verdict == "good" and counts[Count.TAKEN_NOT_FREE] > FEW_PAGES:
            return "usable", "loss_in_interval"
        return verdict, why


def with_rules(stock: npt.NDArray[np.int64], changes: Mapping[Rule, int], new_classes: bool) -> npt.NDArray[np.int64]:
    """The stock rules with a policy's changes."""
    rules = stock.copy()
    for rule, value in changes.items():
        rules[rule] = value
    rules[Rule.NEW_CLASSES] = new_classes
    return rules


def without_ranges(script: Script, attempt_ids: set[str]) -> Script:
    """The script without the ranges that these attempts got."""
    events = script.events.copy()
    for stretch in script.stretches:
        if stretch.taken and stretch.attempt_id in attempt_ids:
            _void(events, stretch.end_ns, script.frames.runs(stretch.start_pfn, stretch.end_pfn))
    return replace(script, events=events)


def _void(events: npt.NDArray[np.void], end_ns: int, runs: Iterable[tuple[int, int]]) -> None:
    from tracereplay.whatif.page_rows import Step  # noqa: PLC0415

    for page, pages in runs:
        row = (events["kind"] == Step.CONTIG) & (events["time_ns"] == end_ns)
        row &= (events["page"] == page) & (events["pages"] == pages)
        events["kind"][row] = Step.SKIP
