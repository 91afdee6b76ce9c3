"""Events whose format text says something else than their name promises: kept, but nobody builds on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.trace_dat_builder import Machine, format_text, trace_dat_v7
from tracereplay.culprits.stacks import Stacks
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.session import Session

M = Machine()
CASES = {
    "the log is a list of bytes": [format_text("console", 500, [("u8 msg[8]", 8, 8, 0)])],
    "a task's range is text": [
        format_text("cma_alloc_start", 500, [("char name[8]", 8, 8, 0)]),
        format_text("test_pages_isolated", 501, [("char start_pfn[8]", 8, 8, 0), ("unsigned int end_pfn", 16, 4, 0)]),
    ],
    "an area's name is a number": [
        format_text("cma_alloc_start", 500, [("unsigned long name", 8, 8, 0)]),
        format_text("cma_alloc_finish", 501, [("char pfn[8]", 8, 8, 0), ("int errorno", 16, 4, 1)]),
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_blame_survives_it_and_the_events_are_kept(case: str, tmp_path: Path) -> None:
    page = M.page(100, b"".join(M.record(5, M.pack("HBBiQIi", event, 0, 0, 7, 65, 3, 1)) for event in (500, 501) * 4))
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat_v7({0: page}, M, formats=CASES[case]))
    session = Session([path])
    assert len(session.events()) == len(CASES[case])
    assert all(table.num_rows == 4 for table in session.events().values())
    attempts = session.blame().attempts
    assert not any(attempt.culprits for attempt in attempts)


def test_a_field_of_another_kind_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    page = M.page(100, M.record(5, M.pack("HBBiQIi", 500, 0, 0, 7, 65, 3, 1)))
    path.write_bytes(trace_dat_v7({0: page}, M, formats=CASES["the log is a list of bytes"]))
    columns = Session([path]).events()["console"].column_names
    assert "msg_field" in columns
    assert "msg" not in columns


@pytest.mark.parametrize("caller", ["unsigned long caller", "char caller[8]"])
def test_a_stack_that_is_none(caller: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    page = M.page(100, M.record(5, M.pack("HBBiQIi", 500, 0, 0, 7, 65, 3, 1)))
    path.write_bytes(trace_dat_v7({0: page}, M, formats=[format_text("kernel_stack", 500, [(caller, 8, 8, 0)])]))
    table = Session([path]).events()["kernel_stack"]
    stacks = Stacks(lambda _start, _end: table, lambda _address: None)
    assert stacks.of(105, 0, 7) == ()


def test_a_picture_of_no_range() -> None:
    spans = ((5, 5), (9, 3), (0, 1 << 60), (0, 4))
    engine = Engine(actions=[ReplayAction(0, ActionKind.SNAPSHOT, 0, spans)])
    engine.finish()
    ((_, drawn),) = engine.range_snapshots.taken[0]
    assert [(start, len(runs)) for start, runs in drawn] == [(0, 1), (0, 1)]
