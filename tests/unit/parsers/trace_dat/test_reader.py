"""The trace.dat container: versions, compression, byte order, clocks, instances, statistics, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.captures import capture, events_of
from tests.support.trace_dat_builder import Machine, Sparse, format_text, trace_dat_v6, trace_dat_v7
from tracereplay.errors import InputError
from tracereplay.losses import LOSS_KINDS, Loss
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.schema import ARGS, EVENT_COLUMNS, Op, Window

M = Machine()
PAGE = M.page(
    1000,
    M.record(0, M.free(5, 2, tid=7)) + M.record(10, M.drain(6, 1, -4, tid=0)) + M.record(5, M.note(b"hi", -3, tid=9)),
)


def opened(tmp_path: Path, data: bytes) -> TraceDatReader:
    path = tmp_path / "trace.dat"
    path.write_bytes(data)
    return TraceDatReader(path)


@pytest.mark.parametrize("m", [Machine(big, size) for big in (False, True) for size in (4, 8)], ids=str)
@pytest.mark.parametrize("compression", ["v6", "none", "zlib", "zstd"])
def test_every_container_tells_the_same(tmp_path: Path, m: Machine, compression: str) -> None:
    page = m.page(
        1000, m.record(0, m.free(5, 2)) + m.record(10, m.drain(2**64 - 1, 1, -4)) + m.record(5, m.note(b"hi", -3, 9))
    )
    data = trace_dat_v6([page], m) if compression == "v6" else trace_dat_v7({0: page}, m, compression=compression)
    reader = opened(tmp_path, data)
    assert reader.losses == [Loss("comm_unresolved", 1)]
    tables = reader.tables()
    assert tables["mm_page_free"].to_pylist() == [
        {
            "seq": 0,
            "time_ns": 1000,
            "cpu": 0,
            "tid": 7,
            "comm": "worker one",
            "common_flags": 1,
            "preempt_count": 2,
            "pfn": 5,
            "order": 2,
        }
    ]
    drain = tables["mm_page_pcpu_drain"].to_pylist()[0]
    assert (drain["pfn"], drain["migratetype"], drain["seq"]) == (None, -4, 1)
    note = tables["note"].to_pylist()[0]
    assert (note["msg"], note["level"], note["raw"], note["comm"]) == ("hi", -3, [1, 2, 3, 4], None)
    assert tables["note"].schema.field("raw").type == pa.list_(pa.uint8())
    (chunk,) = reader.stream()
    assert chunk.op.tolist() == [Op.FREE, Op.PCP_DRAIN]
    assert chunk.args[:, ARGS.index("pfn")].tolist() == [5, -1]
    assert chunk.args[:, ARGS.index("mt")].tolist() == [0, -4]


def test_columns_begin_alike(tmp_path: Path) -> None:
    for table in opened(tmp_path, trace_dat_v6([PAGE])).tables().values():
        assert table.schema.names[:7] == [column.name for column in EVENT_COLUMNS]
        assert [f.type for f in table.schema][:7] == [column.type for column in EVENT_COLUMNS]


def test_fields_named_like_common_columns_are_renamed(tmp_path: Path) -> None:
    wake = format_text(
        "sched_wakeup", 600, [("char comm[16]", 8, 16, 0), ("pid_t pid", 24, 4, 1), ("int cpu", 28, 4, 1)]
    )
    payload = M.pack("HBBi", 600, 0, 0, 3) + b"bash".ljust(16, b"\0") + M.pack("ii", 12, 1)
    reader = opened(tmp_path, trace_dat_v6([M.page(0, M.record(1, payload))], formats=[wake]))
    row = reader.tables()["sched_wakeup"].to_pylist()[0]
    assert (row["comm"], row["comm_field"], row["cpu"], row["cpu_field"], row["pid"]) == (None, "bash", 0, 1, 12)


def test_sparse_unordered_cpus(tmp_path: Path) -> None:
    reader = opened(
        tmp_path, trace_dat_v7({9: M.page(50, M.record(0, M.free(9))), 2: M.page(60, M.record(0, M.free(2)))})
    )
    assert [(row["cpu"], row["pfn"]) for row in reader.tables()["mm_page_free"].to_pylist()] == [(9, 9), (2, 2)]


def test_windows_keep_both_ends_and_skip_blocks(tmp_path: Path) -> None:
    pages = b"".join(M.page(1000 * i, M.record(0, M.free(i))) for i in range(200))
    reader = opened(tmp_path, trace_dat_v7({0: pages, 1: M.page(0, M.record(50500, M.free(999)))}))
    for window in (Window(50_000, 52_000), Window(None, 3000), Window(197_000, None), Window(10**9, None)):
        low, high = window.start_ns or 0, window.end_ns if window.end_ns is not None else 10**9
        expected = sorted([(1000 * i, i) for i in range(200)] + [(50_500, 999)])
        found = [
            (int(t), int(a[0])) for c in reader.stream(window=window) for t, a in zip(c.time_ns, c.args, strict=True)
        ]
        assert found == [row for row in expected if low <= row[0] <= high]


def test_stream_keeps_to_the_operations_asked_for(tmp_path: Path) -> None:
    reader = opened(tmp_path, trace_dat_v6([PAGE]))
    assert [chunk.op.tolist() for chunk in reader.stream([Op.PCP_DRAIN])] == [[Op.PCP_DRAIN]]
    assert list(reader.stream([Op.REF_MOD])) == []
    assert set(reader.tables(["note", "absent"])) == {"note"}


@pytest.mark.parametrize(
    ("clock", "options", "expected", "unit"),
    [
        ("local", [], 10**15, "ns"),
        ("counter", [], 10**15, "tick"),
        ("x86-tsc", [], 10**15, "tick"),
        ("x86-tsc", [(14, M.pack("IIQ", 1431655766, 32, 77))], (10**15 * 1431655766) >> 32, "ns"),
        ("x86-tsc", [(14, M.pack("IIQ", 3, 1, 77))], (10**15 * 3) >> 1, "ns"),
        ("mono", [(7, b"-1000\0")], 10**15 - 1000, "ns"),
        ("mono", [(1, b"0x10\0")], 10**15 + 16_000, "ns"),
    ],
)
def test_clocks(tmp_path: Path, clock: str, options: list[tuple[int, bytes]], expected: int, unit: str) -> None:
    page = M.page(10**15, M.record(0, M.free(1)))
    for data in (
        trace_dat_v6([page], extra=Sparse(clock=clock, options=options)),
        trace_dat_v7({0: page}, extra=Sparse(clock=clock, options=options)),
    ):
        info = opened(tmp_path, data).info
        assert (info.start_ns, info.clock, info.clock_unit, info.origin_ns) == (expected, clock, unit, 0)


def test_times_beyond_exact_floats_are_relative(tmp_path: Path) -> None:
    base = 1_763_000_000_123_456_789
    info = opened(tmp_path, trace_dat_v6([M.page(base, M.record(0, M.free(1)))], extra=Sparse(clock="tai"))).info
    assert info.start_ns is not None
    assert info.origin_ns + info.start_ns == base
    assert info.end_ns is not None
    assert info.end_ns < 1 << 53


def test_instances_are_read_and_never_twice(tmp_path: Path) -> None:
    top = M.page(0, M.record(1, M.free(1)))
    instance = M.page(0, M.record(2, M.free(1)) + M.record(1, M.free(2)) + M.record(1, M.drain(3, 0, 0)))
    extra = Sparse(instances={"mm": {1: instance}})
    for data in (trace_dat_v6([top, b""], extra=extra), trace_dat_v7({0: top}, extra=extra)):
        reader = opened(tmp_path, data)
        assert reader.info.by_event == {"mm_page_free": 2, "mm_page_pcpu_drain": 1}
        assert [loss for loss in reader.losses if loss.code == "instance_left_out"] == [
            Loss("instance_left_out", 1, detail="mm_page_free is read from mm only")
        ]
        assert reader.tables()["mm_page_free"]["cpu"].to_pylist() == [1, 1]


def test_statistics_become_losses(tmp_path: Path) -> None:
    stat = b"CPU: %d\nentries: 0\noverrun: %d\ncommit overrun: 0\noldest event ts:     9.2\ndropped events: %d\n\0"
    early = M.page(1000, M.record(0, M.free(1)) + M.record(9000, M.free(2)))
    late = M.page(5000, M.record(0, M.free(3)))
    extra = Sparse(options=[(2, stat % (0, 0, 4)), (2, stat % (1, 33, 0))])
    losses = opened(tmp_path, trace_dat_v7({0: early, 1: late}, extra=extra)).losses
    assert losses == [
        Loss("dropped_events", 4, 0),
        Loss("overrun", 33, 1, None, 5000),
        Loss("cpu_starts_late", None, 1, 1000, 5000),
    ]


def test_a_chunk_that_cannot_be_unpacked_is_placed_between_its_neighbours(tmp_path: Path) -> None:
    pages = b"".join(M.page(1000 * i, M.record(0, M.free(i))) for i in range(6))
    data = bytearray(trace_dat_v7({0: pages}, compression="zlib"))
    begin = next(at for at in range(0, len(data), 4096) if data[at : at + 4] == M.pack("I", 3))
    first = int.from_bytes(data[begin + 4 : begin + 8], "little")
    at = begin + 4 + 8 + first + 8
    data[at + 4 : at + 12] = b"\xff" * 8
    reader = opened(tmp_path, bytes(data))
    assert [(loss.code, loss.cpu, loss.start_ns, loss.end_ns) for loss in reader.losses] == [
        ("corrupt_chunk", 0, 1000, 4000)
    ]
    assert [int(args[0]) for chunk in reader.stream() for args in chunk.args] == [0, 1, 4, 5]


def test_text_that_points_outside_its_record_is_null(tmp_path: Path) -> None:
    bad = bytearray(M.note(b"hello", 1))
    bad[8:12] = M.pack("I", 60000 << 16 | 18)
    reader = opened(tmp_path, trace_dat_v6([M.page(0, M.record(0, bytes(bad)) + M.record(1, M.note(b"\xff", 2)))]))
    for _ in range(2):
        assert reader.tables()["note"]["msg"].to_pylist() == [None, "�"]
    assert [loss.code for loss in reader.losses].count("bad_record") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x17\x08\x44tracing9\0",
        b"\x17\x08\x44tracing7\0",
        b"\x17\x08\x44tracing6\0\5\x08",
        b"not a trace",
        trace_dat_v6([PAGE])[:300],
    ],
)
def test_what_cannot_be_read_is_one_error_with_its_place(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        opened(tmp_path, data)
    assert caught.value.path == tmp_path / "trace.dat"
    assert "\n" not in str(caught.value)


def test_the_end_of_a_v7_file_may_be_missing(tmp_path: Path) -> None:
    trace = capture("offline_unmovable") / "trace.dat"
    whole, data = TraceDatReader(trace), trace.read_bytes()
    cut = opened(tmp_path, data[: len(data) * 95 // 100])
    assert 0 < cut.info.events < whole.info.events
    assert {loss.code for loss in cut.losses} >= {"truncated"}
    assert all(loss.kind.hides_events for loss in cut.losses if loss.code == "truncated")
    assert cut.info.start_ns == whole.info.start_ns


def test_a_v7_file_may_end_in_the_pages_of_any_cpu(tmp_path: Path) -> None:
    """Every page before the cut is read; a loss of each CPU says from when on, and how much of it, is missing."""
    trace = capture("offline_dimm_einval") / "trace.dat"
    whole, data = TraceDatReader(trace), trace.read_bytes()
    first, second = sorted((place for one in whole._container.buffers for place in one.cpus), key=lambda p: p.offset)
    counts = []
    for end in (first.offset + 400, first.offset + first.size // 2, second.offset, second.offset + second.size - 9):
        cut = opened(tmp_path, data[:end])
        counts.append(cut.info.events)
        lost = {loss.cpu: loss for loss in cut.losses if loss.code == "truncated"}
        assert not [loss for loss in cut.losses if loss.code.startswith("corrupt")]
        if end <= second.offset:
            assert lost[second.cpu].start_ns is None
            assert "missing" in lost[second.cpu].detail
        if end < second.offset:
            assert "chunks are missing" in lost[first.cpu].detail
    assert counts == sorted(counts)
    assert 0 < counts[1] < counts[2] < counts[3] < whole.info.events


@pytest.mark.parametrize("big", [False, True])
def test_pages_that_are_not_compressed_are_salvaged_as_well(tmp_path: Path, big: bool) -> None:
    """No count says where the pages of a CPU end: a page older than the one before is the next CPU's."""
    machine = Machine(big=big)

    def pages(start: int, count: int) -> bytes:
        return b"".join(machine.page(start + n * 100, machine.record(0, machine.free(n))) for n in range(count))

    cpus = {0: pages(1000, 5), 1: pages(1050, 3)}
    extra = Sparse(options=[(8, machine.pack("I", 2))])
    data = trace_dat_v7(cpus, machine, compression="none", extra=extra, data_first=True)
    first, second = sorted(place.offset for place in opened(tmp_path, data)._container.buffers[0].cpus)
    size = len(cpus[0]) // 5
    for end, events in ((second + 2 * size + 9, 7), (second + 1, 5), (first + 2 * size + 9, 2)):
        cut = opened(tmp_path, data[:end])
        assert cut.info.events == events
        assert {loss.code for loss in cut.losses} >= {"truncated"}
        assert set(cut.tables()["mm_page_free"]["cpu"].to_pylist()) == set(range(2 if events > 5 else 1))
    with pytest.raises(InputError, match="the end of the file is missing"):
        opened(tmp_path, data[: first + 4])


