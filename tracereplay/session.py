"""A session holds a run together: it opens the inputs, replays them, and answers the questions of every verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracereplay import __version__
from tracereplay.attempts.draft import Draft
from tracereplay.attempts.events import ATTEMPT_EVENTS, TELLTALE_EVENTS, AttemptEvents
from tracereplay.attempts.find import find_attempts, questions
from tracereplay.attempts.log import Log, apply_log
from tracereplay.compiled import kernels_are_compiled
from tracereplay.culprits.decide import judge
from tracereplay.culprits.stacks import Stacks
from tracereplay.culprits.suspect import Run
from tracereplay.culprits.table import CAUSES, not_checkable
from tracereplay.errors import InputError, UsageError
from tracereplay.inputs import PAGE_REF_EVENTS, LossBook, capture_level, describe_trace, digest
from tracereplay.layout.build import complete_layout, infer_layout, layout_from_tables
from tracereplay.layout.layout import Layout
from tracereplay.layout.summary import summarise_layout
from tracereplay.losses import Loss
from tracereplay.model.blame import sum_up
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.info import CannotProve, InfoResult, InputInfo
from tracereplay.model.page import PageLife
from tracereplay.model.result import Attempt, Input, Result, Tool
from tracereplay.parsers.base import TraceReader, Window
from tracereplay.parsers.detect import Kind, detect, open_trace_refusal
from tracereplay.parsers.kernel_log import KernelLog, parse_console, read_kernel_log
from tracereplay.parsers.layout_snapshot import read_layout
from tracereplay.parsers.layout_tables import LayoutSnapshot
from tracereplay.parsers.opened import open_named, readable
from tracereplay.parsers.trace_dat import TraceDatReader
from tracereplay.replay.engine import Engine
from tracereplay.replay.page_life import isolation_windows, lives_of
from tracereplay.schema import ARGS, Op, PageStream

Progress = Callable[[str, float | None], None]
ISOLATING_TASKS = ("kcompactd", "kswapd")
# The page stream entries the replay needs; the others are for readers of the tables.
REPLAYED = frozenset(Op) - {Op.NONE, Op.LRU_ADD, Op.IOMMU_MAP, Op.IOMMU_UNMAP}


def open_reader(path: str | Path) -> TraceReader:
    """A reader for this file, told by its content; `-` is standard input, packed files are unpacked.

    Raises InputError where it is no trace or cannot be read.
    """
    path = Path(path)
    found = detect(path)
    # Readers are loaded when needed: their tables and patterns take time to build.
    if found.kind is Kind.TRACE_DAT:
        return open_named(TraceDatReader, path, mapped=True)
    if found.kind is Kind.PERF_DATA:
        from tracereplay.parsers.perf_data import PerfDataReader  # noqa: PLC0415

        return open_named(PerfDataReader, path, mapped=True)
    if found.kind is Kind.RAW_BUFFERS:
        from tracereplay.parsers.raw_buffers import RawBuffersReader  # noqa: PLC0415

        return RawBuffersReader(path)
    if found.kind in (Kind.TRACE_CMD_REPORT, Kind.FTRACE_TEXT):
        from tracereplay.parsers.trace_text import TextTraceReader  # noqa: PLC0415

        return open_named(TextTraceReader, path, mapped=False)
    if found.kind is Kind.PERF_SCRIPT:
        from tracereplay.parsers.text_perf_script import PerfScriptReader  # noqa: PLC0415

        return open_named(PerfScriptReader, path, mapped=False)
    raise open_trace_refusal(path, found)


@dataclass(slots=True)
class Trace:
    """One trace with what is known beside it, and the steps from events to attempts."""

    reader: TraceReader
    input_id: str
    snapshot: LayoutSnapshot | None
    log: KernelLog | None
    losses: LossBook
    progress: Progress
    layout: Layout = field(init=False)
    events: AttemptEvents = field(init=False)
    drafts: list[Draft] = field(init=False)
    stacks: Stacks = field(init=False)

    def __post_init__(self) -> None:
        info = self.reader.info
        self.progress("reading attempts", None)
        tables = self.reader.tables(ATTEMPT_EVENTS)
        self.layout = self._find_layout(tables)
        self.events = AttemptEvents(tables, self._task_stream, info.end_ns or 0, self.comm_of, self._hides)
        self.stacks = Stacks(self._stack_events, self._name_address)
        self.drafts = find_attempts(self.events, self.layout, self._logs())

    @property
    def has_page_ref(self) -> bool:
        """Whether references were recorded."""
        return any(self.reader.info.by_event.get(name) for name in PAGE_REF_EVENTS)

    def comm_of(self, tid: int) -> str | None:
        """Name of a task, from the trace or the snapshot's task list."""
        return self.reader.comm_of(tid) or self.layout.comms.get(tid)

    def engine(self, for_pages_only: bool = False) -> Engine:
        """A fresh model of this machine's memory, with the questions of the attempts."""
        names = {**self.layout.comms, **self.reader.comms}
        background = [tid for tid, comm in names.items() if comm.startswith(ISOLATING_TASKS)]
        bits: Callable[[], Mapping[str, int] | None] = getattr(self.reader, "page_flag_bits", lambda: None)
        windows = [(d.tid, d.start_ns, self._end(d)) for d in self.drafts if d.tid is not None]
        actions = (
            isolation_windows(windows) if for_pages_only else questions(self.events, self.drafts, self.has_page_ref)
        )
        return Engine(bits(), self.reader.info.machine or self.layout.machine, background, actions)

    def attempts(self) -> list[Attempt]:
        """Replay the trace and judge every attempt."""
        engine = self.engine()
        if self.drafts:
            engine.run(self._watched(self.reader.stream(REPLAYED)))
        self.losses.add(self.input_id, engine.losses())
        return judge(self._run(engine), engine, self.events, self.drafts, self.input_id)

    def _hides(self, start_ns: int, end_ns: int) -> bool:
        return any(
            loss.kind.hides_events and loss.touches(start_ns, end_ns) for _, loss in self.losses.of(self.input_id)
        )

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
        return Run(
            layout=self.layout,
            comm_of=self.comm_of,
            has_page_ref=self.has_page_ref,
            flag_bits=engine.page_flag_bits or {},
            losses=self.losses.of(self.input_id),
            dumps=_by_pfn(log.page_dumps),
            migrate_failures=_by_pfn(log.migrate_failures),
            end_ns=self.events.end_ns,
            stack_of=self.stacks.of,
        )

    def _logs(self) -> Log:
        """The log inside the trace, and what a log file has beyond it."""
        console = self.events.tables.get("console")
        page_size = self.layout.page_size_bytes
        inside = Log.of(parse_console(console, page_size).tables) if console is not None else Log()
        return inside if self.log is None else inside.joined(Log.of(self.log.tables).without(inside))

    def _find_layout(self, tables: Mapping[str, pa.Table]) -> Layout:
        info = self.reader.info
        inferred = infer_layout(
            tables, enabled_events=info.by_event.keys(), page_size_bytes=info.page_size_bytes, machine=info.machine
        )
        if self.snapshot is None:
            self.losses.add(self.input_id, [Loss("layout_inferred")])
            return inferred
        return complete_layout(layout_of(self.snapshot), inferred)

    def _task_stream(self, tid: int, start_ns: int, end_ns: int) -> PageStream:
        parts = []
        for chunk in self.reader.stream(REPLAYED, Window(start_ns, end_ns)):
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
        return self.reader.tables(("kernel_stack",), Window(start_ns, end_ns)).get("kernel_stack")

    def _name_address(self, address: int) -> str | None:
        symbols = getattr(self.reader, "symbols", None)
        name: str | None = symbols().name_of(address) if symbols is not None else None
        return name


