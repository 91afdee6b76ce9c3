"""The trace and the engine of a capture as blame has them, to be replayed by a test."""

from __future__ import annotations

from pathlib import Path

from tracereplay.analysis import Trace
from tracereplay.attempts.find import plan_probes
from tracereplay.replay.engine import Engine
from tracereplay.session import Session


def open_trace(folder: Path) -> Trace:
    """The trace of a capture with its layout, as blame has it."""
    path = next(folder / name for name in ("trace.dat", "perf.data") if (folder / name).exists())
    layout = folder / "layout_before"
    session = Session([path], layout=layout if layout.is_dir() else None)
    return session._traces(session._loss_book())[0]


def blame_engine(trace: Trace) -> Engine:
    """The engine that blame runs: with the questions of the attempts."""
    actions = plan_probes(trace.events, trace.drafts, trace.has_page_ref)
    known = trace.page_engine()
    return Engine(
        known.page_flag_bits, known.machine, known.background_isolators, actions, blocking_types=known.blocking_types
    )
