"""What is known of the machine's memory beside the trace: zones, present pages, free pages by type, CMA areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from tracereplay.layout.layout import Layout, Span
from tracereplay.whatif.page_rows import MigrateType

ROWS_LIMIT = 1 << 23  # frames of a zone that all get rows: 32 GiB of 4 KiB pages
TYPE_NAMES = {
    "Unmovable": MigrateType.UNMOVABLE,
    "Movable": MigrateType.MOVABLE,
    "Reclaimable": MigrateType.RECLAIMABLE,
    "HighAtomic": MigrateType.HIGHATOMIC,
    "CMA": MigrateType.CMA,
    "Isolate": MigrateType.ISOLATE,
}  # migratetype_names (mm/page_alloc.c), as in /proc/pagetypeinfo
NOT_MANAGED = ("Reserved", "Kernel")  # spans of /proc/iomem inside System RAM


@dataclass(frozen=True, slots=True)
class ZoneCounts:
    """Pages of a zone as the snapshot counts them. cached -- free on per-CPU lists (not counted as free)."""

    name: str
    managed: int
    free: int
    lru: int
    min: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """free_pages -- (zone row, migratetype) -> pages, from pagetypeinfo; present -- spans of RAM, None = not known."""

    zones: tuple[Span, ...]
    cma_areas: tuple[Span, ...]
    pageblock_order: int
    free_pages: Mapping[tuple[int, int], int]
    present: tuple[tuple[int, int], ...] | None
    reserved: tuple[tuple[int, int], ...] = ()
    counts: tuple[ZoneCounts, ...] = ()

    def spans(self) -> list[tuple[int, int]]:
        """[start_pfn, end_pfn) of the memory that gets rows whether touched or not."""
        zones = [(zone.start_pfn, zone.end_pfn) for zone in self.zones if zone.pages <= ROWS_LIMIT]
        return zones + [(area.start_pfn, area.end_pfn) for area in self.cma_areas if area.pages <= ROWS_LIMIT]


def machine_of(layout: Layout, tables: Mapping[str, pa.Table] | None) -> Machine:
    """From the layout and, where there is a snapshot, its tables (schema.LAYOUT_TABLES)."""
    zones = layout.zones or (Span("all", 0, 1 << 40),)
    pageblock = layout.pageblock_pages or 512
    rows = tables["free_areas"].to_pylist() if tables else []
    free: dict[tuple[int, int], int] = {}
    for row in rows:
        kind = TYPE_NAMES.get(row["migratetype"] or "")
        at = next((n for n, z in enumerate(zones) if (z.name, z.node) == (row["zone"], row["node"])), None)
        if kind is not None and at is not None and row["blocks"] is not None:
            free[at, kind] = free.get((at, kind), 0) + (row["blocks"] << row["order"])
    spans = tables["memory_spans"].to_pylist() if tables else []
    ram = [(s["start_pfn"], s["start_pfn"] + s["pages"]) for s in spans if s["name"].startswith("System RAM")]
    held = [(s["start_pfn"], s["start_pfn"] + s["pages"]) for s in spans if s["name"].startswith(NOT_MANAGED)]
    return Machine(
        zones, layout.cma_areas, pageblock.bit_length() - 1, free, tuple(ram) if ram else None, tuple(held),
        _zone_counts(tables),
    )  # fmt: skip


def _zone_counts(tables: Mapping[str, pa.Table] | None) -> tuple[ZoneCounts, ...]:
    """Counts of every zone; none where one lacks a number."""
    rows = tables["zones"].to_pylist() if tables else []
    wanted = ("managed_pages", "free_pages", "lru_pages", "min_pages", "pcp_pages")
    if not rows or any(row.get(name) is None for row in rows for name in wanted):
        return ()
    return tuple(
        ZoneCounts(
            name=row["name"], managed=row["managed_pages"], free=row["free_pages"], lru=row["lru_pages"],
            min=row["min_pages"], cached=row["pcp_pages"],
        )
        for row in rows
    )  # fmt: skip
