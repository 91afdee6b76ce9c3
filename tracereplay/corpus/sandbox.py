"""Runs requests in a child process under limits of time and memory; whatever happens to the child, the caller lives.

A child serves many requests, so that Python, numba and the kernels are loaded once. It is replaced when it dies, breaks
a limit, or has kept too much memory.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import psutil

from tracereplay.corpus.tables import ANALYSED, RETRIED
from tracereplay.units import format_bytes

LOOK_S = 0.1  # how often a child's memory is looked at
KEPT_SHARE = 0.5  # of the memory limit: a child that keeps more after a request is replaced


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trace may take: wall time, and private memory (mapped files are not counted)."""

    seconds: float = 3600.0
    memory_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result: a status of model.corpus.STATUSES, and a sentence."""

    status: str
    reason: str


class StoppedError(Exception):
    """The guard was stopped while a request ran."""


class Sandbox:
    """One child process at a time, started when needed."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.folder = Path(tempfile.mkdtemp(prefix="tracereplay-corpus-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._is_used = False
        self._stopped = threading.Event()

    def ask(self, name: str, *arguments: Any) -> Any:
        """The result of a request (child.REQUESTS), or a Failure. Raises StoppedError after `stop`.

        What kills a child that has served before is tried once more in a fresh one: only that counts, so that no
        trace pays for what another left over.
        """
        was_used = self._is_used
        answer = self._ask(name, arguments)
        if isinstance(answer, Failure) and was_used and answer.status in RETRIED and answer.status != "timed_out":
            self._end_child()
            answer = self._ask(name, arguments)
        shutil.rmtree(self.folder, ignore_errors=True)
        return answer

    def stop(self) -> None:
        """End the child at once, and with it the request; may be called from any thread. `close` comes after."""
        self._stopped.set()
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """Release everything; no request follows."""
        self._stopped.set()
        self._end_child()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self._stopped.is_set():
            raise StoppedError
        self.folder.mkdir(parents=True, exist_ok=True)
        child, connection = self._start()
        self._is_used = True
        deadline = time.monotonic() + self.limits.seconds
        process = psutil.Process(child.pid)
        try:
            connection.send((name, arguments))
            while not connection.poll(min(LOOK_S, max(deadline - time.monotonic(), 0.0))):
                if self._stopped.is_set():
                    raise StoppedError
                if (kept := _private_bytes(process)) > self.limits.memory_bytes:
                    self._end_child()
                    limit = format_bytes(self.limits.memory_bytes)
                    return Failure("out_of_memory", f"took {format_bytes(kept)} of memory, the limit is {limit}")
                if time.monotonic() >= deadline:
                    self._end_child()
                    return Failure("timed_out", f"not done after {self.limits.seconds:g} s")
            status, result = connection.recv()
        except (EOFError, OSError, psutil.NoSuchProcess):
            return self._death()
        if _private_bytes(process) > KEPT_SHARE * self.limits.memory_bytes:
            self._end_child()
        return result if status == ANALYSED else Failure(status, result)

    def _start(self) -> tuple[subprocess.Popen[bytes], Connection[Any, Any]]:
        if self._child is not None and self._connection is not None and self._child.poll() is None:
            return self._child, self._connection
        self._end_child()
        ours, theirs = Pipe()
        with theirs:
            self._child = subprocess.Popen(
                # -P: what is in the folder it runs in is not imported
                [sys.executable, "-P", "-m", "tracereplay.corpus.sandbox_child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        self._connection = ours
        self._is_used = False
        return self._child, ours

    def _death(self) -> Failure:
        """Why the child has gone."""
        if self._stopped.is_set():
            raise StoppedError
        status = self._child.wait() if self._child is not None else 0
        self._end_child()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return Failure("crashed", f"the process that analysed it {how}")

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        if self._connection is not None:
            self._connection.close()
        self._child = self._connection = None
        self._is_used = False


def _private_bytes(process: psutil.Process) -> int:
    """Memory of its own: resident, without mapped files, which the kernel can drop at will."""
    try:
        memory = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return int(memory.rss - memory.shared)
