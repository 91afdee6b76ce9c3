"""What became of an attempt, in one word: as its outcome says, or that a success had to wait or got less."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tracereplay.model.result import Attempt, Culprit, Operation

Judgement = Literal[
    "inventory", "succeeded", "delayed", "impeded", "failed", "interrupted", "unfinished", "unknown"
]  # fmt: skip
FAILURES = ("failed", "interrupted")  # outcomes: it ended without what it wanted


def judgement(attempt: Attempt) -> Judgement:
    """Its outcome; a success that pages slowed down is `delayed`, or `impeded` if it only got less for them."""
    if attempt.inventory:
        return "inventory"
    if attempt.outcome != "succeeded":
        return attempt.outcome
    if not any(map(has_acted, attempt.culprits)):
        return "succeeded"
    waited = attempt.waits or len(attempt.tries) > 1 or any(c.effect == "delayed" for c in attempt.culprits)
    # Compaction that meets such a page takes another: nothing waits for it.
    return "delayed" if waited and attempt.operation != "compaction" else "impeded"


def has_acted(culprit: Culprit) -> bool:
    """Whether it blocked or delayed its attempt; else it only would have."""
    return culprit.effect != "would_block"


def is_notable(attempt: Attempt) -> bool:
    """Whether it is worth more than a count: it did not succeed, or something made it wait."""
    return attempt.outcome != "succeeded" or any(map(has_acted, attempt.culprits))


def is_known_to_fail(operation: Operation, attempts: Iterable[Attempt]) -> bool:
    """Whether one of these did not merely end in a way that nothing tells: a busy range in a log is no failure."""
    outcomes = {a.outcome for a in attempts if a.operation == operation and not a.inventory}
    return not outcomes or not outcomes <= {"succeeded", "unknown"}


def cause_beside_culprits(attempt: Attempt) -> str | None:
    """The cause that decided, where no culprit has it."""
    return None if any(c.cause == attempt.cause for c in attempt.culprits) else attempt.cause


def has_blind_spots(attempt: Attempt) -> bool:
    """Whether the inputs of an inventory may hide pages that block."""
    unseen = attempt.pages is not None and attempt.pages.not_seen
    return bool(attempt.not_shown or attempt.uncounted or unseen)
