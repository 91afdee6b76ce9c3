"""Evidence is an event: every row with a time is an event of the trace of that name, time, task, CPU and page."""

from __future__ import annotations

# pyarrow makes its compute functions at run time.
# pyright: reportAttributeAccessIssue=false
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support import capture_results
from tests.support.captures import fixture_captures, shared_captures, trace_of
from tracereplay.opening import open_reader

# Records of logs and dumps: their times are of those, not of the trace.
NO_EVENTS = {"dump_page", "page_owner", "page_pinner", "kernel log", "kpageflags"}
PFN = re.compile(r"(?:pfn |fin_pfn=)0x([0-9a-f]+)")
# Events of whole blocks, of which the page named may be any.
BLOCKS = {"mm_page_alloc", "mm_page_free", "mm_page_pcpu_drain", "mm_page_alloc_zone_locked"}

Row = Mapping[str, Any]
Rows = dict[tuple[str, int], list[Row]]  # by event and time


def timed_rows(document: Mapping[str, Any]) -> list[Row]:
    """The rows of evidence that say when."""
    return [
        row
        for attempt in document["attempts"]
        for culprit in attempt["culprits"]
        for row in culprit["evidence"]
        if row["time_ns"] is not None and row["event"] not in NO_EVENTS
    ]


def events_at(trace: Path, rows: list[Row]) -> Rows:
    """The events of the trace of these names at these times."""
    times: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        times[row["event"]].add(row["time_ns"])
    found: Rows = defaultdict(list)
    for name, table in open_reader(trace).tables(list(times)).items():
        chosen = pc.is_in(table["time_ns"], value_set=pa.array(sorted(times[name]), table["time_ns"].type))
        for event in table.filter(chosen).to_pylist():
            found[name, event["time_ns"]].append(event)
    return found


def is_of(event: Row, row: Row) -> bool:
    """Whether an event is the one that a row tells of."""
    for name in ("tid", "cpu"):
        if row[name] is not None and event[name] != row[name]:
            return False
    named = PFN.search(row["text"])
    if named is None or not event.keys() & {"pfn", "fin_pfn"}:
        return True
    pfn, pages = int(named[1], 16), 1 << event["order"] if row["event"] in BLOCKS and "order" in event else 1
    start = event["fin_pfn"] if "fin_pfn" in event else event["pfn"]
    return bool(start <= pfn < start + pages)


def faults(capture: Path) -> Iterator[str]:
    """Rows of evidence that are no event."""
    rows = timed_rows(capture_results.blame(capture))
    events = events_at(trace_of(capture), rows)
    for row in rows:
        if not any(is_of(event, row) for event in events.get((row["event"], row["time_ns"]), [])):
            yield f"{row['event']} of task {row['tid']} at {row['time_ns']} on CPU {row['cpu']}: {row['text']}"


@pytest.mark.parametrize("capture", [*fixture_captures(), *shared_captures()], ids=lambda capture: capture.name)
def test_every_row_with_a_time_is_an_event(capture: Path) -> None:
    assert sorted(set(faults(capture))) == []


def test_the_pages_that_the_kernel_names_have_their_events() -> None:
    rows = [row for capture in fixture_captures() for row in timed_rows(capture_results.blame(capture))]
    told = {row["event"] for row in rows}
    assert {"test_pages_isolated", "page_ref_mod_unless", "page_ref_mod_and_test", "mm_page_alloc"} <= told
    assert any("taken by the attempt to isolate it" in row["text"] for row in rows)


def test_a_row_that_is_no_event_is_found() -> None:
    event = {"tid": 1, "cpu": 0, "pfn": 16, "order": 2}
    row = {"event": "mm_page_alloc", "tid": 1, "cpu": None, "text": "pfn 0x11"}
    assert is_of(event, row)
    assert not is_of(event, row | {"tid": 2})
    assert not is_of(event, row | {"text": "pfn 0x14"})
    assert not is_of(event, row | {"event": "page_ref_mod"})
    assert is_of(event, row | {"event": "page_ref_mod", "text": "pfn 0x10"})
    assert not is_of(
        {"tid": 1, "cpu": 0, "fin_pfn": 16}, row | {"event": "test_pages_isolated", "text": "fin_pfn=0x11"}
    )
