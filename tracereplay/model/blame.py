"""Who is to blame how often: culprits of all attempts summed up by cause and holder."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.model.derived.judgement import cause_beside_culprits
from tracereplay.model.result import Attempt, Blame, Culprit


def holder_label(culprit: Culprit) -> str | None:
    """The holder in a word: the task's name, else the driver or file."""
    if culprit.holder is not None:
        return culprit.holder.comm or f"tid {culprit.holder.tid}"
    return culprit.holder_name


def sum_up(attempts: Iterable[Attempt]) -> list[Blame]:
    """One row for each cause and holder, by attempts blocked; attempts that blame no page count by their own cause."""
    rows: dict[tuple[str, str | None], Blame] = {}

    def row(cause: str, holder: str | None) -> Blame:
        return rows.setdefault(
            (cause, holder),
            Blame(
                cause=cause,
                holder=holder,
                attempts=0,
                tries=0,
                pages=0,
                page_tries=0,
                held_ns_max=None,
                delay_ns=0,
                proved=0,
                suggested=0,
            ),
        )

    for attempt in attempts:
        if (cause := cause_beside_culprits(attempt)) is not None:
            decided = row(cause, None)
            decided.attempts += 1
            decided.blocked += attempt.outcome != "succeeded" and not attempt.inventory
        met: dict[int, tuple[Blame, list[Culprit]]] = {}
        for culprit in attempt.culprits:
            blame = row(culprit.cause, holder_label(culprit))
            met.setdefault(id(blame), (blame, []))[1].append(culprit)
        for blame, culprits in met.values():
            _add(blame, culprits)
            blame.blocked += attempt.outcome != "succeeded" and any(c.effect == "blocked" for c in culprits)
    return sorted(
        rows.values(), key=lambda b: (-b.blocked, -b.proved, -b.attempts, -b.page_tries, b.cause, b.holder or "")
    )


def _add(blame: Blame, culprits: list[Culprit]) -> None:
    """One attempt's culprits of this cause and holder."""
    tries = {number for c in culprits for first, last in c.blocked_tries for number in range(first, last + 1)}
    held = [
        c.released_ns - c.held_since_ns for c in culprits if c.released_ns is not None and c.held_since_ns is not None
    ]
    verdicts = {c.verdict for c in culprits}
    blame.attempts += 1
    blame.tries += len(tries)
    blame.pages += sum(c.pages for c in culprits)
    blame.page_tries += sum(c.pages * (last - first + 1) for c in culprits for first, last in c.blocked_tries)
    blame.held_ns_max = max([*held, *([] if blame.held_ns_max is None else [blame.held_ns_max])], default=None)
    blame.delay_ns += max((c.delay_ns or 0 for c in culprits), default=0)
    blame.proved += "proved" in verdicts
    blame.suggested += "proved" not in verdicts and "suggested" in verdicts
