"""Who blocked or delayed most: what the first lines of every report are made of."""

from __future__ import annotations

from tracereplay.model.result import Blocker, Result, Summary, Verdict


def verdict_of(blocker: Blocker) -> Verdict | None:
    """How sure its cause is, at best; None where the cause is that of whole attempts."""
    if blocker.cause == "unknown":
        return "unknown"
    if not blocker.culprit_ids:
        return None
    return "proved" if blocker.proved else "suggested"


def attempts_met(blocker: Blocker) -> int:
    """Attempts that it blocked or delayed."""
    return len({*blocker.blocked, *blocker.delayed})


def blocking(summary: Summary) -> list[Blocker]:
    """Those with a known cause that blocked, most attempts first."""
    return [b for b in summary.blockers if b.blocked and b.cause != "unknown"]


def blocking_unexplained(summary: Summary) -> list[Blocker]:
    """Pages that blocked though nothing says why, most attempts first; empty where not even the pages are known."""
    return [b for b in summary.blockers if b.blocked and b.cause == "unknown" and b.culprit_ids]


def only_delaying(summary: Summary) -> list[Blocker]:
    """Those with a known cause that blocked nothing and delayed, the longest first."""
    found = (b for b in summary.blockers if b.delayed and not b.blocked and b.cause != "unknown")
    return sorted(found, key=lambda b: -b.delay_ns)


def worst_operation(result: Result) -> Summary | None:
    """The operation that failed most, else the first that waited; None where none did."""
    return next((s for s in result.summary if s.failed or s.delayed), None)


def has_several_to_rank(result: Result) -> bool:
    """Whether there are several attempts to sum up."""
    return sum(s.failed + s.delayed for s in result.summary) > 1


def cause_order(result: Result) -> list[str]:
    """Causes of pages: as ranked by attempts blocked, then the others by pages. Pictures give colours in this order."""
    ranked = [blocker.cause for summary in result.summary for blocker in summary.blockers]
    pages: dict[str, int] = {}
    for attempt in result.attempts:
        for c in attempt.culprits:
            pages[c.cause] = pages.get(c.cause, 0) + c.pages
    found = [cause for cause in ranked if cause in pages]
    return list(dict.fromkeys([*found, *sorted(pages, key=lambda cause: -pages[cause])]))
