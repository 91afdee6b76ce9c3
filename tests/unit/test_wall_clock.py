"""The wall clock beside the trace's, only where something recorded ties them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tests.support import result_examples as example
from tracereplay.capture import instance
from tracereplay.capture.instance import MARK
from tracereplay.model.wall_times import LOG, tell_wall_clocks
from tracereplay.parsers.base import TraceInfo
from tracereplay.parsers.events.wall_marks import MOST_PRINTS, marked_wall_clock
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


@pytest.mark.parametrize(
    ("text", "wall", "count"),
    [("realtime_ns=1795176000250000000", "2026-11-20 12:00:00.250 UTC", 1), ("realtime_s=1795176000",
     "2026-11-20 12:00:00 UTC", 1), ("realtime_ms=1795176000000", None, 1), ("realtime_ns=1", None, 1),
     ("realtime_ns=1795176000250000000", None, MOST_PRINTS + 1)],
)  # fmt: skip
def test_marks_of_a_recording_tie_any_clock(text: str, wall: str | None, count: int) -> None:
    prints = pa.table({"time_ns": [4, 5, 9], "buf": ["x", f"tracereplay: this CPU is recorded, {text}\n", "y"]})
    info = TraceInfo(Path("t"), "text", clock="local", by_event={"print": count})
    reader: Any = SimpleNamespace(info=info, tables=lambda _names: {"print": prints})
    found = marked_wall_clock(reader)
    assert (None if found is None else found.words(5)) == wall


def test_both_recorders_write_marks_that_are_read() -> None:
    written = MARK.format(1_795_176_000_250_000_000)
    prints = pa.table({"time_ns": [5], "buf": [written]})
    info = TraceInfo(Path("t"), "x", by_event={"print": 1})
    reader: Any = SimpleNamespace(info=info, tables=lambda _names: {"print": prints})
    found = marked_wall_clock(reader)
    assert found is not None
    assert found.words(5) == "2026-11-20 12:00:00.250 UTC"
    script = (Path(instance.__file__).parent / "record.sh").read_text()
    assert 'echo "tracereplay: this CPU is recorded, realtime_s=$(date +%s)"' in script
