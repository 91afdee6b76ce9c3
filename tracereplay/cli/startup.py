"""What lets the command line start and end quickly."""

from __future__ import annotations

import atexit
import gc
import os
import sys


class _Hidden:
    """Hides libraries that others load wherever they are installed, though no verb of one trace uses them.

    pandas -- pyarrow, at the first Python list; scipy, yaml -- numba, at its start.
    """

    def __init__(self) -> None:
        self.names = {"pandas", "scipy", "yaml"}

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """An import hook (importlib.abc.MetaPathFinder)."""
        if name in self.names:
            raise ModuleNotFoundError(f"{name} is not loaded by the command line", name=name)


_hidden = _Hidden()


def be_quick() -> None:
    """For a process that answers one verb and ends."""
    sys.meta_path.insert(0, _hidden)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads for matrices wait by spinning
    gc.set_threshold(200_000)  # loading numba makes many objects and no garbage
    atexit.register(gc.freeze)  # nor is any looked for at the end


def be_thorough() -> None:
    """For verbs that need more: scipy and yaml can be loaded, and garbage is collected at the end.

    DuckDB would take what is left for leaks and say so.
    """
    _hidden.names = {"pandas"}
    atexit.unregister(gc.freeze)
