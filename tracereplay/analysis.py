"""One trace, from its events to judged attempts: find them, replay the memory, decide what blocked migration."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tracereplay.attempt_events import ATTEMPT_EVENTS
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents, enabled_events
from tracereplay.attempts.find import find_attempts, plan_probes
from tracereplay.attempts.inventory import Question, given_out_at, inventory_attempts, plan_inventory_probes, takes
from tracereplay.attempts.isolation import isolation_actions, isolation_windows
from tracereplay.attempts.kernel_alloc import find_kernel_allocs, may_be_any, movable_only
from tracereplay.attempts.log import Log, apply_log, named_spans
from tracereplay.attempts.log_missing import LogFacts, missing_in_log
from tracereplay.attempts.occupancy import counted_ranges, counters_of, plan_occupancy_counts
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.concurrency import prefetch
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.decide import judge
from tracereplay.culprits.exits import EXIT_EVENT, Exits
from tracereplay.culprits.snapshot_suspects import telling_owner
from tracereplay.culprits.stacks import Stacks
from tracereplay.culprits.table import BLOCKING_TYPES, events_not_recorded
from tracereplay.gfp import gfp_words, kernel_of_masks
from tracereplay.inputs import PAGE_REF_EVENTS, LossRegistry
from tracereplay.layout.build import complete_layout, infer_layout
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans, merge_spans
from tracereplay.losses import Loss
from tracereplay.model.result import Attempt, Counter
from tracereplay.replay.engine import Engine, ReplayAction
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.replay.seed import seed_before
from tracereplay.replay.unseen_changes import LOOKED_AT, losses_of, pages_looked_at, unseen_changes
from tracereplay.schema import REPLAYED, PageStream, Window
from tracereplay.tasks import isolates_in_background

if TYPE_CHECKING:
    from tracereplay.parsers.base import TraceInfo, TraceReader

Row = Mapping[str, Any]
Rows = Sequence[Row]
# Records of the pages in these spans: page_owner's and page_pinner's.
ReadDumps = Callable[[Sequence[tuple[int, int]]], tuple[Iterable[Row], Rows]]
Progress = Callable[[str, float | None], None]
# Of the pages in the ranges of a kernel log so many records of page_owner are looked at.
MOST_RECORDS = 1 << 14


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside a trace: copies of the machine's state, its kernel log, records of pages."""

    parse_console: Callable[[pa.Table, int], Log]  # printk:console events, page size in bytes
    read_dumps: ReadDumps
    layout: Layout | None = None
    log: Log | None = None
    snapshot: PageWords | None = None  # page flags from before the trace


