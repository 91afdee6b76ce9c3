"""Trace text of real captures says the same as their trace.dat, but for what text cannot carry."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.captures import SHARED, fixture_captures
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.schema import FLAGS, MAPPING, Op, Window


def is_report(path: Path) -> bool:
    return path.name.startswith("report")


def is_head(path: Path) -> bool:
    return ".head." in path.name


# Text prints page->flags without the node and zone above the flags proper (NR_PAGEFLAGS is 22 or more).
PAGE_FLAGS_MASK = (1 << 22) - 1
# The numbers behind these names differ by kernel: text has a column of names instead, or an added constant.
NOT_IN_TEXT = {"status"}
ONLY_IN_TEXT = {"status_name", "pageblock_order"}
# The kernel prints pointers hashed; libtraceevent prints no flags column.
HASHED_POINTERS = {"mapping", "page", "mm"}
KERNEL_CANNOT = HASHED_POINTERS
REPORT_CANNOT = {"common_flags", "preempt_count"}
# The kernel rounds stamps to microseconds.
ROUNDING_NS = 500

# The tree has the first lines of some texts; whole ones of small captures are read beside the checkout.
SMALL_BYTES = 1_300_000
TEXTS = [
    path
    for capture in (*fixture_captures(), *sorted(SHARED.glob("captures/*/")))
    for path in sorted(capture.glob("*.txt*"))
    if path.name.split(".")[0] in {"report", "trace"}
    and (capture / "trace.dat").exists()
    and (is_head(path) or (capture / "trace.dat").stat().st_size < SMALL_BYTES)
]
pytestmark = pytest.mark.skipif(not TEXTS, reason="no capture with trace text on this machine")


@cache
def read_text(path: Path) -> TextTraceReader:
    return TextTraceReader(path)


@cache
def read_dat(path: Path) -> TraceDatReader:
    return TraceDatReader(path.parent / "trace.dat")


def each_text() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}-{path.name}")


@each_text()
def test_counts_names_and_times(path: Path) -> None:
    text, dat = read_text(path), read_dat(path)
    assert text.info.format == ("trace-cmd report" if is_report(path) else "ftrace text")
    if is_head(path):
        assert all(count <= dat.info.by_event[name] for name, count in text.info.by_event.items())
    else:
        assert text.info.by_event == dat.info.by_event
    assert text.info.cpus == 2
    assert text.info.start_ns is not None
    assert dat.info.start_ns is not None
    assert abs(text.info.start_ns - dat.info.start_ns) <= (0 if is_report(path) else ROUNDING_NS)
    assert [loss for loss in text.losses if loss.code == "unparsed_line"] == []


@each_text()
def test_tables_are_those_of_the_binary_trace(path: Path) -> None:
    text, dat = read_text(path).tables(), read_dat(path).tables()
    cannot = REPORT_CANNOT if is_report(path) else KERNEL_CANNOT
    assert text.keys() == read_text(path).info.by_event.keys()
    for name, found in text.items():
        expected = dat[name][: found.num_rows] if is_head(path) else dat[name]
        assert found.num_rows == expected.num_rows
        assert set(expected.column_names) - set(found.column_names) <= NOT_IN_TEXT
        assert set(found.column_names) - set(expected.column_names) <= ONLY_IN_TEXT
        for column in set(found.column_names) & set(expected.column_names):
            values, wanted = found.column(column), expected.column(column)
            if column in cannot:
                continue
            if column == "time_ns" and not is_report(path):
                difference = np.abs(values.to_numpy() - wanted.to_numpy())
                assert difference.max() <= ROUNDING_NS
                continue
            if column == "flags" and name.startswith("page_ref"):
                wanted = pc.bit_wise_and(wanted, pa.scalar(PAGE_FLAGS_MASK, pa.uint64()))
            if pa.types.is_dictionary(wanted.type):
                values, wanted = values.cast(pa.string()), wanted.cast(pa.string())
            assert values.cast(wanted.type).equals(wanted), f"{name}.{column}"


@each_text()
def test_streams_are_those_of_the_binary_trace(path: Path) -> None:
    text = list(read_text(path).stream(chunk_events=10_000))
    dat = list(read_dat(path).stream(chunk_events=1 << 20))
    assert all(0 < len(part) <= 10_000 for part in text)
    args = np.concatenate([part.args for part in text])
    wanted = np.concatenate([part.args for part in dat])[: len(args) if is_head(path) else None]
    for name in ("op", "tid", "cpu"):
        column, expected = (np.concatenate([getattr(part, name) for part in parts]) for parts in (text, dat))
        assert np.array_equal(column, expected[: len(wanted)]), name
    op = np.concatenate([part.op for part in text])
    references = (op >= Op.REF_SET) & (op <= Op.REF_UNFREEZE)
    wanted[references, FLAGS] &= PAGE_FLAGS_MASK
    if not is_report(path):
        args[references, MAPPING] = wanted[references, MAPPING]
    assert np.array_equal(args, wanted)


@each_text()
def test_a_window_holds_its_events(path: Path) -> None:
    reader = read_text(path)
    start, end = reader.info.start_ns, reader.info.end_ns
    assert start is not None
    assert end is not None
    window = Window(start + (end - start) // 3, start + (end - start) // 2)
    whole = reader.tables(["mm_page_free"])["mm_page_free"]
    inside = pc.and_(
        pc.greater_equal(whole["time_ns"], window.start_ns), pc.less_equal(whole["time_ns"], window.end_ns)
    )
    found = reader.tables(["mm_page_free"], window)
    assert found.keys() <= {"mm_page_free"}
    assert (found["mm_page_free"].num_rows if found else 0) == pc.sum(inside).as_py()
