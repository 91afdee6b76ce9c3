"""Libraries of the extra `corpus`: where one is missing, a line that says so."""

from __future__ import annotations

import atexit
import gc
from importlib.util import find_spec

from tracereplay.errors import UsageError

LIBRARIES = ("deltalake", "duckdb", "fsspec", "psutil", "scipy")


def need_libraries() -> None:
    """Raises UsageError where a library of the extra is not installed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} not installed: pip install 'tracereplay[corpus]'")
    # The command line ends without looking for garbage (cli.main); DuckDB would take what is left for leaks and say so.
    atexit.unregister(gc.freeze)
