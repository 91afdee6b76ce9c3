"""Pages by state over time: counted as a plain loop counts them, within a budget, told where they change."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import captures
from tests.support.replay_twin import entry, replayed, stream
from tracereplay import open as open_inputs
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.occupancy import EDGES, TIMES, counted_ranges, counters_of, plan_occupancy_counts
from tracereplay.layout.layout import Layout, Span
from tracereplay.model.result import Result, Try
from tracereplay.replay import occupancy
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.ledger_kernels import Memory
from tracereplay.replay.occupancy import StateCount
from tracereplay.replay.range_kernels import count_states
from tracereplay.replay.state import END_PFN, SECTION_BITS, Mark, State
from tracereplay.schema import Op

SECTION = 1 << SECTION_BITS
AREA = Span("reserved", 0, 64)


def counting(time_ns: int, *spans: tuple[int, int], taken: tuple[tuple[int, int], ...] = ()) -> ReplayAction:
    return ReplayAction(time_ns, ActionKind.COUNT, 7, spans, taken=taken)


def plain_count(engine: Engine, start_pfn: int, end_pfn: int) -> dict[State, int]:
    """Page by page, in plain Python."""
    return Counter(State(state) for state in engine.pages(start_pfn, end_pfn)["state"].tolist())


def test_states_are_counted_as_they_are_at_the_time() -> None:
    entries = [entry(10, 7, Op.ALLOC, 8, order=3), entry(20, 7, Op.FREE, 0, order=2), entry(30, 7, Op.FREE, 8, order=3)]
    times = (5, 10, 25, 40)
    engine = replayed(entries, [counting(ns, (0, 64)) for ns in times])
    assert engine.counts.rows == [
        StateCount(7, 5, 0, 0, 0), StateCount(7, 10, 0, 8, 0), StateCount(7, 25, 4, 8, 0), StateCount(7, 40, 12, 0, 0),
    ]  # fmt: skip


def test_over_sections_present_and_absent() -> None:
    far = 5 * SECTION
    entries = [entry(10, 7, Op.ALLOC, pfn, order=4) for pfn in (SECTION - 16, SECTION, far)]
    spans = ((SECTION - 8, SECTION + 4), (3 * SECTION, far + 2))
    engine = replayed(entries, [counting(50, *spans)])
    (row,) = engine.counts.rows
    assert row.allocated_pages == 14 == sum(plain_count(engine, *span)[State.ALLOCATED] for span in spans)


def test_what_a_cma_alloc_took_is_told_apart_until_it_is_given_back() -> None:
    entries = [entry(10, 7, Op.ALLOC, 0, order=2), entry(30, 7, Op.FREE, 8, order=2), entry(40, 7, Op.ALLOC, 8)]
    actions = [
        ReplayAction(20, ActionKind.TAKE, 0, ((8, 24),)),
        *(counting(ns, (0, 64), taken=((8, 24),)) for ns in (20, 45)),
    ]
    engine = replayed(entries, actions)
    assert engine.counts.rows == [StateCount(7, 20, 0, 4, 16), StateCount(7, 45, 3, 5, 12)]
    assert not engine.pages(8, 9)["marks"][0] & Mark.COUNT_KNOWN


def test_a_page_older_than_the_trace_is_allocated_not_taken() -> None:
    seen = entry(10, 7, Op.REF_MOD_UNLESS, 5, val=1, count=2, mapcount=-1, ret=1)
    assert replayed([seen], [counting(20, (0, 64), taken=((8, 24),))]).counts.rows == [StateCount(7, 20, 0, 1, 0)]


def test_terabytes_cost_what_was_touched() -> None:
    whole = (0, END_PFN)
    engine = replayed([entry(10, 7, Op.ALLOC, 1 << 30, order=2)], [counting(ns, whole) for ns in range(20, 220)])
    assert {row.allocated_pages for row in engine.counts.rows} == {4}
    assert len(engine.counts.rows) == 200


def test_absurd_spans_cost_nothing() -> None:
    spans = ((-(1 << 62), -5), (0, 1 << 62), ((1 << 63) - 2, (1 << 63) - 1), (9, 3))
    engine = replayed([entry(10, 7, Op.ALLOC, 8)], [counting(20, *spans, taken=spans)])
    assert engine.counts.rows == [StateCount(7, 20, 0, 1, 0)]


def test_counts_beyond_the_budget_are_left_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "ROWS_ALWAYS", 50 * SECTION)
    monkeypatch.setattr(occupancy, "ROWS_PER_EVENT", 0)
    entries = [entry(ns, 7, Op.ALLOC if ns % 2 else Op.FREE, 1) for ns in range(201)]
    engine = replayed(entries, [counting(ns, (0, 64)) for ns in range(1, 201)])
    times = [row.time_ns for row in engine.counts.rows]
    assert times == list(range(4, 201, 4))


def test_what_has_not_changed_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that is taken changes pages without an event."""
    actions = [counting(ns, (0, 64)) for ns in (10, 20, 30, 40)] + [counting(50, (0, 32))]
    actions.insert(2, ReplayAction(25, ActionKind.TAKE, 0, ((8, 16),)))
    made = Counter[tuple[int, int]]()

    def counted(mem: Memory, start: int, end: int, counts: npt.NDArray[np.int64]) -> None:
        made[start, end] += 1
        count_states(mem, start, end, counts)

    monkeypatch.setattr(occupancy, "count_states", counted)
    engine = replayed([entry(0, 7, Op.ALLOC, 1)], actions)
    assert [(row.time_ns, row.allocated_pages) for row in engine.counts.rows] == [
        (10, 1), (20, 1), (30, 9), (40, 9), (50, 9),
    ]  # fmt: skip
    assert made == {(0, 64): 2, (0, 32): 1}


