"""Two sets compared: numbers of textbooks, and what may be called a difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.corpus.made import Trace, blames, fine, made, unexplained
from tests.support import result_examples as example
from tracereplay.corpus.compare import compare
from tracereplay.corpus.gate import gate, parse_gate
from tracereplay.corpus.query import Selection, conditions
from tracereplay.errors import UsageError
from tracereplay.model.corpus import Change, CorpusDiff
from tracereplay.model.result import Result


def traces(*many: tuple[int, Result]) -> list[Trace]:
    results = [said for number, said in many for _ in range(number)]
    return [Trace(f"/{place:04}.dat", said) for place, said in enumerate(results)]


def diff(tmp_path: Path, a: Sequence[Trace], b: Sequence[Trace]) -> CorpusDiff:
    return compare(Selection(made(tmp_path / "a", a)), Selection(made(tmp_path / "b", b)))


def change(said: CorpusDiff, holder: str) -> Change:
    (found,) = [one for one in said.changes if one.holder == holder]
    return found


def test_the_tests_are_the_ones_of_textbooks(tmp_path: Path) -> None:
    """8 of 10 against 1 of 6: Fisher's exact test gives 0.0350 (two-sided), Wilson for 8 of 10 0.4902 to 0.9433."""
    said = diff(tmp_path, traces((1, blames("x")), (5, fine())), traces((8, blames("x")), (2, fine())))
    found = change(said, "x")
    assert found.p_value == pytest.approx(0.0350, abs=5e-5)
    assert found.b_share == pytest.approx((0.8, 0.4902, 0.9433), abs=5e-5)
    assert found.a_share[0] == pytest.approx(1 / 6)
    # the conditional estimate, as R's fisher.test gives it (the sample odds ratio would be 20)
    assert found.odds_ratio == pytest.approx(15.47, rel=0.01)
    assert (found.odds_low or 0) > 1
    assert found.kind == "more"


def test_new_gone_more_less_same(tmp_path: Path) -> None:
    a = traces((20, blames("gone")), (5, blames("more")), (30, blames("less")), (20, blames("same")), (25, fine()))
    b = traces((20, blames("new")), (40, blames("more")), (5, blames("less")), (20, blames("same")), (15, fine()))
    said = diff(tmp_path, a, b)
    kinds = {holder: change(said, holder) for holder in ("new", "gone", "more", "less", "same")}
    assert {holder: one.kind for holder, one in kinds.items()} == {holder: holder for holder in kinds}
    assert {holder for holder, one in kinds.items() if one.significant} == {"new", "gone", "more", "less"}
    assert kinds["new"].odds_ratio is kinds["new"].odds_high is None  # without bound
    assert (kinds["gone"].odds_ratio, kinds["gone"].odds_low) == (0.0, 0.0)
    assert kinds["same"].p_value == 1.0
    assert (said.a.traces, said.b.traces, said.b.failed) == (100, 100, 85)
    assert [example.path for example in kinds["gone"].examples] == ["/0000.dat", "/0001.dat", "/0002.dat"]
    assert [one.q_value for one in said.changes] == sorted(one.q_value for one in said.changes)


def test_one_more_trace_is_no_news(tmp_path: Path) -> None:
    """A bare difference would call it new."""
    said = diff(tmp_path, traces((50, fine())), traces((1, blames("x")), (49, fine())))
    assert (change(said, "x").kind, change(said, "x").significant) == ("new", False)


def test_many_comparisons_are_corrected_for(tmp_path: Path) -> None:
    """5 to 0 of 40 is p = 0.055 alone, 6 to 0 p = 0.026: among forty holders that differ so, chance does it."""
    b = [(6, blames("odd"))] + [(1, blames(f"h{n}")) for n in range(34)]
    said = diff(tmp_path, traces((40, fine())), traces(*b))
    assert change(said, "odd").p_value < 0.05 < change(said, "odd").q_value


def test_attempts_of_one_trace_are_one(tmp_path: Path) -> None:
    """A machine that tries a thousand times is one machine."""
    attempts = [msgspec.structs.replace(blames("x").attempts[0], id=f"a{n}") for n in range(200)]
    busy = example.result(*attempts)
    said = diff(tmp_path, traces((10, fine())), traces((1, busy), (9, fine())))
    assert change(said, "x").b_traces == 1
    assert not change(said, "x").significant


def test_parts_of_one_store(tmp_path: Path) -> None:
    one = [Trace(f"/{n}", blames("x") if n % 4 else fine(), {"build": str(n % 2)}) for n in range(40)]
    store = made(tmp_path / "s", one)
    said = compare(Selection(store, conditions(["build=0"])), Selection(store, conditions(["build=1"])))
    assert (said.a.traces, said.b.traces) == (20, 20)
    assert (change(said, "x").a_traces, change(said, "x").b_traces) == (10, 20)
    with pytest.raises(UsageError, match="nothing to compare"):
        compare(Selection(store), Selection(store, conditions(["build=7"])))


def rules(tmp_path: Path, text: str) -> dict[str, bool]:
    """Ten traces: 3 pinned by one task, 1 unexplained, 5 fine, 1 broken."""
    lossy = example.result(fine().attempts[0], data_loss=[example.loss()])
    many = traces((2, blames("camera-hal")), (1, blames("camera-hal", verdict="suggested")), (1, unexplained()),
                  (4, fine()), (1, lossy))  # fmt: skip
    place = tmp_path / "gate"
    store = made(place, [*many, Trace("/broken.dat", ("crashed", "x"))]) if not place.exists() else made(place, [])
    return {one.rule: one.matched for one in gate(parse_gate(text), Selection(store), None).rules}


@pytest.mark.parametrize(
    ("hit", "miss"),
    [
        ("broken", "broken>1"),
        ("broken>9%", "broken>10%"),
        ("failed>3", "failed>4"),
        ("failed>44%", "failed>44.5%"),
        ("unexplained", "unexplained>1"),
        ("proved>1", "proved>2"),
        ("cause=task_reference>2", "cause=task_reference>3"),
        ("cause=task_reference", "cause=aio_ring"),
        ("holder=camera-*>30%", "holder=camera>0"),
        ("loss>=loss", "loss>=error"),
        ("loss>=info>0", "loss>=loss>1"),
    ],
)
def test_rules_hit_and_miss(tmp_path: Path, hit: str, miss: str) -> None:
    assert rules(tmp_path, f"{hit},{miss}") == {hit: True, miss: False}


@pytest.mark.parametrize("text", ["", "nope", "failed>", "failed>x", "cause=nope", "loss>=bad", "holder=", "new>3"])
def test_wrong_rules(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-on"):
        parse_gate(text)


def test_rules_against_a_base(tmp_path: Path) -> None:
    base = Selection(made(tmp_path / "a", traces((5, blames("more")), (45, fine()))))
    now = Selection(made(tmp_path / "b", traces((30, blames("more")), (10, blames("new")), (10, fine()))))
    new, more = gate(parse_gate("new,more"), now, base).rules
    assert (new.matched, more.matched) == (True, True)
    assert "new" in new.says
    assert "/0030.dat" in new.examples
    assert not any(rule.matched for rule in gate(parse_gate("new,more"), now, now).rules)
    with pytest.raises(UsageError, match="--against"):
        gate(parse_gate("new"), now, None)
