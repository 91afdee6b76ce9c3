"""What the kernel log adds: reasons and errnos of attempts, and attempts no tracepoint shows."""

from __future__ import annotations

# Columns of log tables may be null; those read here are checked by the callers.
# pyright: reportArgumentType=false, reportOptionalOperand=false
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracereplay.attempts import log_causes
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.log_advice import advice
from tracereplay.attempts.log_calls import Call, Row
from tracereplay.attempts.log_offline import ENDS, UNMOVABLE
from tracereplay.attempts.log_read import calls_of
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans, merge_spans
from tracereplay.model.result import Bitmap, Request, Try
from tracereplay.units import NS_PER_S

# Lines of one operation follow each other; the log may run this far after the trace (seen: 0.4 s).
SAME_OPERATION_NS = 2 * NS_PER_S
CONTIGUOUS = ("cma_alloc", "contig_alloc")


@dataclass(frozen=True, slots=True)
class Log:
    """A kernel log's tables (schema.LOG_TABLES) as rows, in time order."""

    page_dumps: tuple[Row, ...] = ()
    migrate_failures: tuple[Row, ...] = ()
    messages: tuple[Row, ...] = ()

    @classmethod
    def of(cls, tables: Mapping[str, pa.Table]) -> Log:
        """From Arrow tables."""
        names = ("page_dumps", "migrate_failures", "operation_messages")
        return cls(*(tuple(tables[name].to_pylist()) if name in tables else () for name in names))

    def without(self, other: Log) -> Log:
        """The rows `other` does not have (console events repeat the log), compared by content: clocks differ."""

        def left(mine: tuple[Row, ...], theirs: tuple[Row, ...], keys: tuple[str, ...]) -> tuple[Row, ...]:
            known: dict[tuple[Any, ...], int] = {}
            for row in theirs:
                key = tuple(row[name] for name in keys)
                known[key] = known.get(key, 0) + 1
            out = []
            for row in mine:
                key = tuple(row[name] for name in keys)
                if known.get(key, 0):
                    known[key] -= 1
                else:
                    out.append(row)
            return tuple(out)

        return Log(
            left(self.page_dumps, other.page_dumps, ("pfn", "reason", "refcount", "mapcount")),
            left(self.migrate_failures, other.migrate_failures, ("pfn", "kind", "failed_folios")),
            left(self.messages, other.messages, ("kind", "text")),
        )

    def joined(self, other: Log) -> Log:
        """Rows of both."""
        return Log(
            self.page_dumps + other.page_dumps,
            self.migrate_failures + other.migrate_failures,
            self.messages + other.messages,
        )


def apply_log(drafts: list[DetectedAttempt], log: Log, layout: Layout, *, page_size_known: bool = True) -> None:
    """Complete drafts from the log, and append the attempts only the log knows.

    page_size_known -- whether the layout's page size is that of the log's machine, and no assumption.
    """
    page_size = layout.page_size_bytes if page_size_known else None
    calls, bitmaps = calls_of(log.page_dumps, log.migrate_failures, log.messages, page_size)
    known = _Known(drafts)
    ids = Counter(draft.id for draft in drafts)
    for call in calls:
        draft = known.find(call)
        if draft is not None:
            _complete(draft, call)
            continue
        draft = draft_of(call, layout)
        alike = draft.id
        draft.number = ids[alike]
        ids[alike] += 1
        drafts.append(draft)
    for row in bitmaps:
        _take_bitmap(drafts, row)


class _Known:
    """The attempts that events show, by time."""

    def __init__(self, drafts: Sequence[DetectedAttempt]) -> None:
        self.drafts = sorted(drafts, key=lambda draft: draft.start_ns)
        self.starts = [draft.start_ns for draft in self.drafts]
        self.ends: list[float] = []  # the latest end of all up to here: none before can last longer
        self.taken: set[int] = set()
        for draft in self.drafts:
            end = math.inf if draft.end_ns is None else draft.end_ns
            self.ends.append(max(end, self.ends[-1] if self.ends else -math.inf))

    def find(self, call: Call) -> DetectedAttempt | None:
        """The attempt that the call is, if events show it."""
        times = _times(call)
        if not times:
            found = next((d for d in self.drafts if id(d) not in self.taken and _alike(d, call)), None)
            self.taken |= {id(found)} if found is not None else set()
            return found
        at = bisect_right(self.starts, times[-1] + SAME_OPERATION_NS) - 1
        while at >= 0 and self.ends[at] + SAME_OPERATION_NS >= times[0]:
            draft = self.drafts[at]
            near = any(draft.covers(time_ns, SAME_OPERATION_NS) for time_ns in (times[0], times[-1]))
            if near and _fits(draft, call):
                return draft
            at -= 1
        return None


