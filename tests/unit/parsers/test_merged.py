"""Traces of one machine read as one: a real capture cut by CPU or by time says what the whole says."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.captures import capture
from tests.support.raw_capture import cut_raw_capture
from tests.support.trace_dat_builder import Machine, Sparse, trace_dat_v7
from tracereplay.cli.main import main
from tracereplay.errors import UsageError
from tracereplay.model.result import Attempt, Result
from tracereplay.opening import open_reader
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.merged import MergedReader
from tracereplay.schema import Window
from tracereplay.session import Session

RANK = {"unknown": 0, "suggested": 1, "proved": 2}
NAME = "cma_bufferhead"


@pytest.fixture(scope="module")
def by_cpu(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """The raw pages of a capture as a whole, and with each CPU in a folder of its own."""
    folder = tmp_path_factory.mktemp("cut")
    whole = cut_raw_capture(capture(NAME) / "trace.dat", folder / "whole")
    parts = []
    for cpu in (0, 1):
        part = folder / f"cpu{cpu}"
        shutil.copytree(whole, part)
        shutil.rmtree(part / f"per_cpu/cpu{1 - cpu}")
        parts.append(part)
    return whole, parts


@pytest.fixture(scope="module")
def by_time(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Text of a capture as a whole, and cut in two between two lines."""
    folder = tmp_path_factory.mktemp("halves")
    text = gzip.decompress((capture("mixed_nopageref") / "trace.txt.gz").read_bytes()).decode()
    lines = text.splitlines(keepends=True)
    head = [line for line in lines[:12] if line.startswith("#") and "entries-in-buffer" not in line]
    events = [line for line in lines if not line.startswith("#")]
    middle = len(events) // 2
    for name, part in (("whole", events), ("first", events[:middle]), ("second", events[middle:])):
        (folder / name).write_text("".join([*head, *part]))
    return folder / "whole", [folder / "first", folder / "second"]


def blame(paths: Sequence[Path], layout: str = NAME) -> Result:
    return Session(paths, layout=capture(layout) / "layout_before", same_machine=True).blame()


def rows(reader: TraceReader, window: Window | None = None) -> dict[str, list[tuple[object, ...]]]:
    tables = reader.tables(None, window)
    seqs = np.concatenate([table["seq"].to_numpy() for table in tables.values()])
    assert len(np.unique(seqs)) == len(seqs)
    columns = ("time_ns", "cpu", "tid")
    return {name: list(zip(*(t[c].to_pylist() for c in columns), strict=True)) for name, t in sorted(tables.items())}


def claims(attempts: Iterable[Attempt]) -> dict[tuple[object, ...], tuple[int, int]]:
    """What is said of each page of each attempt, and how sure it is."""
    return {
        (a.id, a.outcome, a.errno, pfn, c.cause, c.effect, c.holder): (RANK[c.verdict], RANK[c.holder_verdict])
        for a in attempts
        for c in a.culprits
        for pfn in range(c.start_pfn or 0, (c.start_pfn or 0) + c.pages)
    }


@pytest.mark.parametrize("cut", ["by_cpu", "by_time"])
@pytest.mark.parametrize("order", [1, -1])
def test_tables_and_stream_are_those_of_the_whole(cut: str, order: int, request: pytest.FixtureRequest) -> None:
    whole, parts = request.getfixturevalue(cut)
    one, merged = open_reader(whole), MergedReader([open_reader(part) for part in parts[::order]])
    assert merged.info.by_event == one.info.by_event
    assert (merged.info.start_ns, merged.info.end_ns) == (one.info.start_ns, one.info.end_ns)
    assert merged.comms == one.comms
    seam_ns = open_reader(parts[0]).info.end_ns or 0
    for window in (None, Window(seam_ns - 200_000_000, seam_ns + 100_000_000)):
        assert rows(merged, window) == rows(one, window)
        streams = [[*reader.stream(window=window, chunk_events=997)] for reader in (one, merged)]
        for name in ("time_ns", "cpu", "tid", "irq", "op", "args"):
            expected, found = (np.concatenate([getattr(chunk, name) for chunk in stream]) for stream in streams)
            assert np.array_equal(expected, found), name


def test_each_cpu_alone_is_not_the_trace_but_both_are(by_cpu: tuple[Path, list[Path]]) -> None:
    whole, parts = by_cpu
    expected, found = blame([whole]), blame(parts)
    assert found.attempts == expected.attempts
    assert any(attempt.culprits for attempt in found.attempts)
    assert [one.id for one in found.inputs if one.role == "trace"] == ["trace-0", "trace-1"]
    assert {attempt.input_id for attempt in found.attempts} == {"trace-0"}
    apart = Session(parts, layout=capture(NAME) / "layout_before").blame()
    assert apart.attempts != expected.attempts


def test_two_halves_say_what_the_whole_says_and_nothing_surer(by_time: tuple[Path, list[Path]]) -> None:
    whole, parts = by_time
    expected, found = blame([whole], "mixed_nopageref"), blame(parts, "mixed_nopageref")
    sure, surer = claims(expected.attempts), claims(found.attempts)
    assert len(sure) > 100
    assert surer.keys() == sure.keys()
    assert all(surer[key] <= sure[key] for key in sure)
    assert len(found.attempts) == len(expected.attempts)


