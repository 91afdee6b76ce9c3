"""Calls of offline_pages(), of which no tracepoint tells, as one table: who, which block, from when to when, with what
result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tracereplay.parsers.catalog.probes import Role, Slot
from tracereplay.parsers.probes.rows import NOT_FETCHED, ProbeRows
from tracereplay.schema import Column, arrow_schema

OFFLINE_COLUMNS = (
    Column("seq", pa.uint64(), None, "Place of the event that ended the call, or began it where no end was seen"),
    Column("time_ns", pa.int64(), "ns", "When it returned; null = no return was seen"),
    Column("tid", pa.int32(), None, "Task that offlines"),
    Column("start_ns", pa.int64(), "ns", "When it was called, or isolated the block; null = not seen"),
    Column("start_pfn", pa.uint64(), "pfn", "First page frame; null = not fetched"),
    Column("pages", pa.int64(), "pages", "Pages of the range; null = not fetched"),
    Column("ret", pa.int64(), None, "0 or a negative errno; null = no return was seen"),
)
ROLES_READ = (Role.OFFLINE, Role.OFFLINE_RESULT, Role.ISOLATE_RESULT)


@dataclass(slots=True)
class _Call:
    """One call, as far as its events show it."""

    seq: int
    tid: int
    start_ns: int | None = None
    start_pfn: int | None = None
    pages: int | None = None
    end_ns: int | None = None
    result: int | None = None

    def set_range(self, start: int, pages: int) -> None:
        if NOT_FETCHED not in (start, pages) and pages > 0:
            self.start_pfn, self.pages = start, pages


def offline_table(rows: Sequence[ProbeRows]) -> pa.Table | None:
    """The calls in order of their events; None where no probe saw any."""
    events = []
    for one in rows:
        if one.role not in ROLES_READ:
            continue
        start, end, pages = one.get(Slot.START_PFN), one.get(Slot.END_PFN), one.get(Slot.PAGES)
        for at in range(len(one)):
            length = int(pages[at]) if end[at] == NOT_FETCHED else int(end[at] - start[at])
            place = int(one.seq[at]), int(one.time_ns[at]), int(one.tid[at])
            events.append((*place, one.role, int(start[at]), length, int(one.get(Slot.RESULT)[at])))
    calls: list[_Call] = []
    running: dict[int, _Call] = {}
    for seq, time_ns, tid, role, start_pfn, pages_known, result in sorted(events, key=lambda event: event[0]):
        _take(calls, running, (seq, time_ns, tid), role, (start_pfn, pages_known), result)
    offlines = [call for call in calls if call.end_ns is not None or call.start_pfn is not None]
    if not offlines:
        return None
    columns = {
        "seq": [call.seq for call in offlines],
        "time_ns": [call.end_ns for call in offlines],
        "tid": [call.tid for call in offlines],
        "start_ns": [call.start_ns for call in offlines],
        "start_pfn": [call.start_pfn for call in offlines],
        "pages": [call.pages for call in offlines],
        "ret": [call.result for call in offlines],
    }
    return pa.table(columns, schema=arrow_schema(OFFLINE_COLUMNS))


def _take(
    calls: list[_Call],
    running: dict[int, _Call],
    place: tuple[int, int, int],
    role: Role,
    span: tuple[int, int],
    result: int,
) -> None:
    seq, time_ns, tid = place
    if role is Role.OFFLINE:
        running[tid] = _Call(seq, tid, start_ns=time_ns)
        running[tid].set_range(*span)
        calls.append(running[tid])
        return
    if role is Role.ISOLATE_RESULT:
        # Also of alloc_contig_range(): an offline only if its own return follows.
        call = running.setdefault(tid, _Call(seq, tid, start_ns=time_ns))
        if call.start_pfn is None:
            call.set_range(*span)
        if call not in calls and result < 0:
            del running[tid]
        return
    call = running.pop(tid) if tid in running else _Call(seq, tid)
    call.seq, call.end_ns, call.result = seq, time_ns, result
    call.set_range(*span)
    if call not in calls:
        calls.append(call)
