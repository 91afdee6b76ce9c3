"""Which name a task had when: thread ids that are used again, renames, names that nobody saved."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.captures import SHARED, capture
from tests.support.perf_data_builder import Maker, PerfFile
from tracereplay.dataset import write_dataset
from tracereplay.opening import open_reader
from tracereplay.parsers.base import TraceReader
from tracereplay.parsers.merged import MergedReader
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.parsers.tasks.events import names_from_events
from tracereplay.parsers.tasks.names import BEGIN_NS, MAX_CHANGES_OF_A_TASK, NameHistory
from tracereplay.parsers.text.ftrace import TextTraceReader

US = 1_000
S = 1_000_000_000


def line(comm: str, tid: int, micros: int, cpu: int = 0) -> str:
    return f"{comm:>16}-{tid:<7} [{cpu:03}] .....     1.{micros:06}: mm_page_free: page=00 pfn=0x1f order=3\n"


def text_of(tmp_path: Path, *lines: str, name: str = "trace.txt") -> TextTraceReader:
    path = tmp_path / name
    path.write_text("# tracer: nop\n#\n" + "".join(lines))
    reader = open_reader(path)
    assert isinstance(reader, TextTraceReader)
    return reader


def names_at(reader: TraceReader, tid: int, *micros: int) -> list[str | None]:
    return [reader.comm_at(tid, S + us * US) for us in micros]


# -- every reader --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mixed_nopageref/trace.txt.gz", "mixed_nopageref/report.txt.gz", "cma_pin_vmsplice_perf/perf.data",
             "cma_pin_vmsplice_perf/perf_script.txt.gz"]
)  # fmt: skip
def test_the_name_of_an_event_is_the_name_at_its_time(name: str, tmp_path: Path) -> None:
    folder, _, file = name.partition("/")
    reader = open_reader(capture(folder) / file)
    write_dataset(reader, tmp_path / "dataset")
    stored = open_reader(tmp_path / "dataset")
    seen = 0
    for table in reader.tables().values():
        columns = (table[column].to_pylist() for column in ("tid", "time_ns", "comm"))
        for tid, time_ns, comm in set(list(zip(*columns, strict=True))[::17]):
            assert reader.comm_at(tid, time_ns) == comm
            assert stored.comm_at(tid, time_ns) == comm
            seen += 1
    assert seen > 1000


def test_a_dataset_without_names_over_time_has_the_last_ones(tmp_path: Path) -> None:
    write_dataset(text_of(tmp_path, line("one", 7, 1), line("two", 7, 5)), tmp_path / "dataset")
    assert names_at(open_reader(tmp_path / "dataset"), 7, 1, 5) == ["one", "two"]
    (tmp_path / "dataset" / "task_names.parquet").unlink()
    assert names_at(open_reader(tmp_path / "dataset"), 7, 1, 5) == ["two", "two"]


# -- text ----------------------------------------------------------------------------------------------------------


def test_a_thread_id_that_is_used_again() -> None:
    path = SHARED / "cases" / "histories" / "s03_tid_reuse.txt"
    if not path.exists():
        pytest.skip("no such history on this machine")
    reader = open_reader(path)
    assert names_at(reader, 101, 1, 2, 10, 1011, 1012, 1248) == [None, *["task-a"] * 3, "innocent", "innocent"]
    assert reader.comm_of(101) == "innocent"


def test_names_change_on_any_cpu_and_nobody_is_no_name(tmp_path: Path) -> None:
    reader = text_of(
        tmp_path,
        line("<...>", 7, 1), line("shell", 7, 2), line("other", 8, 3), line("shell", 7, 4, cpu=1),
        line("worker", 7, 5, cpu=1), line("worker", 7, 6), line("<...>", 7, 8), line("worker", 7, 9),
    )  # fmt: skip
    assert names_at(reader, 7, 0, 1, 2, 4, 5, 6, 8, 9, 99) == [
        None, None, "shell", "shell", "worker", "worker", None, "worker", "worker",
    ]  # fmt: skip
    assert names_at(reader, 8, 2, 3, 99) == [None, "other", "other"]
    assert names_at(reader, 9, 5) == [None]


def test_lines_out_of_order_and_without_time(tmp_path: Path) -> None:
    reader = text_of(tmp_path, line("late", 7, 9), line("early", 7, 2), line("late", 7, 12))
    assert names_at(reader, 7, 2, 8, 9) == ["early", "early", "late"]
    path = tmp_path / "payloads.txt"
    path.write_text("mm_page_free: page=00 pfn=0x1f order=3\n")
    assert open_reader(path).comm_at(7, 1) is None


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(f"name-{at // 5}", 7, at) for at in range(40)]
    whole = text_of(tmp_path, *lines).name_history
    assert len(whole.changes[7]) == 8
    monkeypatch.setattr("tracereplay.parsers.text.fast.lines.ROWS", 7)
    assert text_of(tmp_path, *lines).name_history == whole


def test_hostile_names_are_bounded(tmp_path: Path) -> None:
    lines = [line(("one", "two")[at % 2], 7, at) for at in range(3 * MAX_CHANGES_OF_A_TASK)]
    reader = text_of(tmp_path, *lines)
    assert len(reader.name_history.changes[7]) == MAX_CHANGES_OF_A_TASK + 1
    assert names_at(reader, 7, 0, MAX_CHANGES_OF_A_TASK - 1, 2 * MAX_CHANGES_OF_A_TASK) == ["one", "two", None]


# -- perf.data -----------------------------------------------------------------------------------------------------


def test_perf_records_tell_of_renames_and_reuse(tmp_path: Path) -> None:
    make = Maker()
    records = (
        make.comm(0, 5, b"shell")
        + make.fork(100, 6, 5)
        + make.comm(200, 6, b"worker")
        + make.sample(250, 0, 6, make.alloc(6, 2))
        + make.fork(300, 6, 77)
        + make.sample(350, 0, 6, make.alloc(6, 3))
        + make.comm(400, 6, b"next")
    )
    path = tmp_path / "perf.data"
    path.write_bytes(PerfFile.usual(make, records).file())
    reader = PerfDataReader(path)
    asked = (99, 100, 199, 200, 299, 300, 399, 400)
    assert [reader.comm_at(6, ns) for ns in asked] == [
        None, "shell", "shell", "worker", "worker", None, None, "next",
    ]  # fmt: skip
    assert reader.comm_at(5, 0) == "shell"
    assert reader.tables()["mm_page_alloc"]["comm"].to_pylist() == ["worker", None]


# -- ring buffers: one saved name, and the events that change it ----------------------------------------------------


def test_a_task_has_no_name_before_its_fork() -> None:
    reader = open_reader(capture("swap_zram") / "trace.dat")
    forks = reader.tables(["sched_process_fork"])["sched_process_fork"].to_pylist()
    assert len(forks) == 13
    for fork in forks:
        tid, time_ns = fork["child_pid"], fork["time_ns"]
        assert reader.comm_at(tid, time_ns - 1) is None
        assert reader.comm_at(tid, time_ns) == reader.comm_of(tid)
    assert reader.comm_at(1, 0) == reader.comm_of(1)


def test_without_task_events_the_saved_name_holds_throughout() -> None:
    reader = open_reader(capture("cma_pin_vmsplice") / "trace.dat")
    assert reader.name_history == NameHistory()
    assert all(reader.comm_at(tid, 0) == comm for tid, comm in reader.comms.items())


Told = list[tuple[int, str | None]]


@pytest.mark.parametrize(
    ("events", "saved", "expected"),
    [
        # exec and prctl
        ([("task_rename", 10, {"oldcomm": "sh", "newcomm": "cat"})], "cat", [(BEGIN_NS, "sh"), (10, "cat")]),
        # recorded renames are surer than a saved name
        ([("task_rename", 10, {"oldcomm": "sh", "newcomm": "cat"})], "old", [(BEGIN_NS, "sh"), (10, "cat")]),
        # a reused id: the name at exit is that of the life since the fork, which the parent named
        (
            [("sched_process_fork", 5, {"child_comm": "sh"}), ("sched_process_exit", 9, {"comm_field": "cat"}),
             ("sched_process_fork", 12, {"child_comm": "sh"})],
            "dd",
            [(BEGIN_NS, None), (5, "cat"), (12, "dd")],
        ),
        # fork, then exec, all recorded
        (
            [("task_newtask", 5, {"comm_field": "sh"}), ("task_rename", 6, {"oldcomm": "sh", "newcomm": "cat"}),
             ("sched_process_exit", 9, {"comm_field": "cat"})],
            None,
            [(BEGIN_NS, None), (5, "sh"), (6, "cat")],
        ),
        ([("sched_process_exec", 5, {"filename": "/usr/bin/a-name-beyond-15-bytes"})], None,
         [(BEGIN_NS, None), (5, "a-name-beyond-1")]),
        # exit alone: the saved name is another task's, whose start nobody recorded
        ([("sched_process_exit", 9, {"comm_field": "cat"})], "dd", [(BEGIN_NS, "cat"), (9, None)]),
        ([("sched_process_exit", 9, {"comm_field": "cat"})], "cat", [(BEGIN_NS, "cat")]),
        # damaged: a field of another type or name
        ([("task_rename", 10, {"oldcomm": 5})], None, [(BEGIN_NS, None)]),
    ],
)  # fmt: skip
def test_events_that_change_names(
    events: list[tuple[str, int, dict[str, object]]], saved: str | None, expected: Told
) -> None:
    rows: dict[str, list[dict[str, object]]] = {}
    for seq, (event, time_ns, fields) in enumerate(events):
        pid = "child_pid" if event == "sched_process_fork" else "pid"
        rows.setdefault(event, []).append({"seq": seq, "time_ns": time_ns, pid: 7, **fields})
    tables = {event: pa.Table.from_pylist(many) for event, many in rows.items()}
    assert names_from_events(tables, {} if saved is None else {7: saved}).changes == {7: expected}


# -- traces read as one ----------------------------------------------------------------------------------------------


def test_each_part_of_a_split_trace_names_its_own_time(tmp_path: Path) -> None:
    first = text_of(tmp_path, line("one", 7, 1), line("same", 8, 2), name="first.txt")
    second = text_of(tmp_path, line("two", 7, 5), line("same", 8, 6), name="second.txt")
    for parts in ([first, second], [second, first]):
        merged = MergedReader(parts)
        assert names_at(merged, 7, 0, 1, 4, 5) == [None, "one", "one", "two"]
        assert merged.name_history.changes[8] == [(S + 2 * US, "same")]
