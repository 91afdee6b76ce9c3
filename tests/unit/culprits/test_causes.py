"""The table of causes: for each with a predicate a page it applies to and one that only looks alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.attempt_tables import DRIVER, OTHER
from tests.support.cause_cases import CASES
from tests.support.hand_made_suspects import (
    BDEV,
    HELD,
    INTERNAL,
    KERNEL,
    PFN,
    TAKEN_UP,
    cached,
    held,
    lossy,
    page,
    stacked,
    taken,
)
from tracereplay.culprits.suspect import SecretFile, Suspect
from tracereplay.culprits.table import BY_CODE, CAUSES, RANK, Obstacle, decide, not_checkable
from tracereplay.losses import Loss
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefKind
from tracereplay.schema import IrqContext

HITS = [
    pytest.param(code, suspect, id=f"{code}-{at}")
    for code, (hits, _) in CASES.items()
    for at, suspect in enumerate(hits)
]
MISSES = [
    pytest.param(code, one, id=f"{code}-{at}") for code, (_, misses) in CASES.items() for at, one in enumerate(misses)
]


def codes(suspect: Suspect) -> list[str]:
    """The causes found, in order."""
    return [cause.code for cause, _ in decide(suspect)]


def test_every_cause_with_a_predicate_has_a_hit_and_a_near_miss() -> None:
    assert {cause.code for cause in CAUSES if cause.of_pages} == CASES.keys()
    assert all(hits and misses for hits, misses in CASES.values())


@pytest.mark.parametrize(("code", "suspect"), HITS)
def test_hit(code: str, suspect: Suspect) -> None:
    assert code in codes(suspect)


@pytest.mark.parametrize(("code", "suspect"), MISSES)
def test_near_miss(code: str, suspect: Suspect) -> None:
    assert code not in codes(suspect)


@pytest.mark.parametrize(("code", "suspect"), HITS)
def test_candidates_are_other_causes(code: str, suspect: Suspect) -> None:
    for cause, finding in decide(suspect):
        assert set(finding.candidates) <= BY_CODE.keys()
        assert cause.code not in finding.candidates
    assert code in BY_CODE


PROVABLE: dict[str, Suspect] = {
    "pin_short": held(refs=[taken(kind=RefKind.PIN)], min_excess=1024, confirmed=1024),
    "task_reference": held(refs=[taken()]),
    "extra_reference": held(),
    "writeback": cached(reasons=Reason.WRITEBACK, seen_in_wait=True, post_flags=frozenset({"writeback"})),
    "locked_folio": cached(reasons=Reason.LOCKED, seen_in_wait=True),
    "buffer_head": cached(file=BDEV, flags=frozenset({"private"})),
    "unmovable_allocation": page(reasons=Reason.UNMOVABLE, gfp=0),
    "secretmem": cached(gfp=0x102, file=INTERNAL, secret_file=SecretFile(tried=1, dumped_pfn=PFN + 1)),
}


def verdicts(suspect: Suspect, code: str) -> list[str]:
    """Those of the rows of this cause."""
    return [finding.verdict for cause, finding in decide(suspect) if cause.code == code]


def test_what_may_be_proved_is_proved_here() -> None:
    assert {c.code for c in CAUSES if c.of_pages and c.ceiling == "proved"} == PROVABLE.keys()
    assert [verdicts(suspect, code) for code, suspect in PROVABLE.items()] == [["proved"]] * len(PROVABLE)


@pytest.mark.parametrize("code", PROVABLE)
def test_a_proof_does_not_survive_lost_events(code: str) -> None:
    (weak,) = (finding for cause, finding in decide(lossy(PROVABLE[code])) if cause.code == code)
    unheld = ("whose",) if weak.holder is not None and not weak.holder_shown else ()
    assert (weak.verdict, weak.weakened_by) == ("suggested", ["loss-0"])
    assert weak.premises_failed == ("recorded", *unheld)


@pytest.mark.parametrize("code", PROVABLE)
def test_a_loss_after_the_test_weakens_nothing(code: str) -> None:
    later = Loss("overrun", 5, start_ns=950, end_ns=990)
    suspect = replace(PROVABLE[code], context=replace(PROVABLE[code].context, losses=[("loss-0", later)]))
    assert verdicts(suspect, code) == ["proved"]


def test_a_releaser_is_a_suggested_holder_unless_it_is_the_kernel_or_the_attempt() -> None:
    for tid, verdict in ((OTHER, "suggested"), (KERNEL, "unknown"), (DRIVER, "unknown"), (0, "unknown")):
        (found,) = (f for _, f in decide(held(clear_tid=tid, clear_ns=2000)))
        assert (found.holder_verdict, found.holder is None) == (verdict, verdict == "unknown")


def test_in_an_interrupt_nobody_is_the_releaser() -> None:
    (found,) = (f for _, f in decide(held(clear_tid=OTHER, clear_ns=2000, clear_irq=IrqContext.INTERRUPT)))
    assert (found.holder, found.released_by, found.released_ns) == (None, None, 2000)


def test_release_is_the_last_of_its_references() -> None:
    two = [taken(close_ns=2000, close_tid=OTHER), taken(ns=60, close_ns=3000, close_tid=OTHER)]
    (found,) = (f for _, f in decide(held(refs=two, min_excess=2, confirmed=2)))
    assert (found.held_since_ns, found.released_ns) == (50, 3000)
    (open_,) = (f for _, f in decide(held(refs=[two[0], taken(ns=60)], min_excess=2, confirmed=2)))
    assert open_.released_ns is None


# -- order and obstacles -----------------------------------------------------------------------------------------------

ORDERED: list[tuple[str, Callable[[], Suspect], list[str]]] = [
    ("nature hides every other obstacle", lambda: page(reasons=Reason.UNMOVABLE | Reason.EXCESS, gfp=0, refs=[taken()],
     confirmed=1, min_excess=1, marks=TAKEN_UP), ["unmovable_allocation"]),
    ("hugetlb before unmovable", lambda: page(reasons=Reason.UNMOVABLE, gfp=0, marks=HELD | Mark.TYPED,
     mapcount=TYPED_MAPCOUNT + PageType.HUGETLB), ["hugetlb"]),
    ("writeback before lock", lambda: cached(reasons=Reason.WRITEBACK | Reason.LOCKED), ["writeback"]),
    ("long-term before short", lambda: stacked(held(refs=[taken()]), "ib_umem_get"), ["pin_longterm"]),
    ("I/O and a pin are two obstacles", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     refs=[taken()], min_excess=1, confirmed=1), ["writeback", "task_reference"]),
    ("the reference of the I/O itself is none", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     min_excess=1, confirmed=1), ["writeback"]),
    ("two unexplained references beside I/O are", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     min_excess=2, confirmed=2), ["writeback", "extra_reference"]),
    ("preexisting before unknown", lambda: page(reasons=Reason.NAMED, marks=0), ["preexisting"]),
    ("unknown only where nothing else is", lambda: held(reasons=Reason.NAMED | Reason.EXCESS), ["extra_reference"]),
    ("nothing of a page that is fine", page, []),
]  # fmt: skip


@pytest.mark.parametrize(("make", "found"), [case[1:] for case in ORDERED], ids=[case[0] for case in ORDERED])
def test_order(make: Callable[[], Suspect], found: list[str]) -> None:
    assert codes(make()) == found


def test_one_cause_of_each_obstacle() -> None:
    for hits, misses in CASES.values():
        for suspect in (*hits, *misses):
            obstacles = [BY_CODE[code].obstacle for code in dict.fromkeys(codes(suspect))]
            assert len(set(obstacles)) == len(obstacles) or Obstacle.REFERENCE in obstacles


def test_obstacles_do_not_go_back_and_forth_but_for_the_last_resort() -> None:
    """First match wins within an obstacle: its causes stand together, extra_reference behind all that explain one."""
    order = [cause.obstacle for cause in CAUSES if cause.code != "extra_reference"]
    assert order == sorted(order)


# -- the table itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.code for cause in CAUSES])
def test_every_code_has_its_words(cause: Any) -> None:
    assert cause.words
    assert cause.ceiling in RANK


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(CAUSES)


def test_what_a_trace_without_these_events_cannot_prove() -> None:
    everything = {event for cause in CAUSES for event in cause.needs}
    assert not_checkable(sorted(everything)) == []
    without = dict(not_checkable(sorted(everything - {"page_ref_mod"})))
    assert "pin_short" in without
    assert without["pin_short"] == "page_ref_mod"
    assert "unmovable_allocation" not in without
