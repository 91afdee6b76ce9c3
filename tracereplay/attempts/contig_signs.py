"""When an alloc_contig_range() began, and when its isolation had succeeded, where no event announces it."""

from __future__ import annotations

import numpy as np

from tracereplay.attempts.detected_attempt import REASON_CONTIG_RANGE, REASON_MEMORY_HOTPLUG, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents, EventRows
from tracereplay.attempts.inferred_start import inferred_start, run_start
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans

MIGRATES_FOR = {
    "cma_alloc": REASON_CONTIG_RANGE,
    "contig_alloc": REASON_CONTIG_RANGE,
    "memory_offline": REASON_MEMORY_HOTPLUG,
}


def contig_start(events: AttemptEvents, layout: Layout, tid: int, low_ns: int, end_ns: int, within: Spans) -> int:
    """Start of the attempt that the task ended at end_ns, after low_ns; end_ns where it isolated no page before.

    within -- the area or range it was for; () where not known.
    """
    tests = overlapping(events.of("test_pages_isolated", tid).between(low_ns, end_ns), within)
    calls = events.migrations(tid, REASON_CONTIG_RANGE, low_ns, end_ns)
    certain = [*tests.time_ns[:1].tolist(), *(call[0] for call in calls[:1])]
    anchor_ns = min(certain, default=end_ns)
    # Direct compaction may not be recorded: a scan counts only in the run that leads to what is certain.
    scans = overlapping(contig_scans(events, tid, low_ns, anchor_ns), within)
    first_ns = run_start(scans.time_ns, anchor_ns, events.hides)
    scans = scans.between(first_ns, anchor_ns)
    if len(scans):
        span = (int(scans.ints("start_pfn")[0]), int(scans.ints("end_pfn")[0]))
        taken = int(scans.ints("nr_taken", -1)[0])
        return inferred_start(events, layout, tid, first_ns, (span,), low_ns, taken if taken >= 0 else None)
    if not within and len(tests):
        within = ((int(tests.ints("start_pfn")[0]), int(tests.ints("end_pfn")[0])),)
    if not certain and not within:
        return end_ns
    return inferred_start(events, layout, tid, anchor_ns, within, low_ns)


def contig_scans(events: AttemptEvents, tid: int, start_ns: int, end_ns: int) -> EventRows:
    """Scans for migration by the task, without those of direct compaction.

    A migration whose destination is of a higher order may compact: those scans are of the zone, not of the range.
    """
    scans = events.of("mm_compaction_isolate_migratepages", tid).between(start_ns, end_ns)
    begins = events.of("mm_compaction_begin", tid).time_ns
    ends = events.of("mm_compaction_end", tid).time_ns
    if not len(begins) or not len(scans):
        return scans
    begun = np.searchsorted(begins, scans.time_ns, "right")
    ended = np.searchsorted(ends, scans.time_ns, "left")
    return scans.take(begun <= ended)


def overlapping(rows: EventRows, within: Spans) -> EventRows:
    """Rows of which [start_pfn, end_pfn) has a page in `within`; all where that is empty."""
    if not within or not len(rows):
        return rows
    starts, ends = rows.ints("start_pfn"), rows.ints("end_pfn")
    inside = np.zeros(len(rows), bool)
    for start_pfn, end_pfn in within:
        inside |= (starts < end_pfn) & (start_pfn < ends)
    return rows.take(inside)


def isolated_since(events: AttemptEvents, draft: DetectedAttempt) -> int | None:
    """When an event of the attempt first showed that start_isolate_page_range() had succeeded; None: none did.

    What comes after it: a scan of alloc_contig_range(), a migration with the operation's reason, a test of the range.
    """
    reason = MIGRATES_FOR.get(draft.operation)
    if reason is None or draft.tid is None or draft.basis == "log":
        return None
    end_ns = events.end_ns if draft.end_ns is None else draft.end_ns
    times = [call[0] for call in events.migrations(draft.tid, reason, draft.start_ns, end_ns)[:1]]
    shown = [events.of("test_pages_isolated", draft.tid).between(draft.start_ns, end_ns)]
    if reason == REASON_CONTIG_RANGE:
        shown.append(contig_scans(events, draft.tid, draft.start_ns, end_ns))
    for rows in shown:
        times += overlapping(rows, draft.spans).time_ns[:1].tolist()
    return min(times, default=None)