def test_what_a_missing_trace_would_have_told_is_lost(by_time: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """Without the lines of the middle: a gap between the halves, in which anything may have happened."""
    head, events = "# tracer: nop\n", by_time[0].read_text().splitlines(keepends=True)
    events = [line for line in events if not line.startswith("#")]
    (tmp_path / "a").write_text(head + "".join(events[:20_000]))
    (tmp_path / "b").write_text(head + "".join(events[40_000:]))
    readers = [open_reader(tmp_path / name) for name in "ab"]
    (loss,) = MergedReader(readers).losses
    assert loss.code == "trace_gap"
    assert loss.kind.hides_events
    assert (loss.start_ns, loss.end_ns) == (readers[0].info.end_ns, readers[1].info.start_ns)


def test_a_cpu_that_was_recorded_later_is_blind_before(tmp_path: Path) -> None:
    m = Machine()
    zero, one = (m.page(base, b"".join(m.record(10, m.free(pfn)) for pfn in range(9))) for base in (100, 150))
    readers = [trace(tmp_path, str(cpu), m, {cpu: page}) for cpu, page in enumerate((zero, one))]
    assert [(loss.start_ns, loss.end_ns) for loss in MergedReader(readers).losses] == [(190, 240), (110, 160)]


def trace(folder: Path, name: str, m: Machine, pages: dict[int, bytes], clock: str = "local") -> TraceReader:
    path = folder / f"{name}.dat"
    trace_id = (11, m.pack("Q", 77))
    path.write_bytes(trace_dat_v7(pages, m, extra=Sparse(clock=clock, options=[trace_id])))
    return open_reader(path)


def test_traces_of_one_id_are_one_where_they_can_be(tmp_path: Path) -> None:
    m = Machine()
    page = m.page(100, b"".join(m.record(10, m.free(pfn)) for pfn in range(9)))
    one, other, again = (trace(tmp_path, name, m, {cpu: page}) for name, cpu in (("a", 0), ("b", 1), ("c", 0)))
    paths = [reader.info.path for reader in (one, other, again)]
    assert one.info.boot_id is not None
    assert Session(paths[:2]).reader.info.events == 18
    more = trace(tmp_path, "d", m, {0: page + m.page(300, m.record(10, m.free(9)))}).info.path
    for same_machine in (False, True):
        assert Session([paths[0], paths[2]], same_machine=same_machine).reader.info.events == 9
        with pytest.raises(UsageError, match="it would count twice"):
            Session([paths[0], more], same_machine=same_machine)


def test_what_is_no_one_trace(tmp_path: Path) -> None:
    m = Machine()
    page = m.page(100, b"".join(m.record(10, m.free(pfn)) for pfn in range(9)))
    one = trace(tmp_path, "one", m, {0: page})
    with pytest.raises(UsageError, match=r"one\.dat and .*two\.dat both recorded mm_page_free on CPU 0"):
        MergedReader([one, trace(tmp_path, "two", m, {0: page})])
    with pytest.raises(UsageError, match="not of one machine and clock: clock is local and mono"):
        MergedReader([one, trace(tmp_path, "mono", m, {1: page}, "mono")])


def test_equal_times_go_by_cpu_whatever_the_order(tmp_path: Path) -> None:
    m = Machine()
    parts = {cpu: m.page(100, b"".join(m.record(0, m.free(10 * cpu + n)) for n in range(5))) for cpu in range(3)}
    readers = [trace(tmp_path, str(cpu), m, {cpu: parts[cpu]}) for cpu in (2, 0, 1)]
    whole = trace(tmp_path, "whole", m, parts)
    expected = np.concatenate([chunk.args[:, 0] for chunk in whole.stream()])
    for size in (1, 2, 100):
        found = np.concatenate([chunk.args[:, 0] for chunk in MergedReader(readers).stream(chunk_events=size)])
        assert found.tolist() == expected.tolist()


def test_the_command(by_cpu: tuple[Path, list[Path]], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["blame", *map(str, by_cpu[1]), "--layout", str(capture(NAME) / "layout_before")]
    assert main([*command, "--same-machine"]) == 0
    assert capsys.readouterr().out.count("FAILED") == 1
    assert main(["blame", str(by_cpu[0]), str(by_cpu[1][0]), "--same-machine"]) == 2
    assert "it would count twice" in capsys.readouterr().err


def test_traces_with_other_origins_of_time_meet_on_the_clock_of_the_first(tmp_path: Path) -> None:
    """Beyond 2^53 ns each trace counts from a whole second near its start."""
    m = Machine()
    base = 1_700_000_000_000_000_000
    late, early = (
        trace(tmp_path, name, m, {cpu: m.page(base + at, m.record(0, m.free(cpu)) + m.record(9, m.free(cpu)))})
        for name, cpu, at in (("late", 0, 5_000_000_000), ("early", 1, 0))
    )
    assert late.info.origin_ns - early.info.origin_ns == 5_000_000_000
    merged = MergedReader([late, early])
    assert (merged.info.origin_ns, merged.info.start_ns, merged.info.end_ns) == (late.info.origin_ns, -5_000_000_000, 9)
    times = [-5_000_000_000, -4_999_999_991, 0, 9]
    assert np.concatenate([chunk.time_ns for chunk in merged.stream()]).tolist() == times
    (table,) = merged.tables().values()
    assert table["time_ns"].to_pylist() == times
    before = merged.tables(window=Window(end_ns=-1)).values()
    assert [table["cpu"].to_pylist() for table in before] == [[1, 1]]
    assert [loss.end_ns for loss in merged.losses] == [0, 9]
