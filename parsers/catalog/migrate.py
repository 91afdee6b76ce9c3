"""migrate: pages moved (include/trace/events/migrate.h), and mappings of huge pages (thp.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.enums import MIGRATE_MODES, MIGRATE_REASONS
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count
from tracereplay.schema import Op

MODE = count("mode", "0 ASYNC, 1 SYNC_LIGHT, 2 SYNC")
REASON = count("reason", "0 compaction, 2 memory_hotplug, 6 contig_range, 7 longterm_pin ...")
PTE = (
    bits("addr", "User virtual address"),
    bits("pte", "The page table entry"),
    count("order", "Order of the mapping"),
)
PMD = (bits("addr", "User virtual address"), bits("pmd", "The page middle directory entry"))
HOW = {"mode": Spelling("mode", Read.NAME, MIGRATE_MODES), "reason": Spelling("reason", Read.NAME, MIGRATE_REASONS)}
COUNTS = {
    "nr_succeeded": Spelling("succeeded"), "nr_failed": Spelling("failed"),
    "nr_thp_succeeded": Spelling("thp_succeeded"), "nr_thp_failed": Spelling("thp_failed"),
    "nr_thp_split": Spelling("thp_split"), "nr_split": Spelling("large_folio_split"),
}  # fmt: skip
HEX = {name: Spelling(name, Read.HEX) for name in ("addr", "pte", "pmd")}
PTE_ARGS = {"mapping": "pte", "val": "addr", "order": "order"}

EVENTS = (
    EventSpec("migrate", "mm_migrate_pages_start", "migrate_pages() was called", (MODE, REASON), spelling=HOW),
    EventSpec(
        "migrate", "mm_migrate_pages", "migrate_pages() ended; counts only, no pfn",
        (count("succeeded", "Pages moved", "pages"), count("failed", "Pages not moved", "pages"),
         count("thp_succeeded", "Large folios moved"), count("thp_failed", "Large folios not moved as such"),
         count("thp_split", "THPs split"), count("large_folio_split", "Large folios split"), MODE, REASON),
        spelling=HOW | COUNTS,
    ),
    EventSpec("migrate", "set_migration_pte", "A mapping was replaced by a migration entry holding the old pfn", PTE,
              Op.SET_MIGRATION_PTE, PTE_ARGS, spelling=HEX),
    EventSpec("migrate", "remove_migration_pte", "A migration entry was replaced by a mapping of the new pfn", PTE,
              Op.REMOVE_MIGRATION_PTE, PTE_ARGS, spelling=HEX),
    EventSpec("thp", "set_migration_pmd", "The same for the mapping of a huge page as a whole", PMD, spelling=HEX),
    EventSpec("thp", "remove_migration_pmd", "The same for the mapping of a huge page as a whole", PMD, spelling=HEX),
)  # fmt: skip
