"""The order in which causes get their colours, the same in every picture."""

from __future__ import annotations

from tracereplay.model.result import Result

# Distinct with any colour vision (after Okabe and Ito); the first ones are none of those that maps use for states.
HUES = ("#d55e00", "#6a3d9a", "#e69f00", "#cc79a7", "#009e73", "#0072b2", "#b8a900", "#56b4e9")


def cause_order(result: Result) -> list[str]:
    """Causes of pages: as ranked by attempts blocked, then the others by pages."""
    ranked = [blocker.cause for summary in result.summary for blocker in summary.blockers]
    pages: dict[str, int] = {}
    for attempt in result.attempts:
        for c in attempt.culprits:
            pages[c.cause] = pages.get(c.cause, 0) + c.pages
    found = [cause for cause in ranked if cause in pages]
    return list(dict.fromkeys([*found, *sorted(pages, key=lambda cause: -pages[cause])]))
