"""What the trace alone tells of the layout, and the summary in the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.captures import fixture_captures, trace_of
from tracereplay.layout.build import CMA_RANGE_EVENTS, complete_layout, infer_layout, layout_from_tables
from tracereplay.layout.layout import Layout, Span
from tracereplay.layout.summary import summarise_layout
from tracereplay.opening import open_reader
from tracereplay.parsers.snapshots.layout import read_layout
from tracereplay.parsers.snapshots.layout_tables import layout_tables

NONE = (1 << 64) - 1


def table(rows: list[dict[str, Any]], **types: pa.DataType) -> pa.Table:
    schema = {
        "seq": pa.uint64(),
        "tid": pa.int32(),
        "name": pa.string(),
        "pfn": pa.uint64(),
        "count": pa.int64(),
    } | types
    columns = [name for name in schema if any(name in row for row in rows)]
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, schema[name]) for name in columns]))


def ranges(*rows: tuple[int, int, str | None, int | None, int]) -> pa.Table:
    keys = ("seq", "tid", "name", "pfn", "count")
    return table([dict(zip(keys, row, strict=True)) for row in rows])


def isolation_tests(*rows: tuple[int, int, int, int]) -> pa.Table:
    keys = ("seq", "tid", "start_pfn", "end_pfn")
    return table([dict(zip(keys, row, strict=True)) for row in rows], start_pfn=pa.uint64(), end_pfn=pa.uint64())


def test_an_area_is_the_union_of_its_ranges_rounded_to_pageblocks() -> None:
    tables = {
        "cma_alloc_busy_retry": ranges((2, 7, "a", 0xFC10, 100), (9, 7, "b", 0x40000, 10)),
        "cma_alloc_finish": ranges(
            (3, 7, "a", 0x10000, 100), (4, 7, "a", None, 100), (5, 7, "a", 0, 9), (6, 7, "a", NONE, 9)
        ),
        "cma_release": ranges((8, 7, "a", 0x10300, 0x10)),
    }
    layout = infer_layout(tables, machine="x86_64")
    assert layout.cma_areas == (Span("a", 0xFC00, 0x800), Span("b", 0x40000, 0x200))
    assert layout.source == "inferred"
    assert layout.assumed == ("page_size_bytes", "pageblock_pages")
    assert layout.isolate_migratetype == 5
    assert layout.memory_block_pages is None
    assert layout.zones == ()


@pytest.mark.parametrize("folder", fixture_captures(), ids=lambda folder: folder.name)
def test_the_trace_alone_gives_the_areas_of_the_snapshot(folder: Path) -> None:
    """These traces try the whole area; where none is tried none is invented."""
    reader = open_reader(trace_of(folder))
    info = reader.info
    inferred = infer_layout(
        reader.tables([*CMA_RANGE_EVENTS, "cma_alloc_start", "test_pages_isolated", "mm_page_alloc_extfrag"]),
        enabled_events=info.enabled_events,
        page_size_bytes=info.page_size_bytes,
        machine=info.machine,
    )
    if "cma_alloc_start" in info.by_event:
        snapshot = read_layout(folder / "layout_before")
        assert inferred.cma_areas == layout_from_tables(snapshot.tables).cma_areas
    else:
        assert inferred.cma_areas == ()
    assert (inferred.pageblock_pages, inferred.isolate_migratetype, inferred.page_size_bytes) == (512, 5, 4096)


def test_a_tested_range_belongs_to_the_attempt_of_its_task() -> None:
    tables = {
        "cma_alloc_start": ranges((10, 7, "a", None, 512), (30, 8, "b", None, 512)),
        "cma_alloc_finish": ranges((20, 7, "a", None, 512)),
        "test_pages_isolated": isolation_tests(
            (11, 7, 0x10000, 0x10200),  # inside
            (12, 9, 0x20000, 0x20200),  # another task: an offline
            (21, 7, 0x30000, 0x30200),  # after the end
            (31, 8, 0x50000, 0x50200),  # an attempt that never ended
            (13, 7, 0x10200, 0x10100),  # upside down
            (14, 7, 0x10200, NONE),
        ),
    }
    assert infer_layout(tables, machine="x86_64").cma_areas == (Span("a", 0x10000, 0x200),)


def test_events_without_a_name_give_one_area_per_cluster() -> None:
    """`cma_alloc` up to 5.10 does not say which area."""
    rows = [{"seq": 1, "tid": 1, "pfn": pfn, "count": 0x200} for pfn in (0x1000, 0x1200, 0x9000)]
    layout = infer_layout({"cma_alloc": table(rows)}, machine="x86_64")
    assert layout.cma_areas == (Span("cma@0x1000", 0x1000, 0x400), Span("cma@0x9000", 0x9000, 0x200))


def test_what_is_unknown_is_none() -> None:
    layout = infer_layout({}, machine="aarch64", page_size_bytes=65536)
    assert layout == Layout(source="inferred", page_size_bytes=65536, machine="aarch64")
    assert infer_layout({}, enabled_events={"cma_alloc_start"}).isolate_migratetype == 5
    assert infer_layout({}, enabled_events={"mm_page_alloc"}).isolate_migratetype is None


def test_extfrag_text_tells_the_pageblock_order() -> None:
    rows = [{"seq": 1, "pageblock_order": 5}, {"seq": 2, "pageblock_order": 5}]
    tables = {"mm_page_alloc_extfrag": table(rows, pageblock_order=pa.int64())}
    layout = infer_layout(tables, page_size_bytes=4096, machine="x86_64")
    assert (layout.pageblock_pages, layout.assumed) == (32, ())
    rows[1]["pageblock_order"] = 9
    contradictory = {"mm_page_alloc_extfrag": table(rows, pageblock_order=pa.int64())}
    assert infer_layout(contradictory).pageblock_pages is None


def test_a_snapshot_is_completed_never_overruled() -> None:
    known = Layout(
        source="snapshot", cma_areas=(Span("a", 0x1000, 0x1000),), pageblock_pages=512, assumed=("pageblock_pages",)
    )
    inferred = Layout(
        source="inferred",
        cma_areas=(Span("a", 0x1200, 0x200), Span("x", 0x1800, 0x1000), Span("b", 0x4000, 0x200)),
        pageblock_pages=32,
        isolate_migratetype=5,
    )
    completed = complete_layout(known, inferred)
    assert completed.cma_areas == (Span("a", 0x1000, 0x1000), Span("b", 0x4000, 0x200))
    assert (completed.pageblock_pages, completed.assumed, completed.isolate_migratetype) == (32, (), 5)
    assert completed.source == "snapshot"
    seen = Layout(source="snapshot", pageblock_pages=1024, isolate_migratetype=4)
    assert complete_layout(seen, inferred).pageblock_pages == 1024
    assert complete_layout(seen, inferred).isolate_migratetype == 4


def test_the_summary_is_the_layout() -> None:
    layout = Layout(
        source="file",
        zones=(Span("Normal", 1, 10, node=1),),
        cma_areas=(Span("a", 0x1000, 0x200),),
        memory_block_pages=32768,
        pageblock_pages=512,
    )
    summary = summarise_layout(layout)
    assert (summary.page_size, summary.source, summary.memory_block_pages, summary.pageblock_pages) == (
        4096,
        "file",
        32768,
        512,
    )
    assert [(zone.node, zone.name, zone.start_pfn, zone.pages) for zone in summary.zones] == [(1, "Normal", 1, 10)]
    assert [(area.name, area.start_pfn, area.pages) for area in summary.cma_areas] == [("a", 0x1000, 0x200)]


@pytest.mark.parametrize(
    ("words", "order", "pages", "taken"),
    [
        ([0b1011, 0], 0, 64, ((100, 102), (103, 104))),
        ([1 << 31, 1], 0, 64, ((131, 133),)),  # bits of two words that touch
        ([0b110], 2, 64, ((104, 112),)),
        ([0b11111], 0, 3, ((100, 103),)),  # bits behind the area's end
        ([1 << 20], 40, 8, ()),
        ([], 0, 64, ()),
    ],
)
def test_what_the_bitmap_says_is_taken(
    words: list[int], order: int, pages: int, taken: tuple[tuple[int, int], ...]
) -> None:
    area = {"name": "a", "start_pfn": 100, "pages": pages, "order_per_bit": order, "bitmap": words}
    assert layout_from_tables(layout_tables({"cma_areas": [area]})).cma_taken == taken
