"""What a trace may lack, declared once: severity, what it means for the answer, and what to do about it.

Every loss a reader, the replay or an analysis meets becomes a `Loss` row with one of these codes; reports print
the advice, and verdicts whose window a row touches name it in `weakened_by`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: `loss` means events are missing, `error` that part of the input was refused."""

    INFO = "info"
    NOTICE = "notice"
    LOSS = "loss"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """info 0 .. error 3."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class LossKind:
    """One way in which an input can fall short."""

    code: str
    severity: Severity
    doc: str
    advice: str
    # Whether events that would have mattered may be missing in its interval: then absence proves nothing there.
    hides_events: bool = False
    # Why a verdict that it weakens is not proved, in a few words; "" takes `doc`. Placeholders, each a phrase or empty:
    # {count} "1,203 events", {cpu} "CPU 1", {on} " on CPU 1", {before} " before 6.130 s", {after} " after 6.130 s",
    # {detail} the loss's own.
    reason: str = ""


UNSEEN_CHANGES = "unseen_changes"
EVENTS_NOT_RECORDED = "events_not_recorded"  # its detail is the event's name

LOSS_KINDS: dict[str, LossKind] = {
    kind.code: kind
    for kind in (
        LossKind(
            "overrun",
            Severity.LOSS,
            "The ring buffer overwrote its oldest events before they were read",
            "Record with a larger buffer (trace-cmd record -b KB per CPU), or fewer events.",
            hides_events=True,
            reason="{count} overwritten{on}{before}",
        ),
        LossKind(
            "lost_events",
            Severity.LOSS,
            "The recorder reported events lost on this CPU in this interval",
            "Record with a larger buffer, or fewer events (page_ref events of the area only, by a filter on pfn).",
            hides_events=True,
            reason="{count} lost{on} in this interval",
        ),
        LossKind(
            "vmemmap_base_unknown",
            Severity.ERROR,
            "kprobe events name pages by pointers, and nothing tells which page frames these are",
            "Fetch vb=@vmemmap_base:x64 in one probe; or set the trace option hash-ptr to 0 and record cma events.",
        ),
        LossKind(
            "losses_not_told",
            Severity.NOTICE,
            "This text does not say whether events were lost",
            "Pass perf.data itself, or print it with perf script --show-lost-events.",
            hides_events=True,
            reason="the text does not say whether events were lost",
        ),
        LossKind(
            "dropped_events",
            Severity.LOSS,
            "The kernel dropped new events because the ring buffer was full",
            "Record with a larger buffer, or in overwrite mode.",
            hides_events=True,
            reason="{count} dropped{on}",
        ),
        LossKind(
            "cpu_starts_late",
            Severity.NOTICE,
            "This CPU's oldest event is later than the trace's: it is blind before",
            "Nothing is wrong if the CPU idled; otherwise record with a larger buffer.",
            hides_events=True,
            reason="{cpu} recorded nothing{before}",
        ),
        LossKind(
            "cpu_ends_early",
            Severity.NOTICE,
            "This CPU's last event is long before the trace's end: it is blind after",
            "Nothing is wrong if the CPU idled; otherwise see whether its recorder stopped (disk full, killed), and "
            "copy its whole buffer.",
            hides_events=True,
            reason="{cpu} recorded nothing{after}",
        ),
        LossKind(
            "cpu_silent",
            Severity.NOTICE,
            "This CPU recorded nothing",
            "Nothing is wrong if the CPU idled or was offline; otherwise record all CPUs (trace-cmd record without -M, "
            "perf record -a) and pass the files of all of them.",
            hides_events=True,
            reason="{cpu} recorded nothing",
        ),
        LossKind(
            "trace_gap",
            Severity.NOTICE,
            "Of the traces read as one, none tells of all CPUs, allocations and references at this time",
            "Record all CPUs and events into one trace, or traces that begin before the others end.",
            hides_events=True,
            reason="no trace covers all CPUs and events at this time",
        ),
        LossKind(
            "truncated",
            Severity.LOSS,
            "The file ends before the data it announces",
            "Copy the file again, or record again; what is there was read.",
            hides_events=True,
            reason="the file ends early",
        ),
        LossKind(
            "corrupt_page",
            Severity.ERROR,
            "A ring-buffer page is inconsistent; the rest of it was left out",
            "Copy the file again; if it persists, record again.",
            hides_events=True,
            reason="part of the trace is damaged{on}",
        ),
        LossKind(
            "corrupt_chunk",
            Severity.ERROR,
            "A compressed chunk cannot be unpacked; its events are missing",
            "Copy the file again; if it persists, record again.",
            hides_events=True,
            reason="part of the trace is damaged{on}",
        ),
        LossKind(
            "corrupt_record",
            Severity.ERROR,
            "A record's length cannot be right: the records after it cannot be found",
            "Copy the file again; if it persists, record again.",
            hides_events=True,
            reason="part of the trace is damaged{on}",
        ),
        LossKind(
            "unparsed_line",
            Severity.ERROR,
            "A line of text was not understood",
            "Use trace.dat or perf.data where possible; please report the line.",
            hides_events=True,
            reason="some lines of the text were not understood",
        ),
        LossKind(
            "fields_not_recorded",
            Severity.LOSS,
            "Tracepoints were sampled without their fields",
            "Record raw samples: perf record -R (simpleperf: as root, or with tracepoints it may read).",
            hides_events=True,
            reason="tracepoints were sampled without their fields",
        ),
        LossKind(
            "instance_left_out",
            Severity.NOTICE,
            "Events of a trace instance were left out: another buffer has them too, or its clock differs",
            "Record each event into one instance only, all on the same clock.",
        ),
        LossKind(
            "trace_given_twice",
            Severity.NOTICE,
            "This trace is the same as another input: it was read once",
            "Nothing is missing; name each trace once.",
        ),
        LossKind(
            "unknown_event_id",
            Severity.ERROR,
            "Records carry an event id without a format description",
            "The file's metadata is incomplete: record again with trace-cmd.",
            hides_events=True,
            reason="{count} without a format description",
        ),
        LossKind(
            "bad_record",
            Severity.ERROR,
            "A record is shorter than its format requires; it was left out",
            "Copy the file again; if it persists, record again.",
            hides_events=True,
            reason="some records are shorter than their format",
        ),
        LossKind(
            "clock_step_back",
            Severity.NOTICE,
            "Time runs backwards within a CPU",
            "Record with the mono or boot clock.",
        ),
        LossKind(
            "comm_unresolved",
            Severity.INFO,
            "Tasks whose name the trace did not save",
            "Raise /sys/kernel/tracing/saved_cmdlines_size before recording.",
        ),
        LossKind(
            "untimed_events",
            Severity.LOSS,
            "The text gives these events no time; they are in the tables, but were not replayed",
            "Copy the trace with its time stamps; with function_graph, set the options funcgraph-abstime and "
            "funcgraph-proc, or trace the events alone (echo nop > current_tracer).",
            hides_events=True,
            reason="{count} without a time",
        ),
        LossKind(
            "free_without_alloc",
            Severity.INFO,
            "Pages freed that were allocated before the trace (or whose allocation was lost)",
            "Start recording earlier, or pass a page_owner dump, to know who allocated them.",
        ),
        LossKind(
            "alloc_over_live",
            Severity.INFO,
            "Pages allocated that the model held to be allocated: their free was not seen",
            "Enable kmem:mm_page_free; a high count points to lost events.",
        ),
        LossKind(
            "tasks_left_out",
            Severity.NOTICE,
            "Only the events of some tasks were recorded: what others do to pages is not visible",
            "Record the whole machine (perf record -a, without -p, -t or a command of its own).",
            hides_events=True,
            reason="only some tasks were recorded",
        ),
        LossKind(
            UNSEEN_CHANGES,
            Severity.LOSS,
            "Reference counts changed in this interval where no event says so, though no loss was recorded",
            "Record all tasks and all CPUs from start to end: no set_event_pid, no -P or -p, no filter by task; enable "
            "every event before the workload begins.",
            hides_events=True,
            reason="reference counts changed unseen in this interval",
        ),
        LossKind(
            "count_resynchronised",
            Severity.INFO,
            "The reference count in an event contradicted the ledger, which was set anew from it",
            "A high count points to lost page_ref events: use a larger buffer or a pfn filter.",
        ),
        LossKind(
            "pfn_out_of_range",
            Severity.NOTICE,
            "Events carry page frame numbers beyond any machine's memory, or more of them than fit into this one's; "
            "they were not replayed",
            "The trace or its format text is damaged: record again.",
        ),
        LossKind(
            "log_lines_suppressed",
            Severity.NOTICE,
            "The kernel's rate limit kept lines out of the log (callbacks suppressed)",
            "Page dumps in the log are a sample: read culprits from the trace, or raise printk_ratelimit.",
        ),
        LossKind(
            "page_size_unknown",
            Severity.NOTICE,
            "The log prints addresses, and nothing in it tells the page size: page frames are not known",
            "Pass --page-size BYTES (getconf PAGESIZE on that machine), or --layout.",
        ),
        LossKind(
            "log_lines_unknown",
            Severity.NOTICE,
            "Lines of the log name CMA or offlining in words that are not known",
            "Please report the lines: a kernel or vendor may word them otherwise.",
        ),
        LossKind(
            "log_driver_failures",
            Severity.NOTICE,
            "Drivers say that they got no memory for DMA, and no line of the kernel is beside it: whether CMA was "
            "used, and why it failed, is not known",
            "Pass the log unfiltered: since 4.10 `cma: cma_alloc: alloc failed` comes first. Without that line see "
            "whether the device has CMA (CmaTotal in /proc/meminfo, `memory-region`), an IOMMU or swiotlb.",
        ),
        LossKind(
            "log_without_attempt",
            Severity.NOTICE,
            "The log holds lines that concern memory, but none that shows a CMA allocation or an offline",
            "Pass the log from before the failure on, unfiltered. `cma: cma_alloc: alloc failed`, `PFNs busy`, "
            "`memory offlining ... failed`, `Offline failed` and page dumps show one.",
        ),
        LossKind(
            "attempt_events_missing",
            Severity.NOTICE,
            "None of the events that show an attempt is in the trace: cma_alloc_*, test_pages_isolated, "
            "mm_migrate_pages, mm_compaction_begin",
            "Record them: trace-cmd record -b 65536 -e cma -e page_isolation -e migrate -e compaction -e kmem "
            "-e filemap -e writeback -e printk, and -e page_ref where the kernel has it.",
            reason="no event of attempts was recorded",
        ),
        LossKind(
            "page_ref_missing",
            Severity.NOTICE,
            "No page_ref events: who takes and keeps references to pages is not visible",
            "Use a kernel with CONFIG_DEBUG_PAGE_REF and record -e page_ref to learn who holds pages.",
            reason="page_ref was not recorded",
        ),
        LossKind(
            EVENTS_NOT_RECORDED,
            Severity.NOTICE,
            "A kind of event is not in the trace, though others of its group are: where it is absent proves nothing",
            "Record whole groups of events: trace-cmd record -e page_ref -e kmem -e filemap.",
            hides_events=True,
            reason="{detail} was not recorded",
        ),
        LossKind(
            "layout_incomplete",
            Severity.NOTICE,
            "Part of the layout snapshot is missing or was not understood; the rest was used",
            "Copy the file named again, as root (iomem and pagetypeinfo show nothing to other users).",
        ),
        LossKind(
            "snapshot_incomplete",
            Severity.NOTICE,
            "The copy of kpageflags does not cover the whole range",
            "Copy the whole range: dd if=/proc/kpageflags bs=8 skip=START_PFN count=PAGES",
        ),
        LossKind(
            "layout_inferred",
            Severity.NOTICE,
            "No layout given: zones, memory blocks and CMA areas were inferred from the trace",
            "Pass --layout with a copy of zoneinfo, iomem, pagetypeinfo and the cma debugfs directory.",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss, placed in time and on a CPU where that is known (None: unknown, all)."""

    code: str
    count: int | None = None
    cpu: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    detail: str = ""

    @property
    def kind(self) -> LossKind:
        """Its declaration."""
        return LOSS_KINDS[self.code]

    def may_hide(self, names: Collection[str]) -> bool:
        """Whether events of these kinds may be missing for it: a kind that was not recorded hides itself only."""
        return self.kind.hides_events and (self.code != EVENTS_NOT_RECORDED or self.detail in names)

    def shifted(self, origin_ns: int) -> Loss:
        """The same loss with its times relative to an origin."""
        start, end = (None if time_ns is None else time_ns - origin_ns for time_ns in (self.start_ns, self.end_ns))
        return replace(self, start_ns=start, end_ns=end)

    def touches(self, start_ns: int, end_ns: int) -> bool:
        """Whether its interval overlaps [start_ns, end_ns]."""
        return (self.start_ns is None or self.start_ns <= end_ns) and (self.end_ns is None or self.end_ns >= start_ns)


def added_up(losses: Iterable[Loss]) -> list[Loss]:
    """The losses of one input, one for each place and detail, with the sum of the counts that are known.

    A reader lists each loss once: two records that tell of 1 lost event in the same place tell of 2.
    """
    sums: dict[tuple[Loss, bool], int] = {}
    for loss in losses:
        key = replace(loss, count=None), loss.count is None
        sums[key] = sums.get(key, 0) + (loss.count or 0)
    return [replace(loss, count=None if is_unknown else count) for (loss, is_unknown), count in sums.items()]
