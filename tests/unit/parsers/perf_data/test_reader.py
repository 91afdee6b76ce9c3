"""perf.data made by hand: byte orders, pipes, sample types, ids, stacks, names, losses, order, compression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.perf_data_builder import (
    CALLCHAIN,
    CPU,
    FREQ,
    ID,
    IDENTIFIER,
    IP,
    KERNEL,
    PERIOD,
    RAW,
    READ,
    SAMPLE_ID_ALL,
    TID,
    TIME,
    USE_CLOCKID,
    USER,
    USUAL,
    Maker,
    PerfFile,
    compressed,
)
from tests.support.usual_perf_data import check_usual, rows, usual_records
from tracereplay.errors import InputError
from tracereplay.inputs import LossRegistry
from tracereplay.losses import Loss
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.schema import Window


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("form", ["file", "pipe"])
@pytest.mark.parametrize("packed", [None, 81, 83])
def test_forms(read: Any, big: bool, form: str, packed: int | None) -> None:
    make = Maker(big)
    records = usual_records(make)
    if packed:
        records = make.round() + compressed(make, records, kind=packed) + make.round()
    made = PerfFile.usual(make, records)
    reader = read(made.file() if form == "file" else made.pipe())
    words = [word for word, said in (("pipe", form == "pipe"), ("zstd", packed)) if said]
    assert reader.info.format == "perf.data" + (f" ({', '.join(words)})" if words else "")
    check_usual(reader)
    assert reader.losses == []


@pytest.mark.parametrize(
    "sample_type",
    [
        IP | TID | TIME | ID | CPU | PERIOD | RAW,
        TID | TIME | CPU | RAW | IDENTIFIER,
        USUAL | ID,
        USUAL | READ,
        USUAL | CALLCHAIN | READ,
    ],
)
def test_sample_types(read: Any, sample_type: int) -> None:
    make = Maker(sample_type=sample_type)
    check_usual(read(PerfFile.usual(make, usual_records_with_values(make)).file()))


def usual_records_with_values(make: Maker) -> bytes:
    """`usual_records`; samples with READ have one counter value, those with a chain user frames only."""
    plain = make.sample

    def sample(*arguments: Any, **more: Any) -> bytes:
        return plain(*arguments, **more, read=(1,), chain=(USER, 0x401000))

    class Reading:
        comm, fork, alloc, free, console, round = (
            make.comm, make.fork, make.alloc, make.free, make.console, make.round,
        )  # fmt: skip

    Reading.sample = staticmethod(sample)  # type: ignore[attr-defined]
    return usual_records(Reading)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read_format", "values"),
    [(0, 1), (4, 2), (4 | 16, 3), (3, 3), (1, 2), (8, 1 + 2), (8 | 4 | 16, 1 + 2 * 3), (8 | 3, 1 + 2 + 2)],
)
def test_counter_values_are_skipped(read: Any, read_format: int, values: int) -> None:
    make = Maker(sample_type=USUAL | READ, read_format=read_format)
    counters = (2,) + (99,) * (values - 1)
    made = PerfFile.usual(make, make.sample(1, 0, 5, make.alloc(5, 77), read=counters))
    assert rows(read(made.file()), "mm_page_alloc")[0]["pfn"] == 77


def test_without_ids_the_trace_event_tells(read: Any) -> None:
    make = Maker(sample_type=TID | TIME | CPU | RAW)
    made = PerfFile.usual(make, usual_records(make))
    made.attrs = [(attr, ()) for attr, _ in made.attrs]
    check_usual(read(made.file()))


def test_call_chains(read: Any) -> None:
    make = Maker(sample_type=USUAL | CALLCHAIN)
    kernel = (0xFFFFFFFF81000110, 0xFFFFFFFF81000020)
    records = (
        make.sample(1000, 1, 8, make.alloc(8, 1), chain=(KERNEL, *kernel, USER, 0x401000))
        + make.sample(2000, 1, 8, make.alloc(8, 2), chain=(USER, 0x401000))
        + make.sample(3000, 1, 8, make.free(8, 2), sample_id=12, chain=(KERNEL, kernel[0]))
    )
    reader = read(PerfFile.usual(make, records).file())
    assert reader.info.has_stacks
    assert reader.info.by_event["kernel_stack"] == 2
    stacks = rows(reader, "kernel_stack")
    assert [(row["time_ns"], row["cpu"], row["tid"], row["caller"]) for row in stacks] == [
        (1000, 1, 8, list(kernel)),
        (3000, 1, 8, [kernel[0]]),
    ]
    tables = reader.tables()
    assert tables["mm_page_alloc"]["seq"].to_pylist() == [0, 2]
    assert tables["kernel_stack"]["seq"].to_pylist() == [1, 4]
    assert tables["mm_page_alloc"]["pfn"].to_pylist() == [1, 2]
    assert rows(reader, "kernel_stack", Window(2500, None))[0]["time_ns"] == 3000
    assert reader.name_of_address(kernel[0]) == "try_get_folio+0x10"


def test_order_of_time_cpu_and_file(read: Any) -> None:
    make = Maker()

    def at(time: int, cpu: int, pfn: int) -> bytes:
        return make.sample(time, cpu, 1, make.alloc(1, pfn), sample_id=10 + cpu)

    records = at(50, 1, 0) + at(10, 0, 1) + make.round() + at(30, 1, 2) + at(20, 0, 3) + at(20, 0, 4) + at(30, 0, 5)
    reader = read(PerfFile.usual(make, records).file())
    assert [row["pfn"] for row in rows(reader, "mm_page_alloc")] == [1, 3, 4, 5, 2, 0]
    assert [row["pfn"] for row in rows(reader, "mm_page_alloc", Window(20, 30))] == [3, 4, 5, 2]


@pytest.mark.parametrize("packed", [False, True])
def test_blocks_far_out_of_order(read: Any, packed: bool) -> None:
    """Each CPU's samples one behind the other, several blocks of them: merged in bounded steps."""
    make = Maker()
    n = 30_000
    parts = []
    for cpu in (1, 0):
        for i in range(n):
            raw = make.alloc(1, 2 * i + cpu)
            parts.append(make.sample(1000 + 2 * i + cpu, cpu, 1, raw, sample_id=10 + cpu))
    records = b"".join(parts)
    assert len(records) > 4 << 20
    reader = read(PerfFile.usual(make, compressed(make, records, 80) if packed else records).file())
    pfns = [pfn for chunk in reader.stream(chunk_events=1000) for pfn in chunk.args[:, 0].tolist()]
    assert pfns == list(range(2 * n))
    assert [row["pfn"] for row in rows(reader, "mm_page_alloc", Window(1000 + n, 1004 + n))] == list(range(n, n + 5))