def attempts_of_log(log: KernelLog, snapshot: LayoutSnapshot | None, book: LossBook) -> list[Attempt]:
    """What a kernel log alone tells: failed attempts, and the pages dumped. Who took a reference is not in a log."""
    layout = layout_of(snapshot) if snapshot is not None else Layout("inferred")
    rows = Log.of(log.tables)
    times = [row["time_ns"] for row in (*rows.page_dumps, *rows.messages) if row["time_ns"] is not None]
    drafts: list[Draft] = []
    apply_log(drafts, rows, layout)
    drafts.sort(key=lambda draft: (draft.start_ns, draft.id))
    events = AttemptEvents({}, lambda _tid, _start, _end: _concatenate([]), max(times, default=0), layout.comms.get)
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


def missing_events(by_event: Mapping[str, int]) -> list[Loss]:
    """What a trace lacks for the question, whatever it was recorded for."""
    losses = [] if by_event.keys() & TELLTALE_EVENTS else [Loss("attempt_events_missing")]
    return losses if any(by_event.get(name) for name in PAGE_REF_EVENTS) else [*losses, Loss("page_ref_missing")]


def layout_of(snapshot: LayoutSnapshot) -> Layout:
    """The layout a snapshot or a file written by hand describes."""
    return layout_from_tables(
        snapshot.tables,
        source=snapshot.source,
        page_size_bytes=snapshot.page_size_bytes,
        memory_block_bytes=snapshot.memory_block_bytes,
        pageblock_order=snapshot.pageblock_order,
        has_cma=snapshot.has_cma,
        machine=snapshot.machine,
    )


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


