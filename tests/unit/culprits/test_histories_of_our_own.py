"""Short histories, each of a kind that once misled a rule: what may be said of the page, and how surely.

Every kind has a history in which the claim holds and one that looks alike. The histories of ../shared are others.
Here: what was recorded, what a reference explains, what isolation is. Tasks and pages have files of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.event_histories import (
    MS,
    PFN,
    PROVED,
    A,
    B,
    C,
    History,
    S,
    culprits,
    held_by,
    only,
    told,
)
from tracereplay.culprits.table import PAGE_REF


def test_a_reference_that_a_task_keeps(tmp_path: Path) -> None:
    result = held_by().blame(tmp_path)
    assert told(result) == PROVED
    row = only(result)
    assert (row.taken_by, row.released_by) == (row.holder, row.holder)
    assert row.premises_failed == []


# -- recorded ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAGE_REF)
def test_a_kind_of_reference_event_was_not_recorded(kind: str, tmp_path: Path) -> None:
    result = held_by(history=History(not_recorded=[kind])).blame(tmp_path)
    assert not any(row.verdict == "proved" for row in culprits(result))
    losses = {loss.id: loss for loss in result.data_loss}
    weak = [losses[name].detail for row in culprits(result) for name in row.weakened_by]
    assert weak == ([kind] if kind != "page_ref_mod_unless" else [])  # without it nobody is blamed
    assert [loss.detail for loss in result.data_loss if loss.code == "events_not_recorded"] == [kind]


@pytest.mark.parametrize("kind", ["mm_page_free", "mm_filemap_add_to_page_cache"])
def test_references_are_told_without_these(kind: str, tmp_path: Path) -> None:
    assert told(held_by(history=History(not_recorded=[kind])).blame(tmp_path)) == PROVED


def test_a_cpu_that_says_nothing(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.anon(B)
    h.get(A)
    h.wait(2 * S)
    h.failing_cma()
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded), task-a suggested"]


def test_a_cpu_that_stops_early(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.chatter((2,))
    h.anon(B)
    h.get(A)
    h.wait(5 * S)
    h.failing_cma()
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded), task-a suggested"]


def test_a_cpu_that_stops_later(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.wait(S, cpus=(0, 1, 2))
    h.anon(B)
    h.get(A)
    h.failing_cma()
    h.wait(S, cpus=(0, 1, 2))
    h.put(A)
    h.wait(5 * S)
    assert told(h.blame(tmp_path)) == PROVED


# -- needed ------------------------------------------------------------------------------------------------------------


def test_a_passing_get_at_the_test_explains_nothing(tmp_path: Path) -> None:
    h = History()
    h.old_anon(B)
    h.failing_cma(passing=[(A, PFN)])
    h.put(C)
    assert told(h.blame(tmp_path)) == ["extra_reference proved (whose), task-c suggested"]


def test_a_passing_get_beside_one_that_is_kept(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.failing_cma(passing=[(B, PFN)])
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_an_excess_that_remains_after_the_put_is_somebody_elses(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.pages[PFN].count += 1  # taken where no event tells
    h.failing_cma()
    h.put(A)
    h.wait(MS)
    h.put(C)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded, needed), task-a suggested"]


def test_an_excess_from_before_the_get_is_somebody_elses(tmp_path: Path) -> None:
    h = History()
    h.old_anon(B)
    h.get(A)
    h.failing_cma()
    h.put(A)
    h.wait(MS)
    h.put(C)
    assert told(h.blame(tmp_path)) == ["extra_reference proved (whose), task-c suggested"]


# -- not_isolation -----------------------------------------------------------------------------------------------------


def isolated_by_a(begin: str | None = None, end: str | None = None) -> History:
    """A isolates B's page for its own ends while the attempt runs, between these events of A."""
    h = History()
    h.anon(B)
    h.wait(MS)
    if begin:
        h.event(A, begin)
    h.isolate(who=A)
    h.failing_cma()
    h.put_back(who=A)
    if end:
        h.event(A, end)
    return h


RECLAIM = (
    "mm_vmscan_{}_reclaim_begin: order=0 gfp_flags=GFP_HIGHUSER_MOVABLE",
    "mm_vmscan_{}_reclaim_end: nr_reclaimed=3",
)


@pytest.mark.parametrize("kind", ["direct", "memcg"])
def test_reclaim_by_a_user_task_is_no_pin(kind: str, tmp_path: Path) -> None:
    result = isolated_by_a(*(text.format(kind) for text in RECLAIM)).blame(tmp_path)
    assert not any(row.taken_by for row in culprits(result))


def test_isolation_without_events_of_its_own_is_no_proved_pin(tmp_path: Path) -> None:
    assert not any("proved" in line for line in told(isolated_by_a().blame(tmp_path)))


def test_isolation_without_events_and_the_page_is_seen_later(tmp_path: Path) -> None:
    h = isolated_by_a()
    h.get(C)
    h.put(C)
    assert not any("proved" in line for line in told(h.blame(tmp_path)))


def test_mbind_of_another_task_is_no_pin(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.wait(MS)
    h.isolate(who=A)
    h.migrate_start("mempolicy_mbind", A)
    h.failing_cma()
    h.migrate_end(1, "mempolicy_mbind", A)
    h.put_back(who=A)
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))


def test_mbind_that_isolates_by_a_plain_reference(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.wait(MS)
    h.get(A)
    h.pages[PFN].flags -= {"lru"}
    h.mod(A)
    h.put(A)
    h.migrate_start("mempolicy_mbind", A)
    h.failing_cma()
    h.migrate_end(1, "mempolicy_mbind", A)
    h.put_back(who=A)
    assert told(h.blame(tmp_path)) == ["extra_reference suggested (not_isolation)"]


def test_the_attempts_own_gets_before_it_is_seen_to_begin(tmp_path: Path) -> None:
    h = History(not_recorded=["cma_alloc_start"])
    h.anon(B)
    h.failing_cma()
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))
