"""Numbers the kernel prints as names, and back: GFP masks, page flags, migration and compaction enums.

Tables are those of 6.12 unless said otherwise; where a number moved between kernels, what the trace says by name
comes out as the number given here, whatever its kernel's own was.
"""

from __future__ import annotations

from collections.abc import Mapping

from tracereplay.parsers.binary.page_flag_bits import V6_12

# include/linux/gfp_types.h since 5.4. 4.19 had other bits 8-22 under the same names. Bits from 24 on are packed by
# the kernel's configuration and are left to their hexadecimal residue; none of them bears on mobility.
GFP_BITS: Mapping[str, int] = {
    "__GFP_DMA": 1 << 0,
    "__GFP_HIGHMEM": 1 << 1,
    "__GFP_DMA32": 1 << 2,
    "__GFP_MOVABLE": 1 << 3,
    "__GFP_RECLAIMABLE": 1 << 4,
    "__GFP_HIGH": 1 << 5,
    "__GFP_IO": 1 << 6,
    "__GFP_FS": 1 << 7,
    "__GFP_ZERO": 1 << 8,
    "__GFP_ATOMIC": 1 << 9,  # up to 6.2
    "__GFP_DIRECT_RECLAIM": 1 << 10,
    "__GFP_KSWAPD_RECLAIM": 1 << 11,
    "__GFP_WRITE": 1 << 12,
    "__GFP_NOWARN": 1 << 13,
    "__GFP_RETRY_MAYFAIL": 1 << 14,
    "__GFP_NOFAIL": 1 << 15,
    "__GFP_NORETRY": 1 << 16,
    "__GFP_MEMALLOC": 1 << 17,
    "__GFP_COMP": 1 << 18,
    "__GFP_NOMEMALLOC": 1 << 19,
    "__GFP_HARDWALL": 1 << 20,
    "__GFP_THISNODE": 1 << 21,
    "__GFP_ACCOUNT": 1 << 22,
    "__GFP_ZEROTAGS": 1 << 23,
}
_RECLAIM = GFP_BITS["__GFP_DIRECT_RECLAIM"] | GFP_BITS["__GFP_KSWAPD_RECLAIM"]
_KERNEL = _RECLAIM | GFP_BITS["__GFP_IO"] | GFP_BITS["__GFP_FS"]
_USER = _KERNEL | GFP_BITS["__GFP_HARDWALL"]
_HIGHUSER_MOVABLE = _USER | GFP_BITS["__GFP_HIGHMEM"] | GFP_BITS["__GFP_MOVABLE"]
_TRANSHUGE_LIGHT = (
    _HIGHUSER_MOVABLE | GFP_BITS["__GFP_COMP"] | GFP_BITS["__GFP_NOMEMALLOC"] | GFP_BITS["__GFP_NOWARN"]
) & ~_RECLAIM
# In the order of the kernel's __def_gfpflag_names: it prints the first that fits, and takes its bits away.
GFP_COMPOSITES: Mapping[str, int] = {
    "GFP_TRANSHUGE": _TRANSHUGE_LIGHT | GFP_BITS["__GFP_DIRECT_RECLAIM"],
    "GFP_TRANSHUGE_LIGHT": _TRANSHUGE_LIGHT,
    "GFP_HIGHUSER_MOVABLE": _HIGHUSER_MOVABLE,
    "GFP_HIGHUSER": _USER | GFP_BITS["__GFP_HIGHMEM"],
    "GFP_USER": _USER,
    "GFP_KERNEL_ACCOUNT": _KERNEL | GFP_BITS["__GFP_ACCOUNT"],
    "GFP_KERNEL": _KERNEL,
    "GFP_NOFS": _RECLAIM | GFP_BITS["__GFP_IO"],
    "GFP_ATOMIC": GFP_BITS["__GFP_HIGH"] | GFP_BITS["__GFP_KSWAPD_RECLAIM"],
    "GFP_NOIO": _RECLAIM,
    # 6.6 put __GFP_NOWARN into it. Text of older kernels gets that bit too: it only silences a warning.
    "GFP_NOWAIT": GFP_BITS["__GFP_KSWAPD_RECLAIM"] | GFP_BITS["__GFP_NOWARN"],
    "GFP_DMA": GFP_BITS["__GFP_DMA"],
    "GFP_DMA32": GFP_BITS["__GFP_DMA32"],
    "__GFP_RECLAIM": _RECLAIM,
}
# What older kernels called them. Names of bits that no longer exist stand for nothing.
GFP_OLD_NAMES: Mapping[str, int] = {
    "GFP_TEMPORARY": _KERNEL | GFP_BITS["__GFP_RECLAIMABLE"],
    "__GFP_WAIT": GFP_BITS["__GFP_DIRECT_RECLAIM"],
    "__GFP_REPEAT": GFP_BITS["__GFP_RETRY_MAYFAIL"],
    "__GFP_COLD": 0,
    "__GFP_NOTRACK": 0,
    "__GFP_OTHER_NODE": 0,
    "__GFP_NOLOCKDEP": 0,
    "__GFP_NO_OBJ_EXT": 0,
    "__GFP_SKIP_ZERO": 0,
    "__GFP_SKIP_KASAN": 0,
    "__GFP_SKIP_KASAN_POISON": 0,
    "__GFP_SKIP_KASAN_UNPOISON": 0,
} | {
    # 3.x printed single bits with one underscore less: GFP_KERNEL|GFP_ZERO.
    name[2:]: bit
    for name, bit in GFP_BITS.items()
    if name[2:] not in GFP_COMPOSITES
}
GFP: Mapping[str, int] = {**GFP_OLD_NAMES, **GFP_BITS, **GFP_COMPOSITES}


def gfp_names(value: int) -> str:
    """A GFP mask as 7.x prints it: `GFP_HIGHUSER_MOVABLE|__GFP_ZERO`; `none` for 0, unknown bits as hex.

    >>> gfp_names(0x104CC8)
    'GFP_USER|__GFP_MOVABLE|__GFP_RETRY_MAYFAIL'
    """
    names = []
    rest = value
    for name, mask in (*GFP_COMPOSITES.items(), *GFP_BITS.items()):
        if rest & mask == mask:
            names.append(name)
            rest &= ~mask
    if rest:
        names.append(f"{rest:#x}")
    return "|".join(names) or "none"


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
