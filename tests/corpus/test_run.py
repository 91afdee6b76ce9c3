"""A run over real traces: each analysed once, what is broken costs only itself, and running again goes on."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from deltalake.exceptions import DeltaError

import tracereplay
from tests.corpus.conftest import QUICK, Put
from tests.corpus.runs import by_name, contents, order_for, rows, run_local
from tests.support.captures import capture
from tracereplay.corpus.batches import analyse_some
from tracereplay.corpus.executors import Workers, local_workers
from tracereplay.corpus.run import Summary, run
from tracereplay.corpus.sandbox import Limits
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import FOUND, RUN_COLUMNS
from tracereplay.discovery.discover import discover
from tracereplay.errors import UsageError
from tracereplay.model.tables import result_tables

MIB = 1 << 20


def test_the_store_holds_what_blame_says(put: Put, tmp_path: Path) -> None:
    for name in QUICK[:2]:
        put(name, f"{name}.dat")
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    for name in QUICK[:2]:
        row = by_name(store)[f"{name}.dat"]
        folder = capture(name)
        result = tracereplay.open(
            [folder / "trace.dat"], layout=folder / "layout_before", kernel_log=folder / "dmesg.txt"
        ).blame()
        for table, source in FOUND.items():
            stored = [r for r in rows(store, table) if r["key"] == row["key"]]
            wanted = result_tables(result)[source]
            assert [{c: r[c] for c in wanted.column_names} for r in stored] == wanted.to_pylist()
        first = result.inputs[0]
        assert (row["events"], row["kernel_release"], row["capture_level"]) == (
            first.events, first.kernel, first.capture_level,
        )  # fmt: skip
        assert row["layout"] == str(tmp_path / "traces" / f"{name}.layout")
        assert row["cpu_seconds"] > 0


def test_running_again_analyses_only_what_is_new(put: Put, tmp_path: Path) -> None:
    traces, place = tmp_path / "traces", tmp_path / "store"
    first = put(QUICK[2], "a.dat")
    store, summary = run_local(place, [traces])
    assert (summary.found, summary.before, summary.by_status) == (1, 0, {"analysed": 1})
    before = contents(store)
    _, summary = run_local(place, [traces])
    assert (summary.found, summary.before, summary.by_status) == (1, 1, {})
    assert contents(store) == before
    put(QUICK[3], "b.dat")
    _, summary = run_local(place, [traces])
    assert (summary.found, summary.before, summary.by_status) == (2, 1, {"analysed": 1})
    # Other content under the same path: its row is replaced, the analysis of the old content stays unused.
    first.write_bytes((tmp_path / "traces" / "b.dat").read_bytes())
    run_local(place, [traces])
    assert len(by_name(store)) == len(rows(store)) == 2


def test_equal_content_is_analysed_once(put: Put, tmp_path: Path) -> None:
    """A row for each path, with metadata of its own; one analysis. A file touched is looked at again, not analysed."""
    first = put(QUICK[2], "a.dat", metadata='build = "1"')
    put(QUICK[2], "b.dat", metadata='build = "2"')
    put(QUICK[2], "c.dat", sides=("layout",))  # without its log it is another question
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    put(QUICK[2], "d.dat", metadata='device = "x"')  # the same again, in a later run
    os.utime(first)
    run_local(tmp_path / "store", [tmp_path / "traces"])
    found = by_name(store)
    a, b, c, d = (found[f"{name}.dat"] for name in "abcd")
    assert a["key"] == b["key"] == d["key"] != c["key"]
    assert [row.get("build") for row in (a, b, c, d)] == ["1", "2", None, None]
    assert d["device"] == "x"
    assert a["events"] == d["events"] > 0
    attempts = rows(store, "attempts")
    assert len({(row["key"], row["attempt_id"]) for row in attempts}) == len(attempts)
    assert {row["key"] for row in attempts} == {a["key"], c["key"]}


def test_a_url_is_copied_and_has_the_key_of_its_content(put: Put, tmp_path: Path) -> None:
    """Read through fsspec, here out of a zip file; errors name the URL and not the copy."""
    trace = put(QUICK[2], "a.dat")
    with zipfile.ZipFile(tmp_path / "box.zip", "w") as box:
        for path in sorted(trace.parent.rglob("*")):
            if path.is_file():
                box.write(path, path.relative_to(trace.parent))
        box.writestr("broken.dat", "nothing")
        box.writestr("a.toml", "build = 7")
    url = f"zip://::file://{tmp_path}/box.zip"
    far, summary = run_local(tmp_path / "far", [url])
    assert summary.by_status == {"analysed": 1, "unreadable": 1}
    here, _ = run_local(tmp_path / "here", [trace])
    mine, theirs = by_name(here)["a.dat"], next(row for row in rows(far) if row["status"] == "analysed")
    assert theirs["path"] == f"zip://a.dat::file://{tmp_path}/box.zip"
    assert theirs["key"] == mine["key"]
    assert theirs["build"] == "7"
    assert contents(far)["culprits"] == contents(here)["culprits"]
    (broken,) = [row for row in rows(far) if row["status"] == "unreadable"]
    assert "tracereplay-corpus-" not in broken["reason"]


def test_content_that_moves_to_another_path(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files rotate: what one path held is under another now, after the first one's row was replaced."""
    put(QUICK[2], "a.dat")
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    before = by_name(store)["a.dat"]
    for side in sorted((tmp_path / "traces").iterdir()):
        side.rename(tmp_path / "traces" / side.name.replace("a.", "z."))
    put(QUICK[3], "a.dat")
    monkeypatch.setattr("tracereplay.corpus.run.PIECE_TRACES", 1)
    monkeypatch.setattr("tracereplay.corpus.run.COMMIT_ROWS", 1)
    monkeypatch.setattr("tracereplay.corpus.run.AHEAD", 1)
    run_local(tmp_path / "store", [tmp_path / "traces"])
    a, z = (by_name(store)[name] for name in ("a.dat", "z.dat"))
    assert (z["key"], z["events"]) == (before["key"], before["events"])
    assert a["key"] != z["key"]
    attempts = rows(store, "attempts")
    assert {row["key"] for row in attempts} == {a["key"], z["key"]}
    assert len({(row["key"], row["attempt_id"]) for row in attempts}) == len(attempts)


