"""What lets the command line start and end quickly."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import signal
import sys


class _ImportBlocker:
    """Hides libraries that others load wherever they are installed, though no verb of one trace uses them.

    pandas -- pyarrow, at the first Python list; scipy, yaml -- numba, at its start.
    """

    def __init__(self) -> None:
        self.names = {"pandas", "scipy", "yaml"}

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """An import hook (importlib.abc.MetaPathFinder)."""
        if name in self.names:
            raise ModuleNotFoundError(f"{name} is not loaded by the command line", name=name)


_import_blocker = _ImportBlocker()


class KilledByInterrupt:
    """Within, Ctrl-C ends the process as it would one that is not Python's: no traceback, status 130 in a shell.

    For imports: an exception that comes in the middle of one may be printed, or wrapped in another, by what is loaded.
    """

    def __enter__(self) -> None:
        self._is_mine = _let_interrupts_kill()

    def __exit__(self, *_error: object) -> None:
        if self._is_mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_interrupts_kill() -> bool:
    """Whether Ctrl-C raised KeyboardInterrupt before; it stays as it is where a shell has it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # not the main thread
        return False
    return True


def tune_for_one_shot() -> None:
    """For a process that answers one verb and ends."""
    sys.meta_path.insert(0, _import_blocker)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads for matrices wait by spinning
    gc.set_threshold(200_000)  # loading numba makes many objects and no garbage
    atexit.register(gc.freeze)  # nor is any looked for at the end
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Arrays of the same size come and go: glibc would give each back to the kernel, and fresh memory is dear.

    At 27.7 M events that was 0.4 s of 5.2. Numbers: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (man mallopt).
    """
    with contextlib.suppress(AttributeError, OSError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 1 << 28)
        mallopt(-3, 1 << 25)


def undo_tuning() -> None:
    """For verbs that need more: scipy and yaml can be loaded, and garbage is collected at the end.

    DuckDB would take what is left for leaks and say so.
    """
    _import_blocker.names = {"pandas"}
    atexit.unregister(gc.freeze)


def end(status: int) -> int:
    """The exit status for the process, whose verb is done and all it had to write is written.

    Arrow's I/O threads still read ahead for a moment, and deltalake gives them files of object storage that are
    written in Python. Python ends a thread that comes back to it while it shuts down, and C++ answers that with
    abort(): so where those libraries were loaded the process ends here. Else Ctrl-C ends it, without a traceback.
    """
    _let_interrupts_kill()
    if "deltalake" not in sys.modules:
        return status
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
