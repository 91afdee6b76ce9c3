"""`--fail-on`: each rule with a result it matches and one it just misses."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.errors import UsageError
from tracereplay.model.fail_on import first_match, parse_rules
from tracereplay.model.result import Result

FAILED = example.attempt(cause="bitmap_full")
FINE = example.attempt(outcome="succeeded", errno=None)
HIDDEN = example.result(example.attempt(culprits=[example.culprit(effect="would_block")]))


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        ("failed", example.result(FAILED), example.result(FINE)),
        ("failed", example.result(example.attempt(outcome="interrupted")), example.delayed()),
        ("cause=task_reference", example.pinned(), HIDDEN),
        ("cause=bitmap_full", example.result(FAILED), example.pinned()),
        ("holder=pin-*", example.pinned(), example.delayed()),
        ("holder=fuse", example.delayed(), example.pinned()),
        ("proved", example.pinned(), example.delayed()),
        ("loss>=loss", example.mixed(), example.pinned()),
        ("loss>=notice", example.result(data_loss=[example.loss(severity="notice")]), example.result()),
        ("loss>=error", example.result(data_loss=[example.loss(severity="error")]), example.mixed()),
        ("unexplained>0", example.result(example.attempt(cause="unknown")), example.result(FAILED)),
        ("unexplained>1", example.result(example.attempt(), example.attempt()), example.result(example.attempt())),
        ("proved,failed", example.result(FAILED), example.result(FINE)),
    ],
)
def test_rule(rule: str, hit: Result, miss: Result) -> None:
    matched = first_match(parse_rules(rule), hit)
    assert matched is not None
    assert matched.split(":")[0] in rule
    assert first_match(parse_rules(rule), miss) is None


def test_says_what_matched() -> None:
    matched = first_match(parse_rules("holder=pin-dead"), example.pinned())
    assert matched is not None
    assert matched.startswith(
        "holder=pin-dead: PFN 0x1edbf (task_reference, proved held by pin-dead) in attempt cma_alloc-149"
    )


@pytest.mark.parametrize(
    "wrong", ["", ",", "fail", "failed=1", "cause=", "cause=nope", "holder=", "loss>loss", "loss>=bad", "loss>=",
              "unexplained>", "unexplained>x", "unexplained>=1", "proved>0", "failed,nope"],
)  # fmt: skip
def test_wrong_rule_names_what_is_valid(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"valid:|tracereplay explain"):
        parse_rules(wrong)
