"""Tables of a snapshot -> `Layout`; without a snapshot, what the trace itself gives away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.layout.layout import Layout, Span
from tracereplay.layout.names import Names
from tracereplay.layout.spans import merge_spans
from tracereplay.schema import integers

# MIGRATE_ISOLATE follows MIGRATE_CMA, which exists iff CONFIG_CMA (include/linux/mmzone.h, 4.19 to 7.2).
ISOLATE_WITH_CMA = 5
ISOLATE_WITHOUT_CMA = 4
# Physical memory ends at 2^52 bytes on all of today's machines; what is beyond in `pfn` is no page.
PFN_LIMIT = 1 << 40
# pageblock_order is HPAGE_PMD_ORDER with huge pages: 9 on x86_64 with its 4 KiB pages.
ASSUMED_PAGEBLOCK_PAGES = {("x86_64", 4096): 512}
# Events whose very presence, or whose format in the file, says CONFIG_CMA.
CMA_EVENTS = frozenset({"cma_alloc", "cma_alloc_start", "cma_alloc_finish", "cma_alloc_busy_retry", "cma_release"})
# Events that name a range of the area they belong to: start in `pfn`, pages in `count`.
CMA_RANGE_EVENTS = ("cma_alloc_finish", "cma_alloc_busy_retry", "cma_release", "cma_alloc")

Int64Array = npt.NDArray[np.int64]


def layout_from_tables(
    tables: Mapping[str, pa.Table],
    *,
    source: str = "snapshot",
    page_size_bytes: int | None = None,
    memory_block_bytes: int | None = None,
    pageblock_order: int | None = None,
    has_cma: bool | None = None,
    machine: str | None = None,
) -> Layout:
    """The layout that a snapshot or a file written by hand describes.

    tables -- `schema.LAYOUT_TABLES` by name, any of which may be absent; the rest as in `LayoutSnapshot`.
    """
    page_size_bytes, assumed_page_size = page_size_bytes or 4096, not page_size_bytes
    pageblock_pages, assumed_pageblock = _pageblock_pages(pageblock_order, machine, page_size_bytes)
    mounts = [row for row in _rows(tables, "mounts") if row["dev"] is not None and row["fs"]]
    tasks = _rows(tables, "tasks")
    movable, in_cma, least = _movable_only(_rows(tables, "zones"))
    return Layout(
        source=source,
        page_size_bytes=page_size_bytes,
        zones=tuple(Span(row["name"], row["start_pfn"], row["pages"], row["node"]) for row in _rows(tables, "zones")),
        cma_areas=tuple(
            sorted(
                (Span(row["name"], row["start_pfn"], row["pages"]) for row in _rows(tables, "cma_areas")),
                key=lambda span: span.start_pfn,
            )
        ),
        cma_taken=merge_spans(span for row in _rows(tables, "cma_areas") for span in _taken(row)),
        ram=merge_spans(_system_ram(_rows(tables, "memory_spans"))),
        memory_block_pages=memory_block_bytes // page_size_bytes if memory_block_bytes else None,
        memory_blocks=tuple(sorted(row["block"] for row in _rows(tables, "memory_blocks"))),
        pageblock_pages=pageblock_pages,
        isolate_migratetype=isolate_migratetype(has_cma),
        machine=machine,
        free_movable_pages=movable,
        free_cma_pages=in_cma,
        movable_min_pages=least,
        file_systems={row["dev"]: row["fs"] for row in mounts},
        pids={row["tid"]: row["pid"] for row in tasks if row["pid"] is not None},
        comms={row["tid"]: row["comm"] for row in tasks if row["comm"]},
        names=Names.of(
            mounts=mounts,
            block_devices=_rows(tables, "block_devices"),
            open_files=_rows(tables, "open_files"),
            processes=_rows(tables, "processes"),
            tasks=[*tasks, *_rows(tables, "tasks_at_end")],
        ),
        assumed=_names(page_size_bytes=assumed_page_size, pageblock_pages=assumed_pageblock),
    )


def _movable_only(zones: Sequence[Mapping[str, Any]]) -> tuple[int | None, int | None, int | None]:
    """Pages free in Movable zones, in CMA areas of the others, and the min watermarks of the zones that have any."""
    movable = [row for row in zones if row["name"] == "Movable" and row.get("free_pages") is not None]
    areas = [row for row in zones if row["name"] != "Movable" and row.get("free_cma_pages") is not None]
    least = [row["min_pages"] or 0 for row in (*movable, *(row for row in areas if row["free_cma_pages"]))]
    return (
        sum(row["free_pages"] for row in movable) if movable else None,
        sum(row["free_cma_pages"] for row in areas) if areas else None,
        sum(least) if least else None,
    )


def _system_ram(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, int]]:
    """[start, end) of "System RAM" and "System RAM (virtio_mem)"; kernel code and data lie inside."""
    return ((row["start_pfn"], row["start_pfn"] + row["pages"]) for row in rows if row["name"].startswith("System RAM"))


def _taken(area: Mapping[str, Any]) -> Iterable[tuple[int, int]]:
    """The spans whose bits are set in an area's bitmap (u32 words, as debugfs prints it)."""
    if not area["bitmap"]:
        return
    bits = np.unpackbits(np.array(area["bitmap"], "<u4").view(np.uint8), bitorder="little")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bits, [0]]).astype(np.int8)))
    order = area["order_per_bit"] or 0
    for first, last in edges.reshape(-1, 2).tolist():
        if first << order < area["pages"]:
            yield area["start_pfn"] + (first << order), area["start_pfn"] + min(last << order, area["pages"])


