"""A session holds a run together: it opens the inputs, replays them, and answers the questions of every verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from operator import index
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracereplay import __version__
from tracereplay.analysis import Beside, Progress, Row, Rows, Trace, attempts_of_log, recorded_events
from tracereplay.answers import PageLife, Result
from tracereplay.attempts.inventory import Question
from tracereplay.attempts.log import Log
from tracereplay.capabilities import (
    describe_capabilities,
    describe_copy,
    describe_layout,
    describe_log,
    describe_traces,
    missing_events,
    recordable_names,
    with_digests,
)
from tracereplay.concurrency import in_background
from tracereplay.culprits.table import events_not_recorded
from tracereplay.errors import UsageError
from tracereplay.events import Events
from tracereplay.given_twice import given_twice, open_each_once
from tracereplay.inputs import PAGE_REF_EVENTS, LossRegistry
from tracereplay.inventory import inventory_of_snapshot, inventory_of_traces
from tracereplay.layout.layout import Layout
from tracereplay.layout.names import processes_named
from tracereplay.layout.summary import summarise_layout
from tracereplay.losses import Loss
from tracereplay.model.blame import sum_up
from tracereplay.model.info import InfoResult
from tracereplay.model.page import Life
from tracereplay.model.result import Attempt, Input, Tool
from tracereplay.model.steps import fit_steps
from tracereplay.model.summary import summarise
from tracereplay.model.wall_times import tell_wall_clocks
from tracereplay.model.whatif import SizeScope, WhatIf
from tracereplay.opening import layout_of, layout_of_log, machines_of, open_reader, owner_files
from tracereplay.parsers.base import TraceInfo, TraceReader
from tracereplay.parsers.events.wall_marks import marked_wall_clock
from tracereplay.parsers.snapshots.layout import read_layout
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.replay.page_life import PageNames, lives_of, with_heads
from tracereplay.schema import REPLAYED, Window
from tracereplay.units import NS_PER_S

if TYPE_CHECKING:
    import pyarrow as pa

    from tracereplay.parsers.kernel_log import KernelLog
    from tracereplay.whatif.question import RequestedPolicy as Policy
    from tracereplay.whatif.replay import TraceFacts

# A time of the trace's clock: ns where it is an integer, as in documents; seconds, as reports print them, where not.
Time = int | float


class Session:
    """Opened inputs. `blame`, `inventory`, `page`, `events`, `info` and `whatif` can be called any number of times.

    A context manager: at its end it is closed; results stay. argv -- the command line that `tracereplay` was
    run with, for the documents; empty in other programs.
    """

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
        sha256: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._progress: Progress = progress or (lambda _what, _fraction: None)
        self._sha256 = sha256
        self.argv: list[str] = []
        self._closed = False
        self._page_owner = owner_files(page_owner)
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
        self._machines = machines_of(self.readers, once, same_machine)
        self._paths = {"layout": layout, "log": kernel_log}
        self._snapshot = read_layout(layout) if layout is not None else None
        self._layout = layout_of(self._snapshot) if self._snapshot is not None else None
        page_size = page_size_bytes or (self._snapshot.page_size_bytes if self._snapshot else None)
        self._log = _read_log(kernel_log, page_size) if kernel_log is not None else None
        if not self.readers and self._log is None and not self._has_snapshot:
            raise UsageError("no input: name a trace, a kernel log, or a copy of kpageflags or page_owner")
        if self._kpageflags and not self.readers and self._log is not None:
            raise UsageError("kpageflags go with a trace, or alone: a log has no model of memory to begin with them")
        if self._kpageflags and len(self._machines) > 1:
            raise UsageError("kpageflags are of one machine: give its traces alone, or --same-machine")
        if "kpagecount" in self._kpageflags and "kpageflags" not in self._kpageflags:
            raise UsageError("kpagecount goes with a copy of kpageflags")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Drop the readers: files are unmapped once nothing uses them. A question after that raises UsageError.

        Results stay, and `Events` that were taken before can still be read.
        """
        self.readers, self._machines, self._closed = [], [], True

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the session is closed")

    @property
    def reader(self) -> TraceReader:
        """The first trace's reader; of all traces where they are one machine's. Raises UsageError without a trace."""
        self._require_open()
        if not self._machines:
            raise UsageError("no trace was opened")
        return self._machines[0][0]

    @property
    def _has_snapshot(self) -> bool:
        return bool(self._kpageflags) or self._page_owner is not None

    @cached_property
    def inputs(self) -> list[Input]:
        """Every input and what it says of itself."""
        self._require_open()
        contents = {f"trace-{number}": info.content or info.path for number, info in enumerate(self._infos())}
        contents |= {"log-0": Path(self._paths["log"])} if self._paths["log"] is not None else {}
        contents |= {f"{name}-0": path for name, path in self._kpageflags.items()}
        contents |= {f"page_owner-{number}": path for number, path in enumerate(self._owner_paths)}
        contents |= {"page_pinner-0": self._page_pinner} if self._page_pinner is not None else {}
        return with_digests(self._described(), contents, sha256_of_all=self._sha256)

    @property
    def _owner_paths(self) -> Sequence[Path]:
        return self._page_owner.paths if self._page_owner is not None else ()

    def _described(self) -> list[Input]:
        """The rows of `inputs` without digests, which take a while."""
        described = describe_traces(self._infos(), self._log is not None)
        if self._log is not None and self._paths["log"] is not None:
            described.append(describe_log(self._log, Path(self._paths["log"])))
        if self._snapshot is not None and self._paths["layout"] is not None:
            described.append(describe_layout(self._snapshot, self._paths["layout"]))
        kernel = self._snapshot.kernel if self._snapshot is not None else None
        described += [
            describe_copy("kpageflags", name, f"{name}-0", path, kernel) for name, path in self._kpageflags.items()
        ]
        for number, path in enumerate(self._owner_paths):
            described.append(describe_copy("page_owner", "page_owner", f"page_owner-{number}", path))
        if self._page_pinner is not None:
            described.append(describe_copy("page_pinner", "page_pinner", "page_pinner-0", self._page_pinner))
        return described

    def _infos(self) -> list[TraceInfo]:
        """What each trace says of itself, by the name it was given."""
        infos = [reader.info for reader in self.readers]
        return [
            replace(info, path=self._trace_paths[number]) if number in self._first_of else info
            for number, info in enumerate(infos)
        ]

    def events(
        self, names: str | Sequence[str] | None = None, window: tuple[Time | None, Time | None] | None = None
    ) -> Events:
        """Events of the (first) machine as Arrow tables by name, read when the answer is first used.

        names -- of events, all where None; window -- (first, last) time, both included, None: open (see `inventory`).
        Raises UsageError without a trace.
        """
        wanted = [names] if isinstance(names, str) else None if names is None else list(names)
        within = None if window is None else Window(*(None if time is None else _ns(time) for time in window))
        return Events(self.reader, wanted, within)

    @cached_property
    def _page_words(self) -> PageWords:
        from tracereplay.parsers.snapshots.kpageflags import read_page_snapshot  # noqa: PLC0415

        copy = read_page_snapshot(self._kpageflags["kpageflags"], self._kpageflags.get("kpagecount"))
        return PageWords(copy.start_pfn, copy.flags, copy.mapcount)

    def _loss_book(self) -> LossRegistry:
        self._require_open()
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
            _log_inside,
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

    def blame(self) -> Result:
        """What failed, which pages blocked migration, why, and who holds them.

        Of copies of kpageflags and page_owner without a trace and a log: an `inventory` of all CMA areas.
        """
        return self._answer(None, Question())

    def inventory(
        self,
        *,
        at: Time | Iterable[Time] | None = None,
        area: str | None = None,
        block: int | None = None,
        pages: int | None = None,
        align_order: int | None = None,
    ) -> Result:
        """What would block migration of a CMA area (all, when none is named) or memory block, were it requested then.

        at -- when, or several times: an integer is ns on the trace's clock, as in documents; other numbers are seconds,
        as reports print them. None: at the moment of the copies of kpageflags and page_owner, without a trace and a
        log. pages -- whether so many contiguous pages, aligned to 2^align_order, would fit, and where (`Attempt.fit`).
        Raises UsageError for a time outside the trace, and for an area or block that the layout does not have.
        """
        if at is None and (self.readers or self._log is not None):
            raise UsageError("an inventory of a trace needs a time: at=SECONDS, or ns as an integer")
        times = None if at is None else [_ns(one) for one in (at if isinstance(at, Iterable) else [at])]
        return self._answer(times, Question(area, block, pages, align_order))

    def _answer(self, at_ns: Sequence[int] | None, question: Question) -> Result:
        with in_background(lambda: self.inputs) as inputs:  # the digest of a long trace takes a while
            book = self._loss_book()
            traces = self._traces(book)
            attempts = self._attempts(traces, book, at_ns, question)
            for trace in traces:
                book.add(trace.input_id, missing_events(trace.reader.info.by_event))
            layout = traces[0].layout if traces else self._layout
            layout_summary = summarise_layout(layout) if layout is not None else None
            read = inputs()
            self._tell_wall_clocks(traces, attempts, read)
            recorded = {trace.input_id: recordable_names(trace.reader.info.by_event) for trace in traces}
            fit_steps(attempts, read, layout_summary, recorded)
            return Result(
                tool=Tool(version=__version__, argv=self.argv),
                inputs=read,
                data_loss=book.listed(),
                layout=layout_summary,
                stacks=[stack for trace in traces for stack in trace.stacks.listed()],
                processes=processes_named(layout.names, attempts) if layout is not None else [],
                attempts=attempts,
                counters=[counter for trace in traces for counter in trace.counters],
                blame=sum_up(attempts),
                summary=summarise(attempts),
            )

    def _tell_wall_clocks(self, traces: Sequence[Trace], attempts: Iterable[Attempt], inputs: Iterable[Input]) -> None:
        """Give attempts and their inputs the wall clock, where the trace or the snapshot ties it to the trace's."""
        clocks = self._snapshot.clocks if self._snapshot is not None else {}
        known = {}
        for trace in traces:
            info = trace.reader.info
            tied = clocks.get(info.clock or "") if info.clock_unit == "ns" else None
            found = info.wall_clock or (None if tied is None else tied.shifted(info.origin_ns))
            found = found or marked_wall_clock(trace.reader)
            if found is not None:
                known[trace.input_id] = found
        tell_wall_clocks(attempts, inputs, known)

    def whatif(
        self, policies: Sequence[Policy | str] = (), *, runs: int = 25, sizes: Sequence[SizeScope] = ()
    ) -> WhatIf:
        """What would have helped: every attempt under each of these policies (docs/policies.md).

        Without policies: whether the record is consistent, and how well the model reproduces it. runs -- how often a
        policy that moves pages is replayed, each with another order of the free lists at the start. sizes -- kinds of
        memory (movable, cma) to say of how large they may be.
        """
        from tracereplay.whatif.document import make_document  # noqa: PLC0415
        from tracereplay.whatif.question import parse_policy  # noqa: PLC0415

        wanted = [parse_policy(policy) if isinstance(policy, str) else policy for policy in policies]
        blamed = self.blame()
        return make_document(blamed, self.whatif_facts(blamed), wanted, runs, sizes)

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
        """The layout as the replay of `blame` knows it, without its losses being reported twice."""
        number = next(numbers for one, numbers in self._machines if one is reader)
        return self._trace(reader, number, LossRegistry()).layout

    def _attempts(
        self,
        traces: Sequence[Trace],
        book: LossRegistry,
        at_ns: Sequence[int] | None,
        question: Question,
    ) -> list[Attempt]:
        if not traces and self._log is None:
            if at_ns is not None:
                raise UsageError("--at needs a trace: copies of kpageflags and page_owner show one moment")
            return self._inventory(question, book)
        if at_ns is not None:
            return inventory_of_traces(traces, at_ns, question)
        if traces or self._log is None:
            return [attempt for trace in traces for attempt in trace.attempts()]
        return attempts_of_log(
            Log.of(self._log.tables),
            self._layout or layout_of_log(self._log),
            book,
            self._log,
            lambda spans: self._read_dumps(spans, book),
        )

    def _inventory(self, question: Question, book: LossRegistry) -> list[Attempt]:
        """From copies of kpageflags and page_owner alone."""
        if self._layout is None:
            raise UsageError("the pages of an area or block are known from a layout only: pass --layout")
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
        return describe_capabilities(
            Tool(version=__version__, argv=self.argv),
            self.inputs,
            book.listed(),
            {f"trace-{number}": reader.info.by_event for number, reader in enumerate(self.readers)},
            by_event,
            self._log is not None,
        )

    def page(self, pfn: int) -> PageLife:
        """The life of one page: every event on it, and the state each left."""
        book = self._loss_book()
        trace = self._trace(*self._machines[0], book)
        names = PageNames(trace.comm_of, trace.gfp_words, trace.layout.names)

        def own(one: int) -> list[Life]:
            return lives_of(one, self.reader.stream(REPLAYED), trace.page_engine(), names)

        zone, block, area = trace.layout.zone_of(pfn), trace.layout.block_of(pfn), trace.layout.area_of(pfn)
        places = [f"zone {zone.name}" if zone else None, block.name if block else None]
        places += [f'CMA area "{area.name}"' if area else None]
        return PageLife(
            tool=Tool(version=__version__, argv=self.argv),
            pfn=pfn,
            address=pfn * trace.layout.page_size_bytes if trace.layout.page_size_known else None,
            inputs=self.inputs,
            data_loss=book.listed(),
            where=", ".join(filter(None, places)) or None,
            lives=with_heads(own(pfn), own),
        )

    def __repr__(self) -> str:
        if self._closed:
            return "<tracereplay.Session: closed>"
        said = [f"{PurePath(one.path).name} ({_known_of(one)})" for one in self._described()]
        return f"<tracereplay.Session: {', '.join(said)}>"

    def _repr_html_(self) -> str:
        from tracereplay.reports.html.cells import inputs_cell  # noqa: PLC0415

        return inputs_cell(self._described(), self._loss_book().listed())


# The hundred patterns of a kernel log take as long to make ready as a short trace to read; most traces do without.
def _read_log(path: str | Path, page_size_bytes: int | None) -> KernelLog:
    from tracereplay.parsers.kernel_log import read_kernel_log  # noqa: PLC0415

    return read_kernel_log(path, page_size_bytes)


def _log_inside(console: pa.Table, page_size_bytes: int) -> Log:
    """The log that a trace has as printk:console events."""
    from tracereplay.parsers.kernel_log import parse_console  # noqa: PLC0415

    return Log.of(parse_console(console, page_size_bytes).tables)


def _known_of(one: Input) -> str:
    """`trace.dat v7, 280,249 events`."""
    number = "" if one.events is None else f", {one.events:,} {'lines' if one.role == 'log' else 'events'}"
    return f"{one.format}{number}"


def _ns(time: Time) -> int:
    """Integers are ns, other numbers seconds. Raises UsageError for what is neither."""
    with suppress(TypeError):
        return index(time)  # type: ignore[arg-type]  # of numpy too
    try:
        return round(float(time) * NS_PER_S)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{time!r} is no time: give ns as an integer, or seconds as 6.437") from None