def test_lost_records(read: Any) -> None:
    make = Maker()
    records = (
        make.sample(1000, 0, 1, make.alloc(1, 1))
        + make.sample(1100, 1, 1, make.alloc(1, 2), sample_id=11)
        + make.lost(1900, 0, 42)
        + make.sample(1950, 1, 1, make.alloc(1, 3), sample_id=11)
        + make.sample(2000, 0, 1, make.alloc(1, 4))
        + make.lost(2500, 1, 3)
        + make.lost_samples(2600, 0, 5)
        + make.lost_samples(2700, 0, 99, misc=1 << 15)
    )
    reader = read(PerfFile.usual(make, records).file())
    assert reader.losses[:3] == [
        Loss("lost_events", 42, 0, 1000, 2000),
        Loss("lost_events", 5, 0, 2000, None),
        Loss("lost_events", 3, 1, 1950, None),
    ]


def test_equal_lost_records_add_up(read: Any) -> None:
    """Two records of one event each, with no sample between them, are two events: as perf counts them."""
    make = Maker()
    records = make.sample(1000, 0, 1, make.alloc(1, 1)) + make.lost_samples(1100, 0, 1) + make.lost_samples(1200, 0, 1)
    reader = read(PerfFile.usual(make, records).file())
    book = LossRegistry()
    book.add("trace-0", reader.losses)
    assert [(row.count, row.cpu) for row in book.listed() if row.code == "lost_events"] == [(2, 0)]


