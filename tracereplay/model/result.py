"""The document `blame` produces. One class per object of the JSON contract, in the contract's order and spelling.

PFNs are integers, a range is [start, start + pages). Times are integer ns on the trace's clock. Unknown is None.
The JSON Schema, the Arrow tables and the table reference are generated from these classes.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tracereplay.model.inventory import Fit, Hole
from tracereplay.model.named import Allocation as Allocation  # noqa: PLC0414 (as part of the document)
from tracereplay.model.named import File as File  # noqa: PLC0414 (as part of the document)
from tracereplay.model.named import Process as Process  # noqa: PLC0414 (as part of the document)
from tracereplay.model.named import Task as Task  # noqa: PLC0414 (as part of the document)

SCHEMA = "tracereplay.blame/1"

Verdict = Literal["proved", "suggested", "unknown"]
Operation = Literal[
    "cma_alloc", "contig_alloc", "memory_offline", "longterm_pin", "compaction", "kernel_alloc", "unknown"
]  # fmt: skip
# unfinished: the trace ends first; unknown: it ended, and what would show how was not recorded
Outcome = Literal["succeeded", "failed", "interrupted", "unfinished", "unknown"]
Basis = Literal["event", "log", "inferred"]
Effect = Literal["blocked", "delayed", "would_block"]
Release = Literal["seen", "held_at_end", "unknown"]
Role = Literal["trace", "log", "layout", "page_owner", "page_pinner", "kpageflags", "dataset"]
NotShown = Literal["references", "allocations", "page_cache"]
# What kpageflags says a page is; shmem and tmpfs are `shmem`, other: in use, and none of these.
USES = (
    "free", "anon", "file", "shmem", "slab", "page_table", "hugetlb", "reserved", "offline", "no_page", "other",
)  # fmt: skip
Severity = Literal["info", "notice", "loss", "error"]


class Tool(Struct, kw_only=True):
    """What produced the document."""

    version: str
    argv: list[str]


class Input(Struct, kw_only=True):
    """One input file and what it says of itself.

    wall_offset_ns -- added to its times it gives ns since 1970, UTC; wall_clock_from -- what ties the clocks. None
    where nothing recorded does.
    """

    id: str
    path: str
    role: Role
    format: str
    digest: str | None = None  # "xxh3-128:" and 32 hex digits; of a packed file, of what is in it
    sha256: str | None = None  # of inputs up to 64 MiB; of larger ones where it is requested
    kernel: str | None = None
    boot_id: str | None = None
    clock: str | None = None
    clock_unit: Literal["ns", "tick"] = "ns"
    origin_ns: int = 0
    events: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    capture_level: int | None = None
    capabilities: list[str] = field(default_factory=list)
    wall_offset_ns: int | None = None
    wall_clock_from: str | None = None


class DataLoss(Struct, kw_only=True):
    """Something the inputs lack; `code` is declared in losses.py."""

    id: str
    input_id: str | None
    code: str
    severity: Severity
    count: int | None
    cpu: int | None
    start_ns: int | None
    end_ns: int | None
    advice: str
    detail: str = ""


class Zone(Struct, kw_only=True):
    """A zone's span."""

    node: int
    name: str
    start_pfn: int
    pages: int


class CmaArea(Struct, kw_only=True):
    """A CMA area's span."""

    name: str
    start_pfn: int
    pages: int


class LayoutSummary(Struct, kw_only=True):
    """The machine's memory as the run knew it; page_size_known -- False where the architecture's usual one is taken."""

    page_size: int
    source: str
    zones: list[Zone] = field(default_factory=list)
    memory_block_pages: int | None = None
    pageblock_pages: int | None = None
    cma_areas: list[CmaArea] = field(default_factory=list)
    page_size_known: bool = True


class Stack(Struct, kw_only=True):
    """A kernel stack, innermost frame first."""

    id: str
    frames: list[str]


class Request(Struct, kw_only=True):
    """What was requested; None where the input does not show it.

    pages_at_most -- where only ranges are known whose start may be rounded down; start_address, end_address: physical
    addresses [start, end), where a log tells these; gfp -- the mask of a kernel_alloc.
    """

    pages: int | None = None
    pages_at_most: int | None = None
    align_order: int | None = None
    start_pfn: int | None = None
    end_pfn: int | None = None
    start_address: int | None = None
    end_address: int | None = None
    gfp: int | None = None


