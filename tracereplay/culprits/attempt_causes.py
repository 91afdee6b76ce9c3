"""Causes that blame no page: no destination, a full bitmap, ranges that cannot be isolated, signals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents

GFP_MOVABLE = 0x08


def attempt_cause(draft: DetectedAttempt, events: AttemptEvents, failed_allocs: npt.NDArray[np.void]) -> str | None:
    """The cause that decided the attempt where it is no page; None where pages have to answer."""
    if draft.outcome == "succeeded":
        return None
    if draft.cause is not None:
        return draft.cause
    enomem = draft.operation in ("cma_alloc", "contig_alloc", "longterm_pin") and draft.errno == "ENOMEM"
    if enomem and _destination_failed(draft, events, failed_allocs):
        return "destination_enomem"
    if draft.operation == "cma_alloc" and draft.errno in ("ENOMEM", "EBUSY") and _nothing_tried(draft, events):
        return "bitmap_full"  # -ENOMEM; since 6.16 -EBUSY
    if _never_isolated(draft, events):
        return "isolation_conflict"
    return None


def _destination_failed(draft: DetectedAttempt, events: AttemptEvents, failed_allocs: npt.NDArray[np.void]) -> bool:
    """mm_page_alloc with no page, for a movable page, by the attempt's task: migration found no destination."""
    mine = (
        (failed_allocs["tid"] == draft.tid)
        & (failed_allocs["ns"] >= draft.start_ns)
        & (failed_allocs["ns"] <= _end(draft, events))
        & ((failed_allocs["gfp"] & GFP_MOVABLE) != 0)
    )
    return bool(mine.any())


def _nothing_tried(draft: DetectedAttempt, events: AttemptEvents) -> bool:
    """Whether no range was tried: its end event says so, or every try would have left an event.

    -EBUSY leaves a busy_retry; a try that ends with -ENOMEM leaves a scan and a migration only.
    """
    if draft.tries or draft.basis == "log":
        return False
    if draft.nothing_tried:
        return True
    shown = events.recorded("cma_alloc_busy_retry") and (
        events.recorded("mm_compaction_isolate_migratepages") or events.recorded("mm_migrate_pages_start")
    )
    return shown and not _has_losses(draft, events) and not _isolated_any(draft, events)


def _never_isolated(draft: DetectedAttempt, events: AttemptEvents) -> bool:
    """Ranges were tried, yet nothing was scanned and nothing tested: isolating the pageblocks failed already."""
    if draft.operation not in ("cma_alloc", "contig_alloc") or not draft.tries or draft.basis == "log":
        return False
    if draft.errno not in ("EBUSY", None):  # 5.15 and 6.1 print no errno
        return False
    if not events.recorded("test_pages_isolated", "mm_compaction_isolate_migratepages"):
        return False
    return not _has_losses(draft, events) and not _isolated_any(draft, events)


def _has_losses(draft: DetectedAttempt, events: AttemptEvents) -> bool:
    return events.hides(draft.start_ns, _end(draft, events))


def _isolated_any(draft: DetectedAttempt, events: AttemptEvents) -> bool:
    """Whether the task scanned, migrated or tested pages within the attempt: isolating the pageblocks succeeded."""
    names = ("test_pages_isolated", "mm_compaction_isolate_migratepages", "mm_migrate_pages_start", "mm_migrate_pages")
    end_ns = _end(draft, events)
    return any(len(events.of(name, draft.tid).between(draft.start_ns, end_ns)) for name in names)


def _end(draft: DetectedAttempt, events: AttemptEvents) -> int:
    return draft.end_ns if draft.end_ns is not None else events.end_ns
