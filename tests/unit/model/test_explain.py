"""Every cause of the contract is explained, fully, in words that fit a terminal."""

from __future__ import annotations

import pytest

from tracereplay.cli.main import main
from tracereplay.culprits.table import BY_CODE
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.premises import PREMISES
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.explain import render_cause, render_causes, render_premise, render_premises


def test_every_code_and_no_other() -> None:
    assert set(EXPLANATIONS) == set(BY_CODE)


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_is_complete(code: str) -> None:
    e = EXPLANATIONS[code]
    assert len(e.title) <= 60
    assert not e.title.endswith(".")
    for sentence in (e.says, e.proves, e.suggests, e.confused_with):
        assert sentence
        assert sentence.endswith(".")
        assert "  " not in sentence
    assert e.what_to_do
    assert e.capture_next
    assert all("  " not in step for step in (*e.what_to_do, *e.capture_next))


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_renders_all_of_it(code: str) -> None:
    e = EXPLANATIONS[code]
    said = " ".join(render_cause(code, e, Style(width=200), ceiling="suggested", needs=["page_ref_mod"]).split())
    for text in (code, e.title, e.says, *e.what_to_do):
        assert " ".join(text.split())[:60] in said
    narrow = render_cause(code, e, Style(width=80), ceiling="proved", needs=[])
    assert all(len(line) <= 80 for line in narrow.splitlines())


def test_a_cause_lists_its_premises() -> None:
    e = EXPLANATIONS["writeback"]
    said = render_cause("writeback", e, Style(width=200), ceiling="proved", needs=[], premises=["recorded", "what"])
    assert f"recorded: {PREMISES['recorded'].sentence}" in said
    assert f"what: {PREMISES['what'].sentence}" in said
    assert "rests on" not in render_cause("writeback", e, Style(), ceiling="proved", needs=[])


@pytest.mark.parametrize("code", PREMISES)
def test_a_premise_says_what_must_hold_and_what_refutes_it(code: str) -> None:
    premise = PREMISES[code]
    said = " ".join(render_premise(premise, Style(width=80), causes=["writeback", "hugetlb"]).split())
    for text in (code, premise.sentence, premise.refuted_by, f"suggested: {premise.reason}", "writeback, hugetlb"):
        assert text in said
    assert "rest on it" not in render_premise(premise, Style())


def test_all_premises_are_listed() -> None:
    said = " ".join(render_premises(Style(width=80)).split())
    assert all(f"{p.code}: {p.sentence} refuted by {p.refuted_by}" in said for p in PREMISES.values())


@pytest.mark.parametrize(
    ("code", "says"), [("recorded", "recorded: Every kind"), ("premises", "whose: "), ("writeback", "under writeback")]
)
def test_the_verb_explains_causes_and_premises(code: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code]) == 0
    assert says in capsys.readouterr().out


def test_list_names_all() -> None:
    said = render_causes(EXPLANATIONS, Style())
    assert all(code in said for code in EXPLANATIONS)