def test_losses_told_at_the_end(read: Any) -> None:
    """perf 6.1+ asks each counter at its close: what LOST records told already is not told again."""
    make = Maker()
    records = (
        make.id_index((10, 0), (11, 1), (12, 0), (13, 1))
        + make.sample(1000, 0, 1, make.alloc(1, 1))
        + make.lost(1900, 0, 42)
        + make.sample(2000, 0, 1, make.alloc(1, 4))
        + make.sample(2100, 1, 1, make.alloc(1, 4), sample_id=11)
        + make.lost_samples(0, 0, 40, 10)
        + make.lost_samples(0, 0, 2, 12)
        + make.lost_samples(0, 0, 7, 13)
    )
    reader = read(PerfFile.usual(make, records).file())
    found = [loss for loss in reader.losses if loss.code == "lost_events"]
    assert [(loss.count, loss.cpu, loss.start_ns, loss.end_ns) for loss in found] == [
        (42, 0, 1000, 2000),
        (7, 1, 2100, None),
    ]
    assert "mm_page_free 7" in found[1].detail


@pytest.mark.parametrize(
    ("pids", "expected"), [((-1,), []), ((7, 8), ["recorded: 7, 8"]), ((), []), (tuple(range(9)), None)]
)
def test_tasks_that_were_recorded(read: Any, pids: tuple[int, ...], expected: list[str] | None) -> None:
    """perf record -p PID, or with a command: other tasks' gets and puts are not there."""
    make = Maker()
    records = make.thread_map(*pids) + make.sample(1000, 0, 7, make.alloc(7, 1))
    found = [loss for loss in read(PerfFile.usual(make, records).file()).losses if loss.code == "tasks_left_out"]
    assert [loss.detail for loss in found] == (
        ["recorded: 0, 1, 2, 3, 4, 5, 6, 7 ..."] if expected is None else expected
    )
    assert all(loss.may_hide(("page_ref_mod",)) and loss.touches(0, 1) for loss in found)


def test_a_thread_map_that_is_cut(read: Any) -> None:
    """It announces more tasks than it has room for."""
    make = Maker()
    record = make.record(73, make.pack("QQ", 1 << 60, 7) + b"task".ljust(16, b"\0"))
    reader = read(PerfFile.usual(make, record + make.sample(1000, 0, 7, make.alloc(7, 1))).file())
    assert [loss.detail for loss in reader.losses if loss.code == "tasks_left_out"] == ["recorded: 7"]


def test_task_names_over_time(read: Any) -> None:
    make = Maker()
    records = (
        make.comm(0, 5, b"shell")
        + make.fork(100, 6, 5)
        + make.sample(150, 0, 6, make.alloc(6, 1))
        + make.comm(200, 6, b"worker")
        + make.sample(250, 0, 6, make.alloc(6, 2))
        + make.fork(300, 7, 6)
        + make.sample(350, 0, 7, make.alloc(7, 3))
        + make.sample(360, 0, 9, make.alloc(9, 4))
        + make.sample(370, 0, -1, make.alloc(6, 5))
    )
    reader = read(PerfFile.usual(make, records).file())
    found = rows(reader, "mm_page_alloc")
    assert [row["comm"] for row in found] == ["shell", "worker", "worker", None, "worker"]
    assert [row["tid"] for row in found] == [6, 6, 7, 9, 6]
    assert (reader.comm_of(6), reader.comm_of(9)) == ("worker", None)
    assert Loss("comm_unresolved", 1) in reader.losses


def test_counters_beside_tracepoints(read: Any) -> None:
    make = Maker()
    other = Maker(sample_type=IP | TID | TIME | CPU | PERIOD | IDENTIFIER)
    records = make.sample(1, 0, 5, make.alloc(5, 77)) + other.sample(2, 1, 5, b"", sample_id=50, period=4000)
    made = PerfFile.usual(make, records)
    made.attrs.append((other.attr(0, kind=0, flags=(SAMPLE_ID_ALL, FREQ), period=4000), (50,)))
    reader = read(made.file())
    assert reader.info.by_event == {"cycles": 1, "mm_page_alloc": 1}
    assert [(row["ip"], row["period"], row["cpu"]) for row in rows(reader, "cycles")] == [(0xFFFF, 4000, 1)]
    assert "cycles" not in (reader.info.enabled_events or ())