def test_names_that_are_not_utf_8(put: Put, tmp_path: Path) -> None:
    """No document can hold them as they are: they are shown with escapes, and cost nobody else anything."""
    put(QUICK[3], "build-\udcff/a\udcfe.dat", metadata='board = "x"')
    (tmp_path / "traces" / "\udcfd.dat").touch()
    for before, status in ((0, {"analysed": 1, "unreadable": 1}), (2, {})):
        store, summary = run_local(tmp_path / "store", [tmp_path / "traces"])
        assert (summary.before, summary.by_status) == (before, status)
    found = by_name(store)
    assert found["a\\udcfe.dat"]["board"] == "x"
    assert found["\\udcfd.dat"]["status"] == "unreadable"


def test_what_is_broken_is_listed_with_its_reason(put: Put, tmp_path: Path) -> None:
    good = put(QUICK[2], "good.dat")
    (good.parent / "cut.dat").write_bytes(good.read_bytes()[:30])
    (good.parent / "empty.dat").touch()
    (good.parent / "noise.dat").write_bytes(bytes(range(256)) * 100)
    (good.parent / "text.dat").write_text("nothing\n")
    put(QUICK[3], "odd.dat", metadata="not toml at all")
    put(QUICK[3], "side.dat", sides=("log",))
    (good.parent / "side.layout.toml").write_text("page_size = 'many'")
    store, summary = run_local(tmp_path / "store", [good.parent, good.parent / "gone.dat"])
    found = by_name(store)
    assert {name for name, row in found.items() if row["status"] == "analysed"} == {"good.dat", "odd.dat"}
    broken = {name: row["reason"] for name, row in found.items() if row["status"] != "analysed"}
    assert set(broken) == {"cut.dat", "empty.dat", "noise.dat", "text.dat", "gone.dat", "side.dat"}
    assert all(broken.values())
    assert "No such file" in broken["gone.dat"]
    assert "side.layout.toml" in broken["side.dat"]
    assert "odd.toml" in found["odd.dat"]["notes"]
    assert summary.by_status == {"analysed": 2, "unreadable": 6}


