"""Why a verdict is not proved: one short reason in every report, the sentences in full ones."""

from __future__ import annotations

import re

import pytest

from tests.support import result_examples as example
from tracereplay.losses import LOSS_KINDS
from tracereplay.model.derived.culprit_groups import group_culprits
from tracereplay.model.premises import PREMISES
from tracereplay.model.result import DataLoss, Result
from tracereplay.reports import FORMATS
from tracereplay.reports.html.data import report_data
from tracereplay.reports.shared.premise_wording import failed_premises, why
from tracereplay.reports.shared.style import Style


def loss(code: str, **changes: object) -> DataLoss:
    values = {"id": code, "code": code, "count": None, "cpu": None, "start_ns": None, "end_ns": None}
    return example.loss(**(values | changes))


def suggested(*codes: str, losses: tuple[DataLoss, ...] = (), **changes: object) -> Result:
    """A result with one culprit whose verdict rests on premises that fail."""
    values = {"verdict": "suggested", "premises_failed": list(codes), "weakened_by": [x.id for x in losses]}
    row = example.culprit(**(values | changes))
    return example.result(example.attempt(culprits=[row]), data_loss=list(losses))


def reason(result: Result) -> str | None:
    return why(result.attempts[0].culprits, result)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        ([], None),
        (["whose"], "suggested: the taker is not known for certain"),
        (["recorded"], "suggested: events may be missing"),
        (["recorded", "whose"], "suggested: events may be missing, the taker is not known for certain"),
        (
            ["needed", "not_isolation", "whose"],
            "suggested: the reference does not explain the whole excess, and 2 more",
        ),
        (["of_a_later_version"], "suggested: of_a_later_version"),
    ],
)
def test_the_first_premises_that_fail_are_the_reason(codes: list[str], says: str | None) -> None:
    assert reason(suggested(*codes)) == says


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([loss("lost_events", count=1_203, cpu=0)], "1,203 events lost on CPU 0 in this interval"),
        ([loss("lost_events")], "events lost in this interval"),
        ([loss("cpu_starts_late", cpu=1, end_ns=6_130_000_000)], "CPU 1 recorded nothing before 6.130 s"),
        ([loss("cpu_starts_late", cpu=1)], "CPU 1 recorded nothing"),
        ([loss("cpu_ends_early", cpu=1, start_ns=6_130_000_000)], "CPU 1 recorded nothing after 6.130 s"),
        ([loss("cpu_silent", cpu=1)], "CPU 1 recorded nothing"),
        (
            [loss("overrun", count=5, cpu=0, end_ns=9), loss("overrun", id="b", count=6, cpu=1, end_ns=2_000_000_000)],
            "11 events overwritten on CPU 0 and 1 before 2.000 s",
        ),
        (
            [loss("cpu_starts_late", cpu=1, severity="notice"), loss("lost_events", count=1, cpu=3)],
            "1 event lost on CPU 3 in this interval",
        ),
        ([loss("free_without_alloc")], "pages freed that were allocated before the trace"),
        ([loss("of_a_later_version")], "of_a_later_version"),
    ],
)
def test_recorded_names_what_was_lost(losses: list[DataLoss], says: str) -> None:
    for codes in (["recorded"], []):
        assert (reason(suggested(*codes, losses=tuple(losses))) or "").startswith(f"suggested: {says}")


@pytest.mark.parametrize("code", LOSS_KINDS)
def test_every_loss_that_hides_events_has_a_reason(code: str) -> None:
    kind = LOSS_KINDS[code]
    assert kind.reason or not kind.hides_events
    said = reason(suggested("recorded", losses=(loss(code),)))
    assert said is not None
    assert not re.search(r"[{}]|  |None|\.$", said)


def test_a_holder_that_is_not_proved_has_its_own_reason() -> None:
    suspected = suggested("whose", verdict="proved", holder_verdict="suggested")
    assert reason(suspected) == "holder suggested: the taker is not known for certain"
    assert reason(suggested("whose", verdict="proved")) is None
    assert reason(suggested(losses=(loss("overrun"),), verdict="proved")) is None


@pytest.mark.parametrize("format_", ["text", "md", "html", "junit"])
def test_every_format_says_why(format_: str) -> None:
    result = suggested("recorded", "whose", losses=(loss("lost_events", count=1_203, cpu=0),))
    said = " ".join(FORMATS[format_](result, Style(width=300)).split("<script")[0].split())
    expected = "suggested: 1,203 events lost on CPU 0 in this interval, the taker is not known for certain"
    assert expected in said
    assert PREMISES["whose"].sentence not in said


@pytest.mark.parametrize("format_", ["text", "md"])
def test_full_reports_quote_the_premises(format_: str) -> None:
    said = " ".join(FORMATS[format_](suggested("whose"), Style(width=300, full=True)).split())
    assert f"premise whose does not hold: {PREMISES['whose'].sentence}" in said


def test_the_html_page_has_them_in_its_details() -> None:
    data = report_data(suggested("whose"))
    row = data["tables"]["culprits"]
    assert data["texts"][row["why"][0]] == "suggested: the taker is not known for certain"
    assert [data["texts"][line] for line in row["premises"][0]] == failed_premises(
        suggested("whose").attempts[0].culprits[0]
    )


def test_rows_that_fail_for_other_reasons_are_not_folded() -> None:
    rows = [example.culprit(id=code, verdict="suggested", premises_failed=[code]) for code in ("whose", "when")]
    assert len(group_culprits(rows)) == 2
