"""migrate: pages moved (include/trace/events/migrate.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, bits, count
from tracereplay.schema import Op

MODE = count("mode", "0 ASYNC, 1 SYNC_LIGHT, 2 SYNC")
REASON = count("reason", "0 compaction, 2 memory_hotplug, 6 contig_range, 7 longterm_pin ...")
PTE = (bits("addr", "User virtual address"), bits("pte", "The page table entry"), count("order", "Order of the mapping"))

EVENTS = (
    EventSpec("migrate", "mm_migrate_pages_start", "migrate_pages() was called", (MODE, REASON)),
    EventSpec(
        "migrate", "mm_migrate_pages", "migrate_pages() ended; counts only, no pfn",
        (count("succeeded", "Pages moved", "pages"), count("failed", "Pages not moved", "pages"),
         count("thp_succeeded", "Large folios moved"), count("thp_failed", "Large folios not moved as such"),
         count("thp_split", "THPs split"), count("large_folio_split", "Large folios split"), MODE, REASON),
    ),
    EventSpec("migrate", "set_migration_pte", "A mapping was replaced by a migration entry holding the old pfn", PTE,
              Op.SET_MIGRATION_PTE, {"mapping": "pte", "val": "addr", "order": "order"}),
    EventSpec("migrate", "remove_migration_pte", "A migration entry was replaced by a mapping of the new pfn", PTE,
              Op.REMOVE_MIGRATION_PTE, {"mapping": "pte", "val": "addr", "order": "order"}),
)
