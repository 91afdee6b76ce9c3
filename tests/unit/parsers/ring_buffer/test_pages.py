"""Ring-buffer pages made by hand: every kind of record, every sign of loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.trace_dat_builder import Machine, trace_dat_v6
from tracereplay.losses import Loss
from tracereplay.parsers.trace_dat.reader import TraceDatReader

MACHINES = [Machine(big, long_bytes) for big in (False, True) for long_bytes in (8, 4)]


def read(tmp_path: Path, *cpus: bytes, machine: Machine | None = None) -> TraceDatReader:
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat_v6(list(cpus), machine))
    return TraceDatReader(path)


def times(reader: TraceDatReader) -> list[int]:
    return [int(time) for chunk in reader.stream() for time in chunk.time_ns]


def pfns(reader: TraceDatReader) -> list[int]:
    return [int(args[0]) for chunk in reader.stream() for args in chunk.args]


@pytest.mark.parametrize("m", MACHINES, ids=str)
def test_times_run_within_a_page_and_restart_at_the_next(tmp_path: Path, m: Machine) -> None:
    first = m.page(1000, m.record(0, m.free(1)) + m.record(5, m.free(2)))
    second = m.page(9000, m.record(7, m.free(3)))
    reader = read(tmp_path, first + second, machine=m)
    assert times(reader) == [1000, 1005, 9007]
    assert pfns(reader) == [1, 2, 3]
    assert reader.losses == []
    assert (reader.info.start_ns, reader.info.end_ns, reader.info.by_event) == (1000, 9007, {"mm_page_free": 3})


@pytest.mark.parametrize("m", MACHINES, ids=str)
def test_long_records_extends_and_discarded_records(tmp_path: Path, m: Machine) -> None:
    data = (
        m.record(1, m.free(1), long_form=True)
        + m.time_extend((5 << 27) + 3)
        + m.record(1, m.free(2))
        + m.padding(100, 20)
        + m.record(1, m.free(3))
        + m.word(29, 0)  # the rest is padding, whatever it holds
        + m.record(1, m.free(4))
    )
    reader = read(tmp_path, m.page(0, data), machine=m)
    assert times(reader) == [1, (5 << 27) + 5, (5 << 27) + 106]
    assert reader.losses == []


@pytest.mark.parametrize(
    ("base", "stamp", "expected"),
    [
        (1000, 5000, 5000),
        (1000, 500, 500),  # below 2^59 nothing can be told from a step back
        ((3 << 59) + 7000, 9000, (3 << 59) + 9000),  # the top bits come from the clock so far
        ((3 << 59) + 7000, 10, (4 << 59) + 10),  # the 59 bits wrapped
    ],
)
def test_absolute_stamps(tmp_path: Path, base: int, stamp: int, expected: int) -> None:
    m = Machine()
    reader = read(tmp_path, m.page(base, m.time_stamp(stamp) + m.record(2, m.free(1))))
    assert times(reader) == [expected + 2 - reader.info.origin_ns]
    assert (reader.info.origin_ns != 0) == (expected > 1 << 53)


@pytest.mark.parametrize("m", MACHINES, ids=str)
def test_missed_events_lie_between_pages_of_their_cpu(tmp_path: Path, m: Machine) -> None:
    pages = m.page(0, m.record(10, m.free(1)), missed=-1)
    pages += m.page(100, m.record(1, m.free(2)), missed=23)
    pages += m.page(200, m.record(1, m.free(3)))
    other = m.page(0, m.record(150, m.free(4)))
    reader = read(tmp_path, other, pages, machine=m)
    assert reader.losses == [Loss("lost_events", None, 1, None, 10), Loss("lost_events", 23, 1, 10, 101)]


def test_stored_count_needs_room(tmp_path: Path) -> None:
    m = Machine()
    record = m.record(1, m.free(1))
    data = record + m.padding(1, 4080 - len(record) - 4)
    assert len(data) == 4080
    page = m.page(0, data, commit=4080 | 3 << 30)
    assert read(tmp_path, page).losses == [Loss("lost_events", None, 0, None, 1)]


def test_damaged_pages_are_left_and_reading_goes_on(tmp_path: Path) -> None:
    m = Machine()
    good = m.page(1000, m.record(1, m.free(1)))
    too_long = m.page(2000, m.record(1, m.free(2)) + m.word(20, 1) + b"\0" * 8)
    beyond = m.page(3000, m.record(1, m.free(3)), commit=5000)
    last = m.page(4000, m.record(1, m.free(4)))
    reader = read(tmp_path, good + too_long + beyond + last)
    assert pfns(reader) == [1, 2, 4]
    assert [(loss.code, loss.cpu, loss.start_ns, loss.end_ns) for loss in reader.losses] == [
        ("corrupt_page", 0, 2001, 4001),
        ("corrupt_page", 0, 2001, 4001),
    ]


def test_records_shorter_than_their_format_and_unknown_ids(tmp_path: Path) -> None:
    m = Machine()
    data = m.record(1, m.free(1)[:16]) + m.record(1, m.pack("HBBiQ", 999, 0, 0, 1, 5)) + m.record(1, m.free(2))
    data += m.record(1, m.pack("I", 500))
    reader = read(tmp_path, m.page(0, data))
    assert pfns(reader) == [2]
    assert sorted((loss.code, loss.count) for loss in reader.losses if loss.code != "comm_unresolved") == [
        ("bad_record", 1),
        ("unknown_event_id", 1),
        ("unknown_event_id", 1),
    ]


def test_a_page_cut_by_the_end_of_the_file(tmp_path: Path) -> None:
    m = Machine()
    page = m.page(1000, b"".join(m.record(1, m.free(pfn)) for pfn in range(100)))
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat_v6([page])[: -4096 + 16 + 24 * 10 + 5])
    reader = TraceDatReader(path)
    assert pfns(reader) == list(range(10))
    assert {loss.code for loss in reader.losses} == {"truncated"}
    assert all(loss.start_ns == 1010 and loss.end_ns is None for loss in reader.losses)


def test_time_that_steps_back_is_told(tmp_path: Path) -> None:
    m = Machine()
    reader = read(tmp_path, m.page(5000, m.record(1, m.free(1))) + m.page(1000, m.record(1, m.free(2))))
    assert reader.losses == [Loss("clock_step_back", 1, 0, 1001, 5001)]
    assert (reader.info.start_ns, reader.info.end_ns) == (1001, 5001)


def test_equal_times_are_in_the_order_of_cpus(tmp_path: Path) -> None:
    m = Machine()
    cpus = [m.page(0, b"".join(m.record(10, m.free(100 * cpu + i)) for i in range(3))) for cpu in range(3)]
    reader = read(tmp_path, *cpus)
    assert pfns(reader) == [0, 100, 200, 1, 101, 201, 2, 102, 202]
    one_by_one = [int(args[0]) for chunk in reader.stream(chunk_events=1) for args in chunk.args]
    assert one_by_one == pfns(reader)
