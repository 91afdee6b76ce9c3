"""A perf.data of the usual kind made by hand: its records, and what a reader must say of them."""

from __future__ import annotations

from typing import Any

from tests.support.perf_data_builder import Maker
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.schema import Op, Window


def rows(reader: PerfDataReader, name: str, window: Window | None = None) -> list[dict[str, Any]]:
    table = reader.tables([name], window).get(name)
    found: list[dict[str, Any]] = table.to_pylist() if table is not None else []
    return found


def usual_records(make: Maker) -> bytes:
    return (
        make.comm(0, 7, b"init")
        + make.fork(500, 8, 7)
        + make.sample(1000, 0, 8, make.alloc(8, 0x1E403, order=2), sample_id=10)
        + make.comm(1500, 8, b"pin-vmsplice")
        + make.sample(2000, 1, 8, make.free(8, 0x1E404), sample_id=13)
        + make.sample(3000, 0, 0, make.console(0, b"hello\0"), sample_id=14)
        + make.round()
    )


def check_usual(reader: PerfDataReader) -> None:
    assert reader.info.by_event == {"console": 1, "mm_page_alloc": 1, "mm_page_free": 1}
    assert (reader.info.kernel, reader.info.machine, reader.info.cpus) == ("6.12.1", "x86_64", 2)
    assert (reader.info.clock, reader.info.page_size_bytes) == ("perf", 4096)
    assert (reader.info.start_ns, reader.info.end_ns) == (1000, 3000)
    assert reader.info.enabled_events == frozenset({"console", "mm_page_alloc", "mm_page_free"})
    assert rows(reader, "mm_page_alloc") == [
        {
            "seq": 0, "time_ns": 1000, "cpu": 0, "tid": 8, "comm": "init", "common_flags": 1, "preempt_count": 2,
            "pfn": 0x1E403, "order": 2, "gfp_flags": 0x440DC0, "migratetype": 1,
        }
    ]  # fmt: skip
    freed = rows(reader, "mm_page_free")[0]
    assert (freed["time_ns"], freed["cpu"], freed["comm"], freed["pfn"]) == (2000, 1, "pin-vmsplice", 0x1E404)
    console = rows(reader, "console")[0]
    assert (console["comm"], console["tid"], console["msg"]) == ("swapper", 0, "hello")
    assert reader.comm_of(8) == "pin-vmsplice"
    assert reader.comms == {0: "swapper", 7: "init", 8: "pin-vmsplice"}
    stream = list(reader.stream())
    assert [list(chunk.op) for chunk in stream] == [[Op.ALLOC, Op.FREE]]
    assert list(stream[0].args[:, 0]) == [0x1E403, 0x1E404]
    tables = reader.tables()
    assert sorted(row["seq"] for table in tables.values() for row in table.to_pylist()) == [0, 1, 2]