def _times(call: Call) -> list[int]:
    """Its first and last time, where its lines have one."""
    times = [row["time_ns"] for row in call.rows if row["time_ns"] is not None]
    return [min(times), max(times)] if times else []


def _fits(draft: DetectedAttempt, call: Call) -> bool:
    """Whether task, kind, outcome and place of both agree."""
    same_task = call.tid is None or draft.tid is None or draft.tid == call.tid
    if not same_task or not _same_kind(draft, call):
        return False
    offline = call.operation == "memory_offline"
    if offline and call.outcome in ("failed", "interrupted") and draft.outcome == "succeeded" and not call.evidence:
        return False
    if offline and call.outcome == "succeeded" and call.tid is None:  # a length, no place: it may be of any block
        return False
    return not draft.spans or all(draft.spans[0][0] <= pfn < draft.spans[-1][1] for pfn in _places(call))


def _same_kind(draft: DetectedAttempt, call: Call) -> bool:
    if call.operation == "unknown":
        return draft.operation != "compaction"
    if call.operation in CONTIGUOUS:
        return draft.operation in CONTIGUOUS
    return draft.operation == call.operation


def _places(call: Call) -> list[int]:
    named = [row["pfn"] for row in call.evidence if row["pfn"] is not None]
    return named if call.operation in CONTIGUOUS or call.start_pfn is None else [call.start_pfn, *named]


def _alike(draft: DetectedAttempt, call: Call) -> bool:
    """Whether a call without any time is this attempt: something that both tell must agree."""
    same = [
        call.pages is not None and call.pages == draft.request.pages,
        call.area is not None and call.area == draft.area,
        any(low <= pfn < high for low, high in draft.spans for pfn in _places(call)),
    ]
    return any(same) and _fits(draft, call)


def _complete(draft: DetectedAttempt, call: Call) -> None:
    """What the log knows beyond the events."""
    draft.wall_clock = draft.wall_clock or call.first["wall"]
    if call.operation == "memory_offline":
        _complete_offline(draft, call)
    elif call.operation == draft.operation and draft.outcome == "failed":
        draft.errno = draft.errno or call.errno
        if call.bitmap is not None:
            _full(draft, call.bitmap)


def _take_bitmap(drafts: Sequence[DetectedAttempt], row: Row) -> None:
    """A bitmap of which no line says whose it is: it is printed after a failure of the same task."""
    time_ns, tid = row["time_ns"], row["tid"]
    allocations = (draft for draft in drafts if draft.operation == "cma_alloc" and time_ns is not None)
    near = (draft for draft in allocations if draft.covers(time_ns, SAME_OPERATION_NS))
    failed = [draft for draft in near if tid is None or draft.tid is None or draft.tid == tid]
    nearest = min(failed, key=lambda one: abs(time_ns - (one.end_ns or one.start_ns)), default=None)
    if nearest is not None:
        _full(nearest, row)


def _full(draft: DetectedAttempt, bitmap: Row) -> None:
    """Nothing was tried, and no free run was long enough: that is why it failed."""
    pages = draft.request.pages
    if draft.errno not in ("ENOMEM", "EBUSY") or draft.tries or pages is None:
        return
    if log_causes.room(bitmap, pages, draft.request.align_order) is False and not log_causes.long_enough(bitmap, pages):
        draft.cause = "bitmap_full"


def _complete_offline(draft: DetectedAttempt, call: Call) -> None:
    unmovable = next((row for row in call.evidence if row.get("reason") == UNMOVABLE and row["pfn"] is not None), None)
    if unmovable is not None:
        draft.log_pfn = unmovable["pfn"]
        if draft.outcome != "succeeded" and unmovable["time_ns"] is not None:
            draft.start_ns = min(draft.start_ns, unmovable["time_ns"])
    if call.outcome == "succeeded" == draft.outcome:
        draft.basis = "log"
    if draft.outcome == "succeeded" or not any(row.get("kind") in ENDS for row in call.rows):
        return
    draft.basis = "log"
    draft.errno, draft.cause = call.errno or draft.errno, call.cause or draft.cause
    draft.outcome = call.outcome
    if draft.tries:
        draft.tries[-1].result = call.errno or draft.tries[-1].result