def test_a_fifo_or_device_is_listed_and_not_read(put: Put, tmp_path: Path) -> None:
    """Also where it lies beside a trace or in a folder that belongs to one, and where a link leads to it."""
    put(QUICK[2], "good.dat")
    put(QUICK[3], "beside.dat", sides=("layout",))
    put(QUICK[3], "within.dat")
    traces = tmp_path / "traces"
    os.mkfifo(traces / "fifo.dat")
    os.mkfifo(traces / "beside.dmesg")
    os.mkfifo(traces / "within.layout" / "odd")
    (traces / "zero.dat").symlink_to("/dev/zero")
    for before in (0, 5):
        store, summary = run_local(tmp_path / "store", [traces], limits=Limits(seconds=20))
        assert (summary.found, summary.before) == (5, before)
    found = by_name(store)
    assert {name for name, row in found.items() if row["status"] == "analysed"} == {"good.dat"}
    broken = {name: row["reason"] for name, row in found.items() if row["status"] == "unreadable"}
    assert broken["fifo.dat"] == "is a FIFO, a socket or a device, no file"
    assert broken["beside.dat"] == f"{traces}/beside.dmesg: is a FIFO, a socket or a device, no file"
    assert broken["within.dat"].startswith(f"{traces}/within.layout/odd: is a FIFO")
    assert broken["zero.dat"] == "/dev/zero: is a FIFO, a socket or a device, no file"


def test_a_trace_that_changes_after_it_was_identified_is_not_stored_under_its_old_digest(
    put: Put, tmp_path: Path
) -> None:
    """Another path with the old content is analysed by itself; the next run takes what the changed one holds now."""
    changing, stays = put(QUICK[2], "a.dat"), put(QUICK[2], "b.dat")
    other = put(QUICK[3], "other/c.dat").read_bytes()
    store = Store.create(str(tmp_path / "store"))

    class Changing(ThreadPoolExecutor):
        """Rewrites the first trace before it is analysed for the first time."""

        def submit(self, function: Any, /, *args: Any, **named: Any) -> Future[Any]:
            if function is analyse_some and changing.read_bytes() != other:
                changing.write_bytes(other)
            return super().submit(function, *args, **named)

    sources = list(discover([str(changing), str(stays)], lambda _path: {}))
    with local_workers(1), Changing(1) as changing_workers:
        run(store, sources, Workers(changing_workers, lambda: 1), order_for(store), lambda _summary: None)
    a, b = (by_name(store)[name] for name in ("a.dat", "b.dat"))
    assert (a["status"], a["key"], a["reason"]) == ("unreadable", None, "changed while the run read it; run again")
    assert b["status"] == "analysed"
    alone, _ = run_local(tmp_path / "alone", [stays])
    assert b["key"] == by_name(alone)["b.dat"]["key"]
    assert contents(store)["attempts"] == contents(alone)["attempts"]
    run_local(tmp_path / "store", [changing, stays])
    assert by_name(store)["a.dat"]["status"] == "analysed"
    assert by_name(store)["a.dat"]["key"] != b["key"]


def run_with_a_fifo(tmp_path: Path, name: str, limits: Limits | None = None) -> tuple[Store, Summary]:
    """A run that has listed a file which is a FIFO by the time it is opened: nobody ever writes into it."""
    fifo = tmp_path / "traces" / name
    fifo.touch()
    sources = list(discover([str(tmp_path / "traces")], lambda _path: {}))
    fifo.unlink()
    os.mkfifo(fifo)
    store = Store.create(str(tmp_path / "store"))
    with local_workers(1) as workers:
        return store, run(store, sources, workers, order_for(store, limits), lambda _summary: None)


def test_a_hung_trace_costs_only_itself(put: Put, tmp_path: Path) -> None:
    put(QUICK[2], "good.dat")
    store, summary = run_with_a_fifo(tmp_path, "hung.dat", Limits(seconds=20))
    assert summary.by_status == {"analysed": 1, "timed_out": 1}
    assert by_name(store)["hung.dat"]["reason"] == "not done after 20 s"


