"""Where an attempt looked: the span of its area, and the pages in each part of it, for maps of any kind."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tracereplay.model.result import Attempt, Try

# What a map shows where there is no culprit, in the order in which a state of as many pages wins.
STATES = ("free", "moved", "held", "mixed", "not_seen")


def area_span(attempt: Attempt) -> tuple[int, int] | None:
    """[first PFN, end PFN) of all that was requested, tried or found; None where no PFN is known."""
    spans = [span for span in _spans(attempt) if span[0] < span[1]]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def _spans(attempt: Attempt) -> Iterator[tuple[int, int]]:
    tried = [(attempt.request.start_pfn, attempt.request.end_pfn), *((t.start_pfn, t.end_pfn) for t in attempt.tries)]
    for start, end in tried:
        if start is not None and end is not None:
            yield start, end
    for run in attempt.map:
        yield run.start_pfn, run.start_pfn + run.pages
    for culprit in attempt.culprits:
        if culprit.start_pfn is not None:
            yield culprit.start_pfn, culprit.start_pfn + culprit.pages


def spread(runs: Iterable[tuple[int, int, str]], low: int, cell_pages: int, cells: int) -> list[Counter[str]]:
    """Runs of (start_pfn, pages, key) summed up: pages by key, for each of the cells that begin at `low`."""
    sums: list[Counter[str]] = [Counter() for _ in range(cells)]
    for start, pages, key in runs:
        first = max((start - low) // cell_pages, 0)
        last = min((start + pages - 1 - low) // cell_pages, cells - 1)
        for place in range(first, last + 1):
            cell = low + place * cell_pages
            sums[place][key] += min(start + pages, cell + cell_pages) - max(start, cell)
    return sums


def mapped_tries(attempt: Attempt) -> list[int]:
    """The tries that have a map, in order."""
    return sorted({run.try_index for run in attempt.map})


def shown_map(one: Try, mapped: Sequence[int]) -> int | None:
    """The one of the mapped tries whose map stands for this try: its own, else the next later, else the last."""
    if one.map_try is not None or not mapped:
        return one.map_try
    return mapped[min(bisect_left(mapped, one.index), len(mapped) - 1)]


def state_runs(attempt: Attempt, map_try: int | None = None) -> Iterator[tuple[int, int, str]]:
    """What became of the pages, as the map of this try has it (the last, if None); culprits are not among them."""
    at = max((run.try_index for run in attempt.map), default=0) if map_try is None else map_try
    return ((m.start_pfn, m.pages, m.state) for m in attempt.map if m.try_index == at and m.state in STATES)


def culprit_runs(attempt: Attempt, map_try: int | None = None) -> Iterator[tuple[int, int, str]]:
    """The pages of each culprit by cause; if a try is given, as its map has them."""
    if map_try is None:
        return ((c.start_pfn, c.pages, c.cause) for c in attempt.culprits if c.start_pfn is not None)
    causes = {c.id: c.cause for c in attempt.culprits}
    at_try = (m for m in attempt.map if m.try_index == map_try and m.culprit_id in causes)
    return ((m.start_pfn, m.pages, causes[m.culprit_id or ""]) for m in at_try)


def main_state(states: Counter[str]) -> str | None:
    """The state of most pages; what was seen goes before what was not. None where nothing is known."""
    seen = [state for state in STATES if states[state] and state != "not_seen"]
    if seen:
        return max(seen, key=lambda state: states[state])
    return "not_seen" if states["not_seen"] else None
