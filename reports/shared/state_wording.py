"""States of pages in words, for legends of maps and charts."""

from __future__ import annotations

# What a map shows where there is no culprit, in the order of the legend.
STATE_WORDS = {
    "free": "free",
    "moved": "moved away",
    "held": "not migrated, no culprit",
    "mixed": "several states in one pageblock",
    "not_seen": "not seen in the trace",
}
# Of the counters of an area or zone.
OCCUPANCY_WORDS = {
    "cma_alloc": "taken by cma_alloc",
    "allocated": "allocated",
    "free": "free",
    "not_seen": "not seen yet",
}
# What kpageflags says that pages without events are, in the order of the legend.
USE_WORDS = {
    "free": "free",
    "anon": "anonymous memory",
    "file": "page cache",
    "shmem": "shared memory",
    "slab": "slab",
    "page_table": "page tables",
    "hugetlb": "hugetlb",
    "reserved": "reserved",
    "offline": "offline or poisoned",
    "no_page": "no page",
    "other": "other use of the kernel",
}
