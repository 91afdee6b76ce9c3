"""What a kernel log lacks, and which of its lines were recognised although they show no attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from tracereplay.losses import Loss

if TYPE_CHECKING:
    from tracereplay.attempts.log import Log

MOST_LISTED = 6
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
}


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
    recognised = ", ".join(_recognised(log))
    if not found and recognised:
        losses.append(Loss("log_without_attempt", detail=recognised))
    return losses


def _recognised(log: Log) -> Iterator[str]:
    kinds: Counter[str] = Counter()
    for row in log.page_dumps:
        kinds[f"page dumps ({row['reason'] or 'without a reason'})"] += 1
    kinds["soft offlines of single pages"] = sum(row["kind"] == "soft_offline" for row in log.migrate_failures)
    for row in log.messages:
        kinds[f"lines {NO_ATTEMPT.get(row['kind'], row['kind'])}"] += 1
    for kind, count in kinds.most_common(MOST_LISTED):
        if count:
            yield f"{count} {kind}"
