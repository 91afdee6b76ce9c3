"""compaction: scanning and isolating pages (include/trace/events/compaction.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, count, pfn

SCAN = (
    pfn("First page scanned", "start_pfn"), pfn("End of the scan", "end_pfn"),
    count("nr_scanned", "Pages looked at", "pages"), count("nr_taken", "Pages isolated", "pages"),
)
RUN = (
    pfn("Start of the zone", "zone_start"), pfn("Migration scanner", "migrate_pfn"), pfn("Free scanner", "free_pfn"),
    pfn("End of the zone", "zone_end"), count("sync", "Whether migration waits"),
)
RANGE_TEXT = (
    r"range=\((?P<start_pfn>0x[0-9a-f]+) ~ (?P<end_pfn>0x[0-9a-f]+)\) nr_scanned=(?P<nr_scanned>\d+) nr_taken=(?P<nr_taken>\d+)",
)

EVENTS = (
    EventSpec("compaction", "mm_compaction_isolate_migratepages", "One batch isolated for migration", SCAN, text=RANGE_TEXT),
    EventSpec("compaction", "mm_compaction_isolate_freepages", "One stretch isolated as destination", SCAN, text=RANGE_TEXT),
    EventSpec("compaction", "mm_compaction_begin", "A compaction run of one zone began", RUN),
    EventSpec("compaction", "mm_compaction_end", "It ended", (*RUN, count("status", "enum compact_result"))),
)
