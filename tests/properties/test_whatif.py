"""The modelled allocators against plain Python, and what must hold whatever a trace says."""

from __future__ import annotations

# Hypothesis types its health checks by their metaclass.
# pyright: reportArgumentType=false
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.buddy_twin import CMA, PlainGuided, PlainRecorded
from tracereplay.whatif.guided_kernels import CMA_ALLOWED, STUCK, Course, replay_guided
from tracereplay.whatif.page_rows import (
    EVENT,
    ORDERS,
    TYPES,
    Buddy,
    Count,
    Frame,
    MigrateType,
    Rule,
    Step,
    ZoneColumn,
)  # fmt: skip
from tracereplay.whatif.recorded import stock_rules
from tracereplay.whatif.recorded_kernels import replay_recorded
from tracereplay.whatif.seed import Seed, buddy_of

PAGEBLOCK = 3  # small, so that few events fill and empty whole pageblocks
PAGES = 2048
USED = 96  # the first pages are the ones that events touch; the others do not exist
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)  # without shrinking: it takes minutes, and says little of a script
PAGED = (Step.ALLOC, Step.FREE, Step.DRAIN, Step.TAKE, Step.FALLBACK, Step.CLAIM)


@dataclass
class Case:
    """A start and a script."""

    seed: Seed
    events: np.ndarray[Any, Any]
    want: list[int]
    rules: np.ndarray[Any, Any]
    free: list[int]
    pcp: list[int]
    hidden: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Pages of two zones, some free; events anywhere, likely or not."""
    blocks = USED >> PAGEBLOCK
    types = draw(st.lists(st.sampled_from([0, 1, 1, 2, 4, 4]), min_size=blocks, max_size=blocks))
    border = draw(st.sampled_from([0, 32, 64]))
    zone = np.full(PAGES, -1, np.int8)
    zone[:border], zone[border:USED] = 0, int(border > 0)
    states = draw(st.lists(st.sampled_from([1, 1, 1, 3, 4]), min_size=USED, max_size=USED))
    state = np.full(PAGES, int(Frame.ABSENT), np.uint8)
    state[:USED] = states
    all_types = np.full(PAGES >> PAGEBLOCK, MigrateType.MOVABLE, np.uint8)
    all_types[:blocks] = types
    seed = Seed(state, zone, all_types, np.full(PAGES, -1, np.int32), np.zeros(PAGES, bool), {}, 0, 0, PAGEBLOCK)
    events, want = [], []
    for _ in range(draw(st.integers(0, 60))):
        event, asked = draw(rows())
        events.append(event)
        want.append(asked)
    rules = stock_rules(whole_frees=draw(st.booleans()))
    rules[Rule.NUM], rules[Rule.DEN] = draw(st.sampled_from([(1, 2), (0, 1), (1, 1), (1, 4)]))
    rules[Rule.CMA_MODE], rules[Rule.OFF_PCP] = draw(st.sampled_from([0, 0, 1])), draw(st.integers(0, 1))
    rules[Rule.NEW_CLASSES] = draw(st.integers(0, 1))
    free, pcp = [at for at in range(USED) if states[at] == 1], [at for at in range(USED) if states[at] == 3]
    return Case(seed, np.array(events, EVENT), want, rules, free, pcp, draw(st.integers(0, 8)))


@st.composite
def rows(draw: st.DrawFn) -> tuple[tuple[Any, ...], int]:
    """An event of the script, and what it asks for in a guided replay."""
    if draw(st.integers(0, 6)) == 0:
        kind = draw(st.sampled_from([Step.ISOLATE, Step.RESTORE, Step.CONTIG]))
        page = draw(st.integers(0, USED - 1))
        return (0, page, draw(st.integers(1, USED - page)), 0, 0, 0, int(kind), 0, 0, 0), 0
    order = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]))
    page = draw(st.integers(0, (USED >> order) - 1)) << order
    type_, other = draw(st.sampled_from([0, 1, 2])), draw(st.integers(0, 1))
    kind = draw(st.sampled_from(PAGED))
    want = draw(st.sampled_from([0, 1, 2, 1 | CMA_ALLOWED, 1 | CMA_ALLOWED, 1 | CMA_ALLOWED | STUCK]))
    return (0, page, 1 << order, 0, 0, 0, int(kind), order, type_, other), want


def kernel_buddy(case: Case) -> Buddy:
    buddy = buddy_of(case.seed, {}, case.rules)
    buddy.zones[:, ZoneColumn.HIDDEN] = case.hidden
    return buddy


def plain_start(case: Case, kind: type[Any], buddy: Buddy) -> Any:
    """The plain twin at the same start: same free pages freed in the same order, lists in the seed's order."""
    rules = dict(enumerate(case.rules.tolist()))
    plain = kind(case.seed.zone.tolist(), case.seed.types.tolist(), rules, PAGEBLOCK, case.hidden)
    for at in case.pcp:
        plain.state[at] = int(Frame.PCP)
    for at in case.free:
        plain.free(at, 0)
    for key, pages in plain.lists.items():
        assert sorted(pages) == sorted(listed(buddy, *key))
        pages[:] = listed(buddy, *key)
    plain.kind = [int(value) for value in buddy.pages["movable"]]
    return plain


