"""perf.data of any content: what was built is read; damage costs events, never the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.captures import capture
from tests.support.perf_data_builder import CALLCHAIN, KERNEL, RAW, READ, USER, USUAL, Maker, PerfFile, compressed
from tracereplay.errors import InputError
from tracereplay.losses import LOSS_KINDS
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.attrs import Events
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.schema import Window

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 300),  # time: many ties
        st.integers(0, 3),  # cpu
        st.integers(0, 5),  # tid
        st.sampled_from(["alloc", "free", "console"]),
        st.integers(0, (1 << 52) - 1),  # pfn
        st.integers(0, 3),  # frames
    ),
    min_size=1,  # a file that says it has no records is one that perf did not finish
    max_size=80,
)


def built(make: Maker, samples: list[tuple[int, int, int, str, int, int]]) -> bytes:
    records = b""
    for time, cpu, tid, kind, pfn, frames in samples:
        raw = {
            "alloc": lambda tid=tid, pfn=pfn: make.alloc(tid, pfn),
            "free": lambda tid=tid, pfn=pfn: make.free(tid, pfn),
            "console": lambda tid=tid, pfn=pfn: make.console(tid, b"%d\0" % pfn),
        }[kind]()
        sample_id = {"alloc": 10, "free": 12, "console": 14}[kind]
        chain = (KERNEL, *range(0x1000, 0x1000 + frames), USER, 5)
        records += make.sample(time, cpu, tid, raw, sample_id=sample_id, chain=chain, read=(1,))
    return records


def in_order(samples: list[tuple[int, int, int, str, int, int]]) -> list[tuple[int, int, int, str, int, int]]:
    """The plain twin of the merge: by time, then CPU, then place."""
    return sorted(samples, key=lambda sample: sample[:2])


@QUICK
@given(
    samples=SAMPLES,
    big=st.booleans(),
    extra=st.sampled_from([0, READ, CALLCHAIN, READ | CALLCHAIN]),
    form=st.sampled_from(["file", "pipe", "packed"]),
    window=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    rows=st.integers(1, 50),
)
def test_what_was_built_is_read(
    tmp_path: Path, samples: Any, big: bool, extra: int, form: str, window: tuple[int, int], rows: int
) -> None:
    make = Maker(big, USUAL | extra)
    records = built(make, samples)
    if form == "packed":
        records = compressed(make, records, pieces=3)
    made = PerfFile.usual(make, records)
    path = tmp_path / "perf.data"
    path.write_bytes(made.pipe() if form == "pipe" else made.file())
    reader = PerfDataReader(path)
    expected = in_order(samples)
    assert {loss.code for loss in reader.losses} <= {"comm_unresolved", "cpu_silent", "cpu_ends_early"}

    pages = [sample for sample in expected if sample[3] != "console"]
    chunks = list(reader.stream(chunk_events=rows))
    assert [int(pfn) for chunk in chunks for pfn in chunk.args[:, 0]] == [sample[4] for sample in pages]
    assert [int(time) for chunk in chunks for time in chunk.time_ns] == [sample[0] for sample in pages]

    tables = reader.tables(window=Window(*window))
    inside = [sample for sample in expected if window[0] <= sample[0] <= window[1]]
    found = [row for name in ("mm_page_alloc", "mm_page_free", "console") if name in tables
             for row in tables[name].to_pylist()]  # fmt: skip
    found.sort(key=lambda row: row["seq"])
    assert [(row["time_ns"], row["cpu"], row["tid"]) for row in found] == [sample[:3] for sample in inside]
    assert [str(row.get("pfn", row.get("msg"))) for row in found] == [str(sample[4]) for sample in inside]
    stacks = tables["kernel_stack"].to_pylist() if "kernel_stack" in tables else []
    chained = [sample for sample in inside if extra & CALLCHAIN and sample[5]]
    assert [row["caller"] for row in stacks] == [list(range(0x1000, 0x1000 + sample[5])) for sample in chained]


@QUICK
@given(
    samples=SAMPLES,
    cuts=st.lists(st.tuples(st.integers(1, 700), st.sampled_from(["none", "round", "odd", "sample"])), min_size=1),
)
def test_records_between_compressed_ones(tmp_path: Path, samples: Any, cuts: list[tuple[int, str]]) -> None:
    """perf writes its own records as they are, also where one of the kernel's is cut between two compressed ones."""
    make = Maker()
    left, expected, out = built(make, samples), list(samples), b""
    packer = zstandard.ZstdCompressor().compressobj()
    for size, kind in cuts:
        piece, left = left[:size], left[size:]
        out += make.record(81, packer.compress(piece) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        out += make.round() if kind == "round" else make.record(200, b"12345") if kind == "odd" else b""
        if kind == "sample":
            expected.append((500 + size, 1, 3, "free", size, 0))
            out += built(make, expected[-1:])
    out += make.record(81, packer.compress(left) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    path = tmp_path / "perf.data"
    path.write_bytes(PerfFile.usual(make, out).file())
    reader = PerfDataReader(path)
    assert {loss.code for loss in reader.losses} <= {"comm_unresolved", "cpu_silent", "cpu_ends_early"}
    found = [
        (row["time_ns"], row["cpu"], row["tid"], str(row.get("pfn", row.get("msg"))))
        for table in reader.tables().values()
        for row in table.to_pylist()
    ]
    assert sorted(found) == sorted((time, cpu, tid, str(pfn)) for time, cpu, tid, _, pfn, _ in expected)


def survives(path: Path, data: bytes) -> None:
    """Opens and reads, or refuses in one line."""
    path.write_bytes(data)
    try:
        reader = PerfDataReader(path)
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(str(error)) from None
        return
    assert sum(table.num_rows for table in reader.tables().values()) <= reader.info.events
    assert all(chunk.args.shape[1] == 9 for chunk in reader.stream())
    assert {loss.code for loss in reader.losses} <= LOSS_KINDS.keys()


def example(form: str) -> bytes:
    make = Maker(big=form == "big", sample_type=USUAL | CALLCHAIN | READ, read_format=4 | 8)
    records = make.comm(0, 7, b"init") + make.fork(1, 8, 7) + make.id_index((10, 0), (11, 1))
    for i in range(6):
        raw = make.alloc(8, i) if i % 2 else make.console(8, b"text\0")
        values = (1, 2, 3)
        records += make.sample(10 + i, i % 2, 8, raw, sample_id=10 if i % 2 else 14, chain=(KERNEL, 1, 2), read=values)
    records += make.lost(30, 0, 5) + make.lost_samples(0, 0, 5) + make.round()
    if form == "packed":
        records = compressed(make, records)
    made = PerfFile.usual(make, records)
    return made.pipe() if form == "pipe" else made.file()


FORMS = ("file", "big", "pipe", "packed")


@QUICK
@given(
    form=st.sampled_from(FORMS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6),
)
def test_flipped_bytes(tmp_path: Path, form: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(example(form))
    for place, change in flips:
        data[int(place * len(data))] ^= change
    survives(tmp_path / "perf.data", bytes(data))


@QUICK
@given(form=st.sampled_from(FORMS), at=st.floats(0, 1), value=st.integers(0, (1 << 64) - 1))
def test_wild_numbers(tmp_path: Path, form: str, at: float, value: int) -> None:
    data = bytearray(example(form))
    place = int(at * (len(data) - 8)) // 4 * 4
    data[place : place + 8] = value.to_bytes(8, "little")
    survives(tmp_path / "perf.data", bytes(data))


@QUICK
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=30),
    add_dummy=st.booleans(),
)
def test_plain_samples_are_read_as_all_others(tmp_path: Path, flips: list[tuple[float, int]], add_dummy: bool) -> None:
    """The loops' short way for samples that lie as most do finds what the long way finds, whatever they hold."""
    make = Maker()
    records = make.comm(0, 7, b"init")
    for i in range(12):
        raw = make.alloc(8, i) if i % 2 else make.free(8, i)
        records += make.sample(1000 + i, i % 3, (8, -1)[i % 5 == 0], raw, sample_id=10 if i % 2 else 12)
        records += make.lost(1000 + i, i % 3, 4) if i % 4 == 3 else b""
    data = bytearray(records)
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    made = PerfFile.usual(make, bytes(data))
    if add_dummy:  # as perf does, to have the records that are no samples
        made.attrs.append((Maker(sample_type=USUAL & ~RAW).attr(9, kind=1), (30, 31)))
    path = tmp_path / "perf.data"
    path.write_bytes(made.file())
    quick = PerfDataReader(path)
    assert quick._events.tables[kernels.USUAL_FIXED_BYTES] > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Events, "_mark_plain", lambda *_: None)
        slow = PerfDataReader(path)
    assert slow._events.tables[kernels.USUAL_FIXED_BYTES] < 0
    assert (quick.info, quick.losses, quick.comms) == (slow.info, slow.losses, slow.comms)
    assert quick._scan.chunks == slow._scan.chunks
    for column in ("totals", "cpu_first", "cpu_last", "tids"):
        assert (getattr(quick._scan, column) == getattr(slow._scan, column)).all()
    assert quick.tables() == slow.tables()


@pytest.mark.parametrize("form", FORMS)
def test_every_truncation(tmp_path: Path, form: str) -> None:
    data = example(form)
    for size in range(0, len(data), 13):
        survives(tmp_path / "perf.data", data[:size])


@QUICK
@given(cut=st.floats(0, 1), at=st.floats(0, 1, exclude_max=True), noise=st.binary(max_size=64))
def test_a_real_file_damaged(tmp_path: Path, cut: float, at: float, noise: bytes) -> None:
    whole = (capture("cma_pin_vmsplice_perf") / "perf.data").read_bytes()[: 1 << 20]
    data = bytearray(whole[: int(cut * len(whole))])
    place = int(at * len(data))
    data[place : place + len(noise)] = noise
    survives(tmp_path / "perf.data", bytes(data))
