"""The replay on scenarios of a few pages: compiled and oracle agree, everything occurs, no rule can be left out."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import oracle_ledger
from tests.support.oracle_memory import Event
from tests.support.oracle_reasons import Rules, mutants
from tests.support.page_scenarios import CHOICES, FIRST, KSWAPD, PAGES, SEEDED, Scenario, Step, played, random_scenario
from tests.support.replay_oracle import ReplayOracle
from tests.support.replay_twin import (
    assert_same,
    compiled_pages,
    compiled_suspects,
    oracle_of,
    plain_pages,
    plain_suspects,
    run_both,
)
from tracereplay.replay.engine import ActionKind, Engine
from tracereplay.replay.state import Mark, Reason, RefEnd, RefKind
from tracereplay.schema import OP_INFO, REPLAYED, IrqContext, Op

BATCH = 400
BACKGROUND = (KSWAPD,)


def pages_of(count: int) -> st.SearchStrategy[list[Step]]:
    """Steps on the last `count` pages: the fewer, the more often they meet."""
    return st.lists(
        st.tuples(
            st.sampled_from(CHOICES), st.integers(PAGES - count, PAGES - 1), st.integers(0, 59), st.integers(0, 239)
        ),
        max_size=50,
    )


scenarios = st.builds(played, st.integers(2, PAGES).flatmap(pages_of), st.booleans())


def replayed(scenario: Scenario) -> tuple[Engine, ReplayOracle]:
    """Engine and oracle after a scenario."""
    return run_both([scenario.chunk], scenario.actions, background=BACKGROUND, seeded=seeds(scenario))


def seeds(scenario: Scenario) -> dict[int, dict[str, int]]:
    """The last page is known before the trace, or none is."""
    return {FIRST + PAGES - 1: SEEDED} if scenario.seeded else {}


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios)
def test_compiled_replay_and_oracle_agree(scenario: Scenario) -> None:
    assert_same(*replayed(scenario))


@dataclass(frozen=True)
class Replayed:
    """A scenario of the fixed batch and what the compiled replay makes of it."""

    scenario: Scenario
    engine: Engine
    pages: dict[int, dict[str, Any]]
    suspects: list[dict[str, Any]]


@cache
def batch() -> tuple[Replayed, ...]:
    """The fixed scenarios, replayed; the oracle agrees."""
    found = []
    for number in range(BATCH):
        scenario = random_scenario(number)
        engine, oracle = replayed(scenario)
        assert_same(engine, oracle)
        found.append(Replayed(scenario, engine, compiled_pages(engine), compiled_suspects(engine)))
    return tuple(found)


def oracle_agrees(rules: Rules, without: Container[ActionKind] = ()) -> bool:
    """Whether an oracle of these rules, and without these actions, makes the same of the whole batch."""
    for one in batch():
        chunk, scenario = one.scenario.chunk, one.scenario
        one.engine.decode(chunk)
        actions = [action for action in scenario.actions if action.kind not in without]
        oracle = oracle_of([chunk], actions, background=BACKGROUND, seeded=seeds(scenario), rules=rules)
        if plain_suspects(oracle) != one.suspects or plain_pages(oracle) != one.pages:
            return False
    return True


def claimed(engine: Engine) -> npt.NDArray[np.void]:
    """The references that suspects claim."""
    rows: npt.NDArray[np.void] = engine.table("refs")[engine.table("claims")["ref"]]
    return rows


def met() -> Iterator[Reason | Mark | RefKind | RefEnd]:
    """What the suspects of the batch and the references they claim show."""
    for one in batch():
        for row in one.engine.table("suspects"):
            yield from (reason for reason in Reason if row["reasons"] & reason)
            yield from (mark for mark in Mark if row["marks"] & mark)
        for row in claimed(one.engine):
            yield from (RefKind(int(row["kind"])), RefEnd(int(row["end"])))


def test_every_tracepoint_that_changes_the_state_occurs() -> None:
    """An operation without a step in tests/support/page_scenarios.py is not compared with the oracle."""
    seen = {Op(int(op)) for one in batch() for op in one.scenario.chunk.op}
    assert [op for op in REPLAYED if OP_INFO[op].event and op not in seen] == []


def test_everything_occurs() -> None:
    """A reason, mark, kind or end that no scenario brings about is not tested."""
    wanted = [value for values in (Reason, Mark, RefKind, RefEnd) for value in values]
    # From the kernel log, not from the stream; from passes of their own (test_secretmem, test_inventory_of_trace); from
    # kprobes, whose entries have a twin of their own (test_probed_replay).
    elsewhere = {repr(one) for one in (Reason.LOGGED, Reason.ZEROED, Reason.CACHED, Reason.HELD, RefKind.UNSURE)}
    wanted = [value for value in wanted if repr(value) not in elsewhere]
    seen = {repr(value) for value in met()}  # as numbers, values of different kinds are equal
    assert [value for value in map(repr, wanted) if value not in seen] == []


@pytest.mark.parametrize("field", ["met_ns", "on_lru", "shared_ns", "unmap_ns", "confirmed"])
def test_both_values_of_each_fact_about_a_reference_occur(field: str) -> None:
    never = -1 if field.endswith("_ns") else 0
    values = {int(row[field]) != never for one in batch() for row in claimed(one.engine)}
    assert values == {False, True}


def test_a_reference_is_met_and_shared_after_it_was_taken_and_not_only_at_once() -> None:
    for field in ("met_ns", "shared_ns", "unmap_ns"):
        later = {int(row[field]) - int(row["ns"]) for one in batch() for row in claimed(one.engine) if row[field] >= 0}
        assert min(later) >= 0
        assert max(later) > 0


@pytest.mark.parametrize("field", ["irq", "close_irq"])
def test_every_context_occurs(field: str) -> None:
    assert {int(row[field]) for one in batch() for row in claimed(one.engine)} == set(IrqContext)
    clear = {int(row["clear_irq"]) for one in batch() for row in one.engine.table("suspects") if row["clear_ns"] >= 0}
    assert clear == set(IrqContext)


def test_the_rules_as_they_are_agree() -> None:
    assert oracle_agrees(Rules())


@pytest.mark.parametrize("rules", [pytest.param(rules, id=name) for name, rules in mutants(Rules())])
def test_no_reason_and_no_condition_of_one_can_be_left_out(rules: Rules) -> None:
    """The comparison sees a difference whichever side it is on: it would notice a kernel without it, too."""
    assert not oracle_agrees(rules)


LEDGER_RULES = (
    "end_stale", "note_visit", "note_other_takers", "confirm", "fault_maps", "one_becomes_mapping", "unmap_or_put",
)  # fmt: skip


@pytest.mark.parametrize("name", LEDGER_RULES)
def test_no_rule_of_the_ledger_can_be_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch()
    monkeypatch.setattr(oracle_ledger, name, lambda *_: False)
    assert not oracle_agrees(Rules())


def test_the_correction_of_a_guess_cannot_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    batch()
    monkeypatch.setattr(ReplayOracle, "correct_guess", lambda *_: None)
    assert not oracle_agrees(Rules())


def test_interrupts_cannot_be_taken_for_their_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    batch()
    monkeypatch.setattr(Event, "interrupt", False)
    assert not oracle_agrees(Rules())


@pytest.mark.parametrize("kind", [ActionKind.ISOLATE, ActionKind.ISOLATE_END])
def test_windows_of_isolating_tasks_cannot_be_left_out(kind: ActionKind) -> None:
    assert not oracle_agrees(Rules(), without=(kind,))
