"""perf.data says what `perf script` prints of it: real captures, and perf itself where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.captures import SHARED, capture, events_of
from tests.support.multiply_perf_data import multiply_perf_data
from tests.support.perf_data_builder import Maker, PerfFile
from tests.support.perf_script_compare import PERF, compare, write_script
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.schema import Op, Window

REAL = "cma_pin_vmsplice_perf"
PUBLIC = sorted((SHARED / "cases" / "binary").glob("*perf*.json"))


def test_every_field_is_what_perf_printed() -> None:
    folder = capture(REAL)
    result = compare(folder / "perf.data", folder / "perf_script.txt.gz")
    assert (result.differing, result.differences) == (0, [])
    assert result.rows == sum(events_of(folder).values()) == 149_451
    assert result.values > 1_000_000


def test_losses_and_names_of_a_real_capture() -> None:
    folder = capture(REAL)
    reader = PerfDataReader(folder / "perf.data")
    assert (reader.info.kernel, reader.info.machine, reader.info.cpus) == ("6.12.117-cmalab", "x86_64", 2)
    assert reader.info.by_event == events_of(folder)
    # perf script: "Processed 189217 samples and lost 21.02%"
    (loss,) = reader.losses
    assert (loss.code, loss.count, loss.cpu) == ("lost_events", 189_217 - 149_451, 0)
    assert (loss.start_ns, loss.end_ns) == (9_205_143_463, 9_611_067_298)
    assert "cma_alloc_finish 1" in loss.detail
    for operation in json.loads((folder / "truth.json").read_text())["ops"]:
        assert reader.comm_of(operation["pid"]) == operation["comm"]
    cpu0 = [chunk.time_ns[chunk.cpu == 0] for chunk in reader.stream(window=Window(loss.start_ns, loss.end_ns))]
    assert {int(time) for times in cpu0 for time in times} == {loss.start_ns, loss.end_ns}


def test_windows_are_parts_of_the_whole() -> None:
    reader = PerfDataReader(capture(REAL) / "perf.data")
    whole = reader.tables(["mm_page_alloc"])["mm_page_alloc"]
    window = Window(9_100_000_000, 9_300_000_000)
    part = reader.tables(["mm_page_alloc"], window)["mm_page_alloc"]
    times = whole["time_ns"].to_numpy()
    inside = (times >= 9_100_000_000) & (times <= 9_300_000_000)
    assert part.num_rows == inside.sum() > 20
    assert part["pfn"].to_pylist() == whole.filter(inside)["pfn"].to_pylist()
    chunks = list(reader.stream([Op.ALLOC], window, chunk_events=64))
    assert [pfn for chunk in chunks for pfn in chunk.args[:, 0].tolist()] == [
        -1 if pfn is None else pfn for pfn in part["pfn"].to_pylist()
    ]
    assert max(map(len, chunks)) <= 64


@pytest.mark.skipif(PERF is None, reason="perf is not installed")
@pytest.mark.parametrize("form", ["file", "pipe"])
def test_perf_reads_what_we_build(form: str, tmp_path: Path) -> None:
    """The builder of the other tests writes what perf understands, and both understand the same."""
    make = Maker()
    records = make.comm(0, 7, b"init") + make.fork(500, 8, 7)
    for i in range(50):
        records += make.sample(1000 * i + 3, i % 2, 7 + i % 2, make.alloc(8, 0x1E403 + i, i % 3))
        records += make.sample(1000 * i, 1 - i % 2, 8, make.free(8, 0x1E403 + i), sample_id=13)
        records += make.comm(1000 * i + 5, 8, b"name %d" % i) + make.round()
    made = PerfFile.usual(make, records)
    path, text = tmp_path / "perf.data", tmp_path / "script.txt"
    path.write_bytes(made.file() if form == "file" else made.pipe())
    write_script(path, text)
    result = compare(path, text)
    assert result.differences == []
    assert result.rows == 100


def test_a_multiplied_file_holds_its_events_so_many_times(tmp_path: Path) -> None:
    """What benchmarks read: each copy behind the one before, tasks and losses with it."""
    make = Maker()
    records = make.comm(0, 7, b"init") + make.id_index((10, 0))
    records += make.sample(2000, 0, 7, make.alloc(7, 0x1E403)) + make.comm(3000, 7, b"other")
    records += make.lost(3500, 0, 5) + make.sample(4000, 0, 7, make.alloc(7, 0x1E404)) + make.round()
    path, out = tmp_path / "perf.data", tmp_path / "long.data"
    path.write_bytes(PerfFile.usual(make, records).file())
    assert multiply_perf_data(path, 3, out) == 6
    table = PerfDataReader(out).tables()["mm_page_alloc"]
    step = 2000 + 1_000_000
    assert table["time_ns"].to_pylist() == [time + copy * step for copy in range(3) for time in (2000, 4000)]
    assert table["comm"].to_pylist() == ["init", *["other"] * 5]
    assert table["pfn"].to_pylist() == [0x1E403, 0x1E404] * 3
    assert [loss.count for loss in PerfDataReader(out).losses if loss.code == "lost_events"] == [5] * 3
    multiply_perf_data(path, 1, out)
    assert out.read_bytes() == path.read_bytes()


@pytest.mark.skipif(not PUBLIC, reason="no public files beside the checkout")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem[-40:])
def test_public_files(path: Path) -> None:
    """As many samples as perf 6.1 found, also where it gave up on what later versions wrote."""
    told = json.loads(path.read_text())
    counts = told["dump_records"]["counts"]
    reader = PerfDataReader(path.with_suffix(""))
    assert sum(table.num_rows for table in reader.tables().values()) == reader.info.events
    if "corrupted" in path.name:
        assert [loss.code for loss in reader.losses] == ["corrupt_record"]
    elif told["perf_script"]["rc"] == 0:
        assert reader.info.events == counts.get("SAMPLE", 0)
    else:
        assert reader.info.events > 0
    lost = sum(loss.count or 0 for loss in reader.losses if loss.code == "lost_events")
    assert lost == counts.get("LOST_SAMPLES", 0)
    assert Loss("truncated") not in reader.losses


def test_not_perf_data() -> None:
    folder = capture("offline_dimm_einval")
    with pytest.raises(InputError, match=r"magic.*|not a perf"):
        PerfDataReader(folder / "trace.dat")
