"""compaction: scanning and isolating pages (include/trace/events/compaction.h)."""

from __future__ import annotations

from tracereplay.gfp import GFP
from tracereplay.parsers.catalog.enums import COMPACT_RESULTS, SYNC_MODES
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn, text
from tracereplay.schema import Column

SCAN = (
    pfn("First page scanned", "start_pfn"), pfn("End of the scan", "end_pfn"),
    count("nr_scanned", "Pages looked at", "pages"), count("nr_taken", "Pages isolated", "pages"),
)  # fmt: skip
RUN = (
    pfn("Start of the zone", "zone_start"), pfn("Migration scanner", "migrate_pfn"), pfn("Free scanner", "free_pfn"),
    pfn("End of the zone", "zone_end"), count("sync", "Whether migration waits"),
)  # fmt: skip
RANGE_TEXT = (
    r"range=\((?P<start_pfn>0x[0-9a-f]+) ~ (?P<end_pfn>0x[0-9a-f]+)\) "
    r"nr_scanned=(?P<nr_scanned>\d+) nr_taken=(?P<nr_taken>\d+)",
)
RUN_SPELLING = {"mode": Spelling("sync", Read.NAME, SYNC_MODES)}
STATUS_SPELLING = {"status": Spelling("status", Read.NAME, COMPACT_RESULTS)}

NID = count("nid", "NUMA node")
ORDER = count("order", "Order wanted")
# The index of a zone depends on the kernel's configuration; text prints its name instead.
ZONE = (count("idx", "Index of the zone (not in text)"), text("zone", "Name of the zone (text only)"))
ZONE_SPELLING = {"node": Spelling("nid"), "zone": Spelling("zone")}
WAKE = (
    NID, ORDER, count("highest_zoneidx", "Highest zone wanted (5.10+; not in text)"),
    count("classzone_idx", "The same, up to 5.4"), text("zone", "Name of that zone (text only)"),
)  # fmt: skip
WAKE_SPELLING = {"classzone_idx": Spelling("zone")}
RESULT = (NID, *ZONE, ORDER, count("ret", "enum compact_result"))
RESULT_SPELLING = ZONE_SPELLING | {"ret": Spelling("ret", Read.NAME, COMPACT_RESULTS)}
DEFER = (
    NID, *ZONE, ORDER, count("considered", "Attempts since the last failure"),
    count("defer_shift", "Attempts are put off until considered reaches 2^defer_shift"),
    count("order_failed", "Lowest order that failed"),
)  # fmt: skip
DEFER_SPELLING = ZONE_SPELLING | {"consider": Spelling("considered"), "limit": Spelling("defer_shift", Read.LOG2)}


def event(name: str, doc: str, fields: tuple[Column, ...], spelling: dict[str, Spelling], *patterns: str) -> EventSpec:
    """An event of this subsystem without an entry in the page stream."""
    return EventSpec("compaction", f"mm_compaction_{name}", doc, fields, text=patterns, spelling=spelling)


EVENTS = (
    event("isolate_migratepages", "One batch isolated for migration", SCAN, {}, *RANGE_TEXT),
    event("isolate_freepages", "One stretch isolated as destination", SCAN, {}, *RANGE_TEXT),
    event("fast_isolate_freepages", "Destinations taken straight from the free lists", SCAN, {}, *RANGE_TEXT),
    event("begin", "A compaction run of one zone began", RUN, RUN_SPELLING),
    event("end", "It ended", (*RUN, count("status", "enum compact_result")), RUN_SPELLING | STATUS_SPELLING),
    event("migratepages", "One batch of a compaction run was migrated",
          (count("nr_migrated", "Pages moved", "pages"), count("nr_failed", "Pages not moved", "pages")), {}),
    event("try_to_compact_pages", "An allocation turns to compaction",
          (ORDER, bits("gfp_mask", "GFP mask"), count("prio", "0 SYNC_FULL, 1 SYNC_LIGHT, 2 ASYNC")),
          {"gfp_mask": Spelling("gfp_mask", Read.FLAGS, GFP), "priority": Spelling("prio")}),
    event("finished", "Whether a run may stop", RESULT, RESULT_SPELLING),
    event("suitable", "Whether compacting a zone is worth while", RESULT, RESULT_SPELLING),
    event("deferred", "Compaction of the zone is put off", DEFER, DEFER_SPELLING),
    event("defer_compaction", "It failed: the next attempts will be put off", DEFER, DEFER_SPELLING),
    event("defer_reset", "It succeeded: no more putting off", DEFER, DEFER_SPELLING),
    event("kcompactd_sleep", "kcompactd has nothing to do", (NID,), {}),
    event("kcompactd_wake", "kcompactd begins", WAKE, WAKE_SPELLING),
    event("wakeup_kcompactd", "kcompactd is requested", WAKE, WAKE_SPELLING),
)  # fmt: skip
