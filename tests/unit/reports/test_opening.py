"""The first words of every report."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tests.unit.model.test_summary import four
from tracereplay.model.result import Allocation, Blocker, File, Summary, Task
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.opening import held_words, pages_cell, ranking, sentences, subject, title
from tracereplay.reports.shared.style import Style

FOUR = "file system metadata of 254:16 blocked 4 of 4 failed cma_alloc; pin-thp (148) 2 of 4"


def test_several_attempts_in_one_sentence() -> None:
    result = example.result(*four())
    assert sentences(result) == [FOUR]
    assert title(result) == '4 of 5 cma_alloc from "reserved" failed'
    assert [(row.share, row.who, row.size) for row in ranking(result)] == [
        ("4 of 4", "file system metadata of 254:16", "14 pages"), ("2 of 4", "pin-thp (148)", "512 pages"),
    ]  # fmt: skip


@pytest.mark.parametrize(("format_", "begins"), [("text", FOUR), ("md", f"**{FOUR}.**")])
def test_reports_begin_with_it(format_: str, begins: str) -> None:
    said = FORMATS[format_](example.result(*four()), Style())
    assert said.startswith(begins)
    assert said.count("14 pages") + said.count("   14  ") >= 1  # seven runs, one row


def test_one_failure_needs_no_ranking() -> None:
    said = FORMATS["text"](example.pinned(), Style())
    assert said.startswith("pin-vmsplice (145) and pin-dead (148) blocked the failed cma_alloc.\n")
    assert "1 of 1" not in said


def test_what_is_only_suggested_is_said_to_be() -> None:
    suggested = [example.culprit(verdict="suggested")]
    attempts = [example.attempt(id=f"a{n}", culprits=suggested) for n in range(2)]
    assert sentences(example.result(*attempts)) == ["pin-vmsplice (145) blocked 2 of 2 failed cma_alloc (suggested)"]
    attempts[0].culprits = [example.culprit(holder=Task(tid=1, comm="a")), *suggested]
    assert sentences(example.result(*attempts)) == [
        "pin-vmsplice (145) (suggested) blocked 2 of 2 failed cma_alloc; a (1) 1 of 2"
    ]


def test_waits_and_unexplained_failures_are_said() -> None:
    assert sentences(example.delayed()) == ["locked folios of fuse delayed 1 of 1 cma_alloc for 15.0 s (suggested)"]
    nothing = example.attempt(cause=None, culprits=[])
    assert sentences(example.result(nothing)) == ["what blocked the failed cma_alloc is not known"]
    assert sentences(example.result()) == []


def test_an_attempt_whose_end_is_not_known_is_no_failure() -> None:
    open_end = example.result(example.attempt(outcome="unknown", cause=None, culprits=[]))
    assert sentences(open_end) == ["what blocked the cma_alloc of unknown outcome is not known"]
    of_a_dump = example.result(example.attempt(operation="unknown", outcome="unknown", cause=None, culprits=[]))
    assert sentences(of_a_dump) == ["what blocked the unnamed operation of unknown outcome is not known"]
    assert str(title(open_end)).endswith("may have failed")


def test_holders_that_are_not_known_are_named_by_what_is() -> None:
    assert subject(Blocker(cause="unknown")) == "an unknown holder"
    assert subject(Blocker(cause="bitmap_full")) == "no free run in the CMA bitmap"
    assert subject(Blocker(cause="of-a-later-version")) == "of-a-later-version"
    known = Blocker(cause="extra_reference", allocated_by=Task(tid=7, comm="app"))
    assert subject(known) == "an unknown holder of pages of app (7)"


def test_many_blockers_are_counted() -> None:
    many = [Blocker(cause="task_reference", holder=Task(tid=n, comm="t"), blocked=["a0"], proved=1, culprit_ids=["c"])
            for n in range(9)]  # fmt: skip
    result = example.result(summary=[Summary(operation="cma_alloc", attempts=2, failed=2, blockers=many)])
    assert sentences(result) == ["t (0), t (1) and t (2) blocked 1 of 2 failed cma_alloc; 6 more blocked some"]


def test_holding_times_in_words() -> None:
    seen = Blocker(cause="x", release="seen", held_since_ns=10**9, released_ns=2 * 10**9)
    assert held_words(seen, "ns") == "1.000 s to 2.000 s"
    kept = Blocker(cause="x", release="held_at_end", held_since_ns=10**9)
    assert held_words(kept, "ns") == "from 1.000 s, still held"
    assert held_words(Blocker(cause="x"), "ns") == ""


def test_pages_that_blocked_are_named_where_nothing_says_why() -> None:
    app = example.culprit(cause="unknown", verdict="unknown", holder=None, holder_verdict=None)
    attempts = [example.attempt(id=f"a{n}", culprits=[app]) for n in range(2)]
    said = "an unknown holder of pages of pin-vmsplice (145) blocked"
    assert sentences(example.result(attempts[0])) == [f"{said} the failed cma_alloc; nothing recorded says why"]
    assert sentences(example.result(*attempts)) == [f"{said} 2 of 2 failed cma_alloc; nothing recorded says why"]
    row = ranking(example.result(*attempts))[0]
    assert row.facts == ["unknown", *row.facts[1:]]
    assert row.facts.count("unknown") == 1


def test_rows_name_the_operation_where_there_are_several() -> None:
    pinned = [example.culprit()]
    attempts = [example.attempt(culprits=pinned), example.attempt(id="b", operation="longterm_pin", culprits=pinned)]
    assert [row.share for row in ranking(example.result(*attempts))] == ["1 of 1 cma_alloc", "1 of 1 longterm_pin"]


@pytest.mark.parametrize(
    ("size", "cell"),
    [("3 pages", "3"), ("1 page", "1"), ("1,200 pages", "1,200"), ("1 folio of 2 MiB", "1 folio of 2 MiB"),
     ("1 folio of 2 MiB and 3 pages", "1 folio of 2 MiB and 3 pages"), ("", "")],
)  # fmt: skip
def test_sizes_below_a_heading_that_says_pages(size: str, cell: str) -> None:
    assert pages_cell(size) == cell


def test_unknown_holders_are_named_together() -> None:
    pages = [example.culprit(cause="extra_reference", verdict="suggested", holder=None, holder_verdict=None,
                             start_pfn=n, allocated_by=Allocation(tid=n, comm="app")) for n in (1, 2)]  # fmt: skip
    held = example.culprit(holder=Task(tid=9, comm="a"))
    assert sentences(example.result(example.attempt(culprits=pages))) == [
        "unknown holders of pages of app (1) and app (2) blocked the failed cma_alloc (suggested)"
    ]
    (said,) = sentences(example.result(example.attempt(culprits=[held, pages[0]])))
    assert said == "a (9) and an unknown holder of pages of app (1) (suggested) blocked the failed cma_alloc"


def test_what_a_file_was_waited_for_is_said() -> None:
    file = File(dev=0x18, ino=2)
    for cause, words in (("writeback", "writeback of f"), ("locked_folio", "locked folios of f"), ("secretmem", "f")):
        assert subject(Blocker(cause=cause, holder_name="f", file=file)) == words