def listed(buddy: Buddy, zone: int, order: int, kind: int) -> list[int]:
    """First pages of a free list of the kernels', walked both ways."""
    row = buddy.lists[(zone * ORDERS + order) * TYPES + kind]
    pages, at, before = [], int(row["head"]), -1
    while at != -1:
        assert buddy.pages[at]["prev"] == before
        assert (buddy.pages[at]["state"], buddy.pages[at]["order"]) == (Frame.FREE, order)
        pages.append(at)
        before, at = at, int(buddy.pages[at]["next"])
    assert row["tail"] == before
    assert row["blocks"] == len(pages)
    return pages


def check_same(buddy: Buddy, plain: Any) -> None:
    """Lists, their order, types and counters agree; every page is once in a block or in none."""
    free: list[int] = []
    for zone in range(len(buddy.zones)):
        counted = 0
        for order in range(ORDERS):
            for kind in range(TYPES):
                pages = listed(buddy, zone, order, kind)
                assert pages == plain.lists[zone, order, kind], (zone, order, kind)
                free += [at for page in pages for at in range(page, page + (1 << order))]
                counted += 0 if kind == MigrateType.ISOLATE else len(pages) << order
        assert buddy.zones[zone, ZoneColumn.FREE] == counted
        assert buddy.zones[zone, ZoneColumn.FREE_CMA] == plain.free_pages(zone, (CMA,))
    assert len(free) == len(set(free))
    is_free = np.isin(buddy.pages["state"], (Frame.FREE, Frame.TAIL))
    assert set(np.flatnonzero(is_free).tolist()) == set(free)
    assert buddy.blocks["type"].tolist() == plain.types
    assert {n: int(v) for n, v in enumerate(buddy.counts) if v} == {int(n): v for n, v in plain.counts.items() if v}


@MANY
@given(cases())
def test_the_recorded_allocator_is_the_plain_one(case: Case) -> None:
    buddy = kernel_buddy(case)
    plain = plain_start(case, PlainRecorded, buddy)
    replay_recorded(buddy, case.events, np.zeros(len(case.events), np.int64), np.zeros((0, len(buddy.lists)), np.int64))
    plain.run(case.events)
    check_same(buddy, plain)


@MANY
@given(cases())
def test_the_guided_replay_is_the_plain_one(case: Case) -> None:
    buddy = kernel_buddy(case)
    plain = plain_start(case, PlainGuided, buddy)
    here = np.where(np.isin(buddy.pages["state"], (Frame.USED, Frame.PCP)), np.arange(PAGES), -1).astype(np.int32)
    asked = np.full(PAGES, 1 | CMA_ALLOWED, np.uint8)
    number = len(case.events)
    nothing = np.full(number, -1, np.int32)
    course = Course(
        here, here.copy(), asked, np.array(case.want, np.uint8), np.full(number, -1, np.int8), nothing, nothing.copy()
    )
    plain.where = {int(at): int(at) for at in np.flatnonzero(here >= 0)}
    plain.back, plain.asked = dict(plain.where), asked.tolist()
    replay_guided(buddy, case.events, course, np.zeros((0, len(buddy.lists)), np.int64))
    out = plain.run(case.events, case.want)
    check_same(buddy, plain)
    assert course.out.tolist() == out
    assert {at: int(page) for at, page in enumerate(course.place) if page >= 0} == plain.where
    # Conservation: no page of the model is given to two pages of the record, and none that is used is free.
    places = course.place[course.place >= 0]
    assert len(places) == len(set(places.tolist()))
    assert not np.isin(buddy.pages["state"][places], (Frame.FREE, Frame.TAIL)).any()
    assert buddy.counts[Count.DRAINS] == plain.counts[Count.DRAINS]
