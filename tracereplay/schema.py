"""Every column that more than one room uses, declared once: name, Arrow type, unit, one sentence.

Event tables begin with `EVENT_COLUMNS`; the fields that follow are declared beside their tracepoint in
`parsers/catalog/`. The page stream, which the replay consumes, is declared here as operations (`Op`) and the
arguments (`ARGS`) each carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, unit (None where it has none) and meaning in one sentence."""

    name: str
    type: pa.DataType
    unit: str | None
    doc: str

    @property
    def field(self) -> pa.Field:
        """The Arrow field; unit and meaning travel in its metadata."""
        return pa.field(self.name, self.type, metadata={"unit": self.unit or "", "doc": self.doc})


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of these columns."""
    return pa.schema([column.field for column in columns])


NS_MIN, NS_MAX = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends included; None = open."""

    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def limits_ns(self) -> tuple[int, int]:
        """Its first and last ns among the times that int64 has."""
        start = NS_MIN if self.start_ns is None else max(self.start_ns, NS_MIN)
        return start, NS_MAX if self.end_ns is None else min(self.end_ns, NS_MAX)


COMM = pa.dictionary(pa.int32(), pa.string())

EVENT_COLUMNS = (
    Column("seq", pa.uint64(), None, "Place of the event in the time order of this read; orders events of all tables"),
    Column("time_ns", pa.int64(), "ns", "Time stamp on the trace's clock, relative to the input's origin_ns"),
    Column("cpu", pa.uint16(), None, "CPU that recorded the event"),
    Column("tid", pa.int32(), None, "Task that ran (common_pid: the thread id, not the process id)"),
    Column("comm", COMM, None, "Name of that task; null where the trace did not save it"),
    Column("common_flags", pa.uint8(), None, "TRACE_FLAG_* bits: 1 irqs off, 4 need resched, 8 hardirq, 16 softirq"),
    Column("preempt_count", pa.uint8(), None, "Low nibble preemption depth, high nibble migrate-disable depth"),
)


def integers(column: pa.ChunkedArray, none: int = -1) -> npt.NDArray[np.int64]:
    """An integer column as int64 (bit patterns of uint64 kept), nulls as `none`.

    Goes through the buffers: pyarrow's own ways load pandas or all its functions, which takes longer than blame.
    """
    parts = []
    for chunk in (chunk for chunk in column.chunks if len(chunk)):
        whole = np.frombuffer(chunk.buffers()[1], str(chunk.type))  # its name is numpy's too
        values = whole[chunk.offset : chunk.offset + len(chunk)]
        numbers = values.astype(np.int64)
        if chunk.null_count:
            valid = np.unpackbits(np.frombuffer(chunk.buffers()[0], np.uint8), bitorder="little")
            numbers[valid[chunk.offset : chunk.offset + len(chunk)] == 0] = none
        parts.append(numbers)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


class Op(IntEnum):
    """What an event does to the model of memory: one entry of the page stream."""

    NONE = 0
    ALLOC = 1  # mm_page_alloc; pfn -1 = the allocation failed; flags = gfp_flags
    FREE = 2  # mm_page_free
    PCP_DRAIN = 3  # mm_page_pcpu_drain: per-cpu list -> buddy
    BUDDY_TAKE = 4  # mm_page_alloc_zone_locked: buddy -> per-cpu list (ret=1) or user (ret=0)
    REF_SET = 5  # page_ref_set: count = val
    REF_MOD = 6  # page_ref_mod: count += val
    REF_MOD_AND_TEST = 7  # page_ref_mod_and_test: count += val; ret=1: dropped to zero
    REF_MOD_AND_RETURN = 8  # page_ref_mod_and_return: count += val; ret = the new count
    REF_MOD_UNLESS = 9  # page_ref_mod_unless: ret=1: count += val; ret=0: nothing happened
    REF_FREEZE = 10  # page_ref_freeze: ret=1: count val -> 0; ret=0: nothing happened
    REF_UNFREEZE = 11  # page_ref_unfreeze: count 0 -> val
    CACHE_ADD = 12  # mm_filemap_add_to_page_cache: mapping = i_ino, val = index (pages), ret = s_dev
    CACHE_DELETE = 13  # mm_filemap_delete_from_page_cache: likewise
    SET_MIGRATION_PTE = 14  # set_migration_pte: mapping = pte (a swap entry holding the old pfn), val = address
    REMOVE_MIGRATION_PTE = 15  # remove_migration_pte: mapping = pte (the new mapping), val = address
    LRU_ADD = 16  # mm_lru_insertion
    IOMMU_MAP = 17  # iommu:map: mapping = paddr, val = size in bytes
    IOMMU_UNMAP = 18  # iommu:unmap: mapping = iova, val = size in bytes
    EXTFRAG = 19  # mm_page_alloc_extfrag: mt = type wanted, val and ret = order and type of the block, flags: claimed
    # Seen by kprobes, not counted: val = references (of a small folio 1024 for each pin), count = _refcount before it
    # (-1 = not fetched), ret of a take = references that were dropped unseen since the take before.
    PROBE_GET = 20  # try_grab_folio ... with FOLL_GET
    PROBE_PUT = 21  # page_cache_pipe_buf_release, gup_put_folio, __bio_release_pages
    PROBE_PIN = 22  # try_grab_folio ... with FOLL_PIN
    PROBE_UNPIN = 23  # unpin_user_folio, gup_put_folio
    # Of migration: count = _refcount without the isolation's own; val = which probe showed it, ret = the errno.
    PROBE_REFUSED = 24  # move_to_new_folio failed, try_to_migrate left it mapped, dump_page printed it, or not isolated
    PROBE_MOVED = 25  # move_to_new_folio succeeded: the page is about to be freed


