"""Offlines as kprobes on offline_pages() tell them: exact times, block and errno, where other events let them be
inferred."""

from __future__ import annotations

import errno

import numpy as np

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.layout import Layout
from tracereplay.model.result import Outcome, Request, Try
from tracereplay.schema import PFN, Op

CALLS = "offline_pages"
NONE = -1
SMALLEST_BLOCK_PAGES = 1 << 15


def apply_probed(events: AttemptEvents, layout: Layout, drafts: list[DetectedAttempt]) -> list[DetectedAttempt]:
    """The drafts, with each call of offline_pages() as one attempt: in place of what was inferred of the same time."""
    calls = events.of(CALLS)
    for row in range(len(calls)):
        tid = int(calls.ints("tid")[row])
        start, end, first, pages = (
            int(calls.ints(name)[row]) for name in ("start_ns", "time_ns", "start_pfn", "pages")
        )
        until = end if end != NONE else events.end_ns
        same = [draft for draft in drafts if _is_of(draft, tid, start, until)]
        if start == NONE:
            start = min((draft.start_ns for draft in same), default=until)
        span = (first, first + pages) if first >= 0 and pages > 0 else _refused_block(events, layout, tid, start, until)
        result = int(calls["ret"][row]) if end != NONE else None
        drafts = [draft for draft in drafts if not any(draft is one for one in same)]
        drafts.append(_draft(events, layout, (tid, start, end), span, result, same))
    return drafts


def _is_of(draft: DetectedAttempt, tid: int, start_ns: int, end_ns: int) -> bool:
    return draft.operation == "memory_offline" and draft.tid == tid and start_ns <= draft.start_ns <= end_ns


def _refused_block(
    events: AttemptEvents, layout: Layout, tid: int, start_ns: int, end_ns: int
) -> tuple[int, int] | None:
    """The block, where no probe fetched it: what the task migrated is in it."""
    stream = events.task_stream(tid, start_ns, end_ns)
    pfns = stream.args[np.isin(stream.op, (Op.PROBE_REFUSED, Op.PROBE_MOVED)), PFN]
    if not len(pfns):
        return None
    size = layout.memory_block_pages or SMALLEST_BLOCK_PAGES
    return int(pfns.min()) // size * size, (int(pfns.max()) // size + 1) * size


def _draft(
    events: AttemptEvents,
    layout: Layout,
    call: tuple[int, int, int],
    span: tuple[int, int] | None,
    result: int | None,
    same: list[DetectedAttempt],
) -> DetectedAttempt:
    tid, start_ns, end_ns = call
    outcome, error = _outcome(result)
    draft = DetectedAttempt(
        "memory_offline", tid, start_ns, None if result is None else end_ns, outcome, "event", errno=error
    )
    if span is not None:
        draft.spans = (span,)
        draft.request = Request(pages=span[1] - span[0], start_pfn=span[0], end_pfn=span[1])
        block = layout.block_of(span[0])
        draft.area = block.name if block else None
    tries = [one for other in same for one in other.tries]
    if not tries and result is not None and result < 0:
        tries = [Try(index=0, start_pfn=None, end_pfn=None, start_ns=start_ns, end_ns=end_ns, result=error or "EBUSY")]
    for number, one in enumerate(tries):
        one.index = number
        if span is not None:
            one.start_pfn, one.end_pfn = span
    if tries:
        began = tries[0].start_ns
        tries[0].start_ns = start_ns if began is None else min(began, start_ns)
    draft.tries = tries
    draft.try_visited = [span[1] if span else 0] * len(tries)
    draft.waits = [wait for other in same for wait in other.waits]
    isolated = [other.isolated_ns for other in same if other.isolated_ns is not None]
    draft.isolated_ns = min(isolated, default=None)
    draft.failed_tests = {pfn: moment for other in same for pfn, moment in other.failed_tests.items()}
    draft.writeback_sleeps = {key: moment for other in same for key, moment in other.writeback_sleeps.items()}
    draft.failed_migrations = same[-1].failed_migrations if same else 0
    draft.phases = phases_between(events, tid, start_ns, end_ns if end_ns != NONE else events.end_ns, [start_ns])
    return draft


def _outcome(result: int | None) -> tuple[Outcome, str | None]:
    if result is None:
        return "unfinished", None
    if result == 0:
        return "succeeded", None
    name = errno.errorcode.get(-result, f"errno {-result}")
    return ("interrupted" if name == "EINTR" else "failed"), name
