"""Progress on stderr, for people only: nothing where stderr is no terminal, nothing for the first second."""

from __future__ import annotations

import time
from typing import TextIO

PATIENCE_S = 1.0


class Progress:
    """Called by the session as `progress(what, fraction)`; fraction 0..1, or None where the end is not known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._wanted = stream.isatty()
        self._begin_s = time.monotonic()
        self._shown_s = 0.0
        self._width = 0

    def __call__(self, what: str, fraction: float | None = None) -> None:
        """Show where the work stands; at most ten times a second."""
        now = time.monotonic()
        if not self._wanted or now - self._begin_s < PATIENCE_S or now - self._shown_s < 0.1:
            return
        self._shown_s = now
        line = what if fraction is None else f"{what} {min(max(fraction, 0.0), 1.0):4.0%}"
        self._stream.write(f"\r{line:<{self._width}}")
        self._stream.flush()
        self._width = len(line)

    def close(self) -> None:
        """Leave no trace on the terminal."""
        if self._width:
            self._stream.write(f"\r{'':{self._width}}\r")
            self._stream.flush()
            self._width = 0