class State(IntEnum):
    """Where a page frame is."""

    UNSEEN = 0  # no event named it
    BUDDY = 1  # free, on the buddy lists
    PCP = 2  # free, on a per-cpu list (or on its way there)
    ALLOCATED = 3  # in use
    # No event named it; the copy of kpageflags taken before says what it was. To the kernels the same as UNSEEN.
    SEEDED_FREE = 4
    SEEDED_USED = 5


@dataclass(frozen=True, slots=True)
class OpInfo:
    """What every room has to know of an operation.

    event -- the tracepoint it stands for; label -- its name in the life of a page, where that is not the event;
    frees_to -- the free list that its pages are on afterwards; covers_order -- it acts on all 2^order pages from pfn
    on; changes_count -- it takes or drops references of a page in use, and prints the count; is_replayed -- whether
    the replay uses it.
    """

    event: str | None = None
    label: str | None = None
    frees_to: State | None = None
    covers_order: bool = False
    changes_count: bool = False
    is_replayed: bool = True

    @property
    def name(self) -> str:
        """As reports show it."""
        return self.label or self.event or ""


OP_INFO: dict[Op, OpInfo] = {
    Op.NONE: OpInfo(is_replayed=False),
    Op.ALLOC: OpInfo("mm_page_alloc", covers_order=True),
    Op.FREE: OpInfo("mm_page_free", frees_to=State.PCP, covers_order=True),
    Op.PCP_DRAIN: OpInfo("mm_page_pcpu_drain", frees_to=State.BUDDY, covers_order=True),
    # On its way out, whatever percpu_refill says: it is 0 for CMA pages, which refill per-cpu lists too.
    Op.BUDDY_TAKE: OpInfo("mm_page_alloc_zone_locked", frees_to=State.PCP, covers_order=True),
    Op.REF_SET: OpInfo("page_ref_set"),
    Op.REF_MOD: OpInfo("page_ref_mod", changes_count=True),
    Op.REF_MOD_AND_TEST: OpInfo("page_ref_mod_and_test", changes_count=True),
    Op.REF_MOD_AND_RETURN: OpInfo("page_ref_mod_and_return", changes_count=True),
    Op.REF_MOD_UNLESS: OpInfo("page_ref_mod_unless", changes_count=True),
    Op.REF_FREEZE: OpInfo("page_ref_freeze"),
    Op.REF_UNFREEZE: OpInfo("page_ref_unfreeze"),
    Op.CACHE_ADD: OpInfo("mm_filemap_add_to_page_cache", covers_order=True),
    Op.CACHE_DELETE: OpInfo("mm_filemap_delete_from_page_cache"),
    Op.SET_MIGRATION_PTE: OpInfo("set_migration_pte"),
    Op.REMOVE_MIGRATION_PTE: OpInfo("remove_migration_pte"),
    Op.LRU_ADD: OpInfo("mm_lru_insertion", is_replayed=False),
    Op.IOMMU_MAP: OpInfo("map", "iommu map", is_replayed=False),
    Op.IOMMU_UNMAP: OpInfo("unmap", "iommu unmap", is_replayed=False),
    Op.EXTFRAG: OpInfo("mm_page_alloc_extfrag", is_replayed=False),
    Op.PROBE_GET: OpInfo(label="reference taken (kprobe)"),
    Op.PROBE_PUT: OpInfo(label="reference released (kprobe)"),
    Op.PROBE_PIN: OpInfo(label="pinned (kprobe)"),
    Op.PROBE_UNPIN: OpInfo(label="unpinned (kprobe)"),
    Op.PROBE_REFUSED: OpInfo(label="migration refused (kprobe)"),
    Op.PROBE_MOVED: OpInfo(label="migrated away (kprobe)"),
}
REPLAYED = frozenset(op for op, info in OP_INFO.items() if info.is_replayed)


