"""Runs the library on a capture: what `tracereplay blame` does, once per capture and test session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import tracereplay
from tests.support.captures import trace_of
from tracereplay.parsers.base import TraceReader
from tracereplay.session import Session

Document = dict[str, Any]


@cache
def blame(capture: Path) -> Document:
    """The result of a capture with its layout and log, as its JSON reads. Shared between tests: not to be changed."""
    return _document(tracereplay.open(trace_of(capture), layout=_layout(capture), kernel_log=_log(capture)))


def blame_wrapped(capture: Path, wrap: Callable[[TraceReader], TraceReader]) -> Document:
    """The same with another reader put around the trace's own."""
    session = tracereplay.open(trace_of(capture))
    return _document(Session(reader=wrap(session.reader), layout=_layout(capture), kernel_log=_log(capture)))


def _document(session: Session) -> Document:
    document: Document = msgspec.to_builtins(session.blame())
    return document


def _layout(capture: Path) -> Path | None:
    path = capture / "layout_before"
    return path if path.is_dir() else None


def _log(capture: Path) -> Path | None:
    path = capture / "dmesg.txt"
    return path if path.exists() else None
