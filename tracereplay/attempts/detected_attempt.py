"""An attempt as found in the events, before anyone is blamed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tracereplay.layout.spans import Spans
from tracereplay.model.result import Basis, Bitmap, Operation, Outcome, Phases, Request, Try, Wait

LONG_AGO_NS = -(1 << 62)  # before any event of a trace
UNTIMED_NS = -1  # of events of which a text shows the payload alone (`schema.integers` of null)
REASON_MEMORY_HOTPLUG = 2
REASON_CONTIG_RANGE = 6
REASON_LONGTERM_PIN = 7  # since 5.13


class Moment(NamedTuple):
    """When and where an event was recorded."""

    ns: int
    cpu: int | None
    event: str


@dataclass(slots=True)
class DetectedAttempt:
    """One attempt.

    spans -- the page frames it wanted to empty; try_visited -- per try, the end of what was scanned for migration
    (0 = unknown); blocked_passes -- times at which migration had failed and no range was tested (offline).
    Of a call that only a kernel log shows: log_line -- its first line; timeless -- the log tells no time since boot,
    and start_ns and end_ns are meaningless; evidence -- page dumps, and lines that name a page, as rows of LOG_TABLES.
    """

    operation: Operation
    tid: int | None
    start_ns: int
    end_ns: int | None
    outcome: Outcome
    basis: Basis
    area: str | None = None
    errno: str | None = None
    cause: str | None = None  # decided by the operation itself (a log line, a bitmap); else by the culprits
    request: Request = field(default_factory=Request)
    tries: list[Try] = field(default_factory=list)
    try_visited: list[int] = field(default_factory=list)
    spans: Spans = ()
    waits: list[Wait] = field(default_factory=list)
    phases: Phases = field(default_factory=Phases)
    failed_migrations: int = 0  # pages that migrate_pages() could not move, in its last call
    log_pfn: int | None = None  # the page the kernel log names
    candidates: tuple[str, ...] = ()  # causes not excluded by the operation itself
    capture_next: tuple[str, ...] = ()
    bitmap: Bitmap | None = None
    log_line: int | None = None
    timeless: bool = False
    number: int = 0  # among those of this operation, task and time
    wall_clock: str | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()
    # When an event first showed that start_isolate_page_range() had succeeded: from then on nothing unmovable is in a
    # range that is not MIGRATE_CMA (has_unmovable_pages(), mm/page_isolation.c). None: no event shows it.
    isolated_ns: int | None = None
    # The last failing test of the range by the page it names (fin_pfn); the sleeps for writeback by (ino, page index).
    failed_tests: dict[int, Moment] = field(default_factory=dict)
    writeback_sleeps: dict[tuple[int, int], Moment] = field(default_factory=dict)
    # When it last scanned its range or came back from migrate_pages(): what was taken later stopped nothing. None: no
    # event tells.
    last_call_ns: int | None = None
    nothing_tried: bool = False  # the event of its end shows that no range was tried
    movable_free_pages: int | None = None  # of a kernel_alloc: attempts/kernel_alloc.py
    parent_id: str | None = None  # the request that it is a part of (attempts/unplug.py)
    inventory: bool = False  # no task made it: an inventory of what would block migration
    # Of an inventory: parts of a memory block that are no memory, what cma_alloc() has taken of an area, and how many
    # contiguous pages are wanted, aligned to 2^order.
    holes: Spans = ()
    given_out: Spans = ()
    wanted: tuple[int, int] | None = None

    @property
    def isolated(self) -> bool:
        """Whether an event shows that isolating the range had succeeded."""
        return self.isolated_ns is not None

    @property
    def id(self) -> str:
        """The same in every run: operation-tid-start_ns; an inventory has its range in place of a task.

        Without a time the line of the log stands for it; of text without times, nothing does.
        """
        if self.inventory:
            return f"{self.operation}-{self.spans[0][0]:#x}-{self.start_ns}"
        place = "x" if self.log_line is None else f"line{self.log_line}"
        when = place if self.timeless else f"{self.start_ns}"
        return f"{self.operation}-{'x' if self.tid is None else self.tid}-{when}" + (
            f"-{self.number}" if self.number else ""
        )

    def covers(self, time_ns: int, slack_ns: int = 0) -> bool:
        """Whether the time is within the attempt."""
        return self.start_ns - slack_ns <= time_ns and (self.end_ns is None or time_ns <= self.end_ns + slack_ns)
