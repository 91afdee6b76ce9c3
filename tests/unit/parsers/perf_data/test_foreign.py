"""perf.data of other writers: simpleperf's tracing data and records of its own, samples without CPU or fields, zips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import SHARED
from tests.support.perf_data_builder import CPU, RAW, USUAL, Maker, PerfFile
from tests.support.usual_perf_data import check_usual, rows, usual_records
from tracereplay.errors import InputError
from tracereplay.opening import open_reader
from tracereplay.parsers.perf_data.reader import PerfDataReader

FOREIGN = SHARED / "cases" / "foreign"
SPLIT, SPLIT_END, TRACING_DATA = 32772, 32773, 32777


def tracing_record(make: Maker, kind: int, padding: int = 0) -> bytes:
    """Tracing data within their record, as simpleperf writes them."""
    data = make.tracing_data()
    body = make.pack("I", len(data)) + data + bytes(padding + -len(data) % 4)
    return make.pack("IHH", kind, 0, 8 + len(body)) + body


def split(make: Maker, record: bytes, size: int) -> bytes:
    """A record in parts of `size` bytes."""
    parts = [record[at : at + size] for at in range(0, len(record), size)]
    return b"".join(make.record(SPLIT, part) for part in parts) + make.record(SPLIT_END, b"")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("form", ["record 66", "record 66, padded", "own record", "own record in parts", "odd parts"])
def test_tracing_data_among_the_records(read: Any, big: bool, form: str) -> None:
    make = Maker(big=big)
    begins = {
        "record 66": lambda: tracing_record(make, 66),
        "record 66, padded": lambda: tracing_record(make, 66, padding=36),
        "own record": lambda: tracing_record(make, TRACING_DATA),
        "own record in parts": lambda: split(make, tracing_record(make, TRACING_DATA), 400),
        "odd parts": lambda: split(make, tracing_record(make, TRACING_DATA), 399),
    }
    made = PerfFile.usual(make, begins[form]() + usual_records(make))
    del made.features[1]
    check_usual(read(made.file()))


def test_records_of_its_own_are_skipped_by_size(read: Any) -> None:
    make = Maker()
    large = b"\xff" * 70_000
    own = make.pack("IHH", 32775, (8 + len(large)) >> 16, (8 + len(large)) & 0xFFFF) + large
    small = make.record(32776, bytes(16))
    reader = read(PerfFile.usual(make, small + own + usual_records(make) + small).file())
    check_usual(reader)
    assert reader.losses == []
    cut = read(PerfFile.usual(make, usual_records(make) + own[:-1]).file())
    assert [loss.code for loss in cut.losses] == ["truncated"]


def test_samples_without_a_cpu(read: Any) -> None:
    make = Maker(sample_type=USUAL & ~CPU)
    reader = read(PerfFile.usual(make, usual_records(make)).file())
    assert {row["cpu"] for name in reader.info.by_event for row in rows(reader, name)} == {None}
    assert {int(cpu) for chunk in reader.stream() for cpu in chunk.cpu} == {0xFFFF}


def test_tracepoints_without_their_fields_are_said_once(read: Any) -> None:
    make = Maker(sample_type=USUAL & ~RAW)
    reader = read(PerfFile.usual(make, usual_records(make)).file())
    (loss,) = (loss for loss in reader.losses if loss.code == "fields_not_recorded")
    assert (loss.count, loss.detail) == (3, "console, mm_page_alloc, mm_page_free")
    assert "raw samples" in loss.kind.advice


def test_a_zip_without_files_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "bugreport.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError, match="a zip archive in which neither a trace nor a kernel log was found"):
        open_reader(path)


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="no files of other projects beside the checkout")
@pytest.mark.parametrize(
    ("name", "events"), [("P23", {"cycles": 14, "sched_switch": 31}), ("P24", {"myopen": 10}), ("P05", None)]
)
def test_files_of_other_projects(name: str, events: dict[str, int] | None) -> None:
    (about,) = FOREIGN.glob(f"{name}_*.json")
    reader = PerfDataReader(FOREIGN / json.loads(about.read_text())["file"])
    if events is None:
        assert {row["cpu"] for table in reader.tables().values() for row in table.to_pylist()} == {None}
    else:
        assert reader.info.by_event == events
        assert {loss.code for loss in reader.losses} <= {"cpu_ends_early"}  # it recorded one CPU longer
