"""Other names under which people look for a cause: errno values, and functions that traces and logs show."""

from __future__ import annotations

import errno
import re

Meaning = tuple[str, tuple[str, ...]]  # what it says, and the causes it points to

_PAGES = (
    "task_reference", "pin_short", "pin_longterm", "extra_reference", "buffer_head", "locked_folio", "writeback",
    "unmovable_allocation", "lru_batch",
)  # fmt: skip

_DECORATION = re.compile(r"\(\)\Z|\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?\Z|\.(?:isra|part|constprop|cold)\b.*|_noprof\Z")

# By name in lower case, as cma_alloc, alloc_contig_range and offline_pages return them.
ERRNOS: dict[str, Meaning] = {
    "ebusy": ("A page of the range could not be moved or isolated; cma_alloc then tries the next range.", _PAGES),
    "enomem": (
        "No memory to move pages to, or no free run in the area's bitmap; cma_alloc returns NULL for EBUSY as well, "
        "and its callers say ENOMEM.",
        ("destination_enomem", "bitmap_full", *_PAGES[:4]),
    ),
    "eintr": ("A signal ended the attempt; offline_pages retries until then.", ("interrupted", *_PAGES[:4])),
    "eagain": (
        "Migration of a page was refused for now: it is locked, under writeback, or has unexpected references.",
        ("extra_reference", "task_reference", "locked_folio", "writeback", "aio_ring", "lru_batch"),
    ),
    "einval": ("The range cannot be isolated at all: holes, boot memory, more than one zone.", ("not_isolatable",)),
}
FUNCTIONS: dict[str, Meaning] = {
    "test_pages_isolated": ("It names the first page of the range that is neither free nor offline.", _PAGES),
    "alloc_contig_range": ("It isolates, migrates and tests a range, for CMA, gigantic pages and virtio-mem.", _PAGES),
    "alloc_contig_dump_pages": ("It prints the pages that did not migrate, where dynamic debug is on.", _PAGES),
    "cma_alloc": ("It tries one range after another of its area until one is free.", (*_PAGES[:4], "bitmap_full")),
    "migrate_pages": ("It moves pages; nr_failed of mm_migrate_pages counts those that stay.", _PAGES),
    "isolate_migratepages_block": (
        "It takes pages off their LRU list for migration; anonymous pages with more references than mappings stay.",
        ("task_reference", "pin_short", "pin_longterm", "extra_reference", "lru_batch"),
    ),
    "get_user_pages": (
        "It takes a reference (FOLL_GET) to pages of a task; they stay until it is put.",
        ("task_reference", "extra_reference"),
    ),
    "folio_migrate_mapping": ("It refuses a folio whose reference count is not the expected one.", _PAGES[:4]),
    "set_migratetype_isolate": (
        "It refuses a pageblock that holds unmovable pages or that another task isolates.",
        ("unmovable_allocation", "isolation_conflict", "not_isolatable"),
    ),
    "has_unmovable_pages": ("It finds a page that can never be moved.", ("unmovable_allocation", "pin_longterm")),
    "offline_pages": ("It empties a memory block, and retries until a signal ends it.", (*_PAGES, "interrupted")),
    "buffer_migrate_folio": ("It refuses a folio whose buffers are in use.", ("buffer_head",)),
    "folio_wait_writeback": ("Migration sleeps there until the write ends.", ("writeback",)),
    "folio_lock": ("Migration sleeps there until the read ends.", ("locked_folio",)),
    "migrate_folio_unmap": ("It sleeps for the folio lock and for writeback.", ("locked_folio", "writeback")),
    "split_folio": ("A large folio is split where no target of its size is free.", ("unsplittable_folio",)),
    "lru_add_drain_all": ("It empties the per-CPU batches.", ("lru_batch",)),
    "drain_all_pages": ("It empties the per-CPU free lists.", ("percpu_free",)),
}
FUNCTIONS |= {
    "get_user_pages_fast": FUNCTIONS["get_user_pages"],
    "gup_fast_fallback": FUNCTIONS["get_user_pages"],
    "try_grab_folio": FUNCTIONS["get_user_pages"],
    "memory_block_offline": FUNCTIONS["offline_pages"],
    "start_isolate_page_range": FUNCTIONS["set_migratetype_isolate"],
    "migrate_page_move_mapping": FUNCTIONS["folio_migrate_mapping"],
    "__alloc_contig_migrate_range": FUNCTIONS["migrate_pages"],
    "buffer_migrate_page": FUNCTIONS["buffer_migrate_folio"],
    "wait_on_page_writeback": FUNCTIONS["folio_wait_writeback"],
    "__folio_lock": FUNCTIONS["folio_lock"],
    "memory_offline": FUNCTIONS["offline_pages"],
    "alloc_contig_pages": FUNCTIONS["alloc_contig_range"],
    "isolate_single_pageblock": FUNCTIONS["set_migratetype_isolate"],
    "do_migrate_range": FUNCTIONS["migrate_pages"],
    "isolate_migratepages_range": FUNCTIONS["isolate_migratepages_block"],
}


def plain_name(spelled: str) -> str:
    """A code as the tables here spell it: of `-EBUSY`, `-16`, `__alloc_contig_range_noprof()` or `f+0x12/0x90`.

    >>> plain_name("-16"), plain_name("ALLOC_CONTIG_RANGE_noprof+0x1f/0x2a0")
    ('ebusy', 'alloc_contig_range')
    """
    name = spelled.strip().lower()
    while (shorter := _DECORATION.sub("", name)) != name:
        name = shorter
    number = name.removeprefix("-")
    if number.isascii() and number.isdigit() and len(number) < 5:
        return errno.errorcode.get(int(number), number).lower()
    name = number if number in ERRNOS else name
    bare = name.lstrip("_")
    return bare if name not in FUNCTIONS and bare in FUNCTIONS else name
