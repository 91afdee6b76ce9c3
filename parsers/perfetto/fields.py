"""Field numbers of Perfetto's messages that are read, declared as data; a test compares them with the published ones.

Source: protos/perfetto/trace/trace_packet.proto, ftrace/*.proto, ps/process_tree.proto, system_info.proto of Perfetto
0.59. Numbers are never used again for something else, so newer traces are read with these, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

TRACE_PACKET_FIELD = 1  # Trace.packet: a trace is nothing but packets


class Packet(IntEnum):
    """Of TracePacket."""

    FTRACE_EVENTS = 1
    PROCESS_TREE = 2
    CLOCK_SNAPSHOT = 6
    TIMESTAMP = 8
    SEQUENCE_ID = 10
    TRACE_CONFIG = 33
    FTRACE_STATS = 34
    PREVIOUS_PACKET_DROPPED = 42
    SYSTEM_INFO = 45
    COMPRESSED_PACKETS = 50
    FIRST_PACKET_ON_SEQUENCE = 87
    TRACE_UUID = 89
    MACHINE_ID = 98


class ClockSnapshot(IntEnum):
    """Of ClockSnapshot and its clocks: several clocks read at once."""

    CLOCKS = 1
    CLOCK_ID = 1
    TIMESTAMP = 2
    UNIT_MULTIPLIER_NS = 4


class Bundle(IntEnum):
    """Of FtraceEventBundle: events of one CPU."""

    CPU = 1
    EVENT = 2
    LOST_EVENTS = 3
    COMPACT_SCHED = 4
    FTRACE_CLOCK = 5
    ERROR = 8
    GENERIC_EVENT_DESCRIPTORS = 11


class Event(IntEnum):
    """Of FtraceEvent; every other number is the tracepoint's message."""

    TIMESTAMP = 1
    PID = 2
    COMMON_FLAGS = 5
    GENERIC = 327


class Generic(IntEnum):
    """Of GenericFtraceEvent and its fields: a tracepoint that Perfetto does not know, names beside values."""

    EVENT_NAME = 1
    FIELD = 2
    FIELD_NAME = 1
    STR_VALUE = 3
    INT_VALUE = 4
    UINT_VALUE = 5


# BuiltinClock, by the names of the kernel's trace clocks.
CLOCK_IDS = {"realtime": 1, "mono": 3, "mono_raw": 5, "boot": 6}
# FtraceClock; the trace's default is the boot clock.
CLOCKS = {0: "boot", 1: None, 2: "global", 3: "local", 4: "mono_raw"}
# A number above may be a tracepoint that Perfetto learned of later, so what it says is missing.
LAST_KNOWN_EVENT = 617
# FtraceEvent fields that the trace itself describes (FtraceEventBundle.generic_event_descriptors) begin here.
FIRST_DESCRIBED_EVENT = 1 << 16


@dataclass(frozen=True, slots=True)
class MessageField:
    """A field of a tracepoint's message: its number, the kernel's name of it, and how its value is to be read."""

    number: int
    name: str
    is_text: bool = False
    is_signed: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """The message of a tracepoint: its number in FtraceEvent (-1: a generic event) and its fields."""

    number: int
    name: str
    fields: tuple[MessageField, ...]


def _message(number: int, name: str, fields: str) -> Message:
    """Fields are numbered from 1 on; `:s` is text, `:u` a number without sign."""
    split = (field.partition(":") for field in fields.split())
    return Message(
        number, name,
        tuple(MessageField(place, word, kind == "s", kind != "u") for place, (word, _, kind) in enumerate(split, 1)),
    )  # fmt: skip


_COMPACTION = "zone_start:u migrate_pfn:u free_pfn:u zone_end:u sync:u"
_ISOLATE = "start_pfn:u end_pfn:u nr_scanned:u nr_taken:u"
_DEFER = "nid idx:u order considered:u defer_shift:u order_failed"
_FILE = "pfn:u i_ino:u index:u s_dev:u page:u"
_WAKE = "nid order classzone_idx:u highest_zoneidx:u"
_WAKEUP = "comm:s pid prio success target_cpu"

