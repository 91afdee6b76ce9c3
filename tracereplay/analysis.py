"""One trace, from its events to judged attempts: find them, replay the memory, decide what stood in the way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tracereplay.ahead import ahead
from tracereplay.attempts.draft import Draft
from tracereplay.attempts.events import ATTEMPT_EVENTS, AttemptEvents
from tracereplay.attempts.find import blocking_key, find_attempts, questions
from tracereplay.attempts.inventory import asked, asked_ranges, inventory_questions
from tracereplay.attempts.log import Log, apply_log
from tracereplay.attempts.occupancy import counted_ranges, counters_of, occupancy_questions
from tracereplay.culprits.decide import judge
from tracereplay.culprits.stacks import Stacks
from tracereplay.culprits.suspect import Run
from tracereplay.inputs import PAGE_REF_EVENTS, LossBook
from tracereplay.layout.build import complete_layout, infer_layout
from tracereplay.layout.layout import Layout
from tracereplay.losses import Loss
from tracereplay.model.result import Attempt, Counter
from tracereplay.replay.engine import Action, Engine
from tracereplay.replay.page_life import isolation_windows
from tracereplay.schema import ARGS, Op, PageStream

if TYPE_CHECKING:
    from tracereplay.parsers.base import TraceReader, Window

Row = Mapping[str, Any]
Rows = Sequence[Row]
# Records of the pages in these spans: page_owner's and page_pinner's.
ReadDumps = Callable[[Sequence[tuple[int, int]]], tuple[Iterable[Row], Rows]]
Progress = Callable[[str, float | None], None]
ISOLATING_TASKS = ("kcompactd", "kswapd")
# The page stream entries the replay needs; the others are for readers of the tables.
REPLAYED = frozenset(Op) - {Op.NONE, Op.LRU_ADD, Op.IOMMU_MAP, Op.IOMMU_UNMAP, Op.EXTFRAG}


@dataclass(slots=True)
class Trace:
    """One trace with what is known beside it, and the steps from events to attempts."""

    reader: TraceReader
    input_ids: tuple[str, ...]  # several where the traces of one machine are read as one
    known_layout: Layout | None
    log: Log | None
    read_console: Callable[[pa.Table, int], Log]
    losses: LossBook
    progress: Progress
    window: Callable[[int, int], Window]
    read_dumps: ReadDumps
    layout: Layout = field(init=False)
    events: AttemptEvents = field(init=False)
    drafts: list[Draft] = field(init=False)
    stacks: Stacks = field(init=False)
    counters: list[Counter] = field(default_factory=list, init=False)  # filled by `attempts`

    def __post_init__(self) -> None:
        info = self.reader.info
        self.progress("reading attempts", None)
        tables = self.reader.tables(ATTEMPT_EVENTS)
        self.layout = self._find_layout(tables)
        self.events = AttemptEvents(tables, self._task_stream, info.end_ns or 0, self.comm_of, self._hides)
        self.stacks = Stacks(self._stack_events, self._name_address, exact=info.format.startswith("perf"))
        self.drafts = find_attempts(self.events, self.layout, self._logs())

    @property
    def input_id(self) -> str:
        """The input its attempts are of: the first."""
        return self.input_ids[0]

    def _known_losses(self) -> list[tuple[str, Loss]]:
        """(id, loss) of its inputs, on the clock of the first."""
        shifts: Sequence[int] = getattr(self.reader, "shifts", (0,))
        return [
            (name, loss.moved(-shift) if shift else loss)
            for input_id, shift in zip(self.input_ids, shifts, strict=True)
            for name, loss in self.losses.of(input_id)
        ]

    @property
    def has_page_ref(self) -> bool:
        """Whether references were recorded."""
        return any(self.reader.info.by_event.get(name) for name in PAGE_REF_EVENTS)

    def comm_of(self, tid: int) -> str | None:
        """Name of a task, from the trace or the snapshot's task list."""
        return self.reader.comm_of(tid) or self.layout.comms.get(tid)

    def page_engine(self) -> Engine:
        """A fresh model that knows whose gets are isolation, and when."""
        return self._engine(self._isolations())

    def _isolations(self) -> list[Action]:
        """Whose gets are isolation, and when: those of the attempts that were made."""
        return isolation_windows((d.tid, d.start_ns, self._end(d)) for d in self.drafts if d.tid is not None)

    def _engine(self, actions: Sequence[Action]) -> Engine:
        """A fresh model of this machine's memory, with questions."""
        names = {**self.layout.comms, **self.reader.comms}
        background = [tid for tid, comm in names.items() if comm.startswith(ISOLATING_TASKS)]
        bits: Callable[[], Mapping[str, int] | None] = getattr(self.reader, "page_flag_bits", lambda: None)
        return Engine(bits(), self.reader.info.machine or self.layout.machine, background, actions)

    def attempts(self) -> list[Attempt]:
        """Replay the trace and judge every attempt."""
        ranges = counted_ranges(self.layout)
        times = self.reader.info.start_ns or 0, self.events.end_ns
        counting = occupancy_questions(ranges, self.drafts, *times)
        engine = self._engine([*questions(self.events, self.drafts, self.has_page_ref), *counting])
        if self.drafts:
            engine.run(self._watched(ahead(self.reader.stream(REPLAYED))))
        self.losses.add(self.input_id, engine.losses())
        self.counters = counters_of(engine.counts.rows, ranges, self.input_id)
        return judge(self._run(engine), engine, self.events, self.drafts, self.input_id)

    def _hides(self, start_ns: int, end_ns: int) -> bool:
        return any(loss.kind.hides_events and loss.touches(start_ns, end_ns) for _, loss in self._known_losses())

    def inventory(self, at_ns: int, area: str | None, block: int | None) -> list[Attempt]:
        """What would stand in the way of these ranges at this time, had anybody asked."""
        drafts = asked(asked_ranges(self.layout, area, block), at_ns)
        asking = inventory_questions(drafts, [blocking_key(number) for number in range(len(drafts))])
        engine = self._engine([*self._isolations(), *asking])
        engine.run(self._watched(ahead(self.reader.stream(REPLAYED))))
        self.losses.add(self.input_id, engine.losses())
        return judge(self._run(engine), engine, self.events, drafts, self.input_id)

    def _end(self, draft: Draft) -> int:
        return draft.end_ns if draft.end_ns is not None else self.events.end_ns

    def _watched(self, stream: Iterator[PageStream]) -> Iterator[PageStream]:
        """The stream, telling progress by time."""
        start, end = self.reader.info.start_ns or 0, self.reader.info.end_ns or 0
        for chunk in stream:
            yield chunk
            self.progress("replaying", (int(chunk.time_ns[-1]) - start) / max(end - start, 1))

    def _run(self, engine: Engine) -> Run:
        log = self._logs()
        pfns = sorted({int(pfn) for pfn in engine.table("suspects")["pfn"]})
        dumped = self.read_dumps([(pfn, pfn + 1) for pfn in pfns]) if pfns else ((), ())
        return Run(
            layout=self.layout,
            comm_of=self.comm_of,
            has_page_ref=self.has_page_ref,
            flag_bits=engine.page_flag_bits or {},
            losses=self._known_losses(),
            dumps=_by_pfn(log.page_dumps),
            migrate_failures=_by_pfn(log.migrate_failures),
            end_ns=self.events.end_ns,
            owners=owners_by_pfn(dumped[0], pfns),
            pinners=_by_pfn(dumped[1]),
            stack_of=self.stacks.of,
            stack_id_of=self.stacks.id_of,
        )

    def _logs(self) -> Log:
        """The log inside the trace, and what a log file has beyond it."""
        console = self.events.tables.get("console")
        page_size = self.layout.page_size_bytes
        inside = self.read_console(console, page_size) if console is not None else Log()
        return inside if self.log is None else inside.joined(self.log.without(inside))

    def _find_layout(self, tables: Mapping[str, pa.Table]) -> Layout:
        info = self.reader.info
        inferred = infer_layout(
            tables,
            enabled_events=info.by_event.keys(),
            page_size_bytes=info.page_size_bytes,
            machine=info.machine,
            memory_block_bytes=info.memory_block_bytes,
            memory_blocks=info.memory_blocks,
        )
        if self.known_layout is None:
            self.losses.add(self.input_id, [Loss("layout_inferred")])
            return inferred
        return complete_layout(self.known_layout, inferred)

    def _task_stream(self, tid: int, start_ns: int, end_ns: int) -> PageStream:
        parts = []
        for chunk in self.reader.stream(REPLAYED, self.window(start_ns, end_ns)):
            mine = np.flatnonzero(chunk.tid == tid)
            parts.append(
                PageStream(chunk.time_ns[mine], chunk.cpu[mine], chunk.tid[mine], chunk.op[mine], chunk.args[mine])
            )
        stream = _concatenate(parts)
        self.engine_decode(stream)
        return stream

    def engine_decode(self, stream: PageStream) -> None:
        """Give page table entries their pfn."""
        Engine(machine=self.reader.info.machine).decode(stream)

    def _stack_events(self, start_ns: int, end_ns: int) -> pa.Table | None:
        if not self.reader.info.has_stacks:
            return None
        return self.reader.tables(("kernel_stack",), self.window(start_ns, end_ns)).get("kernel_stack")

    def _name_address(self, address: int) -> str | None:
        symbols = getattr(self.reader, "symbols", None)
        name: str | None = symbols().name_of(address) if symbols is not None else None
        return name


