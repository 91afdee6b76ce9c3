"""What a snapshot alone shows of a page: kpageflags, kpagecount and page_owner, one moment and no events.

References are in none of them, so a pin of a mapped page shows nowhere. Flags settle what a page is; what it is doing
(being read or written) may be over the moment after, so that is never more than suggested.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.suspect import SnapshotPage, Suspect
from tracereplay.model.result import Evidence
from tracereplay.schema import KPF
from tracereplay.units import format_pfn

# Buffers of a block device, file system metadata: fs/buffer.c, 4.19 to 7.2.
GETBLK = ("__getblk_gfp", "__getblk_slow", "bdev_getblk", "grow_dev_page", "grow_dev_folio", "__bread_gfp")
SECRETMEM = ("secretmem_fault",)
RING_BUFFER_FUNCTIONS = ("__rb_allocate_pages", "__ring_buffer_alloc", "__ring_buffer_alloc_range")
TRACER = "the tracer's own ring buffer"
ON_LISTS = frozenset({KPF.LRU, KPF.ANON, KPF.MMAP})


def in_ring_buffer(frames: Sequence[object] | None) -> bool:
    """Whether a stack is of the allocation of the trace buffer itself (kernel/trace/ring_buffer.c)."""
    names = (str(frame).split("+", 1)[0] for frame in frames or ())
    return any(name.startswith("ring_buffer_") or name in RING_BUFFER_FUNCTIONS for name in names)


def allocated_in(owner: Mapping[str, Any] | None, *functions: Collection[str]) -> str | None:
    """The first of these functions on the stack of a page_owner record, None where none is."""
    wanted = {name for names in functions for name in names}
    frames = (frame.split("+", 1)[0] for frame in (owner or {}).get("stack") or ())
    return next((frame for frame in frames if frame in wanted), None)


def is_unmovable(owner: Mapping[str, Any] | None) -> bool:
    """Whether a page_owner record says that the page was not allocated as movable."""
    return owner is not None and owner["migratetype"] not in (None, "Movable", "CMA")


def _listed(suspect: Suspect) -> SnapshotPage:
    assert suspect.snapshot_page is not None
    return suspect.snapshot_page


def _rows(suspect: Suspect, says: str) -> list[Evidence]:
    snapshot_page = _listed(suspect)
    # KPF_KSM is left out: up to 6.12 it is set of every anonymous page.
    names = "|".join(sorted(flag.name.lower() for flag in snapshot_page.flags - {KPF.KSM})) or "none"
    mapped = "" if snapshot_page.mapcount is None else f" mapcount={snapshot_page.mapcount}"
    text = f"pfn {format_pfn(suspect.pfn)} flags={names}{mapped}: {says}"
    row = Evidence(event="kpageflags", time_ns=None, tid=None, cpu=None, text=text)
    return [*([row] if snapshot_page.flags else []), *evidence.recorded(suspect)]


def hugetlb(suspect: Suspect) -> list[Finding]:
    """KPF_HUGE."""
    if KPF.HUGE not in _listed(suspect).flags:
        return []
    return [Finding(shown=False, evidence=_rows(suspect, "a huge page of hugetlbfs"))]


def offline_or_hwpoison(suspect: Suspect) -> list[Finding]:
    """KPF_OFFLINE, or KPF_HWPOISON in a CMA area: an offline passes over poisoned pages (has_unmovable_pages())."""
    flags = _listed(suspect).flags
    if KPF.OFFLINE in flags:
        return [Finding(shown=False, evidence=_rows(suspect, "logically offline (balloon, virtio-mem)"))]
    if KPF.HWPOISON in flags and suspect.in_cma:
        return [Finding(shown=False, evidence=_rows(suspect, "poisoned by a memory error"))]
    return []


def secretmem(suspect: Suspect) -> list[Finding]:
    """Allocated by a fault on secret memory."""
    if allocated_in(suspect.owner, SECRETMEM) is None:
        return []
    return [Finding(shown=False, evidence=_rows(suspect, "secret memory"))]


def unmovable_allocation(suspect: Suspect) -> list[Finding]:
    """A slab page or a page table: no migration moves it; likewise what page_owner says was not allocated as movable.

    Movable zones and CMA areas hold no such pages by the allocator's rules.
    """
    flags = _listed(suspect).flags
    zone = suspect.context.layout.zone_of(suspect.pfn)
    if suspect.in_cma or (zone is not None and zone.name == "Movable") or flags & ON_LISTS:
        return []
    if flags & {KPF.SLAB, KPF.PGTABLE}:
        kind = "slab" if KPF.SLAB in flags else "a page table"
        return [Finding(shown=True, evidence=_rows(suspect, f"{kind}, which is not migrated"))]
    if KPF.RESERVED in flags:
        return [Finding(shown=False, evidence=_rows(suspect, "reserved: taken at boot, or no memory"))]
    if is_unmovable(suspect.owner):
        tracer = in_ring_buffer((suspect.owner or {}).get("stack"))
        return [
            Finding(
                shown=False,
                holder_name=TRACER if tracer else None,
                mechanism="ring_buffer" if tracer else None,
                evidence=_rows(suspect, "on no list of movable pages"),
            )
        ]
    return []


def writeback(suspect: Suspect) -> list[Finding]:
    """KPF_WRITEBACK."""
    if KPF.WRITEBACK not in _listed(suspect).flags:
        return []
    return [Finding(shown=False, evidence=_rows(suspect, "under writeback at that moment"))]


def locked_folio(suspect: Suspect) -> list[Finding]:
    """Locked and not up to date, and of a file: a read that has not ended."""
    flags = _listed(suspect).flags
    if KPF.LOCKED not in flags or flags & {KPF.UPTODATE, KPF.ANON}:
        return []
    return [Finding(shown=False, evidence=_rows(suspect, "locked for a read that had not ended"))]


def buffer_head(suspect: Suspect) -> list[Finding]:
    """Allocated as a block device's buffer; without page_owner: in the page cache, with buffers only partly read.

    File data is read by whole pages, metadata block by block, so a page with buffers that is not up to date is
    rarely anything else. Where blocks are as large as pages, only page_owner tells.
    """
    flags = _listed(suspect).flags
    if suspect.owner is not None and suspect.owner["stack"]:
        is_buffer = allocated_in(suspect.owner, GETBLK) is not None
    else:
        cached = flags & {KPF.LRU, KPF.ACTIVE} and not flags & {KPF.ANON, KPF.SWAPBACKED, KPF.MMAP}
        is_buffer = bool(cached) and KPF.PRIVATE in flags and not flags & {KPF.UPTODATE, KPF.LOCKED, KPF.WRITEBACK}
    if not is_buffer:
        return []
    return [
        Finding(
            shown=False,
            holder_name="file system metadata",
            candidates=("no_migration_handler",),
            evidence=_rows(suspect, "buffers of a block device"),
        )
    ]


def extra_reference(suspect: Suspect) -> list[Finding]:
    """Anonymous, on an LRU list, mapped nowhere, not in the swap cache: only a reference keeps it from being freed."""
    snapshot_page = _listed(suspect)
    flags = snapshot_page.flags
    alone = {KPF.ANON, KPF.LRU} <= flags and not flags & {KPF.MMAP, KPF.SWAPCACHE, KPF.LOCKED, KPF.WRITEBACK}
    if not alone or snapshot_page.mapcount:
        return []
    return [
        Finding(
            shown=False,
            candidates=("task_reference", "pin_short", "pin_longterm", "lru_batch"),
            evidence=_rows(suspect, "anonymous and mapped nowhere, yet not free"),
        )
    ]
