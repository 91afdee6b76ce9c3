"""Ring-buffer pages copied by hand say what the trace.dat says that has the same pages."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tracereplay
from tests.support.captures import capture, fixture_captures, trace_of
from tests.support.raw_capture import cut_raw_capture
from tests.support.trace_dat_builder import FORMATS, Machine, trace_dat_v6
from tracereplay.errors import InputError
from tracereplay.opening import open_reader
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.trace_dat.raw_buffers import RawBuffersReader
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.schema import Window

TRACES = [capture for capture in fixture_captures() if trace_of(capture).name == "trace.dat"][:6]


def offset_ns(raw: TraceDatReader, dat: TraceDatReader) -> int:
    """What trace-cmd adds to the stamps, which is in no page."""
    return (dat.info.start_ns or 0) - (raw.info.start_ns or 0)


def assert_same(raw: TraceDatReader, dat: TraceDatReader) -> None:
    move = offset_ns(raw, dat)
    assert raw.info.by_event == dat.info.by_event
    assert (raw.info.kernel, raw.info.machine, raw.info.clock) == (dat.info.kernel, dat.info.machine, dat.info.clock)
    assert raw.comms == dat.comms
    assert [replace(loss, start_ns=None, end_ns=None) for loss in raw.losses] == [
        replace(loss, start_ns=None, end_ns=None) for loss in dat.losses
    ]
    expected = dat.tables()
    found = raw.tables()
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        other = found[name]
        times = other["time_ns"].to_numpy() + move
        assert np.array_equal(times, table["time_ns"].to_numpy())
        assert other.drop_columns("time_ns").equals(table.drop_columns("time_ns")), name
    streams = zip(raw.stream(), dat.stream(), strict=True)
    assert all(np.array_equal(a.args, b.args) and np.array_equal(a.op, b.op) for a, b in streams)


@pytest.mark.parametrize("where", TRACES, ids=lambda path: path.name)
def test_tables_are_those_of_the_trace(where: Path, tmp_path: Path) -> None:
    root = cut_raw_capture(where / "trace.dat", tmp_path)
    assert detect(root).kind is Kind.RAW_BUFFERS
    reader = open_reader(root)
    assert isinstance(reader, RawBuffersReader)
    assert reader.info.format == "raw ring buffers"
    dat = TraceDatReader(where / "trace.dat")
    assert_same(reader, dat)
    assert len(reader.symbols) == len(dat.symbols)


@pytest.mark.parametrize("packed", [False, True])
def test_flat_and_packed(tmp_path: Path, packed: bool) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    root = cut_raw_capture(trace, tmp_path / "raw", flat=True, packed=packed)
    reader = open_reader(root)
    assert isinstance(reader, RawBuffersReader)
    assert_same(reader, TraceDatReader(trace))
    start, end = reader.info.start_ns or 0, reader.info.end_ns or 0
    window = Window(start, start + (end - start) // 2)
    inside = sum(table.num_rows for table in reader.tables(window=window).values())
    assert 0 < inside < reader.info.events


@pytest.mark.parametrize("machine", [Machine(), Machine(big=True), Machine(long_bytes=4), Machine(True, 4)], ids=str)
def test_other_machines(tmp_path: Path, machine: Machine) -> None:
    pages = [machine.page(1000, machine.record(5, machine.free(7 + cpu)) + machine.record(3, machine.free(9)))
             for cpu in range(2)]  # fmt: skip
    trace = tmp_path / "trace.dat"
    trace.write_bytes(trace_dat_v6(pages, machine))
    root = tmp_path / "raw"
    for cpu, data in enumerate(pages):
        (root / f"per_cpu/cpu{cpu}").mkdir(parents=True)
        (root / f"per_cpu/cpu{cpu}/trace_pipe_raw").write_bytes(data)
    (root / "formats").mkdir()
    (root / "header_page").write_text(machine.header_page)
    for number, text in enumerate(FORMATS):
        (root / f"formats/any.event{number}").write_text(text)
    raw, dat = RawBuffersReader(root), TraceDatReader(trace)
    assert raw.tables()["mm_page_free"]["pfn"].to_pylist() == [7, 8, 9, 9]
    expected = dat.tables()["mm_page_free"]
    assert raw.tables()["mm_page_free"].drop_columns("comm").equals(expected.drop_columns("comm"))


def test_instances(tmp_path: Path) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    root = cut_raw_capture(trace, tmp_path)
    shutil.move(root / "per_cpu", root / "instances/other/per_cpu")
    shutil.copy(root / "trace_clock", root / "instances/other/trace_clock")
    assert detect(root).kind is Kind.RAW_BUFFERS
    assert_same(RawBuffersReader(root), TraceDatReader(trace))


def test_what_is_missing(tmp_path: Path) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    root = cut_raw_capture(trace, tmp_path)
    for name in ("saved_cmdlines", "kallsyms", "trace_clock", "uname", "events/header_page"):
        (root / name).unlink()
    reader = RawBuffersReader(root)
    assert (reader.info.kernel, reader.info.machine, reader.info.clock) == (None, None, None)
    assert "comm_unresolved" in {loss.code for loss in reader.losses}
    assert reader.info.by_event == TraceDatReader(trace).info.by_event
    shutil.rmtree(root / "events")
    with pytest.raises(InputError, match="no event formats"):
        RawBuffersReader(root)
    for path in root.glob("per_cpu/*/trace_pipe_raw"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no page"):
        RawBuffersReader(root)


def test_cut_and_garbled_pages(tmp_path: Path) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    root = cut_raw_capture(trace, tmp_path)
    paths = sorted(root.glob("per_cpu/*/trace_pipe_raw"))
    whole = {path: path.read_bytes() for path in paths}
    events = RawBuffersReader(root).info.events
    path = max(paths, key=lambda path: len(whole[path]))
    path.write_bytes(whole[path][: len(whole[path]) // 2 + 777])
    cut = RawBuffersReader(root)
    assert 0 < cut.info.events < events
    assert {loss.code for loss in cut.losses} & {"truncated", "corrupt_page"}
    numbers = random.Random(5)
    for _ in range(20):
        data = bytearray(whole[path])
        for _ in range(40):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        path.write_bytes(data)
        reader = RawBuffersReader(root)
        assert sum(table.num_rows for table in reader.tables().values()) == reader.info.events


HUGE_PAGE = "\tfield: local_t commit; offset:8; size:8;\n\tfield: char data; offset:16; size:2147483647;"


@pytest.mark.parametrize("header", ["", "nonsense", HUGE_PAGE])
def test_odd_header_page(tmp_path: Path, header: str) -> None:
    root = cut_raw_capture(capture("offline_unmovable") / "trace.dat", tmp_path)
    (root / "events/header_page").write_text(header)
    if header:
        with pytest.raises(InputError):
            RawBuffersReader(root)
    else:
        assert RawBuffersReader(root).info.events


def test_blame_is_that_of_the_trace(tmp_path: Path) -> None:
    where = capture("cma_pin_vmsplice")
    root = cut_raw_capture(where / "trace.dat", tmp_path)
    found, expected = (
        [
            (attempt.operation, attempt.outcome, attempt.errno, attempt.culprits)
            for attempt in tracereplay.open(path, layout=where / "layout_before").blame().attempts
        ]
        for path in (root, where / "trace.dat")
    )
    assert found == expected
    assert sum(len(culprits) for *_, culprits in found) > 0
