"""CPUs that recorded nothing, begin late or stop early: the rule, every reader, and real captures, which are whole."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.captures import capture, fixture_captures, shared_captures, trace_of
from tests.support.perf_data_builder import Maker, PerfFile
from tests.support.raw_capture import cut_raw_capture
from tests.support.trace_dat_builder import Machine, Sparse, trace_dat_v6, trace_dat_v7
from tracereplay.dataset import write_dataset
from tracereplay.losses import Loss
from tracereplay.opening import open_reader
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.events.cpu_coverage import MAX_SILENT_ROWS, CpuActivity, coverage_losses
from tracereplay.parsers.trace_dat.sections import CPUCOUNT
from tracereplay.session import Session

CODES = ("cpu_silent", "cpu_starts_late", "cpu_ends_early")
MS, S = 1_000_000, 1_000_000_000
Row = tuple[str, int | None, int | None, int | None]


def noted(losses: Sequence[Loss]) -> list[Row]:
    return [(loss.code, loss.cpu, loss.start_ns, loss.end_ns) for loss in losses if loss.code in CODES]


def of(reader: TraceReader) -> list[Row]:
    return noted(reader.losses)


# -- the rule ------------------------------------------------------------------------------------------------------

WHOLE = CpuActivity(0, 10 * S, 500 * MS)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (WHOLE, []),
        # silent at the end for longer than a second and twice as long as ever before
        (CpuActivity(0, 8 * S, 900 * MS), [("cpu_ends_early", 1, 8 * S, 10 * S)]),
        (CpuActivity(0, 8 * S, 1 * S), []),
        (CpuActivity(0, 9 * S + 1, 10 * MS), []),
        (CpuActivity(2 * S, 10 * S, 900 * MS), [("cpu_starts_late", 1, 0, 2 * S)]),
        (CpuActivity(2 * S, 10 * S, 1 * S), []),
        # one short burst: a CPU that idles is silent on both sides
        (CpuActivity(5 * S, 5 * S + 1, 1), []),
        (CpuActivity(1, 1, 0), [("cpu_ends_early", 1, 1, 10 * S)]),
    ],
)
def test_only_silence_that_is_unusual_for_the_cpu_is_noted(cpu: CpuActivity, expected: list[Row]) -> None:
    assert noted(coverage_losses({0: WHOLE, 1: cpu}, {0, 1})) == expected


def test_an_end_that_another_loss_tells_of_is_not_noted_again() -> None:
    late, early = CpuActivity(3 * S, 10 * S, MS), CpuActivity(0, 7 * S, MS)
    for cpu in (1, None):
        known = [Loss("overrun", 5, cpu, None, 3 * S), Loss("truncated", None, cpu, 7 * S, None)]
        assert coverage_losses({0: WHOLE, 1: late}, {0, 1}, known_losses=known) == []
        assert coverage_losses({0: WHOLE, 1: early}, {0, 1}, known_losses=known) == []
    known = [Loss("lost_events", 5, 1, S, 2 * S), Loss("overrun", 5, 0, None, 3 * S), Loss("comm_unresolved", 1)]
    assert noted(coverage_losses({0: WHOLE, 1: early}, {0, 1}, known_losses=known)) == [
        ("cpu_ends_early", 1, 7 * S, 10 * S)
    ]


def test_without_a_unit_of_time_a_tenth_counts() -> None:
    active = {0: CpuActivity(0, 1000, 5), 1: CpuActivity(0, 899, 5), 2: CpuActivity(0, 901, 5)}
    assert noted(coverage_losses(active, active.keys(), ticks=True)) == [("cpu_ends_early", 1, 899, 1000)]


@pytest.mark.parametrize(
    ("cpus", "count", "expected"),
    [
        ({0, 1}, None, [(1, None)]),
        ({0}, 2, [(1, None)]),
        ((), 3, [(1, None), (2, None)]),
        ({3}, 4, [(1, None), (2, None), (3, None)]),
        ((), 1, []),
        ((), None, []),
    ],
)
def test_silent_cpus(cpus: set[int], count: int | None, expected: list[tuple[int, int | None]]) -> None:
    losses = coverage_losses({0: WHOLE}, cpus, count)
    assert [(loss.cpu, loss.count) for loss in losses] == expected


def test_where_ids_have_gaps_or_many_are_silent_one_row_tells() -> None:
    active = {0: WHOLE, 6: WHOLE}
    assert coverage_losses(active, (), 3) == [Loss("cpu_silent", 1, None, 0, 10 * S)]
    many = [*range(MAX_SILENT_ROWS + 3), 20]
    silent = Loss("cpu_silent", len(many) - 2, None, 0, 10 * S, "CPUs 1-5,7-10,20")
    assert coverage_losses(active, many) == [silent]
    assert coverage_losses({}, many, 99) == []


# -- real captures: whole, and with one CPU's records taken out ------------------------------------------------------


@pytest.mark.parametrize("path", [*fixture_captures(), *shared_captures()], ids=lambda path: path.name)
def test_captures_are_whole(path: Path) -> None:
    """All but those whose oldest events were overwritten."""
    reader = open_reader(trace_of(path))
    codes = {loss.code for loss in reader.losses}
    assert [row[0] for row in of(reader)] == (["cpu_starts_late"] if "overrun" in codes else [])


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_raw_capture(capture("cma_pin_vmsplice") / "trace.dat", tmp_path_factory.mktemp("raw") / "whole")


def without(raw: Path, folder: Path, cpu: int, *, keep_fraction: float = 0) -> Path:
    """The raw capture with the last part of one CPU's pages cut off."""
    shutil.copytree(raw, folder)
    file = folder / f"per_cpu/cpu{cpu}/trace_pipe_raw"
    pages = file.read_bytes()
    file.write_bytes(pages[: int(len(pages) * keep_fraction) // 4096 * 4096])
    return folder


def test_an_empty_buffer_is_silent(raw: Path, tmp_path: Path) -> None:
    assert of(open_reader(raw)) == []
    reader = open_reader(without(raw, tmp_path / "empty", 1))
    assert of(reader) == [("cpu_silent", 1, reader.info.start_ns, reader.info.end_ns)]
    write_dataset(reader, tmp_path / "dataset")
    assert of(open_reader(tmp_path / "dataset")) == of(reader)


def test_a_buffer_that_was_not_copied_whole_ends_early(raw: Path, tmp_path: Path) -> None:
    reader = open_reader(without(raw, tmp_path / "cut", 0, keep_fraction=0.1))
    ((code, cpu, start_ns, end_ns),) = of(reader)
    assert (code, cpu, end_ns) == ("cpu_ends_early", 0, reader.info.end_ns)
    last = max(t["time_ns"].to_numpy()[t["cpu"].to_numpy() == 0].max(initial=0) for t in reader.tables().values())
    assert start_ns == last


def test_what_another_trace_of_the_machine_recorded_is_not_missing(raw: Path, tmp_path: Path) -> None:
    parts = [without(raw, tmp_path / f"part{cpu}", cpu) for cpu in (0, 1)]
    alone = Session([parts[0]]).info()
    assert [(row.code, row.cpu) for row in alone.data_loss if row.code in CODES] == [("cpu_silent", 0)]
    both = Session(parts, same_machine=True).info()
    assert [row for row in both.data_loss if row.code in CODES] == []


# -- other containers ------------------------------------------------------------------------------------------------


def test_a_trace_dat_counts_cpus_of_its_header_and_its_buffers(tmp_path: Path) -> None:
    machine = Machine()
    page = machine.page(1000, machine.record(1, machine.free(7)) + machine.record(5, machine.free(8)))
    counted = Sparse(options=[(CPUCOUNT, machine.pack("I", 2))])
    files = {
        "v6": trace_dat_v6([page, b""], machine),
        "v7": trace_dat_v7({0: page, 1: b""}, machine),
        "v7 without a place for it": trace_dat_v7({0: page}, machine, extra=counted),
    }
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert of(open_reader(path)) == [("cpu_silent", 1, 1001, 1006)], name
    alone = tmp_path / "one CPU"
    alone.write_bytes(trace_dat_v7({0: page}, machine))
    assert of(open_reader(alone)) == []


def test_silence_within_and_between_pages_counts(tmp_path: Path) -> None:
    """CPU 1 stops 3 s before CPU 0. Where it was silent for 2 s before, that is its way."""
    machine = Machine()

    def page(*times: int) -> bytes:
        first, *others = times
        steps = [later - earlier for earlier, later in zip(times, others, strict=False)]
        records = machine.record(0, machine.free(7))
        for step in steps:
            records += machine.time_extend(step) + machine.record(0, machine.free(8))
        return machine.page(first, records)

    cases: dict[str, tuple[list[bytes], bool]] = {
        "none": ([page(0, S, 2 * S)], True),
        "within": ([page(0, 2 * S, 2 * S + 1)], False),
        "between": ([page(0), page(2 * S)], False),
    }
    for name, (pages, early) in cases.items():
        path = tmp_path / name
        path.write_bytes(trace_dat_v6([page(0, 5 * S), b"".join(pages)], machine))
        assert [row[:2] for row in of(open_reader(path))] == ([("cpu_ends_early", 1)] if early else []), name


def test_perf_data_counts_the_cpus_that_were_online(tmp_path: Path) -> None:
    make = Maker()
    busy = b"".join(make.sample(at * 500 * MS, 0, 5, make.alloc(5, at)) for at in range(11))
    stops = busy + make.sample(1 * S, 1, 5, make.alloc(5, 50)) + make.sample(2 * S, 1, 5, make.alloc(5, 51))
    for name, records, expected in (
        ("silent", busy, [("cpu_silent", 1, 0, 5 * S)]),
        ("stops", stops, [("cpu_ends_early", 1, 2 * S, 5 * S)]),
    ):
        path = tmp_path / name
        path.write_bytes(PerfFile.usual(make, records).file())
        assert of(open_reader(path)) == expected


FREE = "mm_page_free: page=00 pfn=0x1f order=3"


@pytest.mark.parametrize(
    ("head", "silent"),
    [
        ("# tracer: nop\n#\n# entries-in-buffer/entries-written: 2/2   #P:2\n#\n", [1]),
        ("# tracer: nop\n#\n# entries-in-buffer/entries-written: 2/2   #P:1\n#\n", []),
        ("# tracer: nop\n#\n", []),
        ("cpus=2\n", [1]),
        ("CPU 3 is empty\ncpus=2\n", [3]),
        ("CPU 1 is empty\nCPU 2 is empty\ncpus=3\n", [1, 2]),
    ],
)
def test_headers_of_text(head: str, silent: list[int], tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(f"{head}  a-1 [000] ..... 1.000001: {FREE}\n  a-1 [000] ..... 1.000002: {FREE}\n")
    assert of(open_reader(path)) == [("cpu_silent", cpu, S + 1000, S + 2000) for cpu in silent]


def test_perf_script_headers(tmp_path: Path) -> None:
    path = tmp_path / "perf.txt"
    line = "            perf   159 [000]     5.939817:      kmem:mm_page_free: page=0x1f pfn=0x1f order=3\n"
    path.write_text(f"# ========\n# nrcpus online : 2\n# nrcpus avail : 4\n#\n{line}")
    assert [row[:2] for row in of(open_reader(path))] == [("cpu_silent", 1)]


def test_text_of_a_capture_cut_on_one_cpu(tmp_path: Path) -> None:
    text = gzip.decompress((capture("mixed_nopageref") / "trace.txt.gz").read_bytes()).decode()
    whole = tmp_path / "whole.txt"
    whole.write_text(text)
    reader = open_reader(whole)
    assert of(reader) == []
    lines = text.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    limit = first + (len(lines) - first) // 10
    cut = tmp_path / "cut.txt"
    cut.write_text("".join(line for at, line in enumerate(lines) if at < limit or "[000]" not in line))
    reader = open_reader(cut)
    ((code, cpu, _, end_ns),) = of(reader)
    assert (code, cpu, end_ns) == ("cpu_ends_early", 0, reader.info.end_ns)
