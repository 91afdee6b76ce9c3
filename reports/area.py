"""Where an attempt looked: the span of its area, and what lies in each part of it, for maps of any kind."""

from __future__ import annotations

from collections.abc import Iterator

from tracereplay.model.result import Attempt

# What a map shows where no culprit lies, in the order of the legend.
STATES = {
    "free": "free",
    "moved": "moved away",
    "held": "left in place, no culprit",
    "mixed": "several states in one pageblock",
    "not_seen": "not seen in the trace",
}


def area_span(attempt: Attempt) -> tuple[int, int] | None:
    """[first PFN, end PFN) of all that was asked for, tried or found; None where no PFN is known."""
    spans = [span for span in _spans(attempt) if span[0] < span[1]]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def _spans(attempt: Attempt) -> Iterator[tuple[int, int]]:
    asked = [(attempt.request.start_pfn, attempt.request.end_pfn), *((t.start_pfn, t.end_pfn) for t in attempt.tries)]
    for start, end in asked:
        if start is not None and end is not None:
            yield start, end
    for run in attempt.map:
        yield run.start_pfn, run.start_pfn + run.pages
    for culprit in attempt.culprits:
        yield culprit.start_pfn, culprit.start_pfn + culprit.pages
