"""The events in which the kernel itself names a page of an attempt, kept with the attempt as evidence."""

from __future__ import annotations

from tracereplay.attempts.detected_attempt import DetectedAttempt, Moment
from tracereplay.attempts.events import AttemptEvents, EventRows

TEST = "test_pages_isolated"
WRITEBACK_SLEEPS = ("folio_wait_writeback", "wait_on_page_writeback")


def note_moments(events: AttemptEvents, draft: DetectedAttempt) -> None:
    """Where its task's events name a page: failing tests of the range, and sleeps for writeback."""
    tests = _within(events, draft, TEST)
    named = zip(tests.ints("fin_pfn").tolist(), tests.ints("end_pfn").tolist(), _moments(tests, TEST), strict=True)
    draft.failed_tests = {fin_pfn: moment for fin_pfn, end_pfn, moment in named if fin_pfn < end_pfn}
    draft.writeback_sleeps = {}
    for name in WRITEBACK_SLEEPS:
        rows = _within(events, draft, name)
        folios = zip(rows.ints("ino").tolist(), rows.ints("index").tolist(), strict=True)
        draft.writeback_sleeps |= dict(zip(folios, _moments(rows, name), strict=True))


def _within(events: AttemptEvents, draft: DetectedAttempt, name: str) -> EventRows:
    end_ns = events.end_ns if draft.end_ns is None else draft.end_ns
    return events.of(name, draft.tid).between(draft.start_ns, end_ns)


def _moments(rows: EventRows, event: str) -> list[Moment]:
    cpus = rows.ints("cpu", -1).tolist()
    return [Moment(ns, cpu if cpu >= 0 else None, event) for ns, cpu in zip(rows.time_ns.tolist(), cpus, strict=True)]
