"""A real scheduler and worker processes on this machine: one is killed in mid-run, one joins late."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.conftest import QUICK, Put
from tests.corpus.runs import contents, order_for, rows, run_local
from tracereplay.corpus.executors import dask_workers
from tracereplay.corpus.run import Summary, run
from tracereplay.corpus.store import Store
from tracereplay.discovery.discover import discover
from tracereplay.errors import UsageError

pytest.importorskip("distributed", reason="dask.distributed is not installed (extra `dask`)")
TRACES = 12


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.folder = folder
        self.processes = [self._start("scheduler", "--port", "0", "--scheduler-file", str(self.file))]
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.1)
        text = self.file.read_text()
        self.address = text.split('"address": "')[1].split('"')[0]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker of one thread, that nobody starts again when it dies."""
        local = ("--local-directory", str(self.folder))
        worker = self._start("worker", self.address, "--nthreads", "1", "--no-nanny", *local)
        self.processes.append(worker)
        return worker

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *arguments]
        if kind == "scheduler":
            command += ["--host", "127.0.0.1"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    found = Cluster(folder)
    yield found
    found.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_worker_dies_and_another_joins(
    put: Put, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trace has one row, every analysis its rows once, as if one process had done it all."""
    for number in range(TRACES):
        log = put(QUICK[number % 4], f"{number}.dat").with_suffix(".dmesg")
        with log.open("a") as file:
            file.write(f"[ 9999.{number:06}] which makes it a trace of its own\n")
    (tmp_path / "traces" / "broken.dat").touch()
    monkeypatch.setattr("tracereplay.corpus.run.PIECE_TRACES", 1)
    doomed, steps = cluster.add_worker(), list[str]()

    def watch(summary: Summary) -> None:
        if summary.done >= 2 and not steps:
            steps.append("joined")
            cluster.add_worker()
        if summary.done >= 4 and steps == ["joined"]:
            steps.append("killed")
            doomed.send_signal(signal.SIGKILL)

    store = Store.create(str(tmp_path / "store"))
    sources = discover([str(tmp_path / "traces")], lambda _path: {})
    with dask_workers(cluster.address) as workers:
        summary = run(store, sources, workers, order_for(store), watch)
    assert steps == ["joined", "killed"]
    assert doomed.wait() == -signal.SIGKILL
    assert summary.by_status == {"analysed": TRACES, "unreadable": 1}
    assert len(rows(store)) == len({row["path"] for row in rows(store)}) == TRACES + 1
    local, _ = run_local(tmp_path / "local", [tmp_path / "traces"])
    assert contents(store) == contents(local)


def test_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracereplay.corpus.executors.CONNECT_S", 1)
    with pytest.raises(UsageError, match="no dask scheduler at"), dask_workers("tcp://127.0.0.1:1"):
        pass
