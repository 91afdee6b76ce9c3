"""Where compiled kernels go, and that concurrent first runs compile once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import pytest

from tests.unit.test_compiled import CALL
from tracereplay.compiled import TRIED
from tracereplay.kernel_cache import KEPT, UNUSED_S, CompileLock, cache_folder, is_own

DIGEST = "0123456789abcdef"
READ_ONLY = "/proc/nowhere"  # can be made by no user, not even root


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TRACEREPLAY_CACHE", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()


def test_the_folder_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRACEREPLAY_CACHE", str(tmp_path / "mine"))
    assert cache_folder(DIGEST) == tmp_path / "mine" / "kernels" / DIGEST
    monkeypatch.setenv("TRACEREPLAY_CACHE", READ_ONLY)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache_folder(DIGEST) == tmp_path / "numba" / DIGEST


def test_without_a_home_a_folder_of_ones_own_is_used_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", READ_ONLY)
    monkeypatch.setenv("HOME", READ_ONLY)
    own = tmp_path / "tmp" / f"tracereplay-{os.getuid()}"
    assert cache_folder(DIGEST) == cache_folder(DIGEST) == own / "kernels" / DIGEST
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", READ_ONLY)
    own = tmp_path / "tmp" / f"tracereplay-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert not is_own(own)
    assert own not in cache_folder(DIGEST).parents
    own.rmdir()
    own.symlink_to(tmp_path)
    assert not is_own(own)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "planted"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    assert not is_own(folder)


def test_old_versions_are_removed_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRACEREPLAY_CACHE", str(tmp_path))
    base = tmp_path / "kernels"
    for place in range(6):
        folder = base / f"{place:016x}"
        folder.mkdir(parents=True)
        old = time.time() - UNUSED_S * (place + 0.5)
        os.utime(folder, (old, old))
    (base / "mine").mkdir()
    os.utime(base / "mine", (0, 0))
    cache_folder(DIGEST)
    left = sorted(path.name for path in base.iterdir())
    assert left == [f"{place:016x}" for place in range(KEPT - 1)] + [DIGEST, "mine"]


def _hold(path: Path, ready: object, seconds: float) -> None:
    lock = CompileLock(path)
    lock.take()
    ready.set()  # type: ignore[attr-defined]
    time.sleep(seconds)


def test_the_lock_keeps_others_waiting_until_its_holder_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", ready, 60))
    holder.start()
    assert ready.wait(30)
    impatient = CompileLock(tmp_path / "lock", wait_s=0)
    impatient.take()  # returns without the lock
    impatient.give_back()
    holder.kill()
    holder.join()
    patient = CompileLock(tmp_path / "lock")
    patient.take()
    patient.take()
    patient.give_back()
    other = CompileLock(tmp_path / "lock", wait_s=0)
    other.take()
    assert other._file is None
    patient.give_back()
    again = CompileLock(tmp_path / "lock", wait_s=0)
    again.take()
    assert again._file is not None
    again.give_back()


def test_a_folder_without_locks_stops_nobody(tmp_path: Path) -> None:
    lock = CompileLock(tmp_path / "missing" / "lock")
    lock.take()
    lock.give_back()
    assert lock.depth == 0


@pytest.mark.skipif(numba.version_info.short not in TRIED, reason="this numba keeps code in its own way")
def test_concurrent_first_runs_compile_once(tmp_path: Path) -> None:
    environment = {**os.environ, "TRACEREPLAY_CACHE": str(tmp_path), "TRACEREPLAY_BUILD_KERNELS": ""}
    del environment["TRACEREPLAY_BUILD_KERNELS"]
    runs = [
        subprocess.Popen([sys.executable, "-c", CALL], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    found = sorted(run.communicate(timeout=300)[0].strip() for run in runs)
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert found == ["0", "1", "1"]
