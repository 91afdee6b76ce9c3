"""CMA allocations: cma_alloc() (mm/cma.c), one try for each range it tests."""

from __future__ import annotations

import errno as errno_names
from dataclasses import dataclass

from tracereplay.attempts.contig_signs import contig_scans, contig_start, overlapping
from tracereplay.attempts.detected_attempt import LONG_AGO_NS, REASON_CONTIG_RANGE, UNTIMED_NS, DetectedAttempt
from tracereplay.attempts.events import NO_PFN, AttemptEvents, EventRows
from tracereplay.attempts.phases import phases_between
from tracereplay.attempts.tries import RangeTried, add_try, ranges_tried
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans, merge_spans
from tracereplay.model.result import Request


@dataclass(frozen=True, slots=True)
class _Call:
    """One cma_alloc() of a task: its start and finish rows; either may be lost."""

    start: int | None
    finish: int | None


def find_cma(events: AttemptEvents, layout: Layout) -> list[DetectedAttempt]:
    """Every CMA allocation of the trace; kernels up to 5.10 record one event, at the end."""
    drafts = []
    for tid in events.tids("cma_alloc_start", "cma_alloc_finish"):
        starts, finishes = events.of("cma_alloc_start", tid), events.of("cma_alloc_finish", tid)
        for call, next_ns in _pair(starts, finishes, events.end_ns):
            drafts.append(_draft(events, layout, tid, call, starts, finishes, next_ns))
    for tid in events.tids("cma_alloc"):
        ends = events.of("cma_alloc", tid)
        low_ns = LONG_AGO_NS
        for row in range(len(ends)):
            drafts.append(_old_draft(events, layout, tid, ends, row, low_ns))
            low_ns = int(ends.time_ns[row]) + 1
    return drafts


def _pair(starts: EventRows, finishes: EventRows, end_ns: int) -> list[tuple[_Call, int]]:
    """Starts and finishes of one task in order, paired; with the time at which the next call begins."""
    # Without times, the first finish is taken for that of the first start.
    marks = sorted(
        (int(ns), row if ns == UNTIMED_NS else 0, is_finish, row)
        for is_finish, rows in enumerate((starts, finishes))
        for row, ns in enumerate(rows.time_ns)
    )
    calls: list[tuple[_Call, int]] = []
    open_start: int | None = None
    for ns, _, is_finish, row in marks:
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
    events: AttemptEvents, layout: Layout, tid: int, call: _Call, starts: EventRows, finishes: EventRows, next_ns: int
) -> DetectedAttempt:
    named, row = (finishes, call.finish) if call.finish is not None else (starts, call.start)
    assert row is not None
    end_ns = int(finishes.time_ns[call.finish]) if call.finish is not None else None
    area = named.text("name", row)
    known = layout.area_named(area) if area else None
    within = ((known.start_pfn, known.end_pfn),) if known else ()
    if call.start is not None:
        start_ns = int(starts.time_ns[call.start])
    else:
        low_ns = int(finishes.time_ns[row - 1]) + 1 if row > 0 else LONG_AGO_NS
        start_ns = contig_start(events, layout, tid, low_ns, next_ns, within or _last_range(finishes, row))
    count = int(named.ints("count")[row])
    if call.start is not None and "request_count" in starts.columns:
        count = int(starts.ints("request_count")[call.start])
    window_end = end_ns if end_ns is not None else next_ns
    draft = DetectedAttempt(
        "cma_alloc",
        tid,
        start_ns,
        end_ns,
        "unfinished",
        "event",
        area,
        request=Request(pages=count, align_order=int(named.ints("align")[row])),
    )
    if call.start is not None and "available_count" in starts.columns:
        # Since 6.16 a request beyond what is available ends at once.
        draft.nothing_tried = count > int(starts.ints("available_count")[call.start])
    last_pfn = None
    if call.finish is not None:
        pfn, failed = int(finishes.ints("pfn")[call.finish]), int(finishes.ints("page")[call.finish]) == 0
        number = -int(finishes.ints("errorno")[call.finish])
        draft.outcome = "failed" if failed else "succeeded"
        if failed:
            # 5.15 and 6.1 print no errno; EBUSY is what a range that was tried ends with
            draft.errno = errno_names.errorcode.get(number) if "errorno" in finishes.columns else None
            draft.nothing_tried |= pfn == NO_PFN
        if pfn not in (NO_PFN, 0):
            last_pfn = pfn  # since 6.16 a failure prints 0
    _add_tries(events, draft, window_end, last_pfn, within)
    if call.finish is None:
        _infer_outcome(events, draft)
    if draft.outcome == "interrupted" or draft.errno == "EINTR":
        draft.outcome = "interrupted"
    draft.request.start_pfn = known.start_pfn if known else None
    draft.request.end_pfn = known.end_pfn if known else None
    return draft


def _last_range(ends: EventRows, row: int) -> Spans:
    """The range that the end event names: what was got, or (up to 6.15) the last one tried."""
    pfn, pages = int(ends.ints("pfn")[row]), int(ends.ints("count")[row])
    return ((pfn, pfn + pages),) if pfn > 0 and pages > 0 else ()


