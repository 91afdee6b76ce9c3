"""Long-term pins (FOLL_LONGTERM): the pages are first moved out of CMA and ZONE_MOVABLE (mm/gup.c, since 5.13)."""

from __future__ import annotations

import numpy as np

from tracereplay.attempts.detected_attempt import REASON_LONGTERM_PIN, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Phases, Request, Try
from tracereplay.schema import PFN, Op
from tracereplay.units import NS_PER_MS

# __gup_longterm_locked() tries again at once.
GAP_NS = 100 * NS_PER_MS
# A caller that retries a failed pin may pause; it migrates only what stayed after.
RETRY_GAP_NS = 2000 * NS_PER_MS


def find_longterm(events: AttemptEvents) -> list[DetectedAttempt]:
    """Runs of migrate_pages() calls with reason longterm_pin, by task; no event tells the range."""
    drafts: list[DetectedAttempt] = []
    for tid in events.tids("mm_migrate_pages", "mm_migrate_pages_start"):
        current: DetectedAttempt | None = None
        for start, end, moved, failed in events.migrations(tid, REASON_LONGTERM_PIN):
            if current is None or not _goes_on(current, start, moved + failed if end >= 0 else None):
                current = DetectedAttempt("longterm_pin", tid, start, end, "succeeded", "inferred")
                drafts.append(current)
            if end < 0:
                recorded = events.recorded("mm_migrate_pages")
                current.end_ns, current.outcome = None, "unfinished" if recorded else "unknown"
                continue
            current.end_ns = end
            current.phases = Phases(migrate=(current.phases.migrate or 0) + end - start)
            current.failed_migrations = failed
            # A page that stays ends the pin with -ENOMEM; a later call without failures means it went well after all.
            current.outcome, current.errno = ("failed", "ENOMEM") if failed else ("succeeded", None)
            current.tries.append(
                Try(
                    index=len(current.tries),
                    start_pfn=None,
                    end_pfn=None,
                    start_ns=start,
                    end_ns=end,
                    result="ENOMEM" if failed else "succeeded",
                )
            )
            current.try_visited.append(0)
    for draft in drafts:
        _add_pages(events, draft)
    return drafts


def _goes_on(current: DetectedAttempt, start_ns: int, pages: int | None) -> bool:
    """Whether a call of migrate_pages() at `start_ns` is a further try of the pin, for so many pages."""
    if current.end_ns is None:
        return False
    gap_ns = start_ns - current.end_ns
    stayed = current.failed_migrations
    retries = stayed > 0 and pages is not None and 0 < pages <= stayed
    return gap_ns <= (RETRY_GAP_NS if retries else GAP_NS)


def _add_pages(events: AttemptEvents, draft: DetectedAttempt) -> None:
    """The pages are those the task took down or put back while migrating."""
    assert draft.tid is not None
    end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
    stream = events.task_stream(draft.tid, draft.start_ns, end_ns)
    entries = (stream.op == Op.SET_MIGRATION_PTE) & (stream.args[:, PFN] > 0)
    puts = stream.op == Op.REF_MOD_AND_TEST
    pfns = np.unique(stream.args[entries | puts, PFN])
    draft.spans = merge_spans([(int(pfn), int(pfn) + 1) for pfn in pfns])
    draft.request = Request()
