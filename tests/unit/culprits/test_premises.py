"""Premises: each is declared, checked, used, and has a case in which it holds and one in which it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support import capture_results
from tests.support.attempt_tables import OTHER
from tests.support.captures import fixture_captures
from tests.support.cause_cases import CASES
from tests.support.hand_made_suspects import (
    BDEV,
    CACHED,
    HELD,
    KERNEL,
    TAKEN_UP,
    attempt,
    cached,
    dumped,
    held,
    lossy,
    page,
    stacked,
    taken,
)
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.premises import CHECKS
from tracereplay.culprits.suspect import Suspect
from tracereplay.culprits.table import BY_CODE, CAUSES, PAGE_REF, Cause, decide
from tracereplay.losses import EVENTS_NOT_RECORDED, Loss
from tracereplay.model.premises import PREMISES
from tracereplay.replay.state import NO_EXCESS, Mark, Reason, RefEnd
from tracereplay.schema import IrqContext

PRIVATE = frozenset({"private", "lru"})
GIVEN_BACK: dict[str, Any] = {"close_ns": 2000, "close_tid": OTHER, "end": RefEnd.PUT}


def without(suspect: Suspect, kind: str) -> Suspect:
    """The same page, in a trace that lacks events of this kind."""
    return replace(
        suspect, context=replace(suspect.context, losses=[("loss-0", Loss(EVENTS_NOT_RECORDED, detail=kind))])
    )


def both(**changes: Any) -> list[Any]:
    """Two references of two tasks."""
    return [taken(**changes), taken(11, ns=60, **changes)]


# premise -> (a cause that rests on it, where it holds, where it fails)
HOLDING: dict[str, tuple[str, list[Suspect], list[Suspect]]] = {
    "established": ("lru_batch", [], CASES["lru_batch"][0]),
    "shown": (
        "extra_reference",
        [held(), dumped(page(marks=0), refcount=3, mapcount=1, anon=True)],
        [page(context=replace(page().context, has_page_ref=False), marks=Mark.ALLOC_SEEN, reasons=Reason.VISITED)],
    ),
    "recorded": (
        "task_reference",
        [held(refs=[taken()]), without(held(refs=[taken()]), "mm_page_free")],
        [lossy(held(refs=[taken()])), *(without(held(refs=[taken()]), kind) for kind in PAGE_REF)],
    ),
    "counted": (
        "task_reference",
        [
            held(refs=[taken()]),
            held(refs=[taken()], order=4, count=2, mapcount=-1),
            held(refs=[taken()], order=4, count=3, mapcount=-1, flags=frozenset({"locked"})),
            held(refs=[taken()], order=4, count=2, mapcount=-1, flags=frozenset({"locked"})),  # a migration entry
        ],
        [
            held(refs=[taken()], marks=TAKEN_UP | Mark.CONFLICT),
            held(refs=[taken()], marks=TAKEN_UP | Mark.GUESSED),
            held(refs=[taken()], order=4, count=3, mapcount=-1),
            held(refs=[taken()], order=4, count=1, mapcount=-1),
            held(refs=[taken()], order=4, count=2, mapcount=0),
            held(refs=[taken()], order=4, count=2, mapcount=-1, flags=frozenset({"lru", "swapcache"})),
        ],
    ),
    "needed": (
        "task_reference",
        [
            held(refs=[taken()]),
            held(refs=[taken(**GIVEN_BACK)], clear_ns=2000),
            held(refs=[taken(before=NO_EXCESS, **GIVEN_BACK)], clear_ns=2000),
            held(refs=[taken(close_ns=2000, end=RefEnd.LIFE)], end_ns=2000),
            held(refs=both(), min_excess=2, confirmed=2),
        ],
        [
            held(refs=[taken()], min_excess=2, confirmed=2),  # another reference beside it
            held(refs=[taken(before=NO_EXCESS)]),  # perhaps there before
            held(refs=[taken(**GIVEN_BACK)]),  # nothing says that the excess ended with it
            held(refs=[taken(**GIVEN_BACK)], clear_ns=3000),  # the excess remains after its put
            held(refs=[taken()], clear_ns=3000),  # the excess ended, it did not
            held(refs=[taken(close_ns=2000, end=RefEnd.COUNT)], clear_ns=2000),  # ended unseen
        ],
    ),
    "not_isolation": (
        "task_reference",
        [
            held(refs=[taken()]),
            stacked(held(refs=[taken(on_lru=False)]), "vmsplice_to_pipe"),
        ],
        [held(refs=[taken(on_lru=False)])],
    ),
    "whose": (
        "task_reference",
        [
            held(refs=[taken()]),
            held(refs=[taken(shared_ns=950)]),
            held(refs=[taken(unmap_ns=800, **GIVEN_BACK)], clear_ns=2000),
        ],
        [
            held(refs=[taken(tid=77)]),
            held(refs=[taken(shared_ns=800)]),
            held(refs=[taken(unmap_ns=800)]),
            held(refs=[taken(unmap_ns=800, **{**GIVEN_BACK, "close_tid": 77})], clear_ns=2000),
        ],
    ),
    "when": (
        "task_reference",
        [held(refs=[taken()]), held(refs=[taken(met_ns=None)], marks=HELD, reasons=Reason.EXCESS)],
        [held(refs=[taken(ns=200, met_ns=None)], marks=HELD, reasons=Reason.EXCESS)],
    ),
    "what": (
        "buffer_head",
        [cached(file=BDEV, flags=PRIVATE, count=2, mapcount=-1)],
        [
            cached(file=BDEV, flags=PRIVATE, count=3, mapcount=-1),
            cached(file=BDEV, flags=PRIVATE, count=2, mapcount=-1, confirmed=1, min_excess=1),
        ],
    ),
}  # fmt: skip


def found(code: str, suspect: Suspect) -> list[Finding]:
    """What this cause says of it."""
    return [finding for cause, finding in decide(suspect) if cause.code == code]


def test_every_premise_is_checked_and_every_check_declared() -> None:
    assert CHECKS.keys() == PREMISES.keys() == HOLDING.keys()


@pytest.mark.parametrize("code", PREMISES)
def test_every_premise_is_named_by_a_cause_and_has_its_words(code: str) -> None:
    premise = PREMISES[code]
    assert any(code in cause.premises for cause in CAUSES)
    assert premise.code == code
    assert all(text.endswith(".") for text in (premise.sentence, premise.refuted_by))
    assert premise.reason
    assert not premise.reason.endswith(".")


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.code for cause in CAUSES])
def test_every_cause_names_known_premises_in_their_order(cause: Cause) -> None:
    assert set(cause.premises) <= PREMISES.keys()
    assert len(set(cause.premises)) == len(cause.premises)
    assert bool(cause.premises) == (cause.code not in ("preexisting", "unknown"))
    assert not cause.absent or "recorded" in cause.premises


@pytest.mark.parametrize("code", HOLDING)
def test_a_premise_that_holds_does_not_fail(code: str) -> None:
    cause, holds, _ = HOLDING[code]
    for suspect in holds:
        findings = found(cause, suspect)
        assert findings
        assert all(code not in finding.premises_failed for finding in findings)


@pytest.mark.parametrize("code", HOLDING)
def test_a_premise_that_fails_is_named_and_nothing_is_proved(code: str) -> None:
    cause, _, fails = HOLDING[code]
    assert fails
    for suspect in fails:
        findings = found(cause, suspect)
        assert findings
        for finding in findings:
            assert code in finding.premises_failed
            assert finding.verdict == "suggested"
            assert finding.holder_verdict != "proved"


@pytest.mark.parametrize("code", ["locked_folio", "unmovable_allocation"])
def test_what_else_refutes_the_nature_of_a_page(code: str) -> None:
    fails = {
        "locked_folio": [cached(reasons=Reason.LOCKED, seen_in_wait=True, locked_rivals=True)],
        "unmovable_allocation": [
            page(reasons=Reason.UNMOVABLE, gfp=0, draft=attempt(isolated_ns=500)),
            page(reasons=Reason.UNMOVABLE, gfp=2),
        ],
    }
    for suspect in fails[code]:
        assert [(f.verdict, f.premises_failed) for f in found(code, suspect)] == [("suggested", ("what",))]


def test_a_loss_of_one_kind_weakens_only_what_uses_its_absence() -> None:
    unmovable = page(reasons=Reason.UNMOVABLE, gfp=0)
    assert [f.verdict for f in found("unmovable_allocation", without(unmovable, "page_ref_mod"))] == ["proved"]
    assert [f.verdict for f in found("unmovable_allocation", without(unmovable, "mm_page_free"))] == ["suggested"]


@pytest.mark.parametrize("irq", [IrqContext.TASK, IrqContext.UNKNOWN])
def test_text_without_flags_does_not_tell_interrupts(irq: IrqContext) -> None:
    assert [f.verdict for f in found("task_reference", held(refs=[taken(irq=irq)]))] == ["proved"]


def test_a_holder_that_may_not_hold_it_is_suggested_though_the_cause_is_proved() -> None:
    (finding,) = found("extra_reference", held(clear_tid=OTHER, clear_ns=2000))
    assert (finding.verdict, finding.holder_verdict, finding.premises_failed) == ("proved", "suggested", ("whose",))


EVERY_SUSPECT = [
    *(suspect for hits, misses in CASES.values() for suspect in (*hits, *misses)),
    *(suspect for _, holds, fails in HOLDING.values() for suspect in (*holds, *fails)),
    held(refs=[taken(KERNEL)]),
    held(marks=CACHED | Mark.ISOLATED | Mark.ON_LRU),
]


def agrees(cause: Cause, verdict: str, holder_verdict: str, failed: tuple[str, ...]) -> bool:
    """Whether a verdict and the premises that fail say the same: of the cause, and all of them of its holder."""
    own = set(failed) & set(cause.premises)
    return bool(own) == (verdict == "suggested") and (not failed or holder_verdict != "proved")


def test_verdicts_say_what_their_premises_say() -> None:
    for suspect in EVERY_SUSPECT:
        for cause, finding in decide(suspect):
            assert agrees(cause, finding.verdict, finding.holder_verdict, finding.premises_failed), (cause, finding)


def test_they_do_in_the_captures() -> None:
    for capture in fixture_captures():
        for made in capture_results.blame(capture)["attempts"]:
            for row in made["culprits"]:
                failed = tuple(row["premises_failed"])
                said = (row["verdict"], row["holder_verdict"], failed)
                assert agrees(BY_CODE[row["cause"]], *said), (capture.name, row["cause"], said)