@pytest.mark.parametrize("missing", [7, 40, 110, None])
def test_a_v7_file_without_its_last_bytes_says_so(tmp_path: Path, missing: int | None) -> None:
    """They are names of sections, which no reader needs: every event is there, and nothing before the end is hidden.

    None -- the whole section of names.
    """
    trace = capture("offline_dimm_einval") / "trace.dat"
    whole, data = TraceDatReader(trace), trace.read_bytes()
    cut = opened(tmp_path, data[: whole._container.options_end if missing is None else -missing])
    assert cut.info.by_event == whole.info.by_event
    (loss,) = (loss for loss in cut.losses if loss not in whole.losses)
    assert (loss.code, loss.start_ns) == ("truncated", whole.info.end_ns)
    assert "last section" in loss.detail


@pytest.mark.parametrize("name", ["offline_unmovable", "cma_bufferhead"])
def test_a_real_capture_counts_what_was_recorded(name: str) -> None:
    where = capture(name)
    reader = TraceDatReader(where / "trace.dat")
    assert reader.info.by_event == {event: n for event, n in events_of(where).items() if n}
    tables = reader.tables()
    assert {event: len(table) for event, table in tables.items()} == reader.info.by_event
    seq = np.concatenate([table["seq"].to_numpy() for table in tables.values()])
    time = np.concatenate([table["time_ns"].to_numpy() for table in tables.values()])
    assert sorted(seq.tolist()) == list(range(len(seq)))
    assert (np.diff(time[np.argsort(seq)]) >= 0).all()
    assert (int(time.min()), int(time.max())) == (reader.info.start_ns, reader.info.end_ns)
    assert reader.comm_of(0) == "<idle>"


