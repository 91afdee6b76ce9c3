"""Progress: shown to people alone, with the time left once it can be known."""

from __future__ import annotations

import io
import time

import pytest

from tracereplay.cli.progress import Progress, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_time_left() -> None:
    assert time_left(30, 0.25) == ", 1:30 left"
    assert time_left(10, 0.5) == ", 0:10 left"
    assert time_left(100, 0.02) == ", 1:21:40 left"
    assert time_left(1, 0.5) == ""  # too early to tell
    assert time_left(30, 0.001) == ""
    assert time_left(30, 1.0) == ""


def test_each_step_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    out = Terminal()
    progress = Progress(out)
    progress("reading attempts", None)
    now += 50
    progress("replaying", 0.1)
    now += 10
    progress("replaying", 0.5)
    progress.close()
    assert "replaying  50%, 0:10 left" in out.getvalue()
    assert out.getvalue().endswith("\r")


def test_nothing_without_a_terminal() -> None:
    out = io.StringIO()
    progress = Progress(out)
    progress("replaying", 0.5)
    progress.close()
    assert out.getvalue() == ""
