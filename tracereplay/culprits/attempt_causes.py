"""Causes that blame no page: no destination, a full bitmap, ranges that cannot be isolated, signals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.draft import Draft
from tracereplay.attempts.events import AttemptEvents

GFP_MOVABLE = 0x08


def attempt_cause(draft: Draft, events: AttemptEvents, failed_allocs: npt.NDArray[np.void]) -> str | None:
    """The cause that decided the attempt where it is no page; None where pages have to answer."""
    if draft.outcome == "succeeded":
        return None
    if draft.cause is not None:
        return draft.cause
    if draft.operation in ("cma_alloc", "contig_alloc", "longterm_pin") and draft.errno == "ENOMEM":
        if _destination_failed(draft, events, failed_allocs):
            return "destination_enomem"
        if draft.operation == "cma_alloc" and not draft.tries and draft.basis != "log":
            return "bitmap_full"
    if draft.operation == "cma_alloc" and not draft.tries and draft.errno == "EBUSY" and draft.basis != "log":
        return "bitmap_full"  # since 6.16 a request beyond what is available ends with EBUSY, nothing tried
    if _never_isolated(draft, events):
        return "isolation_conflict"
    return None


def _destination_failed(draft: Draft, events: AttemptEvents, failed_allocs: npt.NDArray[np.void]) -> bool:
    """mm_page_alloc with no page, for a movable page, by the attempt's task: migration found no destination."""
    end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
    mine = (
        (failed_allocs["tid"] == draft.tid)
        & (failed_allocs["ns"] >= draft.start_ns)
        & (failed_allocs["ns"] <= end_ns)
        & ((failed_allocs["gfp"] & GFP_MOVABLE) != 0)
    )
    return bool(mine.any())


def _never_isolated(draft: Draft, events: AttemptEvents) -> bool:
    """Ranges were tried, yet nothing was scanned and nothing tested: isolating the pageblocks failed already."""
    if draft.operation not in ("cma_alloc", "contig_alloc") or not draft.tries or draft.tid is None:
        return False
    if draft.basis == "log" or "test_pages_isolated" not in events.tables:
        return False
    end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
    names = ("test_pages_isolated", "mm_compaction_isolate_migratepages", "mm_migrate_pages_start")
    return not any(len(events.of(name, draft.tid).between(draft.start_ns, end_ns)) for name in names)