# Arguments of an entry of the page stream, int64 each, 0 where the operation has no such argument.
ARGS = ("pfn", "order", "flags", "mt", "count", "mapcount", "mapping", "val", "ret")
PFN, ORDER, FLAGS, MT, COUNT, MAPCOUNT, MAPPING, VAL, RET = range(len(ARGS))


class IrqContext(IntEnum):
    """Whether an event was recorded in the context of its task or while an interrupt was served."""

    TASK = 0
    INTERRUPT = 1  # hardirq, softirq or NMI: the task that ran has nothing to do with the event
    UNKNOWN = 2  # text without a flags column


# TRACE_FLAG_HARDIRQ, TRACE_FLAG_SOFTIRQ and TRACE_FLAG_NMI of common_flags (include/linux/trace_events.h)
INTERRUPT_FLAGS = 0x08 | 0x10 | 0x40


def irq_context(common_flags: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The `IrqContext` that common_flags tell: TASK or INTERRUPT."""
    interrupted: npt.NDArray[np.bool_] = (common_flags & np.uint8(INTERRUPT_FLAGS)) != 0
    return interrupted.view(np.uint8)


@dataclass(frozen=True, slots=True)
class PageStream:
    """A stretch of the page stream in time order: what `replay` consumes.

    time_ns int64[n], cpu uint16[n], tid int32[n], irq uint8[n] (an `IrqContext`), op uint8[n] (an `Op`),
    args int64[n, len(ARGS)] (C order).
    """

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    irq: npt.NDArray[np.uint8]
    op: npt.NDArray[np.uint8]
    args: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)

    @classmethod
    def concatenate(cls, parts: Sequence[PageStream]) -> PageStream:
        """All entries of `parts`, in that order; without parts an empty stretch."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, name) for part in (_NO_ENTRIES, *parts)]) for name in cls.__slots__))

    def select(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> PageStream:
        """The entries that `rows` indexes: a slice (no copy), a mask, or positions."""
        return PageStream(
            self.time_ns[rows], self.cpu[rows], self.tid[rows], self.irq[rows], self.op[rows], self.args[rows]
        )


_NO_ENTRIES = PageStream(
    np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.uint8),
    np.empty((0, len(ARGS)), np.int64),
)  # fmt: skip


class KPF(IntEnum):
    """Bit numbers of a kpageflags word (include/uapi/linux/kernel-page-flags.h; 32 on: linux/kernel-page-flags.h)."""

    LOCKED = 0
    ERROR = 1
    REFERENCED = 2
    UPTODATE = 3
    DIRTY = 4
    LRU = 5
    ACTIVE = 6
    SLAB = 7
    WRITEBACK = 8
    RECLAIM = 9
    BUDDY = 10
    MMAP = 11
    ANON = 12
    SWAPCACHE = 13
    SWAPBACKED = 14
    COMPOUND_HEAD = 15
    COMPOUND_TAIL = 16
    HUGE = 17
    UNEVICTABLE = 18
    HWPOISON = 19
    NOPAGE = 20
    KSM = 21
    THP = 22
    OFFLINE = 23
    ZERO_PAGE = 24
    IDLE = 25
    PGTABLE = 26
    RESERVED = 32
    MLOCKED = 33
    OWNER_2 = 34  # mappedtodisk up to 6.11
    PRIVATE = 35
    PRIVATE_2 = 36
    OWNER_PRIVATE = 37
    ARCH = 38
    UNCACHED = 39
    SOFTDIRTY = 40

    @property
    def mask(self) -> np.uint64:
        """The flag as a word."""
        return np.uint64(1 << self.value)


# What snapshots and kernel logs are turned into. `layout/` and `attempts/` read these tables, whoever made them.
LAYOUT_TABLES: dict[str, tuple[Column, ...]] = {
    "zones": (
        Column("node", pa.int32(), None, "NUMA node"),
        Column("name", pa.string(), None, "Zone name as in zoneinfo: DMA32, Normal, Movable"),
        Column("start_pfn", pa.int64(), "pfn", "First page frame the zone spans"),
        Column("pages", pa.int64(), "pages", "Pages spanned, holes included"),
        Column("present_pages", pa.int64(), "pages", "Pages that exist"),
        Column("managed_pages", pa.int64(), "pages", "Pages the buddy allocator manages"),
        Column("free_pages", pa.int64(), "pages", "Pages free then"),
        Column("free_cma_pages", pa.int64(), "pages", "... of these in CMA areas"),
        Column("min_pages", pa.int64(), "pages", "Watermark `min`"),
        Column("lru_pages", pa.int64(), "pages", "Pages on its LRU lists"),
        Column("pcp_pages", pa.int64(), "pages", "Pages free on per-CPU lists, which count as in use"),
    ),
    "memory_blocks": (
        Column("block", pa.int64(), None, "Number N of /sys/devices/system/memory/memoryN"),
        Column("state", pa.string(), None, "online, offline or going-offline"),
        Column("valid_zones", pa.string(), None, "Zones the block may belong to"),
        Column("node", pa.int32(), None, "NUMA node, where known"),
    ),
    "cma_areas": (
        Column("name", pa.string(), None, "Name of the area"),
        Column("start_pfn", pa.int64(), "pfn", "First page frame"),
        Column("pages", pa.int64(), "pages", "Size of the area"),
        Column("order_per_bit", pa.int32(), None, "Pages per bitmap bit, as a power of two"),
        Column("bitmap", pa.list_(pa.uint32()), None, "Allocation bitmap as debugfs prints it; null where absent"),
    ),
    "free_areas": (
        Column("node", pa.int32(), None, "NUMA node"),
        Column("zone", pa.string(), None, "Zone name"),
        Column("migratetype", pa.string(), None, "Free list (pagetypeinfo), or null for all (buddyinfo)"),
        Column("order", pa.int32(), None, "Order of the free blocks"),
        Column("blocks", pa.int64(), None, "Number of free blocks of that order"),
    ),
    "memory_spans": (
        Column("start_pfn", pa.int64(), "pfn", "First page frame of the span"),
        Column("pages", pa.int64(), "pages", "Pages"),
        Column("name", pa.string(), None, "Name in /proc/iomem: System RAM, Reserved, Kernel code ..."),
        Column("depth", pa.int32(), None, "Nesting depth in /proc/iomem; 0 is outermost"),
    ),
    "tasks": (
        Column("tid", pa.int32(), None, "Thread id"),
        Column("pid", pa.int32(), None, "Process id, where the listing tells"),
        Column("comm", pa.string(), None, "Name"),
    ),
    "tasks_at_end": (
        Column("tid", pa.int32(), None, "Thread id"),
        Column("pid", pa.int32(), None, "Process id"),
        Column("comm", pa.string(), None, "Name at the end of the recording"),
    ),
    "processes": (
        Column("pid", pa.int32(), None, "Process id"),
        Column("cmdline", pa.string(), None, "Command line, blanks between its words"),
        Column("cgroup", pa.string(), None, "/proc/PID/cgroup, its lines joined"),
    ),
    "block_devices": (
        Column("dev", pa.int64(), None, "Device number as the kernel keeps it (major << 20 | minor)"),
        Column("name", pa.string(), None, "Name in /proc/partitions"),
    ),
    "open_files": (
        Column("dev", pa.int64(), None, "Device number of its file system, as the kernel keeps it"),
        Column("ino", pa.int64(), None, "Inode number"),
        Column("path", pa.string(), None, "Path as the task that had it open sees it"),
    ),
    "mounts": (
        Column("mount_id", pa.int64(), None, "Number of the mount, or null"),
        Column("root", pa.string(), None, "What of the file system is mounted there, or null"),
        Column("dev", pa.int64(), None, "Device number as the kernel keeps it (major << 20 | minor), or null"),
        Column("source", pa.string(), None, "Mounted device or name"),
        Column("path", pa.string(), None, "Mount point"),
        Column("fs", pa.string(), None, "File system type"),
    ),
}

LOG_TABLES: dict[str, tuple[Column, ...]] = {
    "page_dumps": (
        Column("time_ns", pa.int64(), "ns", "Time of the line that begins the dump; null without a stamp"),
        Column("line", pa.int64(), None, "Number of that line, from 1"),
        Column("tid", pa.int32(), None, "Task that printed it (printk:console), where known"),
        Column("wall", pa.string(), None, "Wall clock of that line as it is spelled, where the log has one"),
        Column("wall_ns", pa.int64(), "ns", "The same as a number: differences within one log are right"),
        Column(
            "address", pa.uint64(), None, "Address of its struct page as printed: raw up to 5.8, later hashed or none"
        ),
        Column("pfn", pa.int64(), "pfn", "Page dumped; null before 5.8, whose dump_page prints none"),
        Column("refcount", pa.int32(), None, "_refcount at the dump; the isolating task's own reference included"),
        Column("mapcount", pa.int32(), None, "Mappings"),
        Column("pincount", pa.int32(), None, "FOLL_PIN count of a large folio; null where not printed"),
        Column("order", pa.int32(), None, "Order of the folio (0 where no head line was printed)"),
        Column("anon", pa.bool_(), None, "Whether an `anon` or `ksm` line said so"),
        Column("mapping", pa.uint64(), None, "mapping pointer, hashed or raw; 0 = none"),
        Column("aops", pa.string(), None, "address_space_operations symbol: names the file system"),
        Column("ino", pa.int64(), None, "Inode number"),
        Column("file", pa.string(), None, "Dentry name"),
        Column("flags", pa.list_(pa.string()), None, "Page flag names"),
        Column("page_type", pa.string(), None, "page_type word as printed, for pages that have one"),
        Column("reason", pa.string(), None, "page dumped because: unmovable page, migration failure ..."),
        Column("owner_tid", pa.int32(), None, "page_owner: task that allocated it"),
        Column("owner_pid", pa.int32(), None, "page_owner: its process (tgid)"),
        Column("owner_comm", pa.string(), None, "page_owner: its name"),
        Column("owner_order", pa.int32(), None, "page_owner: order of the allocation"),
        Column("owner_gfp", pa.string(), None, "page_owner: gfp_mask as printed"),
        Column("owner_migratetype", pa.string(), None, "page_owner: migratetype"),
        Column("owner_time_ns", pa.int64(), "ns", "page_owner: time of the allocation (boot clock of the log)"),
        Column("owner_stack", pa.list_(pa.string()), None, "page_owner: frames, innermost first"),
    ),
    "migrate_failures": (
        Column("time_ns", pa.int64(), "ns", "Time of the line"),
        Column("line", pa.int64(), None, "Line number"),
        Column("tid", pa.int32(), None, "Task that printed it, where known"),
        Column("wall", pa.string(), None, "Wall clock of that line as it is spelled, where the log has one"),
        Column("wall_ns", pa.int64(), "ns", "The same as a number: differences within one log are right"),
        Column("pfn", pa.int64(), "pfn", "`migrating pfn X failed` or `failed to isolate pfn X`"),
        Column("failed_folios", pa.int64(), None, "ret:N counts folios that failed, it is no errno; null for isolate"),
        Column("kind", pa.string(), None, "migrate, isolate (offlining), or soft_offline"),
    ),
    "operation_messages": (
        Column("time_ns", pa.int64(), "ns", "Time of the line"),
        Column("line", pa.int64(), None, "Line number"),
        Column("tid", pa.int32(), None, "Task that printed it, where known"),
        Column("wall", pa.string(), None, "Wall clock of that line as it is spelled, where the log has one"),
        Column("wall_ns", pa.int64(), "ns", "The same as a number: differences within one log are right"),
        Column("kind", pa.string(), None, "Kind of message: a row of parsers.kernel_log.grammar"),
        Column("area", pa.string(), None, "CMA area name or memory block, where printed"),
        Column("start_pfn", pa.int64(), "pfn", "First page frame of the range, where printed"),
        Column("pages", pa.int64(), "pages", "Pages of the range or request, where printed"),
        Column("errno", pa.int32(), None, "Positive errno, where printed"),
        Column("align_order", pa.int32(), None, "Alignment requested, an order of pages, where printed"),
        Column("address", pa.uint64(), "bytes", "First physical address of the range, where addresses are printed"),
        Column(
            "bytes", pa.int64(), "bytes", "Length of that range; of an allocation: the size its driver named beside it"
        ),
        Column("free_pages", pa.int64(), "pages", "Free pages of the area (cma_bitmap)"),
        Column(
            "largest_run", pa.int64(), "pages", "Longest of the free runs listed (cma_bitmap); null: none is listed"
        ),
        Column("count", pa.int64(), None, "Lines suppressed (callbacks suppressed); kB of CmaFree"),
        Column("reason", pa.string(), None, "`failed due to ...`, or the bitmap text"),
        Column("text", pa.string(), None, "The line without its prefix"),
    ),
}

# Dumps of pages, one row each, a batch at a time: no machine's memory fits into one table.
PAGE_OWNER_COLUMNS: tuple[Column, ...] = (
    Column("pfn", pa.int64(), "pfn", "First page of an allocation that was in use; it covers [pfn, pfn + 2^order)"),
    Column("order", pa.int32(), None, "Order of the allocation"),
    Column("migratetype", pa.string(), None, "Type requested (from the GFP mask): Unmovable, Movable, Reclaimable"),
    Column("pageblock", pa.int64(), None, "Number of the page's pageblock: pfn >> pageblock_order"),
    Column("pageblock_migratetype", pa.string(), None, "Type of that pageblock at the dump: CMA, Isolate, Movable ..."),
    Column("gfp_mask", pa.uint64(), None, "GFP mask of the allocation, by the numbers of its own kernel"),
    Column("gfp_flags", pa.string(), None, "The same by names, as printed; null where it is 0"),
    Column("page_flags", pa.uint64(), None, "page->flags at the dump, by the numbers of its own kernel"),
    Column("page_flag_names", pa.string(), None, "The same by names, joined by `|`, zone and node among them"),
    Column("tid", pa.int32(), None, "Task that allocated the page; null before 5.11"),
    Column("pid", pa.int32(), None, "Its process (tgid); null before 5.18"),
    Column("comm", COMM, None, "Its name; null before 5.18"),
    Column("time_ns", pa.int64(), "ns", "Time of the allocation on the local clock (since boot); null before 5.11"),
    Column("free_ts_ns", pa.int64(), "ns", "When the page had been freed before; null where not printed (6.8 on)"),
    Column("handle", pa.int64(), None, "Number of the stack in the kernel's depot, where printed (7.x)"),
    Column("stack", pa.list_(pa.string()), None, "Frames of the allocation, innermost first; null where not known"),
    Column("last_migrate_reason", pa.string(), None, "Why the content was last migrated to this page; null = never"),
    Column("memcg", pa.string(), None, "Name of the memory cgroup charged, where any (5.18 on)"),
    Column("memcg_offline", pa.bool_(), None, "Whether that cgroup has been removed; null without one"),
    Column("slab", pa.bool_(), None, "Whether a `Slab cache page` line said so"),
)

PAGE_PINNER_COLUMNS: tuple[Column, ...] = (
    Column("pfn", pa.int64(), "pfn", "Page frame"),
    Column("state", pa.string(), None, "put, freed or failure_detected; pinned: the first form, which does not tell"),
    Column("time_ns", pa.int64(), "ns", "When that happened, on the boot clock; null where a duration is printed"),
    Column("pinned_ns", pa.int64(), "ns", "For a put: how long the page had been held at least"),
    Column("stamp_ns", pa.int64(), "ns", "`pinned` only: a duration in longterm_pinner, a time in alloc_contig_failed"),
    Column("pageblock", pa.int64(), None, "Number of the page's pageblock: pfn >> pageblock_order"),
    Column("pageblock_migratetype", pa.string(), None, "Type of that pageblock, where printed (first form only)"),
    Column("count", pa.int32(), None, "_refcount then; in the first form always 0"),
    Column("mapcount", pa.int32(), None, "Mappings then"),
    Column("mapping", pa.string(), None, "address_space as %pS printed it: a symbol or a raw address; null = none"),
    Column("page_flags", pa.uint64(), None, "page->flags then, by the numbers of its own kernel"),
    Column("page_flag_names", pa.string(), None, "The same by names, joined by `|`"),
    Column("stack", pa.list_(pa.string()), None, "Frames, innermost first; in longterm_pinner those of the get"),
)