def test_a_gigantic_trace_costs_only_itself(put: Put, tmp_path: Path) -> None:
    """Its log has a hundred thousand page dumps, which the analysis keeps; the other's has what a boot writes."""
    put(QUICK[3], "good.dat")
    huge = put(QUICK[3], "huge.dat").with_suffix(".dmesg")
    dump = "[ {:.6f}] page: refcount:1 mapcount:0 mapping:0 index:0x0 pfn:0x{:x}\n"
    with huge.open("a") as log:
        log.writelines(dump.format(100 + n / 1000, n) for n in range(120_000))
    store, summary = run_local(tmp_path / "store", [huge.parent], limits=Limits(memory_bytes=200 * MIB))
    assert summary.by_status == {"analysed": 1, "out_of_memory": 1}
    assert "the limit is 200.0 MiB" in by_name(store)["huge.dat"]["reason"]
    # With room enough it is analysed, when asked for.
    _, summary = run_local(tmp_path / "store", [huge.parent])
    assert (summary.before, summary.by_status) == (2, {})
    _, summary = run_local(tmp_path / "store", [huge.parent], retry=True)
    assert (summary.before, summary.by_status) == (1, {"analysed": 1})
    assert {row["status"] for row in rows(store)} == {"analysed"}


def test_a_trace_whose_process_dies_costs_only_itself(put: Put, tmp_path: Path) -> None:
    put(QUICK[2], "good.dat")

    def kill_who_reads_it() -> None:
        while not (found := [p for p in psutil.Process().children() if _holds(p, "tracereplay.corpus.sandbox_child")]):
            time.sleep(0.1)
        time.sleep(3)  # it waits for the FIFO by now: `deadly` comes before `good`
        found[0].kill()

    killer = threading.Thread(target=kill_who_reads_it)
    killer.start()
    store, summary = run_with_a_fifo(tmp_path, "deadly.dat")
    killer.join()
    assert summary.by_status == {"analysed": 1, "crashed": 1}
    assert "SIGKILL" in by_name(store)["deadly.dat"]["reason"]


def _holds(process: psutil.Process, word: str) -> bool:
    try:
        return word in process.cmdline()
    except psutil.Error:
        return False


def test_an_interrupted_run_keeps_what_is_done_and_goes_on(put: Put, tmp_path: Path) -> None:
    for number in range(4):
        put(QUICK[2], f"{number}.dat", metadata=f'n = "{number}"')
        with (tmp_path / "traces" / f"{number}.dmesg").open("a") as log:
            log.write(f"[ 999.00000{number}] other content\n")
    store = Store.create(str(tmp_path / "store"))
    sources = list(discover([str(tmp_path / "traces")], lambda _path: {}))

    def interrupt(summary: object) -> None:
        if getattr(summary, "done", 0) >= 2:
            raise KeyboardInterrupt

    # Two traces only at first: they are done when Ctrl-C comes.
    with local_workers(1) as workers, pytest.raises(KeyboardInterrupt):
        run(store, sources[:2], workers, order_for(store), interrupt)
    assert len(rows(store)) == 2
    _, summary = run_local(tmp_path / "store", [tmp_path / "traces"], jobs=2)
    assert (summary.before, summary.by_status) == (2, {"analysed": 2})
    whole, _ = run_local(tmp_path / "whole", [tmp_path / "traces"])
    assert contents(whole) == contents(store)


def test_a_new_version_of_the_analysis_replaces_the_row(put: Put, tmp_path: Path) -> None:
    """And moves it to another partition."""
    put(QUICK[2], "a.dat", metadata='build = "1"')
    put(QUICK[3], "b.dat")
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    a, b = (by_name(store)[name] for name in ("a.dat", "b.dat"))
    newer = {name: value for name, value in a.items() if name != "build"} | {"analysis": "9.9-new", "device": "x"}
    store.commit([], [newer], {newer["path"]})
    assert {row["path"]: row for row in rows(store)} == {
        a["path"]: newer | {"build": None},
        b["path"]: b | {"device": None},
    }


def test_rows_without_their_run_are_removed(put: Put, tmp_path: Path) -> None:
    """As if the driver had died between the commits of one batch."""
    put(QUICK[2], "a.dat")
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    whole = contents(store)
    store.table("runs").delete()
    assert rows(store, "attempts")
    run_local(tmp_path / "store", [tmp_path / "traces"])
    assert contents(store) == whole


def test_any_number_of_workers_says_the_same(put: Put, tmp_path: Path) -> None:
    for name in QUICK:
        put(name, f"{name}.dat")
    (tmp_path / "traces" / "broken.dat").touch()
    one, two = (run_local(tmp_path / f"store{n}", [tmp_path / "traces"], jobs=n)[0] for n in (1, 2))
    assert contents(one) == contents(two)
    assert len(contents(one)["runs"]) == len(QUICK) + 1


