"""Perfetto traces: every shape of events, what is lost, and real captures as Perfetto would have recorded them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")

from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from tests.support.captures import capture, trace_of
from tests.support.perfetto_trace import Writer, as_perfetto, rows_of, user_device, varint
from tracereplay.errors import InputError
from tracereplay.opening import open_reader
from tracereplay.parsers.detect import Kind, detect
from tracereplay.schema import IrqContext, Op, Window
from tracereplay.session import Session

protos: Any = perfetto_trace_pb2
S = 1_000_000_000
Row = dict[str, Any]


def event(time_ns: int, cpu: int = 0, tid: int | None = 7, **fields: Any) -> Row:
    return {"time_ns": time_ns, "cpu": cpu, "tid": tid, "common_flags": None, **fields}


def alloc(time_ns: int, pfn: int, **kwargs: Any) -> tuple[str, Row]:
    fields = {"pfn": pfn, "order": 0, "gfp_flags": 0x100CCA, "migratetype": 1}
    return "mm_page_alloc", event(time_ns, **kwargs, **fields)


def ref(time_ns: int, val: int, **kwargs: Any) -> tuple[str, Row]:
    fields = {"pfn": 5, "flags": 0, "count": 2, "mapcount": -1, "mapping": (1 << 64) - 8, "mt": 1, "val": val}
    return "page_ref_mod", event(time_ns, **kwargs, **fields)


def release(time_ns: int, name: str = "reserved") -> tuple[str, Row]:
    return "cma_release", event(time_ns, name=name, pfn=0x1E400, count=16, align=0)


def rows(table: Any) -> list[Row]:
    return [{k: v for k, v in row.items() if k != "seq"} for row in table.to_pylist()]


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_shapes(read: Any, described: bool, compressed: bool) -> None:
    """Messages of their own and generic events, plain and compressed: numbers of any sign, texts, pages of none."""
    writer = Writer(described)
    writer.bundles([alloc(S, 1), ref(S + 1, -1, cpu=1), alloc(S + 2, (1 << 64) - 1), release(S + 3, "käfer")])
    reader = read(writer.written(compressed=compressed))
    assert reader.info.by_event == {"cma_release": 1, "mm_page_alloc": 2, "page_ref_mod": 1}
    assert (reader.info.start_ns, reader.info.end_ns, reader.info.clock) == (S, S + 3, "boot")
    tables = reader.tables()
    assert [row["pfn"] for row in rows(tables["mm_page_alloc"])] == [1, None]
    (ref_row,) = rows(tables["page_ref_mod"])
    assert {"val": -1, "mapcount": -1, "mapping": (1 << 64) - 8, "cpu": 1, "tid": 7}.items() <= ref_row.items()
    (release_row,) = rows(tables["cma_release"])
    assert {"name": "käfer", "pfn": 0x1E400, "count": 16}.items() <= release_row.items()
    (chunk,) = reader.stream()
    assert chunk.op.tolist() == [Op.ALLOC, Op.REF_MOD, Op.ALLOC]
    assert chunk.args[:, 0].tolist() == [1, 5, -1]
    assert not [loss for loss in reader.losses if loss.code != "comm_unresolved"]


def test_flags(read: Any) -> None:
    """Whether an interrupt was served is known of the events that say so; older writers never do."""
    writer = Writer(flags=True)
    told = alloc(S, 1)
    told[1]["common_flags"] = 0x11
    writer.bundles([told, alloc(S + 1, 2)])
    reader = read(writer.written())
    table = reader.tables()["mm_page_alloc"]
    assert table.column("common_flags").to_pylist() == [0x11, None]
    assert table.column("preempt_count").to_pylist() == [None, None]
    (chunk,) = reader.stream()
    assert chunk.irq.tolist() == [IrqContext.INTERRUPT, IrqContext.UNKNOWN]


def test_devices_are_the_kernel_s(read: Any) -> None:
    """Perfetto hands over dev_t of user space; a minor above 255 is in other bits of it."""
    writer = Writer()
    device = 259 << 20 | 0x12345
    assert user_device(8 << 20 | 1) == 0x801
    fields = {"pfn": 9, "i_ino": 12, "index": 3, "s_dev": device}
    writer.bundles([("mm_filemap_add_to_page_cache", event(S, **fields))])
    reader = read(writer.written())
    assert rows(reader.tables()["mm_filemap_add_to_page_cache"])[0]["s_dev"] == device
    (chunk,) = reader.stream()
    assert chunk.args[0, 8] == device


def test_time_order_over_bundles(read: Any) -> None:
    """Bundles overlap in time; equal stamps are ordered by CPU, and a window cuts through bundles."""
    writer = Writer()
    events = [alloc(S + 10 * n, 100 * cpu + n, cpu=cpu) for cpu in (1, 0) for n in range(40)]
    writer.bundles(events, size=3)
    reader = read(writer.written())
    expected = sorted((S + 10 * n, cpu, 100 * cpu + n) for cpu in (0, 1) for n in range(40))
    for chunk_events in (1, 7, 1 << 16):
        chunks = list(reader.stream(chunk_events=chunk_events))
        said = [
            row
            for one in chunks
            for row in zip(one.time_ns.tolist(), one.cpu.tolist(), one.args[:, 0].tolist(), strict=True)
        ]
        assert said == expected
    window = Window(S + 55, S + 100)
    table = reader.tables(window=window)["mm_page_alloc"]
    assert table.column("pfn").to_pylist() == [pfn for time, _, pfn in expected if S + 55 <= time <= S + 100]


def test_losses_have_their_places(read: Any) -> None:
    """What the kernel overwrote is before its bundle; what Perfetto dropped, on each CPU between its bundles."""
    writer = Writer()
    for cpu in (0, 1):
        writer.bundles([alloc(S + cpu, 1, cpu=cpu)])
    writer.bundles([alloc(2 * S, 2)])
    writer.trace.packet[-1].ftrace_events.lost_events = True
    writer.bundles([alloc(3 * S, 3, cpu=1)])
    writer.trace.packet[-1].previous_packet_dropped = 1
    writer.bundles([alloc(4 * S, 3)])
    for phase, overrun in ((1, 10), (2, 25)):
        stats = writer.packet().ftrace_stats
        stats.phase = phase
        stats.cpu_stats.add(cpu=0, overrun=overrun, dropped_events=3)
        stats.cpu_stats.add(cpu=1, overrun=2 * overrun)
    reader = read(writer.written())
    told = {(loss.code, loss.count, loss.cpu, loss.start_ns, loss.end_ns) for loss in reader.losses}
    assert told >= {
        ("lost_events", None, 0, S, 2 * S),
        ("lost_events", None, 1, S + 1, 3 * S),  # dropped
        ("lost_events", None, 0, 2 * S, 4 * S),  # dropped
    }
    assert not [loss for loss in reader.losses if loss.code in ("overrun", "dropped_events")]  # placed by bundles


def test_overruns_without_a_place(read: Any) -> None:
    writer = Writer()
    writer.bundles([alloc(S, 1), alloc(S, 1, cpu=1)])
    for phase, overrun in ((1, 10), (2, 25)):
        stats = writer.packet().ftrace_stats
        stats.phase = phase
        stats.cpu_stats.add(cpu=1, overrun=overrun, commit_overrun=overrun // 5)
    reader = read(writer.written())
    assert {(loss.code, loss.count, loss.cpu) for loss in reader.losses} >= {
        ("overrun", 15, 1), ("dropped_events", 3, 1)
    }  # fmt: skip


def test_names(read: Any) -> None:
    """From the process tree, from compact switches, and from switches of their own."""
    writer = Writer()
    tree = writer.packet().process_tree
    tree.processes.add(pid=10, cmdline=["/usr/bin/camera-provider-service", "-x"])
    tree.processes.add(pid=11, cmdline=["com.android.systemui.plugin"])
    tree.threads.add(tid=12, name="binder:10_1", tgid=10)
    switch = event(S + 1, prev_comm="swapper/0", prev_pid=0, prev_prio=120, prev_state=0, next_comm="kswapd0")
    writer.bundles([alloc(S, 1, tid=13), ("sched_switch", switch | {"next_pid": 77, "next_prio": 120})])
    compact = writer.trace.packet[-1].ftrace_events.compact_sched
    compact.intern_table.extend(["pin-a", "pin-b"])
    compact.switch_timestamp.extend([S, 5])
    compact.switch_next_pid.extend([13, 14])
    compact.switch_next_comm_index.extend([1, 9])  # 9: there is no such name
    reader = read(writer.written())
    assert reader.comms == {
        0: "<idle>", 10: "camera-provider", 11: "systemui.plugin", 12: "binder:10_1", 13: "pin-b", 77: "kswapd0",
    }  # fmt: skip
    assert reader.tables()["mm_page_alloc"].column("comm").to_pylist() == ["pin-b"]


def test_enabled_events(read: Any) -> None:
    """What the configuration names was recorded, but for what the kernel did not have."""
    writer = Writer()
    config = writer.packet().trace_config.data_sources.add().config.ftrace_config
    config.ftrace_events.extend(["kmem/mm_page_alloc", "cma/*", "page_ref/page_ref_mod"])
    writer.packet().ftrace_stats.unknown_ftrace_events.append("page_ref/page_ref_mod")
    writer.bundles([alloc(S, 1)])
    enabled = read(writer.written()).info.enabled_events
    assert {"mm_page_alloc", "cma_alloc_start", "cma_release"} <= enabled
    assert "page_ref_mod" not in enabled


def test_machine(read: Any) -> None:
    writer = Writer()
    info = writer.packet().system_info
    info.utsname.release, info.page_size, info.num_cpus = "6.12.9-android16", 16384, 2
    writer.packet().trace_uuid.msb = 5
    writer.bundles([alloc(S, 1)])
    writer.trace.packet[-1].ftrace_events.ftrace_clock = protos.FTRACE_CLOCK_MONO_RAW
    reader = read(writer.written())
    info = reader.info
    assert (info.kernel, info.page_size_bytes, info.cpus, info.clock) == ("6.12.9-android16", 16384, 2, "mono_raw")
    assert info.boot_id == "0000000000000005" + 16 * "0"
    assert reader.page_flag_bits()["writeback"] == 1
    assert [loss.cpu for loss in reader.losses if loss.code == "cpu_silent"] == [1]


def test_two_data_sources_and_a_guest(read: Any) -> None:
    """An event that two sources recorded happened once; a guest's events are another machine's."""
    writer = Writer()
    writer.bundles([alloc(S, 1), alloc(S + 1, 2)])
    writer.bundles([alloc(S, 1), release(S + 2)])
    writer.trace.packet[-1].trusted_packet_sequence_id = 8
    writer.bundles([alloc(S, 99)])
    writer.trace.packet[-1].machine_id = 3
    reader = read(writer.written())
    assert reader.info.by_event == {"cma_release": 1, "mm_page_alloc": 2}
    assert reader.tables()["mm_page_alloc"].column("pfn").to_pylist() == [1, 2]
    assert [loss.count for loss in reader.losses if loss.code == "instance_left_out"] == [1, 1]


def test_unknown_events(read: Any) -> None:
    """Tracepoints of other subsystems are counted; a number that Perfetto gave out later is a loss."""
    writer = Writer()
    writer.bundles([alloc(S, 1)])
    bundle = writer.trace.packet[-1].ftrace_events
    bundle.event.add(timestamp=S + 1, pid=1).irq_handler_entry.irq = 5
    later = varint(1 << 3) + varint(S + 2) + varint(50_000 << 3 | 2) + varint(0)
    body = varint(2 << 3 | 2) + varint(len(later)) + later
    bundle_bytes = varint(1 << 3) + b"\0" + body
    packet = varint(1 << 3 | 2) + varint(len(bundle_bytes)) + bundle_bytes
    data = writer.written() + varint(1 << 3 | 2) + varint(len(packet)) + packet
    reader = read(data)
    assert reader.info.by_event == {"mm_page_alloc": 1, "perfetto_36": 1}
    assert [(loss.code, loss.count) for loss in reader.losses if loss.code == "unknown_event_id"] == [
        ("unknown_event_id", 1)
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_cut_anywhere(read: Any, compressed: bool) -> None:
    """A file that is cut gives the events before the cut, says so, and never more than there were."""
    writer = Writer()
    writer.bundles([alloc(S + n, n, cpu=n % 2) for n in range(12)], size=3)
    whole = writer.written(compressed=compressed)
    counts = set()
    for size in range(1, len(whole), 3 if compressed else 1):
        try:
            reader = read(whole[:size])
        except InputError:
            continue
        counts.add(reader.info.events)
        boundary = sum(map(len, reader.tables().values()))
        assert boundary == reader.info.events <= 12
        assert reader.tables()["mm_page_alloc"].column("pfn").to_pylist()[0] in (0, 1)
    assert counts == set(range(1, 13)) or compressed


def test_a_cut_is_said(read: Any) -> None:
    writer = Writer()
    writer.bundles([alloc(S + n, n, cpu=n % 2) for n in range(12)], size=3)
    whole = writer.written()
    reader = read(whole[:-30])
    cut = [loss for loss in reader.losses if loss.code == "truncated"]
    assert [(loss.cpu, loss.end_ns) for loss in cut] == [(0, None), (1, None)]
    assert all(loss.start_ns is not None and loss.start_ns > S for loss in cut)
    assert "is cut" in cut[0].detail


def test_garbage(read: Any) -> None:
    """What follows the packets is left out with a loss; what begins so is refused in one line."""
    writer = Writer()
    writer.bundles([alloc(S, 1)])
    reader = read(writer.written() + b"\xff" * 20)
    assert reader.info.events == 1
    assert [loss.code for loss in reader.losses if loss.kind.hides_events] == ["corrupt_record"]
    empty = Writer()
    empty.packet().system_info.page_size = 4096
    with pytest.raises(InputError, match="no ftrace events"):
        read(empty.written())


def test_detection(tmp_path: Path) -> None:
    """By content: packets, and not texts that begin with an empty line."""
    writer = Writer()
    writer.bundles([alloc(S, 1)])
    path = tmp_path / "x"
    path.write_bytes(writer.written())
    assert detect(path).kind is Kind.PERFETTO
    for text in (b"\n[    0.000000] Linux version 6.1\n", b"\n\n# tracer: nop\n", b"\n" * 300, b"\n\x02hi\n\x02yo"):
        path.write_bytes(text)
        assert detect(path).kind is not Kind.PERFETTO


def culprits(path: Path) -> list[Any]:
    result = Session([path]).blame()
    return [
        (attempt.operation, attempt.outcome, attempt.cause, attempt.pages, [
            (one.start_pfn, one.pages, one.cause, one.verdict, one.holder, one.effect, one.premises_failed)
            for one in attempt.culprits
        ])
        for attempt in result.attempts
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "described", "compressed"), [("cma_retry_success", False, True), ("cma_pin_shm", True, False)]
)
def test_a_real_capture_has_the_same_culprits(tmp_path: Path, name: str, described: bool, compressed: bool) -> None:
    """Recorded by Perfetto the same events say the same, in either encoding."""
    trace, perfetto = tmp_path / "trace.dat", tmp_path / "trace.pftrace"
    shutil.copy(trace_of(capture(name)), trace)
    perfetto.write_bytes(as_perfetto(trace, described=described, compressed=compressed))
    assert culprits(perfetto) == culprits(trace)
    ours, theirs = open_reader(perfetto), open_reader(trace)
    assert [(name, row["time_ns"], row["tid"]) for name, row in rows_of(ours)] == [
        (name, row["time_ns"], row["tid"]) for name, row in rows_of(theirs)
    ]


@pytest.mark.parametrize("ids", [(1, 6), (1, 3), (6,), (1, 6, 6)])
def test_a_clock_snapshot_ties_the_wall_clock(read: Any, ids: tuple[int, ...]) -> None:
    writer = Writer()
    writer.bundles([alloc(5 * S, 1)])
    snapshot = writer.packet().clock_snapshot
    for clock_id in ids:
        ns = 1_795_176_000 * S if clock_id == 1 else 2 * S
        snapshot.clocks.add(clock_id=clock_id, timestamp=ns)
    found = read(writer.written()).info.wall_clock
    assert (None if found is None else found.words(5 * S)) == (
        "2026-11-20 12:00:03.000 UTC" if {1, 6} <= {*ids} else None
    )
