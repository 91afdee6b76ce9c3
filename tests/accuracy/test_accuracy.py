"""Every capture with known truth: what was found, what was missed, what was made up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.accuracy.conftest import Scores
from tests.accuracy.reference import reference_scorer
from tests.support import capture_results
from tests.support.captures import has_page_ref, truth_of
from tests.support.scorer import Score, invented_pins, score

# Over all captures with page_ref events: mean share of held pages named, share of knowable holders named.
PAGES_AT_LEAST = 0.98
HOLDERS_AT_LEAST = 0.97


def test_capture(judged_capture: Path, scores: Scores) -> None:
    with_page_ref = has_page_ref(judged_capture)
    result = score(truth_of(judged_capture), capture_results.blame(judged_capture), has_page_ref=with_page_ref)
    scores[judged_capture.name, with_page_ref] = result
    if (reference := reference_scorer()) is not None:
        theirs = reference.score(truth_of(judged_capture), capture_results.blame(judged_capture), with_page_ref)
        assert {"page_ref": with_page_ref} | asdict(result) == theirs
    missed = {
        "attempts with the right outcome": (result.ops_right, result.ops),
        "attempts nobody made": (result.extra, 0),
        "deciding causes": (result.causes_right, result.causes),
        "first pages in the way": (result.first_found, result.first),
        "culprits": (result.culprits_found, result.culprits),
        "pages blamed that were not in the way": (result.false_pages, 0),
        "pages with a wrong proof": (result.wrong_proved, 0),
    }
    assert {what: found for what, found in missed.items() if found[0] != found[1]} == {}


def test_no_pin_is_proved_where_none_was_planted(judged_capture: Path) -> None:
    assert invented_pins(truth_of(judged_capture), capture_results.blame(judged_capture)) == []


def test_all_captures_together(scores: Scores) -> None:
    """Runs behind the captures, on what they left."""
    together = sum((result for (_, with_page_ref), result in scores.items() if with_page_ref), Score())
    if not together.counted:
        pytest.skip("no capture was judged in this run")
    assert together.share / together.counted >= PAGES_AT_LEAST
    assert together.holders_found / together.holders >= HOLDERS_AT_LEAST
