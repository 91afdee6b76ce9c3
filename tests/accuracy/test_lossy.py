"""The reader with holes: what is inside is gone everywhere, what is outside stays, and every hole is told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.support.captures import capture, trace_of
from tests.support.lossy import Hole, LossyReader, random_holes
from tracereplay.losses import Loss
from tracereplay.parsers.base import BaseReader, TraceInfo
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.schema import ARGS, Op, PageStream, Window

EVENTS = 100


class EveryNanosecond(BaseReader):
    """One event a nanosecond, on two CPUs by turns."""

    def __init__(self) -> None:
        self.info = TraceInfo(Path("x"), "test", cpus=2, by_event={"e": EVENTS}, start_ns=0, end_ns=EVENTS - 1)
        self.losses = [Loss("comm_unresolved")]

    @property
    def comms(self) -> dict[int, str]:
        return {}

    def comm_of(self, tid: int) -> str | None:
        return f"task-{tid}"

    def tables(self, names: Collection[str] | None = None, window: Window | None = None) -> dict[str, pa.Table]:
        del names, window
        time_ns = np.arange(EVENTS)
        return {"e": pa.table({"time_ns": time_ns, "cpu": pa.array(time_ns % 2, pa.uint16())})}

    def stream(
        self, ops: Collection[Op] | None = None, window: Window | None = None, chunk_events: int = 10
    ) -> Iterator[PageStream]:
        del ops, window
        time_ns = np.arange(EVENTS, dtype=np.int64)
        args = np.zeros((EVENTS, len(ARGS)), np.int64)
        for at in range(0, EVENTS, chunk_events):
            part = slice(at, at + chunk_events)
            cpu = (time_ns[part] % 2).astype(np.uint16)
            tid, op = np.zeros(chunk_events, np.int32), np.ones(chunk_events, np.uint8)
            yield PageStream(time_ns[part], cpu, tid, np.zeros(chunk_events, np.uint8), op, args[part])


def test_what_is_in_a_hole_is_gone_from_tables_and_stream() -> None:
    lossy = LossyReader(EveryNanosecond(), [Hole(10, 19, None), Hole(30, 39, 1)])
    left = [t for t in range(EVENTS) if not 10 <= t <= 19 and not (30 <= t <= 39 and t % 2 == 1)]
    assert lossy.tables()["e"]["time_ns"].to_pylist() == left
    assert [int(t) for chunk in lossy.stream(chunk_events=10) for t in chunk.time_ns] == left
    assert lossy.info.by_event == {"e": len(left)}
    assert [(loss.code, loss.cpu, loss.start_ns, loss.end_ns) for loss in lossy.losses] == [
        ("comm_unresolved", None, None, None),
        ("lost_events", None, 10, 19),
        ("lost_events", 1, 30, 39),
    ]


def test_a_table_without_rows_is_absent() -> None:
    assert LossyReader(EveryNanosecond(), [Hole(0, EVENTS, None)]).tables() == {}


def test_a_real_trace_loses_the_same_in_both_views() -> None:
    reader = TraceDatReader(trace_of(capture("offline_dimm_einval")))
    holes = random_holes(reader.info, seed=3, count=6, share=0.3)
    lossy = LossyReader(reader, holes)
    lost = reader.info.events - lossy.info.events
    assert 0 < lost < reader.info.events
    allocs = lossy.tables(["mm_page_alloc"])["mm_page_alloc"].num_rows
    assert 0 < allocs < reader.info.by_event["mm_page_alloc"]
    assert sum(len(chunk) for chunk in lossy.stream([Op.ALLOC])) == allocs
    assert lossy.page_flag_bits() == reader.page_flag_bits()


def test_random_holes_cover_their_share() -> None:
    info = TraceInfo(Path("x"), "test", cpus=2, start_ns=1000, end_ns=101_000)
    holes = random_holes(info, seed=1, count=5, share=0.1)
    assert holes == random_holes(info, seed=1, count=5, share=0.1)
    assert holes != random_holes(info, seed=2, count=5, share=0.1)
    assert sum(hole.end_ns - hole.start_ns for hole in holes) == 10_000
    assert {hole.cpu is None for hole in holes} == {True, False}
    assert all(1000 <= hole.start_ns <= hole.end_ns <= 101_000 for hole in holes)