class Try(Struct, kw_only=True):
    """One range tested within an attempt; times are None where a log tells none.

    map_try -- the try whose runs in `map` show the pages at this one: itself, or a later one up to which they did not
    change; None where no map was kept, as for the try that got its range.
    """

    index: int
    start_pfn: int | None
    end_pfn: int | None
    start_ns: int | None
    end_ns: int | None
    result: str  # "succeeded", "EBUSY", "ENOMEM", "unknown" ...
    first_blocking_pfn: int | None = None
    map_try: int | None = None

    @property
    def begin_ns(self) -> int:
        """`start_ns` where a trace shows the try; 0 for one of a log without times."""
        return self.start_ns or 0

    @property
    def finish_ns(self) -> int:
        """`end_ns` where a trace shows the try; 0 for one of a log without times."""
        return self.end_ns or 0


class Phases(Struct, kw_only=True):
    """How long the phases of an attempt took; None where they cannot be separated."""

    drain: int | None = None
    isolate: int | None = None
    migrate: int | None = None
    test: int | None = None


class Wait(Struct, kw_only=True):
    """A stretch in which the attempt slept for a page."""

    kind: Literal["folio_lock", "writeback", "other"]
    start_ns: int
    end_ns: int
    start_pfn: int | None = None
    pages: int | None = None

    @property
    def middle_ns(self) -> int:
        """The time of the question that the replay answers."""
        return (self.start_ns + self.end_ns) // 2


class UseCount(Struct, kw_only=True):
    """How many pages kpageflags says are this (a word of USES)."""

    use: str
    pages: int


class PageCounts(Struct, kw_only=True):
    """What became of the pages of the last try: requested = free + moved + held + not_seen.

    from_snapshot -- of those free and held, pages without an event, of which only the copy of kpageflags taken before
    the trace tells; None without such a copy. uses -- the same by what that copy says they are (a word of USES).
    """

    requested: int
    free: int
    moved: int
    held: int
    not_seen: int
    from_snapshot: int | None = None
    uses: list[UseCount] = field(default_factory=list)


class UseRun(Struct, kw_only=True):
    """A run of pages without an event, and what the copy of kpageflags says they are (a word of USES)."""

    start_pfn: int
    pages: int
    use: str


class MapRun(Struct, kw_only=True):
    """A run of pages in one state at one failing try.

    The runs of a try cover all ranges that the attempt tried. Tries without runs: see `Try.map_try`.
    """

    try_index: int = field(name="try")
    start_pfn: int
    pages: int
    state: str
    culprit_id: str | None = None


class Evidence(Struct, kw_only=True):
    """One event or log line that says so."""

    event: str
    time_ns: int | None
    tid: int | None
    cpu: int | None
    text: str
    stack_id: str | None = None


LOSSES_NAMED = 8


class Culprit(Struct, kw_only=True):
    """A run of pages with one cause and one holder that blocked migration, or would have.

    holder -- who keeps the page at the test; taken_by, released_by -- the tasks that took the reference and gave it
    back; premises_failed -- codes of the premises (model/premises.py) that keep a verdict from being `proved`.
    start_pfn -- None where a log dumps the page without it; page_address: of its struct page then, as printed.
    order -- of the folios that its pages make up; None for single pages, and where that is not known.
    """

    id: str
    start_pfn: int | None
    pages: int
    cause: str
    verdict: Verdict
    candidates: list[str] = field(default_factory=list)
    effect: Effect
    delay_ns: int | None = None
    blocked_tries: list[tuple[int, int]] = field(default_factory=list)
    primary: bool = False
    holder: Task | None = None
    holder_verdict: Verdict = "unknown"
    holder_name: str | None = None
    taken_by: Task | None = None
    released_by: Task | None = None
    premises_failed: list[str] = field(default_factory=list)
    mechanism: str | None = None
    allocated_by: Allocation | None = None
    file: File | None = None
    held_since_ns: int | None = None
    released_ns: int | None = None
    release: Release = "unknown"
    weakened_by: list[str] = field(default_factory=list)  # the first LOSSES_NAMED; `Attempt.weakened_by` has all
    evidence: list[Evidence] = field(default_factory=list)
    capture_next: list[str] = field(default_factory=list)
    page_address: str | None = None
    order: int | None = None

    def covers(self, pfn: int) -> bool:
        """Whether the page is one of its run; False where a log names no page frame."""
        return self.start_pfn is not None and self.start_pfn <= pfn < self.start_pfn + self.pages


class Bitmap(Struct, kw_only=True):
    """The bitmap of a CMA area when an allocation had failed, as the kernel log lists it.

    largest_run -- of the free runs listed; None where none is. fits: whether one holds the request at its alignment.
    """

    free_pages: int
    total_pages: int
    largest_run: int | None = None
    fits: bool | None = None