def owners_by_pfn(rows: Iterable[Row], pfns: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The page_owner record of each page: the dump names the first page of an allocation only."""
    found: dict[int, Mapping[str, Any]] = {}
    for row in rows:
        low = bisect_left(pfns, row["pfn"])
        high = bisect_left(pfns, row["pfn"] + (1 << row["order"]))
        found.update(dict.fromkeys(pfns[low:high], row))
    return found


def attempts_of_log(rows: Log, layout: Layout, book: LossBook) -> list[Attempt]:
    """What a kernel log alone tells: failed attempts, and the pages dumped. Who took a reference is not in a log."""
    times = [row["time_ns"] for row in (*rows.page_dumps, *rows.messages) if row["time_ns"] is not None]
    drafts: list[Draft] = []
    apply_log(drafts, rows, layout)
    drafts.sort(key=lambda draft: (draft.start_ns, draft.id))
    events = no_events(layout, max(times, default=0))
    run = Run(
        layout=layout,
        comm_of=layout.comms.get,
        has_page_ref=False,
        flag_bits={},
        losses=book.of("log-0"),
        dumps=_by_pfn(rows.page_dumps),
        migrate_failures=_by_pfn(rows.migrate_failures),
        end_ns=events.end_ns,
    )
    return judge(run, Engine(), events, drafts, "log-0")


def no_events(layout: Layout, end_ns: int = 0) -> AttemptEvents:
    """The events of no trace."""
    return AttemptEvents({}, lambda _tid, _start, _end: _concatenate([]), end_ns, layout.comms.get)


def _by_pfn(rows: Sequence[Mapping[str, object]]) -> dict[int, list[Mapping[str, object]]]:
    found: dict[int, list[Mapping[str, object]]] = {}
    for row in rows:
        pfn = row["pfn"]
        if isinstance(pfn, int):
            found.setdefault(pfn, []).append(row)
    return found


def _concatenate(parts: Sequence[PageStream]) -> PageStream:
    if not parts:
        empty = np.empty(0, np.int64)
        return PageStream(
            empty,
            empty.astype(np.uint16),
            empty.astype(np.int32),
            empty.astype(np.uint8),
            np.empty((0, len(ARGS)), np.int64),
        )
    return PageStream(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("time_ns", "cpu", "tid", "op", "args"))
    )