@dataclass(slots=True)
class Trace:
    """One trace with what is known beside it, and the steps from events to attempts. `Trace.read` makes one."""

    reader: TraceReader
    input_ids: tuple[str, ...]  # several where the traces of one machine are read as one
    beside: Beside
    layout: Layout
    losses: LossRegistry
    progress: Progress
    events: AttemptEvents = field(init=False)
    drafts: list[DetectedAttempt] = field(init=False)
    stacks: Stacks = field(init=False)
    log: Log = field(init=False)  # the one inside the trace, and what a log file has beyond it
    counters: list[Counter] = field(default_factory=list, init=False)  # filled by `attempts`

    @classmethod
    def read(
        cls, reader: TraceReader, input_ids: tuple[str, ...], beside: Beside, losses: LossRegistry, progress: Progress
    ) -> Trace:
        """Read the events of attempts; what the trace lacks is added to `losses`."""
        progress("reading attempts", None)
        info, tables = reader.info, reader.tables_and_names(ATTEMPT_EVENTS)
        recorded = recorded_events(info)
        trace = cls(reader, input_ids, beside, _layout_of(info, tables, beside.layout), losses, progress)
        losses.add(trace.input_id, [] if beside.layout else [Loss("layout_inferred")])
        losses.add(trace.input_id, events_not_recorded(recorded))
        is_exact = info.format.startswith("perf")
        trace.events = AttemptEvents(
            tables, trace._task_stream, info.end_ns or 0, trace.comm_of, trace._hides, recorded
        )
        trace.stacks = Stacks(trace._stack_events, reader.name_of_address, is_exact, trace._events_between)
        trace.log = trace._joined_logs()
        trace.drafts = find_attempts(trace.events, trace.layout, trace.log)
        return trace

    @property
    def input_id(self) -> str:
        """The input its attempts are of: the first."""
        return self.input_ids[0]

    def _known_losses(self) -> list[tuple[str, Loss]]:
        """(id, loss) of its inputs, on the clock of the first."""
        return [
            (name, loss.shifted(-shift) if shift else loss)
            for input_id, shift in zip(self.input_ids, self.reader.shifts, strict=True)
            for name, loss in self.losses.of(input_id)
        ]

    @property
    def has_page_ref(self) -> bool:
        """Whether references were recorded."""
        return any(self.reader.info.by_event.get(name) for name in PAGE_REF_EVENTS)

    def comm_of(self, tid: int) -> str | None:
        """Name of a task, from the trace or the snapshot's task list."""
        return self.reader.comm_of(tid) or self.layout.comms.get(tid)

    def gfp_words(self, mask: int) -> str:
        """A GFP mask of its events by names."""
        info = self.reader.info
        return gfp_words(mask, kernel_of_masks(info.format, info.kernel))

    def page_engine(self) -> Engine:
        """A fresh model that knows whose gets are isolation, and when."""
        return self._engine(self._isolations())

    def _isolations(self) -> list[ReplayAction]:
        """Whose gets are isolation, and when."""
        if not self.has_page_ref:
            return []
        return isolation_actions(isolation_windows(self.events, self.layout, self.drafts, self._background()))

    def _background(self) -> list[int]:
        """Kernel threads that isolate pages all the time."""
        names = {**self.layout.comms, **self.reader.comms}
        return [tid for tid, comm in names.items() if isolates_in_background(comm)]

    def _engine(self, actions: Sequence[ReplayAction]) -> Engine:
        """A fresh model of this machine's memory, with questions."""
        machine = self.reader.info.machine or self.layout.machine
        return Engine(self.reader.page_flag_bits(), machine, self._background(), actions, blocking_types=BLOCKING_TYPES)

    def attempts(self) -> list[Attempt]:
        """Replay the trace and judge every attempt."""
        ranges = counted_ranges(self.layout)
        times = self.reader.info.start_ns or 0, self.events.end_ns
        counting = plan_occupancy_counts(ranges, self.drafts, *times)
        asking = plan_probes(self.events, self.drafts, self.has_page_ref)
        engine = self._engine([*asking, *counting, *self._isolations()])
        self._seed(engine, self.drafts)
        in_need = may_be_any(self.reader.info.by_event)
        if self.drafts or in_need:
            engine.run(self._watched(prefetch(self.reader.stream(REPLAYED))))
        self._note_losses(engine)
        self.counters = counters_of(engine.counts.rows, ranges, self.input_id)
        drafts = self.drafts
        if in_need:
            free = movable_only(self.layout, ranges, engine.counts.rows)
            drafts = [*drafts, *find_kernel_allocs(self.events, engine.table("failed_allocs"), free)]
        attempts = judge(self._context(engine), engine, self.events, drafts, self.input_id)
        return sorted(attempts, key=lambda one: (one.begin_ns, one.id))

    def _note_losses(self, engine: Engine) -> None:
        """What the replay found the trace to lack."""
        self.losses.add(self.input_id, engine.losses())
        pfns = pages_looked_at(engine.conflicted_pfns(), engine.table("suspects")["pfn"])
        if not len(pfns):
            return
        recorded = recorded_events(self.reader.info)
        known = [loss for _, loss in self._known_losses() if loss.may_hide(PAGE_REF_EVENTS)]
        found = unseen_changes(self.reader.stream(LOOKED_AT), pfns, freezes_recorded="page_ref_freeze" in recorded)
        left = (one for one in found if not any(loss.touches(*one) for loss in known))
        self.losses.add(self.input_id, losses_of(left))

    def _hides(self, start_ns: int, end_ns: int) -> bool:
        return any(loss.may_hide(()) and loss.touches(start_ns, end_ns) for _, loss in self._known_losses())

    def covers(self, at_ns: int) -> bool:
        """Whether the time is between the first event and the last."""
        start, end = self.reader.info.start_ns, self.reader.info.end_ns
        return start is not None and end is not None and start <= at_ns <= end

    def inventory(self, times_ns: Sequence[int], question: Question) -> list[Attempt]:
        """What would block migration of these ranges, requested at these times; by time, then by range."""
        drafts = [draft for at_ns in times_ns for draft in inventory_attempts(question, at_ns, self.layout)]
        for draft in drafts:
            given_out = self.drafts, self.events.of("cma_release"), draft.start_ns, self.layout.cma_taken
            draft.given_out = given_out_at(*given_out)
        asking = plan_inventory_probes(drafts, [ProbeKey(number).encode() for number in range(len(drafts))])
        engine = self._engine([*self._isolations(), *takes(self.drafts, len(drafts)), *asking])
        self._seed(engine, drafts)
        engine.run(self._watched(prefetch(self.reader.stream(REPLAYED))))
        self._note_losses(engine)
        context = self._context(engine, tuple(span for draft in drafts for span in draft.spans))
        return judge(context, engine, self.events, drafts, self.input_id)

    def _seed(self, engine: Engine, drafts: Sequence[DetectedAttempt]) -> None:
        """Begin with what the snapshot says of the CMA areas and of the requested ranges."""
        if self.beside.snapshot is not None:
            areas = [(area.start_pfn, area.end_pfn) for area in self.layout.cma_areas]
            seed_before(engine, self.beside.snapshot, [*areas, *(span for draft in drafts for span in draft.spans)])

    def _watched(self, stream: Iterator[PageStream]) -> Iterator[PageStream]:
        """The stream, telling progress by time."""
        start, end = self.reader.info.start_ns or 0, self.reader.info.end_ns or 0
        for chunk in stream:
            yield chunk
            self.progress("replaying", (int(chunk.time_ns[-1]) - start) / max(end - start, 1))

    def _context(self, engine: Engine, requested_spans: Spans = ()) -> AnalysisContext:
        log = self.log
        pfns = np.unique(engine.table("suspects")["pfn"]).tolist()
        spans = merge_spans([*requested_spans, *((pfn, pfn + 1) for pfn in pfns)])
        dumped = self.beside.read_dumps(spans) if spans else ((), ())
        owners = list(dumped[0])
        return AnalysisContext(
            layout=self.layout,
            comm_of=self.comm_of,
            has_page_ref=self.has_page_ref,
            flag_bits=engine.page_flag_bits or {},
            losses=self._known_losses(),
            dumps=_by_pfn(log.page_dumps),
            migrate_failures=_by_pfn(log.migrate_failures),
            end_ns=self.events.end_ns,
            owners=owners_by_pfn(owners, pfns) | {row["pfn"]: row for row in owners if telling_owner(row)},
            pinners=_by_pfn(dumped[1]),
            probes=self.reader.probe_events,
            stack_of=self.stacks.of,
            stack_id_of=self.stacks.id_of,
            has_stacks=self.reader.info.has_stacks,
            comm_at=self.reader.comm_at,
            gfp_words=self.gfp_words,
            renamed_ns=self._renamed_ns(engine),
            exit_of=Exits(self._exit_events).of,
            snapshot=self.beside.snapshot,
            has_trace=True,
        )

    def _renamed_ns(self, engine: Engine) -> list[int]:
        """When tasks that took or released references of suspects changed their names."""
        suspects, refs = engine.table("suspects"), engine.table("refs")
        columns = suspects["alloc_tid"], suspects["clear_tid"], refs["tid"], refs["close_tid"]
        tids = set(np.unique(np.concatenate(columns)).tolist())
        return [time_ns for _, time_ns, _ in self.reader.name_history.rows_of(tids)]

    def _joined_logs(self) -> Log:
        console = self.events.tables.get("console")
        page_size = self.layout.page_size_bytes
        inside = self.beside.parse_console(console, page_size) if console is not None else Log()
        return inside if self.beside.log is None else inside.joined(self.beside.log.without(inside))

    def _task_stream(self, tid: int, start_ns: int, end_ns: int) -> PageStream:
        chunks = self.reader.stream(REPLAYED, Window(start_ns, end_ns))
        stream = PageStream.concatenate([chunk.select(chunk.tid == tid) for chunk in chunks])
        self.engine_decode(stream)
        return stream

    def engine_decode(self, stream: PageStream) -> None:
        """Give page table entries their pfn."""
        Engine(machine=self.reader.info.machine).decode(stream)

    def _stack_events(self, start_ns: int, end_ns: int) -> pa.Table | None:
        if not self.reader.info.has_stacks:
            return None
        return self.reader.tables(("kernel_stack",), Window(start_ns, end_ns)).get("kernel_stack")

    def _events_between(self, start_ns: int, end_ns: int) -> Mapping[str, pa.Table]:
        return self.reader.tables(None, Window(start_ns, end_ns))

    def _exit_events(self) -> pa.Table | None:
        return self.reader.tables((EXIT_EVENT,)).get(EXIT_EVENT) if EXIT_EVENT in self.reader.info.by_event else None