class Attempt(Struct, kw_only=True):
    """One attempt to empty a range, and what blocked it.

    parent_id -- the same for all attempts of one request to unplug memory (virtio-mem, a DIMM), `unplug-TID-START`;
    None for an attempt that stands alone. The request itself is no attempt.
    start_ns -- None where a kernel log tells no time since boot; wall_clock: the time as its first line of the attempt
    spells it, else by what ties the trace's clock (`wall_clock_from`); log_line: that line, where only the log shows
    the attempt. candidates: causes not excluded, most likely first.
    movable_free_pages -- of a kernel_alloc: pages free, at least, that only movable allocations may use.
    """

    id: str
    input_id: str
    parent_id: str | None = None
    operation: Operation
    area: str | None
    task: Task | None
    start_ns: int | None
    end_ns: int | None
    wall_clock: str | None = None
    wall_clock_from: str | None = None
    log_line: int | None = None
    request: Request
    outcome: Outcome
    outcome_basis: Basis
    errno: str | None = None
    cause: str | None = None
    candidates: list[str] = field(default_factory=list)
    bitmap: Bitmap | None = None
    tries: list[Try] = field(default_factory=list)
    phases_ns: Phases = field(default_factory=Phases)
    waits: list[Wait] = field(default_factory=list)
    pages: PageCounts | None = None
    map: list[MapRun] = field(default_factory=list)
    uses: list[UseRun] = field(default_factory=list)
    culprits: list[Culprit] = field(default_factory=list)
    weakened_by: list[str] = field(default_factory=list)  # every loss that weakens a culprit, once
    capture_next: list[str] = field(default_factory=list)
    movable_free_pages: int | None = None
    inventory: bool = False  # not an attempt of the trace: what would block one, requested with --at
    # Of an inventory:
    not_shown: list[NotShown] = field(default_factory=list)  # what the inputs cannot show of its pages
    uncounted: int | None = None  # pages that may be in use and have no page_ref event: their references do not show
    given_out: int | None = None  # pages that cma_alloc() has taken from the area and not released
    holes: list[Hole] = field(default_factory=list)
    fit: Fit | None = None

    @property
    def begin_ns(self) -> int:
        """`start_ns` where a trace shows the attempt; 0 for one of a log without times."""
        return self.start_ns or 0


class Counter(Struct, kw_only=True):
    """Pages in a state, in a CMA area or Movable zone, from this time until the next row of that scope and name.

    name -- free; allocated; cma_alloc: taken by cma_alloc() and not released; not_seen: no event named them yet.
    """

    input_id: str | None = None
    scope: str
    name: str
    time_ns: int
    pages: int


class Blame(Struct, kw_only=True):
    """One cause and holder over all attempts; blocked, proved and suggested count attempts.

    blocked -- attempts that did not succeed, with its pages (or its cause, where that names no page) in the way.
    """

    cause: str
    holder: str | None
    attempts: int
    tries: int
    pages: int
    page_tries: int
    held_ns_max: int | None
    delay_ns: int
    proved: int
    suggested: int
    blocked: int = 0


class Blocker(Struct, kw_only=True):
    """One cause and holder over the attempts of one operation: what a report begins with.

    blocked, delayed -- ids of the attempts that failed with its pages in the way, and of those that it only made wait
    or try again; proved -- in how many of both its cause is proved. pages, start_pfn -- pages of all, each counted
    once, and the lowest. allocated_by -- who allocated the pages, where no holder is known. mechanism --
    the call that took the references, where it was always the same.
    held_since_ns, released_ns -- the first taking and the last release that were seen; release -- the worst: held at
    the end of the trace, else not known, else seen. culprit_ids -- empty where the attempts' own cause names no page.
    """

    cause: str
    holder: Task | None = None
    holder_name: str | None = None
    allocated_by: Task | None = None
    mechanism: str | None = None
    file: File | None = None
    blocked: list[str] = field(default_factory=list)
    delayed: list[str] = field(default_factory=list)
    proved: int = 0
    delay_ns: int = 0
    pages: int = 0
    start_pfn: int | None = None
    held_since_ns: int | None = None
    released_ns: int | None = None
    release: Release = "unknown"
    culprit_ids: list[str] = field(default_factory=list)


class Summary(Struct, kw_only=True):
    """The attempts of one operation, and what explains most of those that failed or waited.

    area -- None where they are of several; unexplained -- failed attempts for which no cause is known; blockers --
    ranked by attempts blocked, then by attempts delayed, by proofs, by pages.
    """

    operation: Operation
    area: str | None = None
    attempts: int = 0
    failed: int = 0
    delayed: int = 0
    unexplained: list[str] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)


class Result(Struct, kw_only=True):
    """The whole document."""

    schema: str = SCHEMA
    tool: Tool
    inputs: list[Input]
    data_loss: list[DataLoss] = field(default_factory=list)
    layout: LayoutSummary | None = None
    stacks: list[Stack] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    blame: list[Blame] = field(default_factory=list)
    summary: list[Summary] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