def infer_layout(
    tables: Mapping[str, pa.Table],
    *,
    enabled_events: Collection[str] | None = None,
    page_size_bytes: int | None = None,
    machine: str | None = None,
    memory_block_bytes: int | None = None,
    memory_blocks: tuple[int, ...] = (),
) -> Layout:
    """The layout as far as the trace gives it away, for want of a snapshot.

    tables -- event tables by name (those of `CMA_RANGE_EVENTS`, cma_alloc_start, test_pages_isolated and
    mm_page_alloc_extfrag are looked at); the rest -- from the trace's `TraceInfo`, whose header may tell memory blocks.
    CMA areas are the union of the ranges tried, rounded out to pageblocks (an area is aligned to them:
    CMA_MIN_ALIGNMENT_PAGES), so they may be smaller than the real ones. Zones stay unknown.
    """
    page_size_bytes, assumed_page_size = page_size_bytes or 4096, not page_size_bytes
    order = _pageblock_order_seen(tables)
    pageblock_pages, assumed_pageblock = _pageblock_pages(order, machine, page_size_bytes)
    seen = set(tables) | set(enabled_events or ())
    return Layout(
        source="inferred; memory blocks: trace header" if memory_block_bytes else "inferred",
        page_size_bytes=page_size_bytes,
        cma_areas=infer_cma_areas(tables, pageblock_pages or 1),
        memory_block_pages=memory_block_bytes // page_size_bytes if memory_block_bytes else None,
        memory_blocks=memory_blocks,
        pageblock_pages=pageblock_pages,
        # Without cma events in the file nothing is known: they may just not have been recorded.
        isolate_migratetype=isolate_migratetype(True if seen & CMA_EVENTS else None),
        machine=machine,
        assumed=_names(page_size_bytes=assumed_page_size, pageblock_pages=assumed_pageblock),
    )


def complete_layout(layout: Layout, inferred: Layout) -> Layout:
    """The layout, its gaps filled from the trace: CMA areas not listed, block and pageblock size, MIGRATE_ISOLATE."""
    extra = tuple(
        area
        for area in inferred.cma_areas
        if layout.area_named(area.name) is None
        and not any(known.overlaps(area.start_pfn, area.end_pfn) for known in layout.cma_areas)
    )
    guessed = layout.pageblock_pages is None or "pageblock_pages" in layout.assumed
    better = guessed and inferred.pageblock_pages is not None and "pageblock_pages" not in inferred.assumed
    assumed = tuple(name for name in layout.assumed if not (better and name == "pageblock_pages"))
    return replace(
        layout,
        cma_areas=tuple(sorted(layout.cma_areas + extra, key=lambda span: span.start_pfn)),
        memory_block_pages=layout.memory_block_pages or inferred.memory_block_pages,
        memory_blocks=layout.memory_blocks or inferred.memory_blocks,
        pageblock_pages=inferred.pageblock_pages if better else layout.pageblock_pages,
        isolate_migratetype=layout.isolate_migratetype
        if layout.isolate_migratetype is not None
        else inferred.isolate_migratetype,
        assumed=assumed,
    )


def isolate_migratetype(has_cma: bool | None) -> int | None:
    """Number of MIGRATE_ISOLATE, None where it is unknown whether the kernel has CONFIG_CMA."""
    return None if has_cma is None else ISOLATE_WITH_CMA if has_cma else ISOLATE_WITHOUT_CMA