def test_tables_and_stream_agree() -> None:
    reader = TraceDatReader(capture("cma_bufferhead") / "trace.dat")
    table = reader.tables(["page_ref_mod"])["page_ref_mod"]
    chunks = list(reader.stream([Op.REF_MOD], chunk_events=1000))
    args = np.concatenate([chunk.args for chunk in chunks])
    for index, name in enumerate(ARGS):
        if name in table.column_names:
            assert (table[name].to_numpy().astype(np.int64) == args[:, index]).all(), name


def test_stacks_and_symbols() -> None:
    reader = TraceDatReader(capture("cma_pin_vmsplice_stack") / "trace.dat")
    assert reader.info.has_stacks
    stacks = reader.tables(["kernel_stack"])["kernel_stack"]
    assert stacks["caller"].type == pa.list_(pa.uint64())
    lengths = np.diff(stacks["caller"].combine_chunks().offsets.to_numpy())
    assert (lengths == stacks["size"].to_numpy()).all()
    names = {reader.name_of_address(frame) for frame in stacks["caller"][0].as_py()}
    assert None not in names
    assert any(name is not None and name.startswith("__page_ref") for name in names), names


def test_page_flags_of_both_kernels() -> None:
    for name, high in (("cma_bufferhead", ("unevictable", 18)), ("k72_cma_pin_vmsplice", ("dropbehind", 19))):
        bits = TraceDatReader(capture(name) / "trace.dat").page_flag_bits()
        assert bits is not None
        assert (bits["locked"], bits["writeback"], bits["head"], bits["private"], bits[high[0]]) == (
            0,
            1,
            6,
            14,
            high[1],
        )