def _layout_of(info: TraceInfo, tables: Mapping[str, pa.Table], known: Layout | None) -> Layout:
    """The layout that is known, completed by what the events show."""
    inferred = infer_layout(
        tables,
        enabled_events=info.by_event.keys(),
        page_size_bytes=info.page_size_bytes,
        machine=info.machine,
        memory_block_bytes=info.memory_block_bytes,
        memory_blocks=info.memory_blocks,
    )
    return inferred if known is None else complete_layout(known, inferred)


def recorded_events(info: TraceInfo) -> frozenset[str]:
    """Kinds of events known to have been enabled."""
    return enabled_events(info.by_event, info.enabled_events, exact=info.format.startswith("perf"))


def owners_by_pfn(rows: Iterable[Row], pfns: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The page_owner record of each page: the dump names the first page of an allocation only."""
    found: dict[int, Mapping[str, Any]] = {}
    for row in rows:
        low = bisect_left(pfns, row["pfn"])
        high = bisect_left(pfns, row["pfn"] + (1 << row["order"]))
        found.update(dict.fromkeys(pfns[low:high], row))
    return found


def attempts_of_log(
    rows: Log, layout: Layout, book: LossRegistry, read: LogFacts, read_dumps: ReadDumps
) -> list[Attempt]:
    """What a kernel log alone tells: failed attempts, and the pages dumped. Who took a reference is not in a log."""
    times = [row["time_ns"] for row in (*rows.page_dumps, *rows.messages) if row["time_ns"] is not None]
    drafts: list[DetectedAttempt] = []
    apply_log(drafts, rows, layout, page_size_known=read.page_size_bytes is not None)
    book.add("log-0", missing_in_log(rows, read, found=bool(drafts)))
    events = no_events(layout, max(times, default=0))
    spans = merge_spans(span for draft in drafts for span in named_spans(draft))
    owners, pinners = read_dumps(spans) if spans else ((), ())
    context = AnalysisContext(
        layout=layout,
        comm_of=layout.comms.get,
        has_page_ref=False,
        flag_bits={},
        losses=book.of("log-0"),
        dumps=_by_pfn(rows.page_dumps),
        migrate_failures=_by_pfn(rows.migrate_failures),
        end_ns=events.end_ns,
        owners=_owners(owners, drafts),
        pinners=_by_pfn(pinners),
    )
    return judge(context, Engine(), events, drafts, "log-0")


def _owners(rows: Iterable[Row], drafts: Sequence[DetectedAttempt]) -> dict[int, Row]:
    """page_owner records of the pages that a log names, and of allocations that begin in its busy ranges."""
    named = sorted({row["pfn"] for draft in drafts for row in draft.evidence if row["pfn"] is not None})
    listed = [row for _, row in zip(range(MOST_RECORDS), rows, strict=False)]
    found = {row["pfn"]: row for row in listed}
    return found | owners_by_pfn(listed, named)


def no_events(layout: Layout, end_ns: int = 0) -> AttemptEvents:
    """The events of no trace."""
    return AttemptEvents({}, lambda _tid, _start, _end: PageStream.concatenate([]), end_ns, layout.comms.get)


def _by_pfn(rows: Sequence[Mapping[str, object]]) -> dict[int, list[Mapping[str, object]]]:
    found: dict[int, list[Mapping[str, object]]] = {}
    for row in rows:
        pfn = row["pfn"]
        if isinstance(pfn, int):
            found.setdefault(pfn, []).append(row)
    return found