MESSAGES = {
    message.number: message
    for message in (
        _message(3, "print", "ip:u buf:s"),
        _message(4, "sched_switch", "prev_comm:s prev_pid prev_prio prev_state next_comm:s next_pid next_prio"),
        _message(17, "sched_wakeup", _WAKEUP),
        _message(20, "sched_waking", _WAKEUP),
        _message(46, "mm_vmscan_direct_reclaim_begin", "order may_writepage gfp_flags:u"),
        _message(47, "mm_vmscan_direct_reclaim_end", "nr_reclaimed:u"),
        _message(48, "mm_vmscan_kswapd_wake", "nid order zid"),
        _message(49, "mm_vmscan_kswapd_sleep", "nid"),
        _message(97, "mm_filemap_add_to_page_cache", _FILE),
        _message(98, "mm_filemap_delete_from_page_cache", _FILE),
        _message(99, "mm_compaction_begin", _COMPACTION),
        _message(100, "mm_compaction_defer_compaction", _DEFER),
        _message(101, "mm_compaction_deferred", _DEFER),
        _message(102, "mm_compaction_defer_reset", _DEFER),
        _message(103, "mm_compaction_end", f"{_COMPACTION} status"),
        _message(104, "mm_compaction_finished", "nid idx:u order ret"),
        _message(105, "mm_compaction_isolate_freepages", _ISOLATE),
        _message(106, "mm_compaction_isolate_migratepages", _ISOLATE),
        _message(107, "mm_compaction_kcompactd_sleep", "nid"),
        _message(108, "mm_compaction_kcompactd_wake", _WAKE),
        _message(109, "mm_compaction_migratepages", "nr_migrated:u nr_failed:u"),
        _message(110, "mm_compaction_suitable", "nid idx:u order ret"),
        _message(111, "mm_compaction_try_to_compact_pages", "order gfp_mask:u mode:u prio"),
        _message(112, "mm_compaction_wakeup_kcompactd", _WAKE),
        _message(235, "task_newtask", "pid comm:s clone_flags:u oom_score_adj"),
        _message(236, "task_rename", "pid oldcomm:s newcomm:s oom_score_adj"),
        _message(237, "sched_process_exec", "filename:s pid old_pid"),
        _message(238, "sched_process_exit", "comm:s pid tgid prio"),
        _message(239, "sched_process_fork", "parent_comm:s parent_pid child_comm:s child_pid"),
        _message(307, "mm_page_alloc", "gfp_flags:u migratetype order:u page:u pfn:u"),
        _message(308, "mm_page_alloc_extfrag", "alloc_migratetype alloc_order fallback_migratetype fallback_order "
                                               "page:u change_ownership pfn:u"),
        _message(309, "mm_page_alloc_zone_locked", "migratetype order:u page:u pfn:u"),
        _message(310, "mm_page_free", "order:u page:u pfn:u"),
        _message(311, "mm_page_free_batched", "cold page:u pfn:u"),
        _message(312, "mm_page_pcpu_drain", "migratetype order:u page:u pfn:u"),
        _message(313, "rss_stat", "member size curr:u mm_id:u"),
        _message(326, "oom_score_adj_update", "comm:s oom_score_adj pid"),
        _message(334, "mark_victim", "pid"),
        _message(408, "console", "msg:s"),
        _message(465, "cma_alloc_start", "align:u count:u name:s"),
        _message(466, "cma_alloc_info", "align:u count:u err_iso:u err_mig:u err_test:u name:s nr_mapped:u "
                                        "nr_migrated:u nr_reclaimed:u pfn:u"),
        _message(576, "cma_alloc_finish", "name:s pfn:u page:u count:u align:u errorno"),
        _message(577, "mm_alloc_contig_migrate_range_info", "start:u end:u nr_migrated:u nr_reclaimed:u nr_mapped:u "
                                                            "migratetype"),
    )
}  # fmt: skip
