"""CMA allocations: cma_alloc() (mm/cma.c), one try for each range it tests."""

from __future__ import annotations

import errno as errno_names
from dataclasses import dataclass

from tracereplay.attempts.draft import REASON_CONTIG_RANGE, Draft
from tracereplay.attempts.events import NO_PFN, AttemptEvents, Rows
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Request, Try


@dataclass(frozen=True, slots=True)
class _Call:
    """One cma_alloc() of a task: its start and finish rows; either may be lost."""

    start: int | None
    finish: int | None


def find_cma(events: AttemptEvents, layout: Layout) -> list[Draft]:
    """Every CMA allocation of the trace; kernels up to 5.10 record one event, at the end."""
    drafts = []
    for tid in events.tids("cma_alloc_start", "cma_alloc_finish"):
        starts, finishes = events.of("cma_alloc_start", tid), events.of("cma_alloc_finish", tid)
        for call, next_ns in _pair(starts, finishes, events.end_ns):
            drafts.append(_draft(events, layout, tid, call, starts, finishes, next_ns))
    for tid in events.tids("cma_alloc"):
        ends = events.of("cma_alloc", tid)
        previous = -1
        for row in range(len(ends)):
            drafts.append(_old_draft(events, layout, tid, ends, row, previous))
            previous = int(ends.time_ns[row])
    return drafts


def _pair(starts: Rows, finishes: Rows, end_ns: int) -> list[tuple[_Call, int]]:
    """Starts and finishes of one task in order, paired; with the time at which the next call begins."""
    marks = sorted(
        [(int(ns), 0, row) for row, ns in enumerate(starts.time_ns)]
        + [(int(ns), 1, row) for row, ns in enumerate(finishes.time_ns)]
    )
    calls: list[tuple[_Call, int]] = []
    open_start: int | None = None
    for ns, is_finish, row in marks:
        if is_finish:
            calls.append((_Call(open_start, row), ns))
            open_start = None
        else:
            if open_start is not None:
                calls.append((_Call(open_start, None), ns))
            open_start = row
    if open_start is not None:
        calls.append((_Call(open_start, None), end_ns))
    return calls


def _draft(
    events: AttemptEvents, layout: Layout, tid: int, call: _Call, starts: Rows, finishes: Rows, next_ns: int
) -> Draft:
    named, row = (finishes, call.finish) if call.finish is not None else (starts, call.start)
    assert row is not None
    end_ns = int(finishes.time_ns[call.finish]) if call.finish is not None else None
    if call.start is not None:
        start_ns = int(starts.time_ns[call.start])
    else:
        start_ns = _unseen_start(events, tid, next_ns, finishes, row)
    count = int(named.ints("count")[row])
    if call.start is not None and "request_count" in starts.columns:
        count = int(starts.ints("request_count")[call.start])
    area = named.text("name", row)
    window_end = end_ns if end_ns is not None else next_ns
    draft = Draft(
        "cma_alloc",
        tid,
        start_ns,
        end_ns,
        "unfinished",
        "event",
        area,
        request=Request(pages=count, align_order=int(named.ints("align")[row])),
    )
    succeeded_pfn = None
    if call.finish is not None:
        pfn, failed = int(finishes.ints("pfn")[call.finish]), int(finishes.ints("page")[call.finish]) == 0
        number = -int(finishes.ints("errorno")[call.finish])
        draft.outcome = "failed" if failed else "succeeded"
        if failed:
            # 5.15 and 6.1 print no errno; EBUSY is what a range that was tried ends with
            draft.errno = errno_names.errorcode.get(number) if "errorno" in finishes.columns else None
        else:
            succeeded_pfn = pfn
    _add_tries(events, draft, window_end, succeeded_pfn)
    _infer_outcome(draft, call.finish is None, events.end_ns)
    if draft.outcome == "interrupted" or draft.errno == "EINTR":
        draft.outcome = "interrupted"
    known = layout.area_named(area) if area else None
    draft.request.start_pfn = known.start_pfn if known else None
    draft.request.end_pfn = known.end_pfn if known else None
    return draft


def _unseen_start(events: AttemptEvents, tid: int, finish_ns: int, finishes: Rows, row: int) -> int:
    """The start event was lost: the task's first sign of this call after its previous one."""
    previous = int(finishes.time_ns[row - 1]) + 1 if row > 0 else -(1 << 62)
    signs = [
        int(rows.time_ns[0])
        for name in ("mm_compaction_isolate_migratepages", "mm_migrate_pages_start", "test_pages_isolated")
        if len(rows := events.of(name, tid).between(previous, finish_ns))
    ]
    return min(signs, default=finish_ns)


