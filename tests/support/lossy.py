"""A trace with holes: any reader, with random windows of its events left out and said to be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.base import ReaderAround, TraceInfo, TraceReader
from tracereplay.schema import Op, PageStream, Window


@dataclass(frozen=True, slots=True)
class Hole:
    """Events of one CPU (None: all) that are lost from start_ns to end_ns, both included."""

    start_ns: int
    end_ns: int
    cpu: int | None


def random_holes(info: TraceInfo, seed: int, count: int, share: float) -> list[Hole]:
    """`count` holes that together cover about `share` of the trace's time; every other one on one CPU only."""
    random = np.random.default_rng(seed)
    start_ns, end_ns = info.start_ns or 0, info.end_ns or 0
    length_ns = max(1, int((end_ns - start_ns) * share / count))
    begins = np.sort(random.integers(start_ns, max(start_ns + 1, end_ns - length_ns), count))
    cpus = info.cpus or 1
    return [
        Hole(int(begin), int(begin) + length_ns, int(random.integers(cpus)) if number % 2 else None)
        for number, begin in enumerate(begins)
    ]


class LossyReader(ReaderAround):
    """A `TraceReader` without the events in `holes`, each hole that lost any told as a `lost_events` loss.

    `info` is the full trace's, times included, except its counts: those are of what is left.
    """

    def __init__(self, reader: TraceReader, holes: list[Hole]) -> None:
        super().__init__(reader)
        self._holes = holes
        self._losses = [
            Loss("lost_events", cpu=hole.cpu, start_ns=hole.start_ns, end_ns=hole.end_ns, detail="left out by a test")
            for hole in holes
        ]
        by_event = {name: table.num_rows for name, table in self.tables().items()}
        self._info = replace(reader.info, by_event=by_event)

    @property
    def info(self) -> TraceInfo:
        """The full trace's, with the counts of what is left."""
        return self._info

    @property
    def losses(self) -> list[Loss]:
        """The losses of the trace, and the holes."""
        return [*self.inner.losses, *self._losses]

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        """The tables without the rows in holes; tables left empty are absent."""
        kept = {}
        for name, table in self.inner.tables(names, window).items():
            keep = self._outside(_numbers(table, "time_ns"), _numbers(table, "cpu"))
            if keep.any():
                kept[name] = table.filter(pa.array(keep))
        return kept

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 1 << 19
    ) -> Iterator[PageStream]:
        """The page stream without what is in holes."""
        for chunk in self.inner.stream(ops, window, chunk_events):
            keep = self._outside(chunk.time_ns, chunk.cpu)
            if keep.any():
                yield chunk.select(keep)

    def _outside(self, time_ns: npt.NDArray[np.int64], cpu: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        keep = np.ones(len(time_ns), np.bool_)
        for hole in self._holes:
            inside = (time_ns >= hole.start_ns) & (time_ns <= hole.end_ns)
            keep &= ~(inside & (cpu == hole.cpu) if hole.cpu is not None else inside)
        return keep


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(table[name].combine_chunks().to_numpy(zero_copy_only=False), np.int64)
