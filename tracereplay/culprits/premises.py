"""The one place where a verdict is given: every premise of a claim is checked (declared in model/premises.py).

Proved = all premises of the cause hold; otherwise `suggested`, with the codes of those that fail. The verdict of a
holder rests on the premises of its cause, and on `whose`: that the events show it to be the holder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tracereplay.culprits.finding import Finding
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.replay.state import NO_EXCESS, Mark, RefEnd, RefKind
from tracereplay.schema import IrqContext

SWAP_CACHE = frozenset({"swapcache", "owner_priv_1"})


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding with the page it is about."""

    suspect: Suspect
    finding: Finding


def judge(
    suspect: Suspect,
    finding: Finding,
    premises: tuple[str, ...],
    absent: tuple[str, ...],
) -> None:
    """Give the finding its verdicts, the premises that fail, and the losses that weaken it.

    absent -- the kinds of events whose absence its cause uses.
    """
    if finding.shown is None:
        return
    claim = Claim(suspect, finding)
    if finding.since_ns is not None:
        kinds = absent if finding.absent is None else finding.absent
        finding.weakened_by = suspect.hiding(finding.since_ns, kinds, finding.until_ns)
    failed = [code for code in premises if not CHECKS[code](claim)]
    finding.verdict = "suggested" if failed else "proved"
    if finding.holder is not None:
        if not finding.holder_shown and "whose" not in failed:
            failed.append("whose")
        finding.holder_verdict = "suggested" if failed else "proved"
    finding.premises_failed = tuple(failed)


def _recorded(claim: Claim) -> bool:
    return not claim.finding.weakened_by


def _counted(claim: Claim) -> bool:
    suspect = claim.suspect
    if claim.finding.accounted:
        return True
    if not suspect.marks & Mark.COUNT_KNOWN or suspect.marks & (Mark.CONFLICT | Mark.GUESSED):
        return False
    return not suspect.is_large or _counts_up(claim)


def _counts_up(claim: Claim) -> bool:
    """Of a folio that one PMD maps as a whole: the count is that mapping, what isolates it, and these references.

    Under the migrator's lock the mapping may be a migration entry, which has no reference. Of a folio that is mapped in
    parts, or in the swap cache, no event tells how many references are expected.
    """
    suspect = claim.suspect
    if not claim.finding.refs or suspect.mapcount >= 0 or suspect.flags & SWAP_CACHE:
        return False
    others = suspect.count - suspect.isolated - _sum(suspect_refs(claim))
    return others == 1 or (others == 0 and "locked" in suspect.flags)


def _sum(refs: tuple[Ref, ...]) -> int:
    return sum(ref.val for ref in refs)


def _needed(claim: Claim) -> bool:
    """No excess before these references, all of the excess theirs, and none left once they are given back."""
    suspect, refs = claim.suspect, suspect_refs(claim)
    if claim.finding.accounted is not None:
        return claim.finding.accounted
    if not refs or any(0 < ref.before < NO_EXCESS for ref in refs) or suspect.excess != _sum(refs):
        return False
    ends = [ref.close_ns for ref in refs if ref.close_ns is not None]
    if len(ends) < len(refs):
        # Still open in the ledger: then the excess has not ended either.
        return suspect.clear_ns is None and all(ref.before <= 0 for ref in refs)
    if any(ref.end == RefEnd.COUNT for ref in refs):
        return False  # it ended unseen, perhaps before the test
    last = max(ends)
    gone = suspect.end_ns is not None and suspect.end_ns <= last
    return gone or (suspect.clear_ns is not None and suspect.clear_ns <= last)


def suspect_refs(claim: Claim) -> tuple[Ref, ...]:
    """The references blamed on this page, those of other findings included: together they make up the excess."""
    return claim.suspect.blamed_refs or claim.finding.refs


def _not_isolation(claim: Claim) -> bool:
    refs = claim.finding.refs
    if claim.finding.accounted is not None:
        return True
    if not refs:
        return bool(claim.suspect.marks & Mark.ON_LRU)
    return all(ref.kind == RefKind.PIN or ref.on_lru or claim.finding.mechanism is not None for ref in refs)


def _whose(claim: Claim) -> bool:
    run, test_ns = claim.suspect.context, claim.suspect.last_ns
    return all(
        run.is_user(ref.tid, ref.ns)
        and ref.irq != IrqContext.INTERRUPT
        and ref.kind != RefKind.UNSURE
        and not ref.shared_by(test_ns)
        for ref in claim.finding.refs
    )


def _when(claim: Claim) -> bool:
    suspect = claim.suspect
    if claim.finding.accounted is not None:
        return True
    if not claim.finding.refs:
        return suspect.touched or suspect.named
    return all(
        ref.met_by(suspect.last_ns) or (not suspect.touched and ref.ns <= suspect.draft.start_ns)
        for ref in claim.finding.refs
    )


CHECKS: Mapping[str, Callable[[Claim], bool]] = {
    "established": lambda _claim: False,  # a cause that rests on it has no established case yet
    "shown": lambda claim: bool(claim.finding.shown),
    "recorded": _recorded,
    "counted": _counted,
    "needed": _needed,
    "not_isolation": _not_isolation,
    "whose": _whose,
    "when": _when,
    "what": lambda claim: not claim.finding.doubt,
}
