"""What the kernel log adds: reasons and errnos of attempts, and attempts no tracepoint shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracereplay.attempts.draft import Draft
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import merge_spans
from tracereplay.model.result import Operation, Request, Try
from tracereplay.units import NS_PER_S

# offline_pages() (mm/memory_hotplug.c): reason printed -> (errno, cause that blames no page or None)
OFFLINE_REASONS: dict[str, tuple[str, str | None]] = {
    "memory holes": ("EINVAL", "not_isolatable"),
    "multizone range": ("EINVAL", "not_isolatable"),
    "failure to isolate range": ("EBUSY", None),
    "notifier failure": ("EBUSY", "notifier_veto"),
    "signal backoff": ("EINTR", None),
    "unmovable page": ("EBUSY", None),
    "failure to dissolve huge pages": ("EBUSY", None),
}
# Lines of one operation follow each other; the log may run this far behind the trace (seen: 0.4 s).
SAME_OPERATION_NS = 2 * NS_PER_S
# An offline that loops prints at most ten pages every five seconds (printk_ratelimit).
LOOP_NS = 15 * NS_PER_S
UNMOVABLE_DUMP = "unmovable page"
MIGRATION_DUMP = "migration failure"
ERRNO_NAMES = {4: "EINTR", 11: "EAGAIN", 12: "ENOMEM", 16: "EBUSY", 22: "EINVAL"}

# A printed bitmap: runs of free pages, and their sum. As console events the runs are lines of their own (pr_cont).
FREE_RUN = re.compile(r"(\d{1,18})@\d")
FREE_SUM = re.compile(r"=> (\d{1,18}) free of")

Row = Mapping[str, Any]


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
        """The rows `other` does not have (console events repeat the log): told by content, clocks differ."""

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


def apply_log(drafts: list[Draft], log: Log, layout: Layout) -> None:
    """Complete drafts from the log, and append the attempts only the log knows."""
    _add_failed_migrations(drafts, log, layout)
    for row in log.messages:
        kind = row["kind"]
        if kind == "offline_failed":
            _offline_failed(drafts, row, layout)
        elif kind == "offlined":
            _offlined(drafts, row)
        elif kind in ("cma_failed", "contig_busy"):
            _contig_failed(drafts, row)
        elif kind == "cma_bitmap":
            _bitmap(drafts, row)
    for row in log.page_dumps:
        if row["reason"] == UNMOVABLE_DUMP and row["pfn"] is not None:
            _unmovable(drafts, row, layout)


def _add_failed_migrations(drafts: list[Draft], log: Log, layout: Layout) -> None:
    """Pages that did not migrate, in attempts no event shows: `migrating pfn X failed` is an offline's.

    A dump without that line comes from alloc_contig_range(); the message of its caller, if any, tells more.
    """
    offlining = {row["pfn"] for row in log.migrate_failures if row["kind"] != "soft_offline"}
    rows = [row for row in log.migrate_failures if row["kind"] != "soft_offline" and row["pfn"] is not None]
    rows += [row for row in log.page_dumps if row["reason"] == MIGRATION_DUMP and row["pfn"] not in {None, *offlining}]
    for row in sorted(rows, key=lambda row: (row["time_ns"] or 0, row["line"])):
        operation: Operation = "memory_offline" if "kind" in row else "contig_alloc"
        block = layout.block_of(row["pfn"]) if operation == "memory_offline" else None
        span = (block.start_pfn, block.end_pfn) if block else (row["pfn"], row["pfn"] + 1)
        known = next((d for d in drafts if _takes(d, row, operation)), None)
        if known is None:
            now = row["time_ns"] or 0
            known = Draft(operation, row["tid"], now, now, "unfinished", "log", block.name if block else None)
            if block is not None:
                known.request = Request(pages=block.pages, start_pfn=block.start_pfn, end_pfn=block.end_pfn)
            drafts.append(known)
        elif known.basis != "log":
            continue
        known.end_ns = max(known.end_ns or 0, row["time_ns"] or 0)
        known.spans = merge_spans([*known.spans, span])


def _takes(draft: Draft, row: Row, operation: Operation) -> bool:
    """Whether this failed migration is part of the attempt."""
    contiguous = ("cma_alloc", "contig_alloc")
    same = draft.operation == operation or (draft.operation in contiguous and operation in contiguous)
    inside = draft.basis == "log" or not draft.spans or any(a <= row["pfn"] < b for a, b in draft.spans)
    near = row["time_ns"] is None or draft.covers(
        row["time_ns"], LOOP_NS if draft.basis == "log" else SAME_OPERATION_NS
    )
    return same and inside and near and _same_task(draft, row)


def _same_task(draft: Draft, row: Row) -> bool:
    return row["tid"] is None or draft.tid is None or draft.tid == row["tid"]


def _near(draft: Draft, row: Row) -> bool:
    return row["time_ns"] is not None and draft.covers(row["time_ns"], SAME_OPERATION_NS)


def _from_log(row: Row, layout: Layout, start_pfn: int, pages: int) -> Draft:
    now = row["time_ns"] or 0
    draft = Draft("memory_offline", row["tid"], now, now, "failed", "log")
    draft.spans = ((start_pfn, start_pfn + pages),)
    draft.request = Request(pages=pages, start_pfn=start_pfn, end_pfn=start_pfn + pages)
    block = layout.block_of(start_pfn)
    draft.area = block.name if block else None
    draft.tries = [
        Try(index=0, start_pfn=start_pfn, end_pfn=start_pfn + pages, start_ns=now, end_ns=now, result="unknown")
    ]
    draft.try_visited = [0]
    return draft


def _offline_failed(drafts: list[Draft], row: Row, layout: Layout) -> None:
    errno, cause = OFFLINE_REASONS.get(row["reason"] or "", (None, None))
    start, pages = row["start_pfn"], row["pages"]
    draft = next(
        (
            d
            for d in drafts
            if d.operation == "memory_offline"
            and _same_task(d, row)
            and _near(d, row)
            and d.outcome != "succeeded"
            and (start is None or not d.spans or d.spans[0][0] <= start < d.spans[-1][1])
        ),
        None,
    )
    if draft is None:
        if start is None:
            return
        draft = _from_log(row, layout, start, pages or 0)
        drafts.append(draft)
    draft.basis = "log"
    draft.errno, draft.cause = errno or draft.errno, cause or draft.cause
    draft.outcome = "interrupted" if errno == "EINTR" else "failed"
    if draft.tries:
        draft.tries[-1].result = errno or draft.tries[-1].result


def _offlined(drafts: list[Draft], row: Row) -> None:
    for draft in drafts:
        if draft.operation == "memory_offline" and draft.tid == row["tid"] and _near(draft, row):
            if draft.outcome == "succeeded":
                draft.basis = "log"
            return


def _contig_failed(drafts: list[Draft], row: Row) -> None:
    """`alloc failed, req-size: N pages, ret: E`: the errno of kernels whose event has none; or all there is."""
    operation = "cma_alloc" if row["kind"] == "cma_failed" else "contig_alloc"
    if any(d.operation in ("cma_alloc", "contig_alloc") and _same_task(d, row) and _near(d, row) for d in drafts):
        for draft in drafts:
            if (
                draft.operation == operation
                and draft.outcome == "failed"
                and _same_task(draft, row)
                and _near(draft, row)
            ):
                draft.errno = draft.errno or ERRNO_NAMES.get(row["errno"] or 0)
        return
    now = row["time_ns"] or 0
    draft = Draft("cma_alloc" if row["kind"] == "cma_failed" else "contig_alloc", row["tid"], now, now, "failed", "log")
    draft.area, draft.errno = row["area"], ERRNO_NAMES.get(row["errno"] or 0)
    draft.request = Request(pages=row["pages"], start_pfn=row["start_pfn"])
    if row["start_pfn"] is not None and row["pages"]:
        draft.spans = ((row["start_pfn"], row["start_pfn"] + row["pages"]),)
        draft.request.end_pfn = draft.spans[0][1]
        draft.errno = "EBUSY"
    drafts.append(draft)


def _bitmap(drafts: list[Draft], row: Row) -> None:
    """`number of available pages: 4@572+7@585 => ...`, printed after every failure of the same task.

    Each N@M is a run of N free pages at bit M: where none is as long as the request, the bitmap was full.
    """
    longest = _longest_run(row["reason"] or "")
    if longest is None:
        return
    failed = [
        draft
        for draft in drafts
        if draft.operation == "cma_alloc" and draft.errno in ("ENOMEM", "EBUSY") and not draft.tries
        and _same_task(draft, row) and _near(draft, row)
    ]  # fmt: skip
    draft = min(failed, key=lambda one: abs(row["time_ns"] - (one.end_ns or one.start_ns)), default=None)
    if draft is not None and draft.request.pages is not None and longest < draft.request.pages:
        draft.cause = "bitmap_full"


def _longest_run(bitmap: str) -> int | None:
    """The longest run of free pages of a printed bitmap. Where runs are missing from it: what all free pages allow."""
    runs = [int(pages) for pages in FREE_RUN.findall(bitmap)]
    free = FREE_SUM.search(bitmap)
    if free is None:
        return None
    return max(runs, default=0) if sum(runs) == int(free[1]) else int(free[1])


def _unmovable(drafts: list[Draft], row: Row, layout: Layout) -> None:
    """dump_page("unmovable page"): the isolation of a block found this page (has_unmovable_pages())."""
    pfn = row["pfn"]
    for draft in drafts:
        inside = not draft.spans or draft.spans[0][0] <= pfn < draft.spans[-1][1]
        if draft.operation == "memory_offline" and _same_task(draft, row) and _near(draft, row) and inside:
            draft.log_pfn = pfn
            if draft.outcome != "succeeded":
                draft.start_ns = min(draft.start_ns, row["time_ns"] or draft.start_ns)
            return
    block = layout.block_of(pfn)
    draft = _from_log(row, layout, block.start_pfn if block else pfn, block.pages if block else 1)
    draft.errno, draft.log_pfn = "EBUSY", pfn
    draft.tries[0].result = "EBUSY"
    drafts.append(draft)
