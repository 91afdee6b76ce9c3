"""Compaction runs, direct and explicit (/proc/sys/vm/compact_memory); kcompactd's belong to no failure."""

from __future__ import annotations

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Request, Try
from tracereplay.units import NS_PER_MS

# enum compact_result (include/linux/compaction.h), the same in all kernels seen
COMPACT_COMPLETE, COMPACT_PARTIAL_SKIPPED, COMPACT_CONTENDED, COMPACT_SUCCESS = 5, 6, 7, 8
# One run goes through the zones without a pause.
GAP_NS = 20 * NS_PER_MS


def find_compaction(events: AttemptEvents) -> list[DetectedAttempt]:
    """Runs of a task, its zones together."""
    drafts: list[DetectedAttempt] = []
    for tid in events.tids("mm_compaction_begin"):
        if (events.comm_of(tid) or "").startswith("kcompactd"):
            continue
        begins, ends = events.of("mm_compaction_begin", tid), events.of("mm_compaction_end", tid)
        wanted = events.of("mm_compaction_try_to_compact_pages", tid)
        current: DetectedAttempt | None = None
        for row, ns in enumerate(begins.time_ns):
            start = int(ns)
            following = int(begins.time_ns[row + 1]) if row + 1 < len(begins) else events.end_ns
            end_rows = ends.between(start, following)
            end = int(end_rows.time_ns[0]) if len(end_rows) else None
            if current is None or current.end_ns is None or start - current.end_ns > GAP_NS:
                current = DetectedAttempt("compaction", tid, start, end, "unfinished", "event")
                drafts.append(current)
            current.end_ns = end
            if end is None:
                current.outcome = "unfinished" if events.recorded("mm_compaction_end") else "unknown"
                continue
            status = int(end_rows.ints("status")[0])
            direct = len(wanted.between(current.start_ns - GAP_NS, end)) > 0
            current.outcome = "succeeded" if _good(status, direct) or current.outcome == "succeeded" else "failed"
            low, high = (int(begins.ints(name)[row]) for name in ("zone_start", "zone_end"))
            current.tries.append(
                Try(
                    index=len(current.tries),
                    start_pfn=low,
                    end_pfn=high,
                    start_ns=start,
                    end_ns=end,
                    result="succeeded" if _good(status, direct) else "failed",
                )
            )
            current.try_visited.append(0)
    for draft in drafts:
        _add_scanned(events, draft)
    return drafts


def _good(status: int, direct: bool) -> bool:
    """An explicit run is done when it went through its zones; a direct one only when a page of its order came free."""
    return status == COMPACT_SUCCESS or (not direct and status in (COMPACT_COMPLETE, COMPACT_PARTIAL_SKIPPED))


def _add_scanned(events: AttemptEvents, draft: DetectedAttempt) -> None:
    """The range is what was scanned for pages to move."""
    assert draft.tid is not None
    end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
    scans = events.of("mm_compaction_isolate_migratepages", draft.tid).between(draft.start_ns, end_ns)
    starts, ends = scans.ints("start_pfn"), scans.ints("end_pfn")
    draft.spans = merge_spans([(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b > a >= 0])
    draft.request = Request(
        start_pfn=draft.spans[0][0] if draft.spans else None, end_pfn=draft.spans[-1][1] if draft.spans else None
    )
    draft.phases = phases_between(events, draft.tid, draft.start_ns, end_ns, [draft.start_ns])
