"""Attempt events made by hand: readable rows in, AttemptEvents out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from tests.support.replay_twin import Entry, stream
from tracereplay.attempts.detected_attempt import REASON_CONTIG_RANGE
from tracereplay.attempts.events import AttemptEvents
from tracereplay.layout.layout import Layout, Span
from tracereplay.schema import PageStream

MS = 1_000_000
DRIVER, OTHER = 9, 8
AREA = Span("reserved", 1000, 4096)
BLOCK = 1 << 15
LAYOUT = Layout(
    source="test", cma_areas=(AREA,), memory_block_pages=BLOCK, memory_blocks=(1, 2, 3), isolate_migratetype=5
)
# name -> rows; time_ns and tid are the first two of each row
Row = dict[str, object]


def row(ms: float, tid: int = DRIVER, **fields: object) -> Row:
    """An event at `ms` milliseconds."""
    return {"time_ns": int(ms * MS), "tid": tid, **fields}


def attempt_events(
    tables: Mapping[str, Sequence[Row]],
    entries: Sequence[Entry] = (),
    end_ms: float = 10_000,
    comms: Mapping[int, str] | None = None,
    hidden_ms: Sequence[tuple[float, float]] = (),
    recorded: Collection[str] | None = None,
) -> AttemptEvents:
    """The events; `entries` are the page stream, `hidden_ms` the intervals in which events may be lost.

    recorded -- the kinds of events that were enabled: all by default.
    """

    def task_stream(tid: int, start_ns: int, end_ns: int) -> PageStream:
        return stream([e for e in entries if e[2] == tid and start_ns <= e[0] <= end_ns])

    def hides(start_ns: int, end_ns: int) -> bool:
        return any(low * MS <= end_ns and start_ns <= high * MS for low, high in hidden_ms)

    arrow = {name: pa.Table.from_pylist([dict(one) for one in rows]) for name, rows in tables.items() if rows}
    enabled = None if recorded is None else frozenset(recorded)
    return AttemptEvents(arrow, task_stream, int(end_ms * MS), (comms or {}).get, hides, enabled)


def migration(
    start_ms: float, end_ms: float | None, moved: int = 32, failed: int = 0, reason: int = REASON_CONTIG_RANGE,
    tid: int = DRIVER,
) -> dict[str, list[Row]]:  # fmt: skip
    """One migrate_pages() call: its start and, where given, its end."""
    begin = row(start_ms, tid, mode=2, reason=reason)
    ends = [] if end_ms is None else [row(end_ms, tid, succeeded=moved, failed=failed, mode=2, reason=reason)]
    return {"mm_migrate_pages_start": [begin], "mm_migrate_pages": ends}


def joined(*parts: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The rows of all, in order of time."""
    out: dict[str, list[Row]] = {}
    for part in parts:
        for name, rows in part.items():
            out.setdefault(name, []).extend(rows)
    return {name: sorted(rows, key=lambda one: int(str(one["time_ns"]))) for name, rows in out.items()}


def checked(ms: float, start: int, end: int, fin: int | None = None, tid: int = DRIVER) -> dict[str, list[Row]]:
    """test_pages_isolated over [start, end): `fin` is the first page in the way, none by default."""
    return {"test_pages_isolated": [row(ms, tid, start_pfn=start, end_pfn=end, fin_pfn=end if fin is None else fin)]}


def scanned(ms: float, start: int, end: int, tid: int = DRIVER) -> dict[str, list[Row]]:
    """mm_compaction_isolate_migratepages."""
    return {
        "mm_compaction_isolate_migratepages": [
            row(ms, tid, start_pfn=start, end_pfn=end, nr_scanned=end - start, nr_taken=1)
        ]
    }
