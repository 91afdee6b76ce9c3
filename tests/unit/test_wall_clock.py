"""The wall clock beside the trace's, only where something recorded ties them."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.model.wall_times import LOG, tell_wall_clocks
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.style import Style
from tracereplay.units import NS_PER_S
from tracereplay.wall_clock import WallClock

NOON = WallClock(1_795_176_000 * NS_PER_S, "trace-cmd record --date")


def test_attempts_and_their_input_tell_it_and_what_it_comes_from() -> None:
    result = example.pinned()
    told = result.attempts[0]
    assert told.start_ns is not None
    tell_wall_clocks(result.attempts, result.inputs, {told.input_id: NOON})
    assert told.wall_clock == "2026-11-20 12:00:06.437 UTC"
    source = next(i for i in result.inputs if i.id == told.input_id)
    assert (source.wall_offset_ns, source.wall_clock_from) == (NOON.offset_ns, NOON.source)
    said = " ".join(FORMATS["text"](result, Style()).split())
    assert "began at 6.438 s (2026-11-20 12:00:06.437 UTC by trace-cmd record --date), failed" in said


def test_what_a_log_spells_stays_and_nothing_is_guessed() -> None:
    attempts = [example.attempt(wall_clock="Nov 20 12:00"), example.attempt(id="b")]
    tell_wall_clocks(attempts, [], {})
    assert [(a.wall_clock, a.wall_clock_from) for a in attempts] == [("Nov 20 12:00", LOG), (None, None)]
    tell_wall_clocks(attempts, [], {attempts[0].input_id: NOON})
    assert attempts[0].wall_clock == "Nov 20 12:00"


@pytest.mark.parametrize("offset_ns", [0, -(1 << 62), 1 << 62])
def test_a_date_that_cannot_be_is_none(offset_ns: int) -> None:
    assert WallClock(offset_ns, "x").words(5) is None
    attempt = example.attempt()
    tell_wall_clocks([attempt], [], {attempt.input_id: WallClock(offset_ns, "x")})
    assert attempt.wall_clock is attempt.wall_clock_from is None