def test_clocks(read: Any) -> None:
    make = Maker()
    start = 1_700_000_000_123_456_789
    made = PerfFile.usual(make, make.sample(5_000_000, 0, 5, make.alloc(5, 77)))
    made.attrs = [(make.attr(541, flags=(SAMPLE_ID_ALL, USE_CLOCKID), clockid=1), (10,))]
    reader = read(made.file())
    assert (reader.info.clock, reader.info.origin_ns) == ("mono", 0)
    made.attrs = [(make.attr(541, flags=(SAMPLE_ID_ALL, USE_CLOCKID), clockid=0), (10,))]
    made.records = make.sample(start, 0, 5, make.alloc(5, 77)) + make.lost(start + 5, 0, 1)
    reader = read(made.file())
    assert reader.info.clock == "realtime"
    assert reader.info.origin_ns == start // 1_000_000_000 * 1_000_000_000
    row = rows(reader, "mm_page_alloc", Window(reader.info.start_ns, reader.info.end_ns))[0]
    assert row["time_ns"] + reader.info.origin_ns == start
    assert reader.losses[0].start_ns == row["time_ns"]


def test_sampled_and_doubled_events(read: Any) -> None:
    make = Maker()
    records = make.sample(1, 0, 5, make.alloc(5, 77)) * 3 + make.sample(2, 0, 5, make.alloc(5, 78), sample_id=60)
    made = PerfFile.usual(make, records)
    made.attrs[0] = (make.attr(541, period=100), (10, 11))
    made.attrs.append((make.attr(541), (60,)))
    reader = read(made.file())
    assert reader.info.by_event == {"mm_page_alloc": 3}
    assert {row["pfn"] for row in rows(reader, "mm_page_alloc")} == {77}
    codes = {"lost_events", "instance_left_out", "comm_unresolved", "cpu_silent"}
    assert {loss.code for loss in reader.losses} == codes


def test_killed(read: Any) -> None:
    """The header of a killed perf says 0 bytes; formats, which it writes last, are missing."""
    make = Maker()
    made = PerfFile.usual(make, usual_records(make))
    reader = read(made.file(data_size=0) + b"\x09\0\0\0\0\0\xf0\0cut")
    codes = [loss.code for loss in reader.losses]
    assert codes.count("unknown_event_id") == 3
    assert codes.count("truncated") == 1
    assert reader.info.events == 0
    assert (reader.info.start_ns, reader.info.end_ns) == (1000, 3000)


@pytest.mark.parametrize(("missing", "left"), [(7, "its features"), (170, "its features"), (-1, "table of features")])
def test_a_file_without_its_last_bytes_says_so(read: Any, missing: int, left: str) -> None:
    """Features stand behind the records: no sample is missing."""
    make = Maker()
    whole = PerfFile.usual(make, make.sample(1000, 0, 1, make.alloc(1, 1)) + make.sample(1100, 0, 1, make.alloc(1, 2)))
    whole.features[3] = bytes(200)
    data = whole.file()
    records_end = data.index(whole.records) + len(whole.records)
    cut = read(data[:-missing] if missing > 0 else data[: records_end + 20])
    (loss,) = (loss for loss in cut.losses if loss.code == "truncated")
    assert left in loss.detail
    assert loss.start_ns == 1100
    assert not [loss for loss in read(data).losses if loss.code == "truncated"]


def test_a_pipe_may_end_anywhere(read: Any) -> None:
    make = Maker()
    data = PerfFile.usual(make, usual_records(make)).pipe()
    reader = read(data[:-40])
    assert reader.info.by_event == {"mm_page_alloc": 1, "mm_page_free": 1}
    assert [loss.code for loss in reader.losses] == ["truncated"]
    spoken = read(data + b"[ perf record: Woken up 1 times to write data ]\n")
    check_usual(spoken)
    assert spoken.losses == []