def _add_tries(events: AttemptEvents, draft: Draft, window_end: int, succeeded_pfn: int | None) -> None:
    """Each busy_retry ends a try; what the task tested after the last one is one more."""
    assert draft.tid is not None
    pages = draft.request.pages or 0
    tests = events.of("test_pages_isolated", draft.tid).between(draft.start_ns, window_end)
    scans = events.of("mm_compaction_isolate_migratepages", draft.tid).between(draft.start_ns, window_end)
    retries = events.of("cma_alloc_busy_retry", draft.tid).between(draft.start_ns, window_end)
    begin = draft.start_ns
    for row in range(len(retries)):
        end = int(retries.time_ns[row])
        pfn = int(retries.ints("pfn")[row])
        _add_try(draft, tests, scans, (begin, end), (pfn, pfn + pages), "EBUSY")
        begin = end
    late_tests, late_scans = tests.between(begin + 1, window_end), scans.between(begin + 1, window_end)
    if succeeded_pfn is not None:
        _add_try(draft, tests, scans, (begin, window_end), (succeeded_pfn, succeeded_pfn + pages), "succeeded")
    elif len(late_tests) or len(late_scans):
        end_pfn = int(late_tests.ints("end_pfn")[-1]) if len(late_tests) else None
        if end_pfn is not None:
            span = (end_pfn - pages, end_pfn)
        else:
            start = int(late_scans.ints("start_pfn")[0])
            span = (start, start + pages)
        result = draft.errno or "unknown"
        if len(late_tests) and int(late_tests.ints("fin_pfn")[-1]) >= int(late_tests.ints("end_pfn")[-1]):
            result = "succeeded" if draft.outcome == "unfinished" else result
        _add_try(draft, tests, scans, (begin, window_end), span, result)
    draft.spans = merge_spans([(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn])
    draft.phases = phases_between(events, draft.tid, draft.start_ns, window_end, [t.start_ns for t in draft.tries])
    draft.failed_migrations = failed_between(events, draft.tid, draft.start_ns, window_end)


def failed_between(events: AttemptEvents, tid: int, start_ns: int, end_ns: int) -> int:
    """The most pages that one migrate_pages() call for a contiguous range left unmoved."""
    calls = events.migrations(tid, REASON_CONTIG_RANGE, start_ns, end_ns)
    return max((failed for _, _, _, failed in calls), default=0)


def _add_try(draft: Draft, tests: Rows, scans: Rows, when: tuple[int, int], span: tuple[int, int], result: str) -> None:
    inside = tests.between(when[0], when[1])
    first_blocking = None
    for row in range(len(inside)):
        fin, end = int(inside.ints("fin_pfn")[row]), int(inside.ints("end_pfn")[row])
        first_blocking = fin if NO_PFN != fin < end else None
    scanned = scans.between(when[0], when[1])
    draft.tries.append(
        Try(
            index=len(draft.tries),
            start_pfn=span[0],
            end_pfn=span[1],
            start_ns=when[0],
            end_ns=when[1],
            result=result,
            first_blocking_pfn=first_blocking,
        )
    )
    draft.try_visited.append(int(scanned.ints("end_pfn")[-1]) if len(scanned) else 0)


def _infer_outcome(draft: Draft, finish_lost: bool, trace_end_ns: int) -> None:
    """Where no finish event tells: from the last range that was tested."""
    if not finish_lost:
        return
    draft.basis = "inferred"
    if draft.tries and draft.tries[-1].result == "succeeded":
        draft.outcome, draft.end_ns = "succeeded", draft.tries[-1].end_ns
    elif draft.tries and (draft.tries[-1].end_ns or 0) < trace_end_ns and draft.tries[-1].result == "EBUSY":
        draft.outcome, draft.end_ns, draft.errno = "failed", draft.tries[-1].end_ns, "EBUSY"


def _old_draft(events: AttemptEvents, layout: Layout, tid: int, ends: Rows, row: int, previous_ns: int) -> Draft:
    """cma_alloc (<= 5.10): one event at the end; its tries are the ranges tested since the previous one."""
    end_ns = int(ends.time_ns[row])
    tests = events.of("test_pages_isolated", tid).between(previous_ns + 1, end_ns)
    scans = events.of("mm_compaction_isolate_migratepages", tid).between(previous_ns + 1, end_ns)
    signs = [int(rows.time_ns[0]) for rows in (tests, scans) if len(rows)]
    pages, failed = int(ends.ints("count")[row]), int(ends.ints("page")[row]) == 0
    draft = Draft(
        "cma_alloc",
        tid,
        min(signs, default=end_ns),
        end_ns,
        "failed" if failed else "succeeded",
        "event",
        request=Request(pages=pages, align_order=int(ends.ints("align")[row])),
    )
    begin = draft.start_ns
    for test in range(len(tests)):
        end = int(tests.ints("end_pfn")[test])
        good = int(tests.ints("fin_pfn")[test]) >= end
        now = int(tests.time_ns[test])
        _add_try(draft, tests, scans, (begin, now), (end - pages, end), "succeeded" if good else "EBUSY")
        begin = now
    if failed and draft.tries:
        draft.errno = "EBUSY"
    draft.spans = merge_spans([(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn])
    draft.phases = phases_between(events, tid, draft.start_ns, end_ns, [t.start_ns for t in draft.tries])
    draft.failed_migrations = failed_between(events, tid, draft.start_ns, end_ns)
    area = layout.area_of(int(ends.ints("pfn")[row]))
    draft.area = area.name if area else None
    return draft
