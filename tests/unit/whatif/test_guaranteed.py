"""What guaranteed CMA costs: pages that have to find room elsewhere, and the time to drop what is in the way."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.replay_twin import entry, stream
from tracereplay.schema import Op
from tracereplay.whatif.guaranteed import ENOUGH_PAGES, GuaranteedNeed, displaced_pages, drop_ns
from tracereplay.whatif.page_rows import Step
from tracereplay.whatif.question import parse_policy
from tracereplay.whatif.script import Script, script_of

PAGES = ENOUGH_PAGES + 1


def script(step_ns: int) -> Script:
    """One task allocates pages, then frees one after the other."""
    entries = [entry(10 + at, 7, Op.ALLOC, 100 + at) for at in range(PAGES)]
    entries += [entry(10_000 + step_ns * at, 7, Op.FREE, 100 + at) for at in range(PAGES)]
    return script_of([stream(entries)], [], [(0, 2048)])


def allocs(made: Script) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(made.events["kind"] == Step.ALLOC)


def test_the_time_to_drop_a_page_is_that_between_two_frees() -> None:
    made = script(500)
    assert drop_ns(made, allocs(made)) == 500
    assert GuaranteedNeed(None, 500).longest_ns(4) == 2000


@pytest.mark.parametrize("step_ns", [0, 2_000_000])  # a clock of ticks; a task that did something else between
def test_frees_that_tell_no_time(step_ns: int) -> None:
    made = script(step_ns)
    assert drop_ns(made, allocs(made)) is None
    assert GuaranteedNeed(None, None).longest_ns(4) is None


def test_frees_of_other_pages_say_nothing() -> None:
    made = script(500)
    assert drop_ns(made, np.zeros(len(made.events), bool)) is None


def test_pages_in_use_at_one_time_need_room_elsewhere() -> None:
    made = script(500)
    chosen = allocs(made)
    freed = np.sort(made.events["time_ns"][made.events["kind"] == Step.FREE])
    assert displaced_pages(made, chosen, freed) == PAGES
    assert displaced_pages(made, chosen, made.events["time_ns"][chosen] + 2) == 2


def test_the_time_may_be_given() -> None:
    assert parse_policy("gcma:drop=300ns").change.drop_ns == 300
    assert parse_policy("gcma").change.drop_ns is None
