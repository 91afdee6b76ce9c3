"""`info` and `page` on a terminal."""

from __future__ import annotations

import msgspec

from tests.support import result_examples as example
from tracereplay.model.info import CannotProve, InfoResult, InputInfo
from tracereplay.model.page import Life, OpenReference, PageEvent, PageLife, PageState
from tracereplay.model.result import Allocation, File
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.info import MAX_EVENTS as MAX_KINDS
from tracereplay.reports.text.info import render_info
from tracereplay.reports.text.page import MAX_EVENTS, render_page


def info() -> InfoResult:
    source = msgspec.to_builtins(example.trace()) | {"by_event": {f"event{n}": n for n in range(1, 20)}}
    return InfoResult(
        inputs=[msgspec.convert(source, InputInfo)],
        data_loss=[example.loss()],
        can_prove=["writeback", "bitmap_full"],
        cannot_prove=[CannotProve(cause=c, missing="page_ref events") for c in ("task_reference", "extra_reference")],
        capture_next=["Record page_ref events"],
    )


def page(events: int) -> PageLife:
    held = OpenReference(tid=145, comm="pin-vmsplice", since_ns=6_130_493_000)
    after = PageState(
        state="allocated", order=0, count=3, mapcount=0, expected=2, excess=1, flags=["uptodate", "lru"],
        open_references=[held], file=File(dev=(254 << 20) | 16, ino=12, fs="ext4"),
    )  # fmt: skip
    seen = [
        PageEvent(time_ns=6_000_000_000 + n, cpu=1, tid=145, comm="pin", event="page_ref_mod_unless",
                  text="val=1 ret=1", after=after)
        for n in range(events)
    ]  # fmt: skip
    made = Allocation(tid=145, comm="pin-vmsplice", gfp="GFP_HIGHUSER_MOVABLE", order=0)
    return PageLife(
        pfn=0x1E403,
        inputs=[example.trace()],
        where='zone DMA32, CMA area "reserved"',
        lives=[Life(start_ns=6_000_000_000, end_ns=None, allocated_by=made, events=seen)],
    )


def test_info_shows_losses_events_and_proof() -> None:
    said = render_info(info(), Style())
    assert said.index("DATA LOST") < said.index("event19") < said.index("Can be proved")
    assert "event1\n" not in said
    assert "of 7 other kinds: --full" in said
    assert "event1\n" in render_info(info(), Style(full=True))
    assert "page_ref events" in said


def test_one_kind_of_events_is_left_out() -> None:
    one = info()
    one.inputs[0].by_event = {f"event{n}": 1 for n in range(MAX_KINDS + 1)}
    assert "of 1 other kind: --full" in render_info(one, Style())


def test_causes_that_lack_the_same_share_a_row() -> None:
    assert render_info(info(), Style()).count("page_ref events  task_reference, extra_reference") == 1


def test_tasks_without_a_name() -> None:
    life = page(1)
    (one,) = life.lives
    (event,) = one.events
    one.allocated_by = Allocation(tid=145)
    event.comm = event.after.open_references[0].comm = None
    said = render_page(life, Style())
    assert "by task 145;" in said
    assert "still held by task 145, +1" in said
    assert "(145)" not in said


def test_page_shows_life_events_and_holder() -> None:
    said = render_page(page(3), Style(width=140))
    assert 'PFN 0x1e403, zone DMA32, CMA area "reserved"' in said
    assert (
        "allocated at 6.000 s by pin-vmsplice (145), order 0, GFP_HIGHUSER_MOVABLE; outlives the trace; 3 events"
        in said
    )
    assert "still held by pin-vmsplice (145), +1 since 6.130 s" in said
    assert "ext4 dev 254:16 inode 12 (0xc)" in said


def test_long_lives_keep_both_ends() -> None:
    said = render_page(page(MAX_EVENTS + 7), Style(width=200))
    assert "7 more: --full" in said
    assert said.count("page_ref_mod_unless") == MAX_EVENTS
    assert render_page(page(MAX_EVENTS + 7), Style(width=200, full=True)).count("page_ref_mod_unless") == MAX_EVENTS + 7


def test_page_never_seen() -> None:
    assert "No event of this trace names the page." in render_page(PageLife(pfn=1), Style())
