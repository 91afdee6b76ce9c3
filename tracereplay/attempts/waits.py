"""Stretches in which an attempt slept for a page: migrate_pages() with MIGRATE_SYNC waits for locks and writeback."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.model.result import Wait
from tracereplay.units import NS_PER_MS

REASONS = {"cma_alloc": 6, "contig_alloc": 6, "memory_offline": 2, "longterm_pin": 7}
# A migrating task records events every few microseconds; a silence this long is a sleep, even when a slow machine
# had no CPU for it now and then.
SLEEP_NS = 100 * NS_PER_MS
# folio_wait_writeback comes just before the sleep it explains.
EVENT_BEFORE_SLEEP_NS = 5 * NS_PER_MS


def add_waits(events: AttemptEvents, draft: DetectedAttempt) -> None:
    """Find the sleeps within the attempt's migrate_pages() calls; what they were for is known from the culprits."""
    reason = REASONS.get(draft.operation)
    if reason is None or draft.tid is None:
        return
    end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
    for start, end, _moved, _failed in events.migrations(draft.tid, reason, draft.start_ns, end_ns):
        stop = end if end >= 0 else events.end_ns
        if stop - start < SLEEP_NS:
            continue
        times = np.unique(np.concatenate([[start], events.task_stream(draft.tid, start, stop).time_ns, [stop]]))
        for gap in np.flatnonzero(np.diff(times) >= SLEEP_NS):
            low, high = int(times[gap]), int(times[gap + 1])
            draft.waits.append(Wait(kind=_kind(events, draft.tid, low), start_ns=low, end_ns=high))


def _kind(events: AttemptEvents, tid: int, sleep_ns: int) -> Literal["writeback", "other"]:
    for name in ("folio_wait_writeback", "wait_on_page_writeback"):
        if len(events.of(name, tid).between(sleep_ns - EVENT_BEFORE_SLEEP_NS, sleep_ns + EVENT_BEFORE_SLEEP_NS)):
            return "writeback"
    return "other"