def test_metadata_cannot_make_the_table_too_wide(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracereplay.corpus.run.MAX_COLUMNS", len(RUN_COLUMNS) + 2)
    put(QUICK[2], "a.dat", metadata='build = "1"\ntest = "x"')
    put(QUICK[3], "b.dat", metadata='build = "2"\nother = "y"')
    store, _ = run_local(tmp_path / "store", [tmp_path / "traces"])
    b = by_name(store)["b.dat"]
    assert (b["build"], b["test"], "other" in b) == ("2", None, False)
    assert b["notes"].startswith("metadata left out")
    assert b["notes"].endswith("columns: other")


def test_one_run_writes_at_a_time(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path / "store"))
    with store.writing(), pytest.raises(UsageError, match="another run"):
        run_local(tmp_path / "store", [])


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="something else"):
        Store.create(str(tmp_path))
    with pytest.raises(UsageError, match="no corpus"):
        Store(str(tmp_path))


def test_workers_of_another_version_are_refused(put: Put, tmp_path: Path) -> None:
    put(QUICK[2], "a.dat")
    store = Store.create(str(tmp_path / "store"))
    order = order_for(store)
    other = type(order)(order.store, "0.0.1-other", order.limits)
    sources = discover([str(tmp_path / "traces")], lambda _path: {})
    with local_workers(1) as workers, pytest.raises(UsageError, match="install the same"):
        run(store, sources, workers, other, lambda _summary: None)


def test_a_worker_that_fails_is_told_apart_from_a_broken_trace(put: Put, tmp_path: Path) -> None:
    """Whatever an executor raises for a piece of work, its traces are listed, and can be tried again."""
    put(QUICK[2], "a.dat")
    store = Store.create(str(tmp_path / "store"))

    class Failing(ThreadPoolExecutor):
        """Loses every analysis."""

        def submit(self, function: Any, /, *args: Any, **named: Any) -> Future[Any]:
            if function is analyse_some:
                return super().submit(_fail)
            return super().submit(function, *args, **named)

    sources = discover([str(tmp_path / "traces")], lambda _path: {})
    with local_workers(1), Failing(1) as failing:  # local_workers lets go of the child processes at its end
        run(store, sources, Workers(failing, lambda: 1), order_for(store), lambda _summary: None)
    assert [(row["status"], row["reason"]) for row in rows(store)] == [
        ("crashed", "the worker failed (RuntimeError: gone)")
    ]
    _, summary = run_local(tmp_path / "store", [tmp_path / "traces"], retry=True)
    assert summary.by_status == {"analysed": 1}


def _fail() -> None:
    raise RuntimeError("gone")


def test_every_column_is_explained() -> None:
    assert [column.name for column in RUN_COLUMNS if not column.words.strip()] == []
    assert len({column.name for column in RUN_COLUMNS}) == len(RUN_COLUMNS)


def test_arrow_reads_a_local_store_by_itself(tmp_path: Path) -> None:
    """Through files written in Python its threads would call into an interpreter that ends: SIGABRT now and then."""
    store = Store.create(str(tmp_path / "a store"))
    for table in ("runs", *FOUND):
        files = store.rows(table).filesystem
        assert (files.type_name, files.base_fs.type_name) == ("subtree", "local")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(str(tmp_path / "store"))

    def fails(*_args: object, **_named: object) -> None:
        raise DeltaError("Generic LocalFileSystem error\n  \x1b[31m↳\x1b[0m No space left on device (os error 28)")

    monkeypatch.setattr("tracereplay.corpus.store.write_deltalake", fails)
    with pytest.raises(UsageError) as caught:
        store.commit([], [{"path": "/a.dat", "status": "analysed"}], ())
    told = "Generic LocalFileSystem error ↳ No space left on device (os error 28)"
    assert str(caught.value) == f"{tmp_path}/store: cannot be written: {told}"
    monkeypatch.setattr("tracereplay.corpus.store.ROOM_BYTES", 1 << 62)
    with pytest.raises(UsageError, match="are free; make room"):
        store.commit([], [], ())
    with pytest.raises(UsageError, match="are free; make room"):
        Store.create(str(tmp_path / "deep" / "er" / "store"))
