"""The script and the start, from small streams."""

from __future__ import annotations

import numpy as np

from tests.support.replay_twin import entry, stream
from tracereplay.layout.layout import Layout, Span
from tracereplay.schema import Op
from tracereplay.whatif.machine import machine_of
from tracereplay.whatif.page_rows import Frame, MigrateType, Step
from tracereplay.whatif.recorded import replay_record, self_check
from tracereplay.whatif.script import Script, Stretch, script_of
from tracereplay.whatif.seed import seed_of

LAYOUT = Layout(
    "file", zones=(Span("Normal", 0, 4096),), cma_areas=(Span("area", 1024, 1024),), pageblock_pages=512
)  # fmt: skip


def script(entries: list[object], stretches: list[Stretch] | None = None) -> Script:
    return script_of([stream(entries)], stretches or [], [(0, 4096)])  # type: ignore[arg-type]


def test_the_first_event_tells_where_a_page_was() -> None:
    made = script(
        [
            entry(1, 7, Op.BUDDY_TAKE, 8, mt=1),
            entry(2, 7, Op.ALLOC, 8, mt=1),
            entry(3, 7, Op.ALLOC, 9, mt=1),
            entry(4, 7, Op.FREE, 10),
            entry(5, 7, Op.PCP_DRAIN, 11, mt=0),
        ]
    )
    seed = seed_of(made, machine_of(LAYOUT, None))
    assert seed.state[8:12].tolist() == [Frame.FREE, Frame.PCP, Frame.USED, Frame.PCP]
    assert seed.types[0] == MigrateType.MOVABLE  # the first of the two that tell
    assert seed.types[2:4].tolist() == [MigrateType.CMA, MigrateType.CMA]


def test_a_range_allocated_was_free_where_no_event_freed_it() -> None:
    stretch = Stretch(5, 9, 1024, 1028, True, "a", 0)
    seed = seed_of(
        script([entry(1, 7, Op.ALLOC, 1025, mt=1), entry(6, 7, Op.FREE, 1025)], [stretch]), machine_of(LAYOUT, None)
    )
    assert seed.state[1024:1028].tolist() == [Frame.FREE, Frame.PCP, Frame.FREE, Frame.FREE]


def test_a_free_that_no_drain_follows_went_to_the_buddy() -> None:
    made = script(
        [
            entry(1, 7, Op.BUDDY_TAKE, 8, mt=1),
            entry(2, 7, Op.ALLOC, 8, mt=1),
            entry(3, 7, Op.FREE, 8),
            entry(4, 7, Op.BUDDY_TAKE, 8, mt=1),
        ]
    )
    assert made.events["other"][made.events["kind"] == Step.FREE].tolist() == [1]
    seed = seed_of(made, machine_of(LAYOUT, None))
    checked = self_check(replay_record(made, seed, whole_frees=False))
    assert (checked["taken"], checked["taken_not_free"], checked["freed_directly"]) == (2, 0, 1)


def test_a_page_taken_twice_is_not_free() -> None:
    made = script([entry(1, 7, Op.BUDDY_TAKE, 8, mt=1), entry(2, 7, Op.BUDDY_TAKE, 8, mt=1)])
    checked = self_check(replay_record(made, seed_of(made, machine_of(LAYOUT, None)), whole_frees=False))
    assert checked["taken_not_free"] == 1


def test_extfrag_stands_for_the_page_unless_zone_locked_does() -> None:
    made = script(
        [
            entry(1, 7, Op.BUDDY_TAKE, 8, mt=0),
            entry(2, 7, Op.EXTFRAG, 8, mt=0, val=3, ret=1),  # a claim below pageblock size
            entry(3, 7, Op.EXTFRAG, 16, mt=0, val=3, ret=1),  # a steal
            entry(4, 7, Op.ALLOC, 16, mt=0),
        ]
    )
    kinds = made.events["kind"]
    assert kinds[np.isin(kinds, (Step.CLAIM, Step.FALLBACK))].tolist() == [Step.CLAIM, Step.FALLBACK]


def test_damaged_rows_are_left_out() -> None:
    made = script(
        [
            entry(1, 7, Op.ALLOC, -1),
            entry(2, 7, Op.FREE, 3, order=2),
            entry(3, 7, Op.FREE, 1 << 50),
            entry(4, 7, Op.FREE, 0, order=40),
        ]
    )
    assert not np.isin(made.events["kind"], (Step.ALLOC, Step.FREE)).any()