class Session:
    """Opened inputs. `blame`, `info`, `page` and `tables` answer; each may be asked any number of times."""

    def __init__(
        self,
        paths: Sequence[str | Path] = (),
        *,
        reader: TraceReader | None = None,
        layout: str | Path | None = None,
        kernel_log: str | Path | None = None,
        progress: Progress | None = None,
        argv: Sequence[str] = (),
    ) -> None:
        self._progress: Progress = progress or (lambda _what, _fraction: None)
        if not kernels_are_compiled():
            self._progress("compiling kernels (once; the next run starts at once)", None)
        self.argv = list(argv)
        self.readers = [reader] if reader is not None else [open_reader(path) for path in paths]
        self._paths = {"layout": layout, "log": kernel_log}
        self._snapshot = read_layout(layout) if layout is not None else None
        page_size = self._snapshot.page_size_bytes if self._snapshot else None
        self._log = read_kernel_log(kernel_log, page_size) if kernel_log is not None else None
        if not self.readers and self._log is None:
            raise UsageError("no input: name a trace, or a kernel log")

    @property
    def reader(self) -> TraceReader:
        """The first trace's reader."""
        return self.readers[0]

    @cached_property
    def inputs(self) -> list[Input]:
        """Every input and what it says of itself."""
        described = [
            describe_trace(reader.info, f"trace-{number}", level=capture_level(reader.info, self._log is not None))
            for number, reader in enumerate(self.readers)
        ]
        if self._log is not None:
            path = Path(str(self._paths["log"]))
            described.append(
                Input(
                    id="log-0",
                    path=str(path),
                    role="log",
                    format="kernel log",
                    sha256=digest(readable(path)),
                    kernel=self._log.kernel,
                    events=self._log.lines,
                )
            )
        if self._snapshot is not None:
            described.append(
                Input(
                    id="layout-0",
                    path=str(self._paths["layout"]),
                    role="layout",
                    format=self._snapshot.source,
                    kernel=self._snapshot.kernel,
                )
            )
        return described

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """All event tables of the first trace, by event name."""
        return self.reader.tables()

    def _loss_book(self) -> LossBook:
        book = LossBook()
        for number, reader in enumerate(self.readers):
            book.add(f"trace-{number}", reader.losses)
        if self._log is not None:
            book.add("log-0", self._log.losses)
        if self._snapshot is not None:
            book.add("layout-0", self._snapshot.losses)
        return book

    def _traces(self, book: LossBook) -> list[Trace]:
        return [
            Trace(reader, f"trace-{number}", self._snapshot, self._log, book, self._progress)
            for number, reader in enumerate(self.readers)
        ]

    def blame(self) -> Result:
        """What failed, which pages stood in the way, why, and who holds them."""
        book = self._loss_book()
        traces = self._traces(book)
        attempts = [attempt for trace in traces for attempt in trace.attempts()]
        if not traces and self._log is not None:
            attempts = attempts_of_log(self._log, self._snapshot, book)
        for trace in traces:
            book.add(trace.input_id, missing_events(trace.reader.info.by_event))
        layout = traces[0].layout if traces else layout_of(self._snapshot) if self._snapshot else None
        return Result(
            tool=Tool(version=__version__, argv=self.argv),
            inputs=self.inputs,
            data_loss=book.listed(),
            layout=summarise_layout(layout) if layout is not None else None,
            stacks=[stack for trace in traces for stack in trace.stacks.listed()],
            attempts=attempts,
            blame=sum_up(attempts),
        )

    def info(self) -> InfoResult:
        """What the inputs hold and lack, and which causes they can prove."""
        book = self._loss_book()
        by_event: dict[str, int] = {}
        for reader in self.readers:
            for name, number in reader.info.by_event.items():
                by_event[name] = by_event.get(name, 0) + number
            book.add("trace-0", missing_events(reader.info.by_event))
        have = [*by_event, *(["kernel log"] if self._log is not None or "console" in by_event else [])]
        missing = dict(not_checkable(have))
        can = [cause.code for cause in CAUSES if cause.ceiling == "proved" and cause.code not in missing]
        counts = {f"trace-{n}": dict(reader.info.by_event) for n, reader in enumerate(self.readers)}
        return InfoResult(
            tool=Tool(version=__version__, argv=self.argv),
            inputs=[
                InputInfo(
                    **{name: getattr(one, name) for name in one.__struct_fields__}, by_event=counts.get(one.id, {})
                )
                for one in self.inputs
            ],
            data_loss=book.listed(),
            can_prove=can,
            cannot_prove=[
                *(CannotProve(cause=code, missing=what) for code, what in missing.items()),
                *(
                    CannotProve(cause=cause.code, missing="never more than suggested: no established case yet")
                    for cause in CAUSES
                    if cause.ceiling == "suggested"
                ),
            ],
            capture_next=_capture_next(missing),
        )

    def page(self, pfn: int) -> PageLife:
        """The life of one page: every event on it, and the state each left."""
        book = self._loss_book()
        trace = Trace(self.reader, "trace-0", self._snapshot, self._log, book, self._progress)
        lives = lives_of(pfn, self.reader.stream(REPLAYED), trace.engine(for_pages_only=True), trace.comm_of)
        places = (trace.layout.zone_of(pfn), trace.layout.block_of(pfn), trace.layout.area_of(pfn))
        return PageLife(
            tool=Tool(version=__version__, argv=self.argv),
            pfn=pfn,
            inputs=self.inputs,
            data_loss=book.listed(),
            where=", ".join(span.name for span in places if span is not None) or None,
            lives=lives,
        )


def _capture_next(missing: Mapping[str, str]) -> list[str]:
    steps: list[str] = []
    for code in missing:
        steps += [step for step in EXPLANATIONS[code].capture_next if step not in steps]
    return steps


def open_session(
    paths: str | Path | Sequence[str | Path],
    *,
    layout: str | Path | None = None,
    kernel_log: str | Path | None = None,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
) -> Session:
    """Open traces with what is known beside them; see `tracereplay.open`."""
    names = [paths] if isinstance(paths, str | Path) else list(paths)
    return Session(
        names, layout=layout, kernel_log=kernel_log, progress=progress, argv=sys.argv[1:] if argv is None else argv
    )


__all__ = ["InputError", "Session", "Trace", "open_reader", "open_session"]
