"""Event tables -> the page stream, by what the catalogue says of each event; for readers that make tables first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.catalog import SPECS, stream_events
from tracereplay.parsers.catalog.spec import EventSpec
from tracereplay.schema import ARGS, IrqContext, Op, PageStream, integers, irq_context


def _args(table: pa.Table, spec: EventSpec) -> npt.NDArray[np.int64]:
    """int64[rows, len(ARGS)]: a pfn of null is -1 (an allocation that failed), other nulls are 0."""
    args = np.zeros((table.num_rows, len(ARGS)), np.int64)
    for place, name in enumerate(ARGS):
        field = spec.args.get(name)
        if field is not None and field in table.column_names:
            args[:, place] = integers(table.column(field), -1 if name == "pfn" else 0)
    return args


def _timed(table: pa.Table) -> pa.Table:
    """The table without events whose time is not known, and with -1 for tasks, 65535 for CPUs that are not."""
    if table.column("time_ns").null_count:
        table = table.filter(table.column("time_ns").is_valid())
    for name, unknown in (("tid", -1), ("cpu", (1 << 16) - 1)):
        column = table.column(name)
        if column.null_count:
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(name), column.fill_null(unknown))
    return table


def irq_of(table: pa.Table) -> npt.NDArray[np.uint8]:
    """`IrqContext` of each row; UNKNOWN where the text has no flags column."""
    flags = integers(table.column("common_flags"), none=-1)
    irq = irq_context(flags.astype(np.uint8))
    irq[flags < 0] = IrqContext.UNKNOWN
    return irq


def stream_columns(name: str) -> list[str]:
    """The columns of an event that `page_stream` looks at."""
    return ["seq", "time_ns", "cpu", "tid", "common_flags", *dict.fromkeys(SPECS[name].args.values())]


def page_stream(tables: Mapping[str, pa.Table], ops: Collection[Op] | None = None) -> PageStream:
    """One stretch of the page stream out of event tables, ordered by their `seq`."""
    wanted = [SPECS[name] for name in sorted(stream_events(ops)) if name in tables]
    parts = [_timed(tables[spec.name]) for spec in wanted]
    if not parts:
        return PageStream.concatenate([])

    def joined(name: str, kind: type[np.generic]) -> npt.NDArray[np.generic]:
        return np.concatenate([part.column(name).to_numpy().astype(kind, copy=False) for part in parts])

    order = np.argsort(joined("seq", np.uint64), kind="stable")
    op = np.concatenate([np.full(part.num_rows, spec.op, np.uint8) for part, spec in zip(parts, wanted, strict=True)])
    args = np.concatenate([_args(part, spec) for part, spec in zip(parts, wanted, strict=True)])
    return PageStream(
        joined("time_ns", np.int64)[order].astype(np.int64, copy=False),
        joined("cpu", np.uint16)[order].astype(np.uint16, copy=False),
        joined("tid", np.int32)[order].astype(np.int32, copy=False),
        np.concatenate([irq_of(part) for part in parts])[order],
        op[order],
        args[order],
    )


def rechunked(streams: Iterator[PageStream], chunk_events: int) -> Iterator[PageStream]:
    """The same entries in stretches of at most `chunk_events`; short ones are joined to at least half of that."""
    size = max(chunk_events, 1)
    waiting: list[PageStream] = []
    held = 0
    for stream in streams:
        waiting.append(stream)
        held += len(stream)
        if 2 * held >= size:
            yield from _cut(waiting, size)
            waiting, held = [], 0
    yield from _cut(waiting, size)


def page_streams(
    tables: Mapping[str, pa.Table], ops: Collection[Op] | None = None, chunk_events: int = 1 << 19
) -> Iterator[PageStream]:
    """The page stream of event tables in time order (their `seq`), in stretches of `chunk_events`."""
    return rechunked(iter([page_stream(tables, ops)]), chunk_events)


def _cut(streams: Sequence[PageStream], size: int) -> Iterator[PageStream]:
    """These, one after the other, in stretches of at most `size`."""
    if streams:
        whole = PageStream.concatenate(streams)
        yield from (whole.select(slice(start, start + size)) for start in range(0, len(whole), size))
