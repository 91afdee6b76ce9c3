"""The trace.dat reader reads what was written, agrees with its plain twin, and survives any damage."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.captures import capture
from tests.support.plain_ring_buffer import PlainPage, number, read_cpu
from tests.support.trace_dat_builder import Machine, trace_dat_v6, trace_dat_v7
from tracereplay.errors import InputError
from tracereplay.losses import LOSS_KINDS
from tracereplay.parsers.trace_dat.reader import TraceDatReader

machines = st.builds(Machine, st.booleans(), st.sampled_from([4, 8]))
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

events = st.tuples(
    st.one_of(st.integers(0, 1000), st.integers(0, 1 << 50)),  # time since the event before
    st.integers(0, (1 << 64) - 1),  # pfn
    st.integers(0, 11),
    st.integers(0, (1 << 31) - 1),  # tid
    st.booleans(),  # long form
)
cpu_events = st.lists(st.lists(events, max_size=20), max_size=4)


def opened(folder: Path, data: bytes) -> TraceDatReader:
    path = folder / "trace.dat"
    path.write_bytes(data)
    return TraceDatReader(path)


@few
@given(machines, st.lists(cpu_events, min_size=1, max_size=3), st.sampled_from(["v6", "none", "zstd", "zlib"]))
def test_what_was_written_is_read(
    tmp_path: Path, m: Machine, cpus: list[list[list[tuple[int, int, int, int, bool]]]], how: str
) -> None:
    expected = []
    packed = []
    for cpu, pages in enumerate(cpus):
        clock, data = 1000 * cpu, b""
        for page in pages:
            base, body = clock, b""
            for delta, pfn, order, tid, long_form in page:
                clock += delta
                body += m.record(delta, m.free(pfn, order, tid), long_form=long_form)
                expected.append((clock, cpu, pfn if pfn < 1 << 63 else pfn - (1 << 64), order, tid))
            data += m.page(base, body)
        packed.append(data)
    expected.sort(key=lambda row: row[:2])
    data = trace_dat_v6(packed, m) if how == "v6" else trace_dat_v7(dict(enumerate(packed)), m, compression=how)
    reader = opened(tmp_path, data)
    silent = {cpu for cpu, pages in enumerate(cpus) if expected and not any(pages)}
    assert {loss.cpu for loss in reader.losses if loss.code == "cpu_silent"} == silent
    quiet = {"cpu_silent", "cpu_starts_late", "cpu_ends_early"}
    assert {loss.code for loss in reader.losses} <= {"comm_unresolved", *quiet}
    assert reader.info.events == len(expected)
    rows = [
        (int(time) + reader.info.origin_ns, int(cpu), int(args[0]), int(args[1]), int(tid))
        for chunk in reader.stream(chunk_events=7)
        for time, cpu, tid, args in zip(chunk.time_ns, chunk.cpu, chunk.tid, chunk.args, strict=True)
    ]
    assert rows == expected


def _wanted(pages: list[PlainPage], m: Machine) -> list[tuple[int, int]]:
    return [
        (time - (1 << 64) if time >> 63 else time, number(payload[8:16], m))
        for page in pages
        for time, payload in page.records
        if len(payload) >= 20 and number(payload[:2], m) == 500
    ]


@few
@example(Machine(), b"", [(42, b"\0\0#")])  # a record too short for its event on a page that ends badly
@given(
    machines,
    st.binary(min_size=0, max_size=300),
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=4)), max_size=6),
)
def test_kernels_agree_with_the_plain_twin(
    tmp_path: Path, m: Machine, noise: bytes, edits: list[tuple[int, bytes]]
) -> None:
    body = b"".join(m.record(3 * i, m.free(i), long_form=i % 3 == 0) for i in range(8)) + m.padding(9, 12)
    body += m.time_stamp(1 << 40) + m.record(1, m.free(77)) + noise
    damaged = bytearray(m.page(1 << 35, body, missed=5))
    for at, piece in edits:
        damaged[at : at + len(piece)] = piece
    data = bytes(damaged[:4096]) + m.page(1 << 50, m.record(1, m.free(1)))
    reader = opened(tmp_path, trace_dat_v6([data], m))
    rows = [
        (int(time) + reader.info.origin_ns, int(args[0]) & (1 << 64) - 1)
        for chunk in reader.stream()
        for time, args in zip(chunk.time_ns, chunk.args, strict=True)
        if chunk.op[0] == 2
    ]
    free = reader.tables(["mm_page_free"])
    pages = read_cpu(data, m)
    expected = _wanted(pages, m)
    found = [] if not free else free["mm_page_free"].num_rows
    assert (found or 0) == len(expected)
    if {loss.code for loss in reader.losses} <= {"lost_events", "comm_unresolved", "corrupt_page"} and set(
        reader.info.by_event
    ) == {"mm_page_free"}:
        assert rows == expected
    faults = [page.fault for page in pages if page.fault]
    assert len(faults) == sum(loss.code == "corrupt_page" for loss in reader.losses)
    missed = [page.missed for page in pages if page.missed]
    assert missed == [
        loss.count if loss.count is not None else -1 for loss in reader.losses if loss.code == "lost_events"
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["small", "offline_dimm_einval"])
def test_damage_is_an_error_or_a_loss(tmp_path: Path, name: str, seed: int) -> None:
    chance = random.Random(seed)
    if name == "small":
        m = Machine()
        page = m.page(
            0, b"".join(m.record(1, m.note(b"text", i)) + m.record(2, m.free(i)) for i in range(40)), missed=3
        )
        whole, rounds = trace_dat_v7({0: page * 3, 3: page}, m), 60
    else:
        whole, rounds = (capture(name) / "trace.dat").read_bytes(), 8
    for _ in range(rounds):
        data = bytearray(whole)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        reach = chance.choice([400, 20_000, len(data)])
        for _ in range(chance.choice([1, 3, 30])):
            if data:
                data[chance.randrange(min(reach, len(data)))] = chance.randrange(256)
        try:
            reader = opened(tmp_path, bytes(data))
        except InputError:
            continue
        assert sum(map(len, reader.tables().values())) == reader.info.events
        assert sum(map(len, reader.stream())) <= reader.info.events
        reader.name_of_address(0)
        reader.page_flag_bits()
        assert all(loss.code in LOSS_KINDS for loss in reader.losses)
