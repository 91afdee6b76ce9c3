"""What is recorded and copied, declared once, for `record`, `record --print-script` and `check`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum


class Stacks(StrEnum):
    """Of which events that take references the stack is recorded too: it names the call that took them.

    TAKES -- of the probes on get_user_pages(); ALL -- of page_ref events of the range as well.
    """

    NONE = ""
    TAKES = "takes"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Sign:
    """An event that says something of its kind where `filter_` holds."""

    event: str
    filter_: str


# Tracepoints by capture level: SYSTEM/EVENT. What a kernel lacks is left out, and said.
ATTEMPTS = (
    "cma/cma_alloc_start", "cma/cma_alloc_finish", "cma/cma_alloc_busy_retry", "cma/cma_release", "cma/cma_alloc",
    "migrate/mm_migrate_pages", "migrate/mm_migrate_pages_start",
    "page_isolation/test_pages_isolated",
    "compaction/mm_compaction_isolate_migratepages",
    "writeback/folio_wait_writeback", "writeback/wait_on_page_writeback",
)  # fmt: skip
# Many: every allocation and free of pages. They tell who allocated a page, and whether it may move at all.
PAGES = (
    "kmem/mm_page_alloc", "kmem/mm_page_free", "kmem/mm_page_pcpu_drain", "kmem/mm_page_alloc_zone_locked",
    "filemap/mm_filemap_add_to_page_cache", "filemap/mm_filemap_delete_from_page_cache",
    "migrate/set_migration_pte", "migrate/remove_migration_pte",
)  # fmt: skip
# The kernel's own: what a write to trace_marker records, and stacks.
BUILT_IN = ("ftrace/print", "ftrace/kernel_stack")
# Events that take references: with Stacks.ALL their stack is recorded.
TAKING = (Sign("page_ref/page_ref_mod", "val > 0"), Sign("page_ref/page_ref_mod_unless", "ret == 1"))
CONSOLE = ("printk/console",)
# CONFIG_DEBUG_PAGE_REF: more than a million events a second on a busy machine, so only with a range.
REFERENCES = (
    "page_ref/page_ref_set", "page_ref/page_ref_mod", "page_ref/page_ref_mod_and_test",
    "page_ref/page_ref_mod_and_return", "page_ref/page_ref_mod_unless", "page_ref/page_ref_freeze",
    "page_ref/page_ref_unfreeze",
)  # fmt: skip
# What recording costs on a current machine, in words.
COSTS = {
    "PAGES": "about 1 us for each page allocated or freed",
    "TAKES": "about 1 us for each page that get_user_pages() takes",
    "STACKS": "about 3 us for each page that get_user_pages() takes, with its stack (--no-stacks: 1 us)",
    "REFERENCES": "about 1 us for each reference of the range",
}
# Events whose field `pfn` a filter on the requested range goes to.
FILTERED_BY_PFN = ("kmem/", "filemap/", "page_ref/")


# Lines of the kernel log that say so (mm/cma.c, mm/memory_hotplug.c, mm/page_alloc.c), for event filters and as below.
FAILURE_PATTERNS = ("*cma: *alloc failed*", "*memory offlining*failed*", "*migrating pfn*failed*", "*PFNs busy*")
# Of an event with several conditions the first that the kernel takes: errorno is of 6.6 and later. mm_migrate_pages:
# reason 2 is memory_hotplug (enum migrate_reason, every kernel seen).
FAILURES = (
    Sign("cma/cma_alloc_finish", "errorno != 0"),
    Sign("cma/cma_alloc_finish", "page == 0"),
    Sign("cma/cma_alloc", "page == 0"),
    Sign("migrate/mm_migrate_pages", "failed > 0 && reason == 2"),
    Sign("printk/console", " || ".join(f'msg ~ "{pattern}"' for pattern in FAILURE_PATTERNS)),
)
FAILURE_LINES = r"cma: .*alloc failed|memory offlining .* failed|migrating pfn [0-9a-f]+ failed|PFNs busy"


@dataclass(frozen=True, slots=True)
class Copied:
    """One file to copy as it is."""

    source: str
    target: str


# Of the machine, before and after: names as `parsers/snapshots/layout.py` looks for them.
SNAPSHOT_FILES = (
    Copied("/proc/zoneinfo", "zoneinfo"),
    Copied("/proc/iomem", "iomem"),
    Copied("/proc/pagetypeinfo", "pagetypeinfo"),
    Copied("/proc/buddyinfo", "buddyinfo"),
    Copied("/proc/meminfo", "meminfo"),
    Copied("/proc/vmstat", "vmstat"),
    Copied("/proc/version", "version"),
    Copied("/proc/stat", "stat"),
    Copied("/proc/cmdline", "cmdline"),
    Copied("/proc/modules", "modules"),
    Copied("/proc/swaps", "swaps"),
    Copied("/proc/partitions", "partitions"),
    Copied("/sys/devices/system/memory/block_size_bytes", "block_size_bytes"),
    Copied("/sys/devices/system/memory/auto_online_blocks", "auto_online_blocks"),
)
# Clocks by the names that trace_clock gives them.
CLOCKS = {
    "realtime": time.CLOCK_REALTIME,
    "boot": time.CLOCK_BOOTTIME,
    "mono": time.CLOCK_MONOTONIC,
    "mono_raw": time.CLOCK_MONOTONIC_RAW,
}
MOUNTS = Copied("/proc/self/mountinfo", "mountinfo")
# Of tracefs, beside the raw pages: names as `parsers/trace_dat/raw_buffers.py` looks for them.
TRACE_FILES = ("saved_cmdlines", "saved_tgids", "printk_formats", "kprobe_profile")
DEBUG_FILES = (Copied("page_owner", "page_owner.txt"), Copied("page_pinner/buffer", "page_pinner.txt"))
CMA_FILES = ("base_pfn", "count", "order_per_bit", "bitmap", "used", "maxchunk")
# For `check` of another machine: copied to the same path below a folder. Others are only looked for, see record.sh.
CHECK_FILES = (
    "/proc/config.gz", "/proc/cmdline", "/proc/sys/kernel/kptr_restrict",
    "/sys/kernel/security/lockdown", "/sys/kernel/btf/vmlinux",
)  # fmt: skip
NO_STACKS = "the kernel records no stacks: who holds plain references until the end will not be proved"
NO_NAMES = "kernel.kptr_restrict=2 hides where functions are: stacks name no call; set it to 1"