def _add_tries(
    events: AttemptEvents, draft: DetectedAttempt, window_end: int, last_pfn: int | None, within: Spans
) -> None:
    """Each busy_retry ends a try; what the task tested or scanned after the last one is one more.

    last_pfn -- start of the last range tried, where cma_alloc_finish has it; within -- the area, () where not known.
    """
    assert draft.tid is not None
    pages = draft.request.pages or 0
    tests = events.of("test_pages_isolated", draft.tid).between(draft.start_ns, window_end)
    scans = overlapping(contig_scans(events, draft.tid, draft.start_ns, window_end), within)
    retries = events.of("cma_alloc_busy_retry", draft.tid).between(draft.start_ns, window_end)
    begin = draft.start_ns
    for row in range(len(retries)):
        end = int(retries.time_ns[row])
        pfn = int(retries.ints("pfn")[row])
        add_try(draft, tests, scans, (begin, end), (pfn, pfn + pages), "EBUSY")
        begin = end
    late = ranges_tried(tests, scans, begin, window_end, pages)
    if events.recorded("cma_alloc_busy_retry"):
        late = late[-1:]  # after -EBUSY there would have been one more
    for one in late[:-1]:
        add_try(draft, tests, scans, (begin, one.end_ns), (one.start_pfn, one.end_pfn), "EBUSY")
        begin = one.end_ns
    if not late and events.migrations(draft.tid, REASON_CONTIG_RANGE, begin + 1, window_end):
        # It isolated a range and migrated, although no scan of it is in the trace.
        late = [RangeTried(begin, window_end, None, None, tested=False)]
    _add_last_try(draft, tests, scans, (begin, window_end), late[-1] if late else None, last_pfn)
    draft.spans = merge_spans([(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn])
    draft.phases = phases_between(events, draft.tid, draft.start_ns, window_end, [t.start_ns for t in draft.tries])
    draft.failed_migrations = failed_between(events, draft.tid, draft.start_ns, window_end)


def _add_last_try(
    draft: DetectedAttempt,
    tests: EventRows,
    scans: EventRows,
    when: tuple[int, int],
    last: RangeTried | None,
    last_pfn: int | None,
) -> None:
    """The try that ended the attempt, or was the last one seen of it."""
    pages = draft.request.pages or 0
    if draft.outcome == "succeeded" and last_pfn is not None:
        add_try(draft, tests, scans, when, (last_pfn, last_pfn + pages), "succeeded")
    elif last is not None:
        result = draft.errno or "unknown"
        if draft.outcome == "unfinished" and last.tested:
            result = "succeeded" if last.passed else result
        span = last.start_pfn, last.end_pfn
        if last_pfn is not None and not last.tested:
            span = (last_pfn, last_pfn + pages)
        add_try(draft, tests, scans, when, span, result)


def failed_between(events: AttemptEvents, tid: int, start_ns: int, end_ns: int) -> int:
    """The most pages that one migrate_pages() call for a contiguous range left unmoved."""
    calls = events.migrations(tid, REASON_CONTIG_RANGE, start_ns, end_ns)
    return max((failed for _, _, _, failed in calls), default=0)


def _infer_outcome(events: AttemptEvents, draft: DetectedAttempt) -> None:
    """No finish event: from the last range that was tested. A try that was not recorded may have followed it."""
    draft.basis = "inferred"
    last = draft.tries[-1] if draft.tries else None
    if last is not None and last.result == "succeeded":
        draft.outcome, draft.end_ns = "succeeded", last.end_ns
    elif not events.recorded("cma_alloc_finish"):
        draft.outcome = "unknown"
    elif last is not None and (last.end_ns or 0) < events.end_ns and last.result == "EBUSY":
        draft.outcome, draft.end_ns, draft.errno = "failed", last.end_ns, "EBUSY"


def _old_draft(
    events: AttemptEvents, layout: Layout, tid: int, ends: EventRows, row: int, low_ns: int
) -> DetectedAttempt:
    """cma_alloc (<= 5.10): one event at the end; its tries are the ranges tested since the previous one."""
    end_ns, pfn = int(ends.time_ns[row]), int(ends.ints("pfn")[row])
    pages, failed = int(ends.ints("count")[row]), int(ends.ints("page")[row]) == 0
    area = layout.area_of(pfn)
    within = ((area.start_pfn, area.end_pfn),) if area else ()
    start_ns = contig_start(events, layout, tid, low_ns, end_ns, within or _last_range(ends, row))
    draft = DetectedAttempt(
        "cma_alloc",
        tid,
        start_ns,
        end_ns,
        "failed" if failed else "succeeded",
        "event",
        area.name if area else None,
        request=Request(pages=pages, align_order=int(ends.ints("align")[row])),
        nothing_tried=failed and pfn == NO_PFN,
    )
    tests = events.of("test_pages_isolated", tid).between(draft.start_ns, end_ns)
    scans = overlapping(contig_scans(events, tid, draft.start_ns, end_ns), within)
    begin = draft.start_ns
    tried = ranges_tried(tests, scans, begin - 1, end_ns, pages)
    for at, one in enumerate(tried):
        last = at == len(tried) - 1
        result = "succeeded" if one.passed or (last and not failed) else "EBUSY"
        if last and failed and not one.tested:
            result = "unknown"
        add_try(draft, tests, scans, (begin, one.end_ns), (one.start_pfn, one.end_pfn), result)
        begin = one.end_ns
    if failed and draft.tries and draft.tries[-1].result == "EBUSY":
        draft.errno = "EBUSY"
    draft.spans = merge_spans([(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn])
    draft.phases = phases_between(events, tid, draft.start_ns, end_ns, [t.start_ns for t in draft.tries])
    draft.failed_migrations = failed_between(events, tid, draft.start_ns, end_ns)
    return draft