def test_bad_records(read: Any) -> None:
    make = Maker()
    good = make.sample(1, 0, 5, make.alloc(5, 77))
    short = make.sample(2, 0, 5, make.alloc(5, 78)[:12])
    no_id = make.sample(3, 0, 5, make.free(5, 79), sample_id=999)
    unknown = make.sample(3, 0, 5, make.entry(542, 5), sample_id=999)
    reader = read(PerfFile.usual(make, good + short + no_id + unknown + good).file())
    assert reader.info.by_event == {"mm_page_alloc": 2, "mm_page_free": 1}
    assert {loss.code: loss.count for loss in reader.losses} == {
        "bad_record": 1, "unknown_event_id": 1, "comm_unresolved": 1, "cpu_silent": None,
    }  # fmt: skip
    broken = read(PerfFile.usual(make, good + bytes(64) + good).file())
    assert broken.info.by_event == {"mm_page_alloc": 1}
    assert "corrupt_record" in {loss.code for loss in broken.losses}


def test_directory(tmp_path: Path) -> None:
    make = Maker()
    main = PerfFile.usual(make, make.comm(0, 8, b"eight"))
    main.features[24] = make.pack("Q", 1)
    folder = tmp_path / "perf.data"
    folder.mkdir()
    (folder / "data").write_bytes(main.file())
    for cpu in (0, 1, 10):
        samples = [make.sample(100 * i + cpu, cpu, 8, make.alloc(8, 100 * i + cpu)) for i in range(20)]
        records = b"".join(samples)
        (folder / f"data.{cpu}").write_bytes(compressed(make, records) if cpu == 1 else records)
    reader = PerfDataReader(folder)
    assert reader.info.format == "perf.data (directory, zstd)"
    times = [row["time_ns"] for row in rows(reader, "mm_page_alloc")]
    assert times == sorted(100 * i + cpu for i in range(20) for cpu in (0, 1, 10))
    assert {row["comm"] for row in rows(reader, "mm_page_alloc")} == {"eight"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"PERFILE2", "ends within"),
        (b"PERFILE3" + bytes(200), "magic"),
        (PerfFile.usual().file()[:90], "ends within"),
        (PerfFile(Maker()).file(), "describes no events"),
        (PerfFile(Maker()).pipe(), "describes no events"),
        (PerfFile.usual().file()[:16] + b"\xff" * 8 + PerfFile.usual().file()[24:], "attributes"),
    ],
)
def test_refusals(read: Any, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(data)
    assert "perf.data" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("version", "clockid", "wall"), [(1, 1, "2026-11-20 12:00:05.250 UTC"), (2, 1, None), (1, 7, None), (None, 1, None)]
)
def test_clock_data_tie_the_wall_clock(
    read: Any, big: bool, version: int | None, clockid: int, wall: str | None
) -> None:
    """Only those of the clock that samples are on, and of the one version there is."""
    make = Maker(big=big)
    made = PerfFile.usual(make, make.sample(5_250_000_000, 0, 5, make.alloc(5, 77)))
    made.attrs = [(make.attr(541, flags=(SAMPLE_ID_ALL, USE_CLOCKID), clockid=1), (10,))]
    noon_ns = 1_795_176_000 * 10**9
    if version is not None:
        made.features[29] = make.pack("IIQQ", version, clockid, noon_ns, 0)
    found = read(made.file()).info.wall_clock
    assert (None if found is None else found.words(5_250_000_000)) == wall


def test_samples_on_the_realtime_clock_are_of_the_wall_clock(read: Any) -> None:
    make = Maker()
    now_ns = 1_795_176_005_250_000_000
    made = PerfFile.usual(make, make.sample(now_ns, 0, 5, make.alloc(5, 77)))
    made.attrs = [(make.attr(541, flags=(SAMPLE_ID_ALL, USE_CLOCKID), clockid=0), (10,))]
    info = read(made.file()).info
    assert info.wall_clock.words(info.start_ns) == "2026-11-20 12:00:05.250 UTC"
