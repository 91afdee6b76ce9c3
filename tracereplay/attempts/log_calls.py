"""One call as the lines of a kernel log show it, and the rules by which lines belong to the same call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracereplay.model.result import Operation, Outcome
from tracereplay.units import NS_PER_S

Row = Mapping[str, Any]

# Tries of one call follow each other within milliseconds. Wall clocks of syslog show whole seconds: of the same second.
TRIES_NS = NS_PER_S
# An offline that loops prints at most ten pages every five seconds (printk_ratelimit).
LOOP_NS = 15 * NS_PER_S
# Lines without any time: so many others may lie between two of one call.
LINES_APART = 100
ERRNO_NAMES = {
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    5: "EIO",
    11: "EAGAIN",
    12: "ENOMEM",
    14: "EFAULT",
    16: "EBUSY",
    19: "ENODEV",
    22: "EINVAL",
    28: "ENOSPC",
    95: "EOPNOTSUPP",
    110: "ETIMEDOUT",
}


@dataclass(slots=True)
class LoggedTry:
    """One range that was found busy; PFNs are None where the line shows none."""

    start_pfn: int | None
    end_pfn: int | None
    row: Row


@dataclass(slots=True)
class Call:
    """One call. `rows` are all lines of it, in the order in which they were printed.

    pages -- the request's size where a line tells; pages_at_most: where only ranges do, with a start rounded down.
    evidence -- page dumps, and lines that name a page; bitmap: the free runs of the area when it had failed.
    """

    operation: Operation
    outcome: Outcome = "unknown"
    errno: str | None = None
    cause: str | None = None
    area: str | None = None
    pages: int | None = None
    pages_at_most: int | None = None
    align_order: int | None = None
    start_pfn: int | None = None
    address: int | None = None
    size_bytes: int | None = None
    tries: list[LoggedTry] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)
    bitmap: Row | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def first(self) -> Row:
        """Its first line."""
        return self.rows[0]

    @property
    def last(self) -> Row:
        """Its last line so far."""
        return self.rows[-1]

    @property
    def tid(self) -> int | None:
        """The task that printed it."""
        tid: int | None = self.first["tid"]
        return tid

    def take(self, row: Row) -> None:
        """A line of it."""
        self.rows.append(row)

    def fail(self, row: Row, errno: int | None = None) -> None:
        """The line that says that it failed."""
        self.take(row)
        self.errno = ERRNO_NAMES.get(errno) if errno else self.errno
        self.outcome = "interrupted" if self.errno == "EINTR" else "failed"


def call_of(row: Row, operation: Operation) -> Call:
    """A call that begins with this line."""
    return Call(operation, rows=[row])


def gap_ns(earlier: Row, later: Row) -> int | None:
    """Time between two lines; None where they do not tell."""
    for clock in ("time_ns", "wall_ns"):
        if earlier[clock] is not None and later[clock] is not None:
            return int(later[clock] - earlier[clock])
    return None


def follows(earlier: Row, later: Row, within_ns: int) -> bool:
    """Whether the later line may belong to the call of the earlier one, as far as time tells."""
    gap = gap_ns(earlier, later)
    if gap is None:
        return bool(abs(later["line"] - earlier["line"]) <= LINES_APART)
    return 0 <= gap < within_ns


def in_print_order(tables: Iterable[Sequence[Row]]) -> list[Row]:
    """Rows of several tables as the lines were printed; those of a log with the newest first have falling numbers."""
    tables = list(tables)
    falling = any(len(rows) > 1 and rows[0]["line"] > rows[-1]["line"] for rows in tables)
    return sorted((row for rows in tables for row in rows), key=lambda row: row["line"], reverse=falling)
