"""Maps of an attempt: each try as it was, culprits where they were in the way, folded and thinned as said."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import result_examples as example
from tracereplay.culprits import map_runs
from tracereplay.culprits.map_runs import attempt_map, count_pages, strip_of
from tracereplay.model.result import Culprit, MapRun, Try
from tracereplay.replay import state as st
from tracereplay.replay.range_snapshots import RangeSnapshot
from tracereplay.replay.state import Mark, State

BUDDY, USED, UNSEEN = (State.BUDDY, 0), (State.ALLOCATED, 0), (State.UNSEEN, 0)
EMPTIED = (State.BUDDY, int(Mark.FROZEN))
Look = tuple[State, int]


def snapshot(number: int, *looks: tuple[int, Look], start_pfn: int = 64) -> RangeSnapshot:
    runs = np.array([(pages, *look) for pages, look in looks], st.RUN)
    return RangeSnapshot(number, [(start_pfn, runs)])


def tries(number: int) -> list[Try]:
    return [
        Try(index=n, start_pfn=64, end_pfn=128, start_ns=n * 10, end_ns=n * 10 + 9, result="EBUSY")
        for n in range(number)
    ]


def drawn(
    snapshots: list[RangeSnapshot], made: list[Try], culprits: list[Culprit], block: int | None = None
) -> list[MapRun]:
    return attempt_map([(p.number, strip_of(p)) for p in snapshots], made, culprits, block)


def told(runs: list[MapRun], at: int) -> list[tuple[int, int, str, str | None]]:
    return [(run.start_pfn, run.pages, run.state, run.culprit_id) for run in runs if run.try_index == at]


def test_pages_are_free_moved_held_or_not_seen() -> None:
    strip = strip_of(snapshot(0, (8, BUDDY), (16, (State.PCP, 0)), (8, EMPTIED), (16, USED), (16, UNSEEN)))
    assert told(attempt_map([(0, strip)], [], [], None), 0) == [
        (64, 24, "free", None), (88, 8, "moved", None), (96, 16, "held", None), (112, 16, "not_seen", None)
    ]  # fmt: skip
    counts = count_pages(strip, ((60, 70), (100, 120)))
    assert (counts.free, counts.moved, counts.held, counts.not_seen, counts.requested) == (6, 0, 12, 8, 26)


def test_each_try_shows_the_culprits_in_its_way() -> None:
    """The first lets go after try 1, the second was behind it all the time, the third only from 15 ns to 18 ns."""
    culprits = [
        example.culprit(id="c0", start_pfn=70, pages=2, blocked_tries=[(0, 1)]),
        example.culprit(id="c1", start_pfn=80, effect="would_block", held_since_ns=None, released_ns=None),
        example.culprit(id="c2", start_pfn=90, effect="delayed", held_since_ns=15, released_ns=18),
    ]
    runs = drawn([snapshot(at, (64, USED)) for at in range(3)], tries(3), culprits)
    at_try = [{run.culprit_id for run in runs if run.try_index == at} - {None} for at in range(3)]
    assert at_try == [{"c0", "c1"}, {"c0", "c1", "c2"}, {"c1"}]
    assert told(runs, 0)[:3] == [(64, 6, "held", None), (70, 2, "culprit", "c0"), (72, 8, "held", None)]
    assert {at: sum(run.pages for run in runs if run.try_index == at) for at in range(3)} == dict.fromkeys(range(3), 64)


def test_the_culprit_that_decided_is_drawn_over_others_on_its_page() -> None:
    culprits = [
        example.culprit(id="c0", start_pfn=70, primary=True, blocked_tries=[(0, 0)]),
        example.culprit(id="c1", start_pfn=70, effect="would_block", held_since_ns=None),
    ]
    assert (70, 1, "culprit", "c0") in told(drawn([snapshot(0, (64, USED))], tries(1), culprits), 0)


def test_an_inventory_without_tries_shows_every_culprit() -> None:
    runs = drawn([snapshot(0, (64, USED))], [], [example.culprit(start_pfn=127, pages=9, blocked_tries=[])])
    assert told(runs, 0) == [(64, 63, "held", None), (127, 1, "culprit", "c0")]


def test_numbers_beyond_all_memory_are_left_out() -> None:
    """A kernel log may be damaged in a PFN."""
    far = [
        example.culprit(id=f"c{at}", start_pfn=pfn, pages=pages, blocked_tries=[(0, 0)])
        for at, (pfn, pages) in enumerate([(1 << 64, 1), (0, 1), (0, 1 << 70), (120, 1 << 70)])
    ]
    runs = drawn([snapshot(0, (64, USED))], tries(1), far)
    assert told(runs, 0) == [(64, 56, "culprit", "c2"), (120, 8, "culprit", "c3")]
    assert count_pages(strip_of(snapshot(0, (64, USED))), ((-(1 << 70), 1 << 70), (1 << 65, 1 << 66))).requested == 64


def test_tries_that_look_alike_share_the_map_of_the_last_of_them() -> None:
    made = tries(6)
    looks = [USED, USED, BUDDY, USED, USED]
    runs = drawn([snapshot(at, (64, look)) for at, look in enumerate(looks)], made, [])
    assert [one.map_try for one in made] == [1, 1, 2, 4, 4, None]  # the last one was not pictured
    assert [run.try_index for run in runs] == [1, 2, 4]


def test_of_too_many_runs_the_most_mottled_pageblocks_are_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [(1, USED), (1, BUDDY)] * 16 + [(16, BUDDY), (20, USED)]  # runs by pageblock: 4, 16, 12, 2, 1
    culprit = example.culprit(start_pfn=85, blocked_tries=[(0, 9)])
    shown = {}
    for limit in (40, 25, 10, 1):
        monkeypatch.setattr(map_runs, "RUNS_KEPT", limit)
        shown[limit] = told(drawn([snapshot(0, *looks, start_pfn=60)], tries(1), [culprit], block=16), 0)
    ends = (80, 16, "culprit", "c0"), (96, 16, "mixed", None), (112, 16, "held", None)
    assert shown[1] == [(60, 20, "mixed", None), *ends]
    assert shown[10] == [(60 + n, 1, "free" if n % 2 else "held", None) for n in range(4)] + [
        (64, 16, "mixed", None), ends[0], (96, 12, "free", None), (108, 20, "held", None)
    ]  # fmt: skip
    assert (64, 16, "mixed", None) in shown[25]
    assert (85, 1, "culprit", "c0") in shown[25]
    assert len(shown[40]) == 33
    assert all(sum(run[1] for run in runs) == 68 for runs in shown.values())


def test_maps_without_room_are_left_out_but_first_and_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_runs, "RUNS_KEPT", 10)
    made = tries(9)
    snapshots = [snapshot(at, (at + 1, USED), (1, BUDDY), (62 - at, USED)) for at in range(9)]
    runs = drawn(snapshots, made, [])
    assert [one.map_try for one in made] == [0, None, None, None, 4, None, None, None, 8]
    assert {run.try_index for run in runs} == {0, 4, 8}
    monkeypatch.setattr(map_runs, "RUNS_KEPT", 2)
    assert {run.try_index for run in drawn(snapshots, tries(9), [])} == {8}
