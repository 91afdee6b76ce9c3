"""Contiguous ranges outside CMA: alloc_contig_range() by virtio-mem, gigantic hugetlb pages, alloc_contig_pages()."""

from __future__ import annotations

from tracereplay.attempts.cma import failed_between
from tracereplay.attempts.contig_signs import contig_scans, contig_start
from tracereplay.attempts.detected_attempt import LONG_AGO_NS, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Operation, Request, Try
from tracereplay.tasks import is_kernel_task
from tracereplay.units import NS_PER_MS

# A caller that goes on to its next range does so at once.
GAP_NS = 100 * NS_PER_MS
# A first migration longer ago than this belongs to something else.
LONGEST_NS = 60_000 * NS_PER_MS


def find_contig(events: AttemptEvents, layout: Layout, taken: list[DetectedAttempt]) -> list[DetectedAttempt]:
    """Runs of tested ranges that belong to no CMA allocation and no offlining.

    A range inside a CMA area was tested by cma_alloc(): for every other caller a MIGRATE_CMA block counts as unmovable
    (has_unmovable_pages()), so that its isolation fails before any test.
    """
    drafts: list[DetectedAttempt] = []
    for tid in events.tids("test_pages_isolated"):
        busy = [draft for draft in taken if draft.tid == tid]
        rows = events.of("test_pages_isolated", tid)
        driver = is_kernel_task(tid, events.comm_of(tid))
        current: DetectedAttempt | None = None
        low_ns = LONG_AGO_NS
        for row, now in enumerate(rows.time_ns.tolist()):
            if any(draft.covers(now) for draft in busy):
                low_ns = now + 1
                continue
            start, end, fin = (int(rows.ints(name)[row]) for name in ("start_pfn", "end_pfn", "fin_pfn"))
            area = _area(layout, start, end)
            if not _continues(current, now, area, (start, end) if driver else None):
                start_ns = contig_start(events, layout, tid, max(low_ns, now - LONGEST_NS), now, ((start, end),))
                operation: Operation = "cma_alloc" if area else "contig_alloc"
                current = DetectedAttempt(operation, tid, start_ns, now, "failed", "inferred", area)
                drafts.append(current)
            assert current is not None
            low_ns = now + 1
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
            scans = contig_scans(events, tid, begin, now)
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


def _area(layout: Layout, start_pfn: int, end_pfn: int) -> str | None:
    area = layout.area_of(end_pfn - 1)  # the test may begin below the range, with a free page that reaches into it
    return area.name if area and area.overlaps(start_pfn, end_pfn) else None


def _continues(current: DetectedAttempt | None, now: int, area: str | None, only: tuple[int, int] | None) -> bool:
    """Whether the test at `now` is of the same attempt: a caller goes on to its next range until one succeeds.

    only -- the range tested, where it is a driver's that needs this very one (virtio-mem): another is another attempt.
    """
    if current is None or current.outcome == "succeeded" or current.area != area:
        return False
    last = current.tries[-1]
    if only is not None and area is None and only != (last.start_pfn, last.end_pfn):
        return False
    return now - (current.end_ns or 0) <= GAP_NS