def test_cutting_the_stream_changes_nothing() -> None:
    entries = [entry(10 * at, 7, Op.ALLOC if at % 2 else Op.FREE, at % 32) for at in range(60)]
    actions = [counting(ns, (0, 64)) for ns in range(0, 600, 7)]
    pieces = Engine(actions=actions)
    pieces.run(stream(list(piece)) for _, piece in groupby(entries, key=lambda e: e[0] // 70))
    assert pieces.counts.rows == replayed(entries, actions).counts.rows


def attempt(start_ns: int, end_ns: int | None, span: tuple[int, int], outcome: str = "failed") -> DetectedAttempt:
    draft = DetectedAttempt("cma_alloc", 7, start_ns, end_ns, outcome, "event", spans=(span,))  # type: ignore[arg-type]
    draft.tries.append(
        Try(index=0, start_pfn=span[0], end_pfn=span[1], start_ns=start_ns, end_ns=end_ns or 0, result="succeeded")
    )
    return draft


def test_asked_at_even_times_and_at_the_edges_of_attempts() -> None:
    drafts = [attempt(101, 203, (0, 8)), attempt(333, None, (60, 70)), attempt(555, 556, (64, 70))]
    actions = plan_occupancy_counts([AREA], drafts, 0, 1990)
    times = [action.time_ns for action in actions]
    assert times == sorted({*range(0, 2000, 10), 101, 203, 333})
    assert all(action.spans == ((0, 64),) and not action.taken for action in actions)


def test_many_attempts_are_thinned() -> None:
    drafts = [attempt(ns, ns + 1, (0, 8)) for ns in range(0, 100_000, 10)]
    assert TIMES < len(plan_occupancy_counts([AREA], drafts, 0, 100_000)) <= TIMES + EDGES


def test_ranges_taken_so_far_go_with_the_question() -> None:
    drafts = [attempt(100, 200, (0, 8), "succeeded"), attempt(300, 400, (56, 70), "succeeded")]
    taken = {action.time_ns: action.taken for action in plan_occupancy_counts([AREA], drafts, 0, 1990)}
    assert (taken[190], taken[200], taken[400]) == ((), ((0, 8),), ((0, 8), (56, 64)))


def test_no_time_at_all() -> None:
    assert [action.time_ns for action in plan_occupancy_counts([AREA], [], 5, 5)] == [5]
    assert plan_occupancy_counts([], [], 0, 9) == []


def test_which_ranges_and_their_names() -> None:
    zones = (Span("Normal", 0, 9), Span("Movable", 16, 16), Span("Movable", 64, 16, node=1))
    assert [span.name for span in counted_ranges(Layout("file", zones=zones, cma_areas=(AREA,)))] == [
        "reserved", "Movable@0x10", "Movable@0x40",
    ]  # fmt: skip


def test_a_row_where_something_changed() -> None:
    counts = [
        StateCount(0, 1, 0, 0, 0),
        StateCount(0, 2, 4, 0, 0),
        StateCount(0, 3, 4, 1, 0),
        StateCount(1, 3, 9, 0, 0),
    ]
    told = [(row.name, row.time_ns, row.pages) for row in counters_of(counts, [AREA], "trace-0")]
    assert told == [
        ("free", 1, 0), ("free", 2, 4), ("allocated", 1, 0), ("allocated", 3, 1), ("not_seen", 1, 64),
        ("not_seen", 2, 60), ("not_seen", 3, 59),
    ]  # fmt: skip


def blamed(name: str) -> Result:
    folder = captures.capture(name)
    return open_inputs(captures.trace_of(folder), layout=folder / "layout_before").blame()


def test_a_real_area() -> None:
    result = blamed("cma_pin_vmsplice")
    last = {row.name: row.pages for row in result.counters}
    assert {row.scope for row in result.counters} == {"reserved"}
    assert sum(last.values()) == 65_536
    got = sum(a.request.pages or 0 for a in result.attempts if a.outcome == "succeeded")
    assert last["cma_alloc"] == got == 65_520
    times = {row.time_ns for row in result.counters}
    assert {a.end_ns for a in result.attempts if a.outcome == "succeeded"} <= times


@pytest.mark.parametrize(
    "name", ["cma_retry_success", "mixed_nopageref", "k72_cma_pin_vmsplice", "cma_longterm_fail", "cma_ok_overrun"]
)
def test_cma_alloc_is_what_the_kernel_says_is_used(name: str) -> None:
    used = int((captures.capture(name) / "layout_after" / "cma" / "reserved" / "used").read_text())
    assert {row.name: row.pages for row in blamed(name).counters}.get("cma_alloc", 0) == used


def test_a_real_movable_zone() -> None:
    result = blamed("offline_thp_pin")
    assert {row.scope for row in result.counters} == {"Movable"}
    assert {row.name for row in result.counters} == {"free", "allocated", "not_seen"}
    assert {row.input_id for row in result.counters} == {"trace-0"}
