"""Attempts and inputs with the wall clock, where something recorded ties it to the trace's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tracereplay.model.result import Attempt, Input
from tracereplay.wall_clock import WallClock

LOG = "the kernel log"


def tell_wall_clocks(attempts: Iterable[Attempt], inputs: Iterable[Input], known: Mapping[str, WallClock]) -> None:
    """Fill `wall_clock` and what it comes from, in place; what a log spells stays. known -- by input id."""
    for source in inputs:
        if (clock := known.get(source.id)) is not None:
            source.wall_offset_ns, source.wall_clock_from = clock.offset_ns, clock.source
    for attempt in attempts:
        tied = known.get(attempt.input_id or "")
        if attempt.wall_clock is not None:
            attempt.wall_clock_from = LOG
        elif tied is not None and attempt.start_ns is not None:
            attempt.wall_clock = tied.words(attempt.start_ns)
            attempt.wall_clock_from = None if attempt.wall_clock is None else tied.source
