"""Inputs opened: a reader for each trace, one for the traces of one machine, and what is known beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracereplay.errors import UsageError
from tracereplay.layout.build import layout_from_tables
from tracereplay.layout.layout import Layout
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.catalog.probes import PROBE_EVENTS
from tracereplay.parsers.detect import Kind, detect, open_trace_refusal
from tracereplay.parsers.files.packed import open_unpacked
from tracereplay.parsers.snapshots.layout_tables import LayoutSnapshot
from tracereplay.parsers.trace_dat.reader import TraceDatReader

if TYPE_CHECKING:
    from tracereplay.parsers.kernel_log import KernelLog
    from tracereplay.parsers.snapshots.page_owner_files import PageOwnerFiles


def open_reader(path: str | Path) -> TraceReader:
    """A reader for this file, recognised by its content; `-` is standard input, packed files are unpacked.

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
    if found.kind is Kind.PERFETTO:
        from tracereplay.parsers.perfetto.reader import PerfettoReader  # noqa: PLC0415

        return open_unpacked(PerfettoReader, path, mapped=True)
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


def machines_of(
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
    from tracereplay.parsers.merged import DoubledEventsError, merged  # noqa: PLC0415

    found: list[tuple[TraceReader, list[int]]] = []
    for numbers in groups.values():
        try:
            one = readers[numbers[0]] if len(numbers) == 1 else merged([readers[number] for number in numbers])
            found.append((one, numbers))
        except UsageError as error:
            if same_machine or isinstance(error, DoubledEventsError):
                raise
            # Of the same boot, but no one trace: side by side.
            found += [(readers[number], [number]) for number in numbers]
    return sorted(found, key=lambda machine: machine[1])


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


def layout_of_log(log: KernelLog) -> Layout:
    """What a log tells of memory: sizes only."""
    page, block = log.page_size_bytes, log.memory_block_bytes
    if page is None:
        return Layout("inferred")
    return Layout("inferred", page_size_bytes=page, memory_block_pages=block // page if block else None)


def owner_files(paths: str | Path | Sequence[str | Path] | None) -> PageOwnerFiles | None:
    """Where page_owner records are, in one file or several; None without any."""
    if paths is None or (not isinstance(paths, str | Path) and not paths):
        return None
    from tracereplay.parsers.snapshots.page_owner_files import PageOwnerFiles  # noqa: PLC0415

    return PageOwnerFiles.of([paths] if isinstance(paths, str | Path) else paths)


def write_dataset_of(
    path: str | Path, target: str | Path, progress: Callable[[str, float | None], None] | None = None
) -> None:
    """`ingest`: all events of a trace as Parquet in the folder `target`."""
    from tracereplay.dataset import write_dataset  # noqa: PLC0415

    write_dataset(open_reader(path), target, progress)
