"""A session holds a run together: it opens the inputs, replays them, and answers the questions of every verb."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tracereplay import __version__
from tracereplay.analysis import Beside, Progress, Row, Rows, Trace, attempts_of_log, recorded_events
from tracereplay.attempts.events import TELLTALE_EVENTS
from tracereplay.attempts.inventory import Question
from tracereplay.attempts.log import Log
from tracereplay.concurrency import in_background
from tracereplay.culprits.table import CAUSES, events_not_recorded, not_checkable
from tracereplay.errors import UsageError
from tracereplay.given_twice import given_twice, open_each_once
from tracereplay.inputs import PAGE_REF_EVENTS, LossRegistry, capture_level, describe_trace, digest
from tracereplay.inventory import inventory_of_snapshot, inventory_of_traces
from tracereplay.layout.build import layout_from_tables
from tracereplay.layout.layout import Layout
from tracereplay.layout.summary import summarise_layout
from tracereplay.losses import Loss
from tracereplay.model.blame import sum_up
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.info import CannotProve, InfoResult, InputInfo
from tracereplay.model.page import PageLife
from tracereplay.model.result import Attempt, Input, Result, Role, Tool
from tracereplay.model.whatif import WhatIf
from tracereplay.parsers.base import TraceInfo, TraceReader
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.catalog.probes import PROBE_EVENTS, ROLES, TELLING_ROLES
from tracereplay.parsers.detect import Kind, detect, open_trace_refusal
from tracereplay.parsers.files.packed import open_unpacked, seekable_copy
from tracereplay.parsers.kernel_log import KernelLog, parse_console, read_kernel_log
from tracereplay.parsers.snapshots.layout import read_layout
from tracereplay.parsers.snapshots.layout_tables import LayoutSnapshot
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.replay.page_life import lives_of
from tracereplay.schema import REPLAYED
from tracereplay.units import to_valid_utf8

if TYPE_CHECKING:
    from tracereplay.parsers.snapshots.page_owner_files import PageOwnerFiles
    from tracereplay.whatif.question import Asked as Policy
    from tracereplay.whatif.replay import TraceFacts

# References that kprobes see taken, against the count that migration is refused with, prove these.
PROVED_BY_PROBES = ("pin_short", "task_reference", "extra_reference")
KERNEL_EVENTS = frozenset(SPECS)  # tracepoints that every kernel may have, none of them a vendor's


def open_reader(path: str | Path) -> TraceReader:
    """A reader for this file, told by its content; `-` is standard input, packed files are unpacked.

    Raises InputError where it is no trace or cannot be read.
    """
    reader = _open_container(path)
    if reader.info.by_event.keys() & PROBE_EVENTS:
        from tracereplay.parsers.probes.reader import with_probes  # noqa: PLC0415

        return with_probes(reader)
    return reader


def _open_container(path: str | Path) -> TraceReader:
    path = Path(path)
    found = detect(path)
    # Readers are loaded when needed: their tables and patterns take time to build.
    if found.kind is Kind.TRACE_DAT:
        return open_unpacked(TraceDatReader, path, mapped=True)
    if found.kind is Kind.PERF_DATA:
        from tracereplay.parsers.perf_data.reader import PerfDataReader  # noqa: PLC0415

        return open_unpacked(PerfDataReader, path, mapped=True)
    if found.kind is Kind.RAW_BUFFERS:
        from tracereplay.parsers.trace_dat.raw_buffers import RawBuffersReader  # noqa: PLC0415

        return RawBuffersReader(path)
    if found.kind in (Kind.TRACE_CMD_REPORT, Kind.FTRACE_TEXT):
        from tracereplay.parsers.text.ftrace import TextTraceReader  # noqa: PLC0415

        return open_unpacked(TextTraceReader, path, mapped=False)
    if found.kind is Kind.PERF_SCRIPT:
        from tracereplay.parsers.text.perf_script import PerfScriptReader  # noqa: PLC0415

        return open_unpacked(PerfScriptReader, path, mapped=False)
    if found.kind is Kind.DATASET:
        from tracereplay.dataset import DatasetReader  # noqa: PLC0415

        return DatasetReader(path)
    raise open_trace_refusal(path, found)


def find_copies(trace: str | Path) -> tuple[Path | None, Path | None]:
    """Copies of kpageflags and kpagecount from before a trace that lie beside it (`kpageflags.before*`).

    Raises InputError where they are damaged.
    """
    from tracereplay.parsers.snapshots.kpageflags import find_before, read_page_snapshot  # noqa: PLC0415

    flags, counts = find_before(trace)
    if flags is not None:
        read_page_snapshot(flags, counts)
    return flags, counts


def missing_events(by_event: Mapping[str, int]) -> list[Loss]:
    """What a trace lacks for the question, whatever it was recorded for."""
    losses = [] if by_event.keys() & TELLTALE_EVENTS or _has_probes(by_event) else [Loss("attempt_events_missing")]
    return losses if _has_references(by_event) else [*losses, Loss("page_ref_missing")]


def _has_probes(by_event: Mapping[str, int]) -> bool:
    """Whether kprobes tell of references or offlines."""
    return any(by_event.get(name) for name, role in ROLES.items() if role in TELLING_ROLES)


def _has_references(by_event: Mapping[str, int]) -> bool:
    """Whether takers of references are on record: by page_ref events or by kprobes."""
    return any(by_event.get(name) for name in PAGE_REF_EVENTS) or _has_probes(by_event)


def _described_trace(info: TraceInfo, input_id: str, has_log: bool) -> Input:
    """A trace; kprobes on references are level 2, as page_ref events are."""
    if not _has_probes(info.by_event):
        return describe_trace(info, input_id, level=capture_level(info, has_log))
    described = describe_trace(info, input_id, level=2)
    described.capabilities.append("kprobes")
    return described


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


class Session:
    """Opened inputs. `blame`, `info`, `page` and `tables` answer; each may be asked any number of times."""

    def __init__(
        self,
        paths: Sequence[str | Path] = (),
        *,
        reader: TraceReader | None = None,
        layout: str | Path | None = None,
        kernel_log: str | Path | None = None,
        page_size_bytes: int | None = None,
        page_owner: str | Path | Sequence[str | Path] | None = None,
        page_pinner: str | Path | None = None,
        kpageflags: str | Path | None = None,
        kpagecount: str | Path | None = None,
        same_machine: bool = False,
        progress: Progress | None = None,
        argv: Sequence[str] | None = None,
    ) -> None:
        self._progress: Progress = progress or (lambda _what, _fraction: None)
        self.argv = [to_valid_utf8(word) for word in (sys.argv[1:] if argv is None else argv)]
        self._page_owner = _owner_files(page_owner)
        self._page_pinner = None if page_pinner is None else Path(page_pinner)
        copies = {"kpageflags": kpageflags, "kpagecount": kpagecount}
        self._kpageflags = {name: Path(path) for name, path in copies.items() if path is not None}
        self._first_of: dict[int, int] = {}  # number of a trace that is given again -> number of the first
        if reader is not None:
            self.readers = [reader]
        else:
            self.readers, self._first_of = open_each_once(paths, open_reader)
        self._trace_paths = [Path(path) for path in paths]
        once = [number for number in range(len(self.readers)) if number not in self._first_of]
        self._machines = _machines(self.readers, once, same_machine)
        self._paths = {"layout": layout, "log": kernel_log}
        self._snapshot = read_layout(layout) if layout is not None else None
        self._layout = layout_of(self._snapshot) if self._snapshot is not None else None
        page_size = page_size_bytes or (self._snapshot.page_size_bytes if self._snapshot else None)
        self._log = read_kernel_log(kernel_log, page_size) if kernel_log is not None else None
        if not self.readers and self._log is None and not self._has_snapshot:
            raise UsageError("no input: name a trace, a kernel log, or a copy of kpageflags or page_owner")
        if self._kpageflags and not self.readers and self._log is not None:
            raise UsageError("kpageflags go with a trace, or alone: a log has no model of memory to begin with them")
        if self._kpageflags and len(self._machines) > 1:
            raise UsageError("kpageflags are of one machine: give its traces alone, or --same-machine")
        if "kpagecount" in self._kpageflags and "kpageflags" not in self._kpageflags:
            raise UsageError("kpagecount goes with a copy of kpageflags")

    @property
    def reader(self) -> TraceReader:
        """The first trace's reader; of all traces where they are one machine's."""
        return self._machines[0][0]

    @property
    def _has_snapshot(self) -> bool:
        return bool(self._kpageflags) or self._page_owner is not None

    @cached_property
    def inputs(self) -> list[Input]:
        """Every input and what it says of itself."""
        described = [
            _described_trace(info, f"trace-{number}", self._log is not None)
            for number, info in enumerate(self._infos())
        ]
        if self._log is not None:
            path = Path(str(self._paths["log"]))
            described.append(
                Input(
                    id="log-0",
                    path=to_valid_utf8(path),
                    role="log",
                    format="kernel log",
                    sha256=digest(seekable_copy(path)),
                    kernel=self._log.kernel,
                    events=self._log.lines,
                )
            )
        if self._snapshot is not None:
            described.append(
                Input(
                    id="layout-0",
                    path=to_valid_utf8(self._paths["layout"]),
                    role="layout",
                    format=self._snapshot.source,
                    kernel=self._snapshot.kernel,
                )
            )
        described += [
            _described("kpageflags", name, f"{name}-0", path, self._snapshot.kernel if self._snapshot else None)
            for name, path in self._kpageflags.items()
        ]
        for number, path in enumerate(self._page_owner.paths if self._page_owner is not None else ()):
            described.append(_described("page_owner", "page_owner", f"page_owner-{number}", path))
        if self._page_pinner is not None:
            described.append(_described("page_pinner", "page_pinner", "page_pinner-0", self._page_pinner))
        return described

    def _infos(self) -> list[TraceInfo]:
        """What each trace says of itself, by the name it was given."""
        infos = [reader.info for reader in self.readers]
        return [
            replace(info, path=self._trace_paths[number]) if number in self._first_of else info
            for number, info in enumerate(infos)
        ]

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """All event tables of `reader`, by event name."""
        return self.reader.tables()

    @cached_property
    def _page_words(self) -> PageWords:
        from tracereplay.parsers.snapshots.kpageflags import read_page_snapshot  # noqa: PLC0415

        copy = read_page_snapshot(self._kpageflags["kpageflags"], self._kpageflags.get("kpagecount"))
        return PageWords(copy.start_pfn, copy.flags, copy.mapcount)

    def _loss_book(self) -> LossRegistry:
        book = LossRegistry()
        for reader, numbers in self._machines:
            several = len(numbers) > 1
            for place, number in enumerate(numbers):
                book.add(f"trace-{number}", reader.losses_of(place) if several else self.readers[number].losses)
            if several:  # what they lack together
                book.add(f"trace-{numbers[0]}", reader.losses)
        for number, first in self._first_of.items():
            book.add(f"trace-{number}", [given_twice(first)])
        if self._log is not None:
            book.add("log-0", self._log.losses)
        if self._snapshot is not None:
            book.add("layout-0", self._snapshot.losses)
        return book

    def _traces(self, book: LossRegistry) -> list[Trace]:
        return [self._trace(reader, numbers, book) for reader, numbers in self._machines]

    def _trace(self, reader: TraceReader, numbers: Sequence[int], book: LossRegistry) -> Trace:
        beside = Beside(
            lambda table, page_size_bytes: Log.of(parse_console(table, page_size_bytes).tables),
            lambda spans: self._read_dumps(spans, book),
            self._layout,
            Log.of(self._log.tables) if self._log is not None else None,
            self._page_words if self._kpageflags else None,
        )
        return Trace.read(reader, tuple(f"trace-{number}" for number in numbers), beside, book, self._progress)

    def _read_owners(self, spans: Sequence[tuple[int, int]], book: LossRegistry) -> Iterator[Row]:
        """page_owner records of these pages; what the dump lacks goes to the losses."""
        if self._page_owner is not None:
            losses: list[Loss] = []
            yield from self._page_owner.rows(spans, losses)
            book.add("page_owner-0", losses)

    def _read_dumps(self, spans: Sequence[tuple[int, int]], book: LossRegistry) -> tuple[Iterator[Row], Rows]:
        """page_owner and page_pinner records of these pages; what the dumps lack goes to the losses."""
        owners = self._read_owners(spans, book)
        pinners: Rows = ()
        if self._page_pinner is not None:
            from tracereplay.parsers.snapshots.page_pinner import read_page_pinner  # noqa: PLC0415

            table, losses = read_page_pinner(self._page_pinner, spans)
            pinners = table.to_pylist()
            book.add("page_pinner-0", losses)
        return owners, pinners

    def blame(
        self,
        *,
        at_ns: int | Sequence[int] | None = None,
        area: str | None = None,
        block: int | None = None,
        pages: int | None = None,
        align_order: int | None = None,
    ) -> Result:
        """What failed, which pages stood in the way, why, and who holds them.

        at_ns -- an inventory instead: what would stand in the way of this CMA area (all, when none is named) or
        memory block, were it asked for at this time of the trace's clock, or at each of these times. Without a trace
        and a log: the same at the moment of the copies of kpageflags and page_owner. pages -- of an inventory: whether
        so many contiguous pages, aligned to 2^align_order, would fit, and where (`Attempt.fit`).
        """
        with in_background(lambda: self.inputs) as inputs:  # the digest of a long trace takes a while
            book = self._loss_book()
            traces = self._traces(book)
            attempts = self._attempts(traces, book, at_ns, Question(area, block, pages, align_order))
            for trace in traces:
                book.add(trace.input_id, missing_events(trace.reader.info.by_event))
            layout = traces[0].layout if traces else self._layout
            return Result(
                tool=Tool(version=__version__, argv=self.argv),
                inputs=inputs(),
                data_loss=book.listed(),
                layout=summarise_layout(layout) if layout is not None else None,
                stacks=[stack for trace in traces for stack in trace.stacks.listed()],
                attempts=attempts,
                counters=[counter for trace in traces for counter in trace.counters],
                blame=sum_up(attempts),
            )

    def whatif(self, policies: Sequence[Policy] = (), *, runs: int = 25) -> WhatIf:
        """What would have helped: every attempt under each of these policies (whatif.question.parse_policy).

        Without policies: whether the record is consistent, and how well the model reproduces it. runs -- how often a
        policy that moves pages is replayed, each with another order of the free lists at the start.
        """
        from tracereplay.whatif.document import make_document  # noqa: PLC0415

        blamed = self.blame()
        return make_document(blamed, self.whatif_facts(blamed), policies, runs)

    def whatif_facts(self, blamed: Result | None = None) -> list[TraceFacts]:
        """What the models of `whatif` need of each machine's trace. Raises UsageError without one."""
        if not self.readers:
            raise UsageError("whatif replays a trace: name one")
        blamed = self.blame() if blamed is None else blamed
        return [self._facts(reader, f"trace-{numbers[0]}", blamed) for reader, numbers in self._machines]

    def _facts(self, reader: TraceReader, input_id: str, blamed: Result) -> TraceFacts:
        from tracereplay.whatif.replay import TraceFacts  # noqa: PLC0415
        from tracereplay.whatif.script import STREAMED  # noqa: PLC0415

        layout = self._trace_layout(reader)
        names = {**layout.comms, **reader.comms}
        by_event = reader.info.by_event
        return TraceFacts(
            input_id=input_id,
            stream=lambda: reader.stream(STREAMED),
            attempts=[attempt for attempt in blamed.attempts if attempt.input_id == input_id],
            layout=layout,
            layout_tables=self._snapshot.tables if self._snapshot is not None else None,
            by_event=by_event,
            comm_of=names.get,
            has_page_ref=any(by_event.get(name) for name in PAGE_REF_EVENTS),
            end_ns=reader.info.end_ns or 0,
        )

    def _trace_layout(self, reader: TraceReader) -> Layout:
        """The layout as the replay of `blame` knows it, without its losses being told twice."""
        number = next(numbers for one, numbers in self._machines if one is reader)
        return self._trace(reader, number, LossRegistry()).layout

    def _attempts(
        self,
        traces: Sequence[Trace],
        book: LossRegistry,
        at_ns: int | Sequence[int] | None,
        question: Question,
    ) -> list[Attempt]:
        if not traces and self._log is None:
            if at_ns is not None:
                raise UsageError("a time is asked of a trace: copies of kpageflags and page_owner tell one moment")
            return self._inventory(question, book)
        if at_ns is not None:
            return inventory_of_traces(traces, at_ns, question)
        if traces or self._log is None:
            return [attempt for trace in traces for attempt in trace.attempts()]
        return attempts_of_log(
            Log.of(self._log.tables),
            self._layout or _layout_of_log(self._log),
            book,
            self._log,
            lambda spans: self._read_dumps(spans, book),
        )

    def _inventory(self, question: Question, book: LossRegistry) -> list[Attempt]:
        """From copies of kpageflags and page_owner alone."""
        if self._layout is None:
            raise UsageError("which pages an area or block has is told by a layout: pass --layout")
        words = self._page_words if self._kpageflags else None
        input_id = "page_owner-0" if words is None else "kpageflags-0"
        return inventory_of_snapshot(
            words, self._layout, question, lambda spans: self._read_owners(spans, book), input_id, book
        )

    def info(self) -> InfoResult:
        """What the inputs hold and lack, and which causes they can prove."""
        book = self._loss_book()
        by_event: dict[str, int] = {}
        for reader, numbers in self._machines:
            for name, number in reader.info.by_event.items():
                by_event[name] = by_event.get(name, 0) + number
            lacks = [*events_not_recorded(recorded_events(reader.info)), *missing_events(reader.info.by_event)]
            book.add(f"trace-{numbers[0]}", lacks)
        have = [*by_event, *(["kernel log"] if self._log is not None or "console" in by_event else [])]
        missing = dict(not_checkable(have))
        if _has_probes(by_event):
            missing = {code: what for code, what in missing.items() if code not in PROVED_BY_PROBES}
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
                    CannotProve(cause=cause.code, missing="an established case: until then suggested at most")
                    for cause in CAUSES
                    if cause.ceiling == "suggested"
                ),
            ],
            capture_next=_capture_next(missing),
        )

    def page(self, pfn: int) -> PageLife:
        """The life of one page: every event on it, and the state each left."""
        book = self._loss_book()
        trace = self._trace(*self._machines[0], book)
        lives = lives_of(pfn, self.reader.stream(REPLAYED), trace.page_engine(), trace.comm_of)
        zone, block, area = trace.layout.zone_of(pfn), trace.layout.block_of(pfn), trace.layout.area_of(pfn)
        places = [f"zone {zone.name}" if zone else None, block.name if block else None]
        places += [f'CMA area "{area.name}"' if area else None]
        return PageLife(
            tool=Tool(version=__version__, argv=self.argv),
            pfn=pfn,
            inputs=self.inputs,
            data_loss=book.listed(),
            where=", ".join(filter(None, places)) or None,
            lives=lives,
        )


