"""The events that attempts are found in, by name: readers keep them, `attempts/` reads them."""

from __future__ import annotations

# Reclaim by the task that allocates, or for the task's memory cgroup: it isolates pages from begin to end.
RECLAIM_WINDOWS = tuple(
    (f"mm_vmscan_{kind}_reclaim_begin", f"mm_vmscan_{kind}_reclaim_end")
    for kind in ("direct", "memcg", "memcg_softlimit", "node")
)

# Events that attempts and what isolates pages are found in: few enough to hold, unlike the page stream. Readers may
# keep them from the first walk.
ATTEMPT_EVENTS = (
    "cma_alloc",
    "cma_alloc_start",
    "cma_alloc_busy_retry",
    "cma_alloc_finish",
    "cma_release",
    "test_pages_isolated",
    "mm_migrate_pages_start",
    "mm_migrate_pages",
    "mm_compaction_isolate_migratepages",
    "mm_compaction_begin",
    "mm_compaction_end",
    "mm_compaction_migratepages",
    "mm_compaction_try_to_compact_pages",
    *(name for window in RECLAIM_WINDOWS for name in window),
    "folio_wait_writeback",
    "wait_on_page_writeback",
    "console",
    "mark_victim",
    "offline_pages",  # of kprobes: parsers/probes/offlines.py
)