def test_losses_of_an_overrun() -> None:
    reader = TraceDatReader(capture("offline_pin_overrun") / "trace.dat")
    assert {loss.code for loss in reader.losses} == {"lost_events", "overrun", "cpu_starts_late"}
    assert {loss.cpu: loss.count for loss in reader.losses if loss.code == "overrun"} == {0: 6630889, 1: 3185095}
    assert all(loss.code in LOSS_KINDS for loss in reader.losses)


def test_a_damaged_page_is_one_loss_though_a_record_before_the_damage_is_too_short(tmp_path: Path) -> None:
    """Records too short for their event are found by a second scan, which sees other times around the damage."""
    m = Machine()
    good, short = m.record(5, m.free(1)), m.record(5, m.free(2)[:8])
    page = m.page(100, good + short + m.word(20, 0))
    reader = opened(tmp_path, trace_dat_v7({0: page + m.page(500, good)}, m))
    losses = [(loss.code, loss.start_ns, loss.end_ns) for loss in reader.losses if loss.code != "comm_unresolved"]
    assert losses == [("corrupt_page", 105, 505), ("bad_record", None, None)]


def test_record_date_ties_the_wall_clock(tmp_path: Path) -> None:
    noon_us = 1_795_176_000 * 10**6
    page = M.page(5_250_000_000, M.record(0, M.free(1)))
    for moved in (0, 10**9):
        options = [(1, f"{noon_us:#x}\0".encode()), (7, f"{moved}\0".encode())]
        info = opened(tmp_path, trace_dat_v6([page], extra=Sparse(clock="mono", options=options))).info
        assert info.start_ns is not None
        assert info.wall_clock is not None
        assert info.wall_clock.words(info.start_ns) == "2026-11-20 12:00:05.250 UTC"
    plain = opened(tmp_path, trace_dat_v6([page], extra=Sparse(clock="mono", options=[(7, b"5\0")]))).info
    assert plain.wall_clock is None
