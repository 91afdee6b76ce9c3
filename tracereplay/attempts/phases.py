"""How long an attempt spent draining, isolating, migrating and testing, from the gaps between its task's events."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.attempts.events import AttemptEvents
from tracereplay.model.result import Phases


def phases_between(
    events: AttemptEvents, tid: int, start_ns: int, end_ns: int, try_starts_ns: Sequence[int | None]
) -> Phases:
    """Phases of one task's attempt.

    A gap belongs to the event that ends it: an isolated batch to isolating, a finished migrate_pages() to migrating,
    a test to testing; a gap that begins a try belongs to draining (isolating pageblocks, draining per-cpu lists and
    LRU batches, and the first scan).
    """
    kinds = (
        ("mm_compaction_isolate_migratepages", "isolate"),
        ("mm_migrate_pages", "migrate"),
        ("test_pages_isolated", "test"),
    )
    marks = sorted(
        (ns, kind) for event, kind in kinds for ns in events.of(event, tid).between(start_ns, end_ns).time_ns.tolist()
    )
    if not marks:
        return Phases()
    begins = iter(sorted(ns for ns in try_starts_ns if ns is not None) or [start_ns])
    begin: int | None = next(begins)
    sums = {"drain": 0, "isolate": 0, "migrate": 0, "test": 0}
    last = start_ns
    for ns, kind in marks:
        first_of_try = begin is not None and begin < ns
        while begin is not None and begin < ns:
            begin = next(begins, None)
        sums["drain" if first_of_try and kind != "migrate" else kind] += ns - last
        last = ns
    return Phases(**sums)