def draft_of(call: Call, layout: Layout) -> DetectedAttempt:
    """The attempt that only the log shows."""
    times = _times(call)
    cause, candidates = log_causes.decide(call)
    draft = DetectedAttempt(
        call.operation,
        call.tid,
        times[0] if times else 0,
        times[-1] if times else 0,
        call.outcome,
        "log",
        call.area,
        call.errno,
        cause,
        timeless=not times,
        log_line=min(row["line"] for row in call.rows),
        wall_clock=call.first["wall"],
        evidence=tuple(call.evidence),
        candidates=candidates,
        bitmap=_bitmap(call),
    )
    draft.request = Request(pages=call.pages, pages_at_most=call.pages_at_most, align_order=call.align_order)
    if call.operation == "memory_offline":
        _place_offline(draft, call, layout)
    else:
        _place_tries(draft, call)
    draft.capture_next = advice(call, draft)
    return draft


def _bitmap(call: Call) -> Bitmap | None:
    row = call.bitmap
    if row is None or row["free_pages"] is None or row["pages"] is None:
        return None
    fits = None if call.pages is None else log_causes.room(row, call.pages, call.align_order)
    return Bitmap(free_pages=row["free_pages"], total_pages=row["pages"], largest_run=row["largest_run"], fits=fits)


def _place_offline(draft: DetectedAttempt, call: Call, layout: Layout) -> None:
    """Range and block of an offline: as printed, else as the block's name or the pages named tell."""
    named = sorted({row["pfn"] for row in call.evidence if row["pfn"] is not None})
    start, pages = call.start_pfn, call.pages if call.start_pfn is not None else None
    block_pages = layout.memory_block_pages
    if start is None and block_pages:
        number = _block_number(call.area)
        block = layout.block_of(named[0]) if named else None
        if number is not None:
            start, pages = number * block_pages, block_pages
        elif block is not None and all(block.contains(pfn) for pfn in named):
            start, pages = block.start_pfn, block.pages
    if start is not None and pages:
        draft.spans = ((start, start + pages),)
        draft.request = Request(pages=pages, start_pfn=start, end_pfn=start + pages)
        block = layout.block_of(start)
        draft.area = draft.area or (block.name if block is not None and block.pages == pages else None)
    else:
        draft.spans = merge_spans([(pfn, pfn + 1) for pfn in named])
    if call.address is not None:
        draft.request.start_address = call.address
        draft.request.end_address = call.address + call.size_bytes if call.size_bytes else None
    unmovable = [row["pfn"] for row in call.evidence if row.get("reason") == UNMOVABLE and row["pfn"] is not None]
    draft.log_pfn = unmovable[0] if unmovable else None
    if draft.outcome != "unknown" and start is not None:
        result = "succeeded" if draft.outcome == "succeeded" else draft.errno or "unknown"
        _add_try(draft, (start, start + (pages or 0)), result, draft.log_pfn)


def _block_number(name: str | None) -> int | None:
    digits = (name or "").removeprefix("memory")
    return int(digits) if name and name.startswith("memory") and digits.isdigit() and len(digits) < 10 else None


def _place_tries(draft: DetectedAttempt, call: Call) -> None:
    """The ranges that were busy, one try each."""
    known: list[tuple[int, int]] = []
    for one in call.tries:
        span = (one.start_pfn, one.end_pfn)
        time_ns = one.row["time_ns"]
        _add_try(draft, span, "EBUSY", None, time_ns)
        if one.start_pfn is not None and one.end_pfn is not None:
            known.append((one.start_pfn, one.end_pfn))
    named = [(row["pfn"], row["pfn"] + 1) for row in call.evidence if row["pfn"] is not None]
    draft.spans = merge_spans(known or named)


def _add_try(
    draft: DetectedAttempt,
    span: tuple[int | None, int | None],
    result: str,
    first_pfn: int | None,
    time_ns: int | None = None,
) -> None:
    start_ns = time_ns if time_ns is not None else None if draft.timeless else draft.start_ns
    end_ns = time_ns if time_ns is not None else None if draft.timeless else draft.end_ns
    draft.tries.append(
        Try(
            index=len(draft.tries),
            start_pfn=span[0],
            end_pfn=span[1],
            start_ns=start_ns,
            end_ns=end_ns,
            result=result,
            first_blocking_pfn=first_pfn,
        )
    )
    draft.try_visited.append(0)


def named_spans(draft: DetectedAttempt) -> Spans:
    """Where records of another source may tell more: the ranges tried, and the pages named."""
    named = [(row["pfn"], row["pfn"] + 1) for row in draft.evidence if row["pfn"] is not None]
    return merge_spans([*draft.spans, *named])
