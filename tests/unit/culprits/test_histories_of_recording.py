"""Short histories of what was not recorded although no loss is: filters by task, CPUs and events that begin late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.event_histories import MS, PFN, PROVED, A, B, C, History, only, told

BESIDE = PFN + 3
UNSEEN = ["task_reference suggested (recorded), task-a suggested"]


def held_while(*, missed: int, later: bool = False, raced: bool = False) -> History:
    """A holds a page; on another page, whose count tells, `missed` references come where no event says so.

    later -- after the failing attempt; raced -- two CPUs change that page at once and both print what came of it.
    """
    h = History()
    h.anon(B)
    h.anon(C, BESIDE)
    h.get(A)
    if later:
        h.failing_cma()
        h.put(A)
        h.pass_over(BESIDE)
        h.wait(MS)
    if raced:
        h.pages[BESIDE].count += 1  # B's get, of which C's event reads the result
        h.get(C, BESIDE)
        h.pages[BESIDE].count -= 1
        h.get(B._replace(cpu=1), BESIDE)
        h.put(C, BESIDE)
        h.put(B, BESIDE)
    h.pages[BESIDE].count += missed
    h.get(C, BESIDE)
    h.put(C, BESIDE)
    if not later:
        h.failing_cma()
        h.put(A)
    return h


@pytest.mark.parametrize("missed", [1, -1])
def test_events_of_some_tasks_are_filtered_out(missed: int, tmp_path: Path) -> None:
    """set_event_pid: whoever took A's reference over may be as invisible as he who changed the other page."""
    result = held_while(missed=missed).blame(tmp_path)
    assert told(result) == UNSEEN
    losses = {loss.id: loss.code for loss in result.data_loss}
    assert {losses[name] for name in only(result).weakened_by} == {"unseen_changes"}


def test_what_was_missed_after_the_test_hides_nothing(tmp_path: Path) -> None:
    h = held_while(missed=1, later=True)
    assert told(h.blame(tmp_path)) == PROVED


def test_counts_of_two_events_at_once_contradict_nothing(tmp_path: Path) -> None:
    """page_ref events read the count after the change and without a lock."""
    result = held_while(missed=0, raced=True).blame(tmp_path)
    assert told(result) == PROVED
    assert "unseen_changes" not in {loss.code for loss in result.data_loss}


def test_a_count_that_falls_where_freezes_were_not_recorded(tmp_path: Path) -> None:
    """page_ref_freeze takes the count away; without its events a lower count shows nothing."""
    h = held_while(missed=-1)
    h.not_recorded.add("page_ref_freeze")
    h.lines = [(us, line) for us, line in h.lines if "page_ref_freeze" not in line]
    assert told(h.blame(tmp_path)) == PROVED
