"""How full the CMA areas and Movable zones were over time: what to ask the replay, and its answers as counters."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.find import taken_spans
from tracereplay.layout.layout import Layout, Span
from tracereplay.layout.spans import Spans, merge_spans
from tracereplay.model.result import Counter
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.occupancy import StateCount

TIMES = 200  # evenly over the trace
EDGES = 200  # at most, of the times at which attempts on a range begin and end


def counted_ranges(layout: Layout) -> list[Span]:
    """The CMA areas and Movable zones, by names of their own: several of one name say their first page frame."""
    ranges = [*layout.cma_areas, *(zone for zone in layout.zones if zone.name == "Movable")]
    named = collections.Counter(span.name for span in ranges)
    return [
        span if named[span.name] == 1 else Span(f"{span.name}@{span.start_pfn:#x}", span.start_pfn, span.pages)
        for span in ranges
    ]


def plan_occupancy_counts(
    ranges: Sequence[Span], drafts: Sequence[DetectedAttempt], start_ns: int, end_ns: int
) -> list[ReplayAction]:
    """Count each range at even times of [start_ns, end_ns], and where an attempt on it begins and ends."""
    even = {start_ns + (end_ns - start_ns) * step // (TIMES - 1) for step in range(TIMES)}
    actions = []
    for number, span in enumerate(ranges):
        here = [draft for draft in drafts if any(span.overlaps(*wanted) for wanted in draft.spans)]
        edges = sorted({ns for draft in here for ns in (draft.start_ns, draft.end_ns) if ns is not None})
        times = sorted(even.union(edges[:: -(-len(edges) // EDGES) or 1]))
        takes = sorted((draft.end_ns or end_ns, spans) for draft in here if (spans := taken_spans(draft)))
        at = 0
        taken: Spans = ()
        for time_ns in times:
            while at < len(takes) and takes[at][0] <= time_ns:
                taken = merge_spans([*taken, *takes[at][1]])
                at += 1
            inside = tuple((max(low, span.start_pfn), min(high, span.end_pfn)) for low, high in taken)
            actions.append(
                ReplayAction(time_ns, ActionKind.COUNT, number, ((span.start_pfn, span.end_pfn),), taken=inside)
            )
    return actions


def counters_of(counts: Sequence[StateCount], ranges: Sequence[Span], input_id: str) -> list[Counter]:
    """A row wherever a number changed, by range, state and time. `cma_alloc` only where an allocation was seen."""
    found = []
    for number, span in enumerate(ranges):
        rows = [row for row in counts if row.key == number]
        if not rows:
            continue
        states = np.array([(row.free_pages, row.allocated_pages, row.taken_pages) for row in rows], np.int64)
        names = "free", "allocated", "cma_alloc"
        by_name: dict[str, npt.NDArray[np.int64]] = dict(zip(names, states.T, strict=True))
        if not by_name["cma_alloc"].any():
            del by_name["cma_alloc"]
        by_name["not_seen"] = span.pages - states.sum(axis=1)
        found += [
            Counter(input_id=input_id, scope=span.name, name=name, time_ns=rows[at].time_ns, pages=int(pages[at]))
            for name, pages in by_name.items()
            for at in np.flatnonzero(np.diff(pages, prepend=-1))
        ]
    return found
