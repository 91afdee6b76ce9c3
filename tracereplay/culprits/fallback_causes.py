"""Pages that the kernel named, with too few events to say why; the table adds the candidates."""

from __future__ import annotations

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.suspect import Suspect
from tracereplay.model.result import Evidence
from tracereplay.replay.state import Mark, Reason, State

OLD_STATES = (State.UNSEEN, State.ALLOCATED, State.SEEDED_USED)


def _named(suspect: Suspect, rows: list[Evidence]) -> Finding:
    return Finding(
        shown=None,
        released_ns=suspect.end_ns,
        evidence=rows,
    )


def preexisting(suspect: Suspect) -> list[Finding]:
    """Named by the kernel, allocated before the trace, its cause not visible."""
    if suspect.seen_in_wait or not suspect.named or suspect.marks & Mark.ALLOC_SEEN or suspect.state not in OLD_STATES:
        return []
    return [_named(suspect, [*evidence.tried(suspect), *evidence.logged(suspect)])]


def unknown(suspect: Suspect) -> list[Finding]:
    """Named by the kernel; nothing else is known."""
    if suspect.seen_in_wait or not (suspect.named or suspect.reasons & Reason.LOGGED):
        return []
    return [_named(suspect, [*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)])]