def _layout_of_log(log: KernelLog) -> Layout:
    """What a log tells of memory: sizes only."""
    page, block = log.page_size_bytes, log.memory_block_bytes
    if page is None:
        return Layout("inferred")
    return Layout("inferred", page_size_bytes=page, memory_block_pages=block // page if block else None)


def _machines(
    readers: Sequence[TraceReader], once: Sequence[int], same_machine: bool
) -> list[tuple[TraceReader, list[int]]]:
    """A reader for each machine, with the numbers of its traces: those said to be of one, or of the same boot.

    once -- the numbers of the traces to read. Raises UsageError where two hold the same part of one recording.
    """
    groups: dict[object, list[int]] = {}
    for number in once:
        key: object = "all" if same_machine else (readers[number].info.boot_id or number)
        groups.setdefault(key, []).append(number)
    if all(len(numbers) == 1 for numbers in groups.values()):
        return [(readers[numbers[0]], numbers) for numbers in groups.values()]
    from tracereplay.parsers.merged import DoubledEventsError, MergedReader  # noqa: PLC0415

    found: list[tuple[TraceReader, list[int]]] = []
    for numbers in groups.values():
        try:
            one = readers[numbers[0]] if len(numbers) == 1 else MergedReader([readers[number] for number in numbers])
            found.append((one, numbers))
        except UsageError as error:
            if same_machine or isinstance(error, DoubledEventsError):
                raise
            # Of the same boot, but no one trace: side by side.
            found += [(readers[number], [number]) for number in numbers]
    return sorted(found, key=lambda machine: machine[1])


def _owner_files(paths: str | Path | Sequence[str | Path] | None) -> PageOwnerFiles | None:
    if paths is None or (not isinstance(paths, str | Path) and not paths):
        return None
    from tracereplay.parsers.snapshots.page_owner_files import PageOwnerFiles  # noqa: PLC0415

    return PageOwnerFiles.of([paths] if isinstance(paths, str | Path) else paths)


def _described(role: Role, form: str, input_id: str, path: Path, kernel: str | None = None) -> Input:
    return Input(
        id=input_id, path=to_valid_utf8(path), role=role, format=form, sha256=digest(seekable_copy(path)), kernel=kernel
    )


def _capture_next(missing: Mapping[str, str]) -> list[str]:
    steps: list[str] = []
    for code in missing:
        steps += [step for step in EXPLANATIONS[code].capture_next if step not in steps]
    return steps


def write_dataset_of(path: str | Path, target: str | Path, progress: Progress | None = None) -> None:
    """`ingest`: all events of a trace as Parquet in the folder `target`."""
    from tracereplay.dataset import write_dataset  # noqa: PLC0415

    write_dataset(open_reader(path), target, progress)
