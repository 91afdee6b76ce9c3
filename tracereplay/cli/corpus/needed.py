"""Libraries of the extra `corpus`: where one is missing, a line that says so."""

from __future__ import annotations

from importlib.util import find_spec

from tracereplay.cli.startup import KilledByInterrupt, undo_tuning
from tracereplay.errors import UsageError

LIBRARIES = ("deltalake", "duckdb", "fsspec", "psutil", "scipy")


def need_libraries() -> None:
    """Load them. Raises UsageError where one is not installed."""
    undo_tuning()
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} not installed: pip install 'tracereplay[corpus]'")
    with KilledByInterrupt():
        import tracereplay.corpus.store  # noqa: F401, PLC0415
