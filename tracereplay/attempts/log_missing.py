"""What a kernel log lacks, and which of its lines were recognised although they show no attempt."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from tracereplay.attempts.log_calls import TRIES_NS, Row, gap_ns
from tracereplay.losses import Loss

if TYPE_CHECKING:
    from tracereplay.attempts.log import Log

MOST_LISTED = 6
LONGEST_QUOTED = 100
NO_ATTEMPT = {
    "suppressed": "of lines suppressed",
    "meminfo": "of /proc/meminfo",
    "onlined": "of memory that went online",
    "tool_begins": "that ask for an offline",
    "shell_failed": "of a shell: write error",
    "tool_succeeded": "of a selftest that succeeded",
    "veto": "of a notifier that refuses",
    "not_offline": "of memory that is removed while it is online",
    "cma_bitmap": "of a CMA bitmap without its failure",
    "not_reserved": "of a CMA area that was not reserved at boot",
    "owner_record": "of page_owner records (pass their file as --page-owner)",
    "tool_refused": "of daxctl, which could not offline memory",
    "unmovable": "of a page that has_unmovable_pages() found",
}
# Messages of the kernel that a driver's own words follow, or come before.
CONTIGUOUS = frozenset({"cma_failed", "cma_begins", "cma_busy", "cma_returned", "contig_busy", "cma_bitmap"})
# Lines without a time: a driver's stands so near to the kernel's.
LINES_TO_DRIVER = 8


class LogFacts(Protocol):
    """What reading the log found out (parsers.kernel_log.KernelLog)."""

    page_size_bytes: int | None
    odd_lines: int
    first_odd: int | None


def missing_in_log(log: Log, read: LogFacts, *, found: bool) -> list[Loss]:
    """Losses of a log that is read without a trace. found -- whether it shows an attempt."""
    losses = []
    if read.page_size_bytes is None and any(
        row["address"] is not None and row["bytes"]
        for row in log.messages
        if row["kind"] not in ("cma_failed", "contig_busy")
    ):
        losses.append(Loss("page_size_unknown"))
    if read.odd_lines:
        losses.append(Loss("log_lines_unknown", read.odd_lines, detail=f"the first is line {read.first_odd}"))
    alone = _drivers_alone(log)
    if alone:
        first = f"the first is line {alone[0]['line']}: {alone[0]['text'][:LONGEST_QUOTED]}"
        losses.append(Loss("log_driver_failures", len(alone), detail=first))
    recognised = ", ".join(_recognised(log))
    if not found and recognised:
        losses.append(Loss("log_without_attempt", detail=recognised))
    return losses


def _recognised(log: Log) -> Iterator[str]:
    kinds: Counter[str] = Counter()
    for row in log.page_dumps:
        kinds[f"page dumps ({row['reason'] or 'without a reason'})"] += 1
    kinds["soft offlines of single pages"] = sum(row["kind"] == "soft_offline" for row in log.migrate_failures)
    kinds[f"lines {NO_ATTEMPT['unmovable']}"] = sum(row["kind"] == "unmovable" for row in log.migrate_failures)
    for row in log.messages:
        if row["kind"] == "driver_failed":  # has a loss of its own
            continue
        kinds[f"lines {NO_ATTEMPT.get(row['kind'], row['kind'])}"] += 1
    for kind, count in kinds.most_common(MOST_LISTED):
        if count:
            yield f"{count} {kind}"


def _drivers_alone(log: Log) -> list[Row]:
    """Lines of drivers that did not get a buffer, with no line of the kernel's own near them."""
    own = sorted((row for row in log.messages if row["kind"] in CONTIGUOUS), key=lambda row: row["line"])
    numbers = [row["line"] for row in own]
    alone = []
    for row in log.messages:
        if row["kind"] == "driver_failed":
            at = bisect_left(numbers, row["line"])
            if not any(_beside(row, other) for other in own[max(at - 1, 0) : at + 1]):
                alone.append(row)
    return alone


def _beside(driver: Row, other: Row) -> bool:
    gap = gap_ns(other, driver)
    if gap is None:
        return bool(abs(driver["line"] - other["line"]) <= LINES_TO_DRIVER)
    return abs(gap) < TRIES_NS