def infer_cma_areas(tables: Mapping[str, pa.Table], align_pages: int) -> tuple[Span, ...]:
    """CMA areas from the ranges that were tried, taken or released, rounded out to `align_pages`.

    A named area is one span from its lowest to its highest range. Events without a name (`cma_alloc` up to 5.10)
    give one span per cluster of touching ranges, named `cma@<start_pfn>`.
    """
    ranges: dict[str | None, list[tuple[int, int]]] = {}
    for event in CMA_RANGE_EVENTS:
        for name, start_pfn, pages in _cma_ranges(tables.get(event)):
            ranges.setdefault(name, []).append((start_pfn, start_pfn + pages))
    for name, start_pfn, end_pfn in _tested_ranges(tables):
        ranges.setdefault(name, []).append((start_pfn, end_pfn))
    areas = []
    for name, spans in ranges.items():
        rounded = [(start // align_pages * align_pages, -(-end // align_pages) * align_pages) for start, end in spans]
        if name is not None:
            rounded = [(min(start for start, _ in rounded), max(end for _, end in rounded))]
        for start_pfn, end_pfn in merge_spans(rounded):
            areas.append(Span(name or f"cma@{start_pfn:#x}", start_pfn, end_pfn - start_pfn))
    return tuple(sorted(areas, key=lambda area: area.start_pfn))


def _cma_ranges(table: pa.Table | None) -> Iterable[tuple[str | None, int, int]]:
    """(area, start_pfn, pages) of every row that names a range; a failed attempt may carry 0 or ~0 instead."""
    if table is None or "pfn" not in table.column_names or "count" not in table.column_names:
        return
    names = _strings(table, "name")
    pfn, count = integers(table["pfn"]), integers(table["count"])
    for at in np.flatnonzero((pfn > 0) & (pfn < PFN_LIMIT) & (count > 0) & (count < PFN_LIMIT)):
        yield names[at], int(pfn[at]), int(count[at])


def _tested_ranges(tables: Mapping[str, pa.Table]) -> Iterable[tuple[str | None, int, int]]:
    """Ranges that test_pages_isolated saw while its task was inside cma_alloc(): they lie in that call's area.

    The range tested begins at the head of the free block that straddles its start (alloc_contig_range:
    outer_start), which is still inside the area, as areas are aligned to the largest block.
    """
    starts, tests = tables.get("cma_alloc_start"), tables.get("test_pages_isolated")
    if starts is None or tests is None or not starts.num_rows:
        return
    if not {"start_pfn", "end_pfn"} <= set(tests.column_names):
        return
    ends = tables.get("cma_alloc_finish")
    end_by_tid: dict[int, Int64Array] = {}
    if ends is not None:
        tids, seqs = integers(ends["tid"]), integers(ends["seq"])
        end_by_tid = {int(tid): np.sort(seqs[tids == tid]) for tid in np.unique(tids)}
    begin_tid, begin_seq, names = integers(starts["tid"]), integers(starts["seq"]), _strings(starts, "name")
    start_pfn, end_pfn = integers(tests["start_pfn"]), integers(tests["end_pfn"])
    tid, seq = integers(tests["tid"]), integers(tests["seq"])
    sane = (start_pfn > 0) & (start_pfn < end_pfn) & (end_pfn < PFN_LIMIT)
    for at in range(len(begin_tid)):
        ends = end_by_tid.get(int(begin_tid[at]), np.empty(0, np.int64))
        later_ends = ends[ends > begin_seq[at]]
        if not len(later_ends):
            # An attempt without an end may have been left long before the test: it claims nothing.
            continue
        inside = sane & (tid == begin_tid[at]) & (seq > begin_seq[at]) & (seq < later_ends[0])
        for row in np.flatnonzero(inside):
            yield names[at], int(start_pfn[row]), int(end_pfn[row])


def _pageblock_order_seen(tables: Mapping[str, pa.Table]) -> int | None:
    """`pageblock_order=` of mm_page_alloc_extfrag, which only its text prints (in binary it is part of print fmt)."""
    table = tables.get("mm_page_alloc_extfrag")
    if table is None or "pageblock_order" not in table.column_names:
        return None
    orders = {order for order in table["pageblock_order"].unique().to_pylist() if order is not None}
    return orders.pop() if len(orders) == 1 and 0 < max(orders) < 31 else None


def _pageblock_pages(order: int | None, machine: str | None, page_size_bytes: int) -> tuple[int | None, bool]:
    """Pages of a pageblock, and whether that is an assumption."""
    if order is not None:
        return 1 << order, False
    pages = ASSUMED_PAGEBLOCK_PAGES.get((machine or "", page_size_bytes))
    return pages, pages is not None


def _names(**flags: bool) -> tuple[str, ...]:
    return tuple(name for name, is_set in flags.items() if is_set)


def _rows(tables: Mapping[str, pa.Table], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables[name].to_pylist() if name in tables else []
    return rows


def _strings(table: pa.Table, name: str) -> list[str | None]:
    if name not in table.column_names:
        return [None] * table.num_rows
    names: list[str | None] = table[name].to_pylist()
    return names
