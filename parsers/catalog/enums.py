"""Numbers the kernel prints as names, and back: page flags, migration and compaction enums. GFP masks: `gfp.py`.

Tables are those of 6.12 unless said otherwise; where a number moved between kernels, what the trace says by name
comes out as the number given here, whatever its kernel's own was.
"""

from __future__ import annotations

from collections.abc import Mapping

from tracereplay.parsers.binary.page_flag_bits import V6_12

# enum pageflags of 6.12. Up to unevictable the numbers are fixed; what follows depends on the configuration (here:
# with CONFIG_MMU and CONFIG_MEMORY_FAILURE). Flags of other kernels have numbers from 40 on, which no kernel uses.
PAGE_FLAGS: Mapping[str, int] = {
    name: 1 << bit
    for bit, name in (
        *enumerate(
            (
                *V6_12,
                "mlocked",
                "hwpoison",
                "young",
                "idle",
                "arch_2",
                "arch_3",
            )
        ),
        (31, "swapcache"),
        *enumerate(("error", "slab", "mappedtodisk", "uncached", "skip_kasan_poison", "dropbehind"), start=40),
    )
}

MIGRATE_MODES: Mapping[str, int] = {
    "MIGRATE_ASYNC": 0,
    "MIGRATE_SYNC_LIGHT": 1,
    "MIGRATE_SYNC": 2,
    "MIGRATE_SYNC_NO_COPY": 3,  # up to 6.6
}
MIGRATE_REASONS: Mapping[str, int] = {
    "compaction": 0,
    "memory_failure": 1,
    "memory_hotplug": 2,
    "syscall_or_cpuset": 3,
    "mempolicy_mbind": 4,
    "numa_misplaced": 5,
    "contig_range": 6,
    "cma": 6,  # what page_owner says up to 5.10
    "longterm_pin": 7,
    "demotion": 8,
    "damon": 9,
    "never_migrated": 10,
}
COMPACT_RESULTS: Mapping[str, int] = {
    "not_suitable_zone": 0,
    "skipped": 1,
    "deferred": 2,
    "no_suitable_page": 3,
    "continue": 4,
    "complete": 5,
    "partial_skipped": 6,
    "contended": 7,
    "success": 8,
}
COMPACT_PRIORITIES: Mapping[str, int] = {
    "COMPACT_PRIO_SYNC_FULL": 0,
    "COMPACT_PRIO_SYNC_LIGHT": 1,
    "COMPACT_PRIO_ASYNC": 2,
}
SYNC_MODES: Mapping[str, int] = {"async": 0, "sync": 1}
RSS_MEMBERS: Mapping[str, int] = {"MM_FILEPAGES": 0, "MM_ANONPAGES": 1, "MM_SWAPENTS": 2, "MM_SHMEMPAGES": 3}
DMA_DIRECTIONS: Mapping[str, int] = {"BIDIRECTIONAL": 0, "TO_DEVICE": 1, "FROM_DEVICE": 2, "NONE": 3}
DMA_ATTRS: Mapping[str, int] = {
    "": 0,
    "WEAK_ORDERING": 1 << 1,
    "WRITE_COMBINE": 1 << 2,
    "NO_KERNEL_MAPPING": 1 << 4,
    "SKIP_CPU_SYNC": 1 << 5,
    "FORCE_CONTIGUOUS": 1 << 6,
    "ALLOC_SINGLE_PAGES": 1 << 7,
    "NO_WARN": 1 << 8,
    "PRIVILEGED": 1 << 9,
    "MMIO": 1 << 10,
    "CACHE_CLEAN": 1 << 11,
}


def flag_names(value: int, names: Mapping[str, int]) -> str:
    """A flags word by the names of its bits, `|` between; unknown bits as hex, `none` for 0."""
    found = [name for name, bit in names.items() if value & bit == bit]
    rest = value & ~sum(names[name] for name in found)
    return "|".join([*found, *([f"{rest:#x}"] if rest else [])]) or "none"


def name_of(value: int, names: Mapping[str, int]) -> str:
    """The name of an enum's value, or the number where the table lacks it."""
    return next((name for name, number in names.items() if number == value), str(value))
