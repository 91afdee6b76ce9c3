"""Progress on stderr with the time left, for people only: nothing without a terminal, nothing for the first second."""

from __future__ import annotations

import time
from typing import TextIO

PATIENCE_S = 1.0
# Before, what is left is a guess: so much of a step must be done, for so long.
LEAST_FRACTION, LEAST_S = 0.02, 2.0


class Progress:
    """Called by the session as `progress(what, fraction)`; fraction 0..1, or None where the end is not known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._wanted = stream.isatty()
        self._begin_s = time.monotonic()
        self._shown_s = 0.0
        self._width = 0
        self._step, self._step_begin_s = "", self._begin_s

    def __call__(self, what: str, fraction: float | None = None) -> None:
        """Show where the work stands; at most ten times a second."""
        now = time.monotonic()
        if what != self._step:
            self._step, self._step_begin_s = what, now
        if not self._wanted or now - self._begin_s < PATIENCE_S or now - self._shown_s < 0.1:
            return
        self._shown_s = now
        line = what
        if fraction is not None:
            done = min(max(fraction, 0.0), 1.0)
            line = f"{what} {done:4.0%}{time_left(now - self._step_begin_s, done)}"
        self._stream.write(f"\r{line:<{self._width}}")
        self._stream.flush()
        self._width = len(line)

    def close(self) -> None:
        """Leave no trace on the terminal."""
        if self._width:
            self._stream.write(f"\r{'':{self._width}}\r")
            self._stream.flush()
            self._width = 0


def time_left(passed_s: float, done: float) -> str:
    """`, 1:05 left` of a step that has taken `passed_s` seconds for this part of its work; "" where it is too early."""
    if done < LEAST_FRACTION or passed_s < LEAST_S or done >= 1:
        return ""
    left_s = round(passed_s / done * (1 - done))
    hours, minutes, seconds = left_s // 3600, left_s // 60 % 60, left_s % 60
    return f", {hours}:{minutes:02}:{seconds:02} left" if hours else f", {minutes}:{seconds:02} left"
