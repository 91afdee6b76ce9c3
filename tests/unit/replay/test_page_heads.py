"""The life of a tail: its head's story while the folio is whole, its own after a split."""

from __future__ import annotations

import pytest

from tests.support import captures
from tracereplay.model.page import Life, PageEvent, PageState
from tracereplay.model.result import Allocation
from tracereplay.replay.page_life import with_heads
from tracereplay.session import Session

HEAD, TAIL = 0x1E000, 0x1E011
MADE = Allocation(tid=148, comm="pin-thp", gfp="GFP_TRANSHUGE", order=9, time_ns=5)


def event(name: str, count: int | None = None) -> PageEvent:
    return PageEvent(time_ns=6, cpu=0, tid=148, comm="pin-thp", event=name, text="", after=PageState(count=count))


def life(*events: PageEvent, head_pfn: int | None = None, made: Allocation = MADE) -> Life:
    return Life(start_ns=5, end_ns=None, allocated_by=made, events=list(events), head_pfn=head_pfn)


HEADS = life(event("mm_page_alloc"), event("page_ref_set", 1), event("page_ref_mod_unless", 2))


def heads_of(pfn: int) -> list[Life]:
    return [HEADS] if pfn == HEAD else []


def test_a_tail_has_the_story_of_its_head() -> None:
    tail = life(event("mm_page_alloc"), event("page_ref_mod_unless", 0), head_pfn=HEAD)
    (told,) = with_heads([tail], heads_of)
    assert told.head_pfn == HEAD
    assert told.events == HEADS.events
    assert told.tail_events == 1


def test_a_page_of_a_split_folio_has_its_own() -> None:
    split = life(event("mm_page_alloc"), event("page_ref_mod_and_test", 1), head_pfn=HEAD)
    (told,) = with_heads([split], heads_of)
    assert told.head_pfn is None
    assert [one.event for one in told.events] == ["mm_page_alloc", "page_ref_mod_and_test"]


def test_a_folio_that_the_head_was_not_allocated_with_tells_nothing() -> None:
    other = life(event("mm_page_alloc"), head_pfn=HEAD, made=Allocation(tid=1, order=9, time_ns=4))
    (told,) = with_heads([other], heads_of)
    assert told.events == other.events
    assert told.tail_events == 0


@pytest.fixture(scope="module")
def session() -> Session:
    folder = captures.capture("offline_thp_pin")
    return Session([folder / "trace.dat"], layout=folder / "layout_before")


def test_a_tail_of_a_pinned_huge_page_is_told_with_its_pin(session: Session) -> None:
    head, tail = session.page(0x101800), session.page(0x101811)
    told = next(one for one in tail.lives if one.head_pfn is not None)
    assert told.head_pfn == 0x101800
    assert told.events == next(one for one in head.lives if one.allocated_by == told.allocated_by).events
    assert not any(one.head_pfn for one in head.lives)
    assert (head.address, tail.address) == (0x101800000, 0x101811000)
