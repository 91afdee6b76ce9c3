"""Contiguous ranges outside CMA: alloc_contig_range() by virtio-mem, gigantic hugetlb pages, alloc_contig_pages()."""

from __future__ import annotations

from tracereplay.attempts.cma import failed_between
from tracereplay.attempts.draft import REASON_CONTIG_RANGE, Draft
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Request, Try
from tracereplay.units import NS_PER_MS

# A caller that goes on to its next range does so at once.
GAP_NS = 100 * NS_PER_MS
# A first migration longer ago than this belongs to something else.
LONGEST_NS = 60_000 * NS_PER_MS


def find_contig(events: AttemptEvents, taken: list[Draft]) -> list[Draft]:
    """Runs of tested ranges that belong to no CMA allocation and no offlining."""
    drafts: list[Draft] = []
    for tid in events.tids("test_pages_isolated"):
        busy = [draft for draft in taken if draft.tid == tid]
        rows = events.of("test_pages_isolated", tid)
        current: Draft | None = None
        for row, ns in enumerate(rows.time_ns):
            now = int(ns)
            if any(draft.covers(now) for draft in busy):
                continue
            if current is None or now - (current.end_ns or 0) > GAP_NS or current.outcome == "succeeded":
                current = Draft("contig_alloc", tid, _start(events, tid, now, drafts), now, "failed", "inferred")
                drafts.append(current)
            start, end, fin = (int(rows.ints(name)[row]) for name in ("start_pfn", "end_pfn", "fin_pfn"))
            good = fin >= end
            begin = current.end_ns if current.tries and current.end_ns else current.start_ns
            current.tries.append(
                Try(
                    index=len(current.tries),
                    start_pfn=start,
                    end_pfn=end,
                    start_ns=begin,
                    end_ns=now,
                    result="succeeded" if good else "EBUSY",
                    first_blocking_pfn=None if good else fin,
                )
            )
            scans = events.of("mm_compaction_isolate_migratepages", tid).between(begin, now)
            current.try_visited.append(int(scans.ints("end_pfn")[-1]) if len(scans) else 0)
            current.end_ns = now
            current.outcome, current.errno = ("succeeded", None) if good else ("failed", "EBUSY")
    for draft in drafts:
        draft.spans = merge_spans([(t.start_pfn or 0, t.end_pfn or 0) for t in draft.tries])
        last = draft.tries[-1]
        draft.request = Request(
            pages=(last.end_pfn or 0) - (last.start_pfn or 0), start_pfn=last.start_pfn, end_pfn=last.end_pfn
        )
        assert draft.tid is not None
        assert draft.end_ns is not None
        draft.failed_migrations = failed_between(events, draft.tid, draft.start_ns, draft.end_ns)
        draft.phases = phases_between(
            events, draft.tid, draft.start_ns, draft.end_ns, [t.start_ns for t in draft.tries]
        )
    return drafts


def _start(events: AttemptEvents, tid: int, test_ns: int, before: list[Draft]) -> int:
    """The first migration for this range, after the task's previous attempt."""
    floor = max((draft.end_ns or 0 for draft in before if draft.tid == tid), default=-(1 << 62))
    calls = events.migrations(tid, REASON_CONTIG_RANGE, max(floor + 1, test_ns - LONGEST_NS), test_ns)
    return calls[0][0] if calls else test_ns
