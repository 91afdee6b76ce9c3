"""Where compiled kernels are kept, and that of several first runs only one compiles.

TRACEREPLAY_CACHE names the folder; else it is the user's cache, or a folder of the user's own under the temporary
directory where that cannot be written (HOME is read-only, or not there).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

KEPT = 3  # versions, this one included
UNUSED_S = 24 * 3600  # an older version may still run
WAIT_S = 180  # longer than any compilation takes; then each process compiles for itself
_DIGEST = re.compile(r"[0-9a-f]{16}")


def cache_folder(digest: str) -> Path:
    """The folder for kernels of this digest, made if need be; older versions beside it are removed."""
    for base in _bases():
        folder = base / digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            os.utime(folder)
        except OSError:
            continue
        _remove_unused(base, keep=folder)
        return folder
    return Path(tempfile.mkdtemp(prefix="tracereplay-kernels-"))


def _bases() -> Iterator[Path]:
    if chosen := os.environ.get("TRACEREPLAY_CACHE"):
        yield Path(chosen) / "kernels"
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen)
    with contextlib.suppress(RuntimeError):  # no home
        yield Path(platformdirs.user_cache_dir("tracereplay")) / "kernels"
    own = Path(tempfile.gettempdir()) / f"tracereplay-{os.getuid()}"
    if is_own(own):
        yield own / "kernels"


def is_own(folder: Path) -> bool:
    """Whether it is a folder, made if need be, which this user owns and no other can write: code comes from it."""
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _remove_unused(base: Path, keep: Path) -> None:
    """All but the versions used last; those used within a day stay."""
    with contextlib.suppress(OSError):
        others = [path for path in base.iterdir() if path != keep and _DIGEST.fullmatch(path.name)]
        used = sorted(((path.stat().st_mtime, path) for path in others), reverse=True)
        for when, path in used[KEPT - 1 :]:
            if time.time() - when > UNUSED_S:
                shutil.rmtree(path, ignore_errors=True)


class CompileLock:
    """Held by the process that compiles; taken again by the functions that a function calls.

    Numba compiles in one thread at a time, so that only other processes are kept waiting. A compilation that fails
    keeps the lock until the process ends; no process waits for it longer than WAIT_S.
    """

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self.path = path
        self.wait_s = wait_s
        self.depth = 0
        self._file: int | None = None

    def take(self) -> None:
        """Wait for whoever compiles; without a lock where the folder has none to give."""
        self.depth += 1
        if self.depth > 1:
            return
        with contextlib.suppress(OSError):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        until = time.monotonic() + self.wait_s
        while self._file is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > until:
                    self._close()
                time.sleep(0.05)

    def give_back(self) -> None:
        """Let others go on, once for each `take`."""
        self.depth = max(self.depth - 1, 0)
        if not self.depth:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
