"""Pictures of ranges: right over sections present and absent, cheap over terabytes, within their budget."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.replay_twin import entry, replayed
from tracereplay.replay import range_snapshots
from tracereplay.replay.budget import Budget
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.state import END_PFN, SECTION_BITS, State
from tracereplay.schema import Op

SECTION = 1 << SECTION_BITS


def asking(time_ns: int, *spans: tuple[int, int], number: int = 0, ignore_budget: bool = False) -> ReplayAction:
    return ReplayAction(time_ns, ActionKind.SNAPSHOT, 7, spans, number=number, ignore_budget=ignore_budget)


def test_runs_over_sections_present_and_absent() -> None:
    far = 5 * SECTION
    entries = [entry(10, 7, Op.ALLOC, pfn, order=4) for pfn in (SECTION - 16, SECTION, far)]
    engine = replayed(entries, [asking(50, (SECTION - 20, SECTION + 4), (3 * SECTION, far + 20), number=3)])
    ((number, drawn),) = engine.range_snapshots.taken[7]
    assert number == 3
    assert [(first, runs["pages"].tolist(), runs["state"].tolist()) for first, runs in drawn] == [
        (SECTION - 20, [4, 20], [State.UNSEEN, State.ALLOCATED]),
        (3 * SECTION, [2 * SECTION, 16, 4], [State.UNSEEN, State.ALLOCATED, State.UNSEEN]),
    ]


def test_terabytes_cost_what_was_touched() -> None:
    whole = (0, END_PFN)
    engine = replayed([entry(10, 7, Op.ALLOC, 1 << 30, order=2)], [asking(ns, whole) for ns in range(20, 120)])
    assert len(engine.range_snapshots.taken[7]) == 100
    ((_, runs),) = engine.range_snapshots.taken[7][-1].spans
    assert runs["pages"].tolist() == [1 << 30, 4, END_PFN - (1 << 30) - 4]


def test_absurd_spans_are_cut_to_what_there_can_be() -> None:
    spans = ((-(1 << 62), -5), ((1 << 63) - 2, (1 << 63) - 1), (9, 3), (-3, 1 << 62))
    ((_, drawn),) = replayed([entry(1, 7, Op.FREE, 5)], [asking(2, *spans)]).range_snapshots.taken[7]
    assert [(first, runs["pages"].sum()) for first, runs in drawn] == [(0, END_PFN)]
    assert replayed([entry(1, 7, Op.FREE, 5)], [asking(2, *spans[:3], ignore_budget=True)]).range_snapshots.taken == {}


@pytest.mark.parametrize("limit", ["ROWS_ALWAYS", "RUNS_ALWAYS"])
def test_beyond_the_budget_only_what_must_be(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    always = {"ROWS_ALWAYS": 10 * SECTION, "RUNS_ALWAYS": 20}[limit]
    monkeypatch.setattr(range_snapshots, limit, always)
    monkeypatch.setattr(range_snapshots, "ROWS_PER_EVENT", 0)
    asked = [asking(20 + number, (0, 64), number=number, ignore_budget=number == 19) for number in range(20)]
    taken = replayed([entry(10, 7, Op.ALLOC, 8)], asked).range_snapshots.taken[7]
    numbers = [picture.number for picture in taken]
    assert 5 <= len(numbers) <= 11
    assert numbers[-1] == 19
    assert np.diff(numbers).max() <= 4, "left out evenly"


def test_a_budget_is_shared_out_evenly_and_leaves_what_is_not_needed() -> None:
    budget = Budget(planned=4, always=100)
    assert [budget.ask(cost, 0) for cost in (30, 20, 55, 25, 1)] == [False, True, True, True, True]
    assert Budget(planned=1, always=0, per_event=2).ask(20, 10)
