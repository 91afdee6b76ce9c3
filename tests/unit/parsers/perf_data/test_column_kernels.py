"""Compiled loops from listed samples to columns say what their plain twins say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from tracereplay.parsers.events.table_kernels import group_rows
from tracereplay.parsers.perf_data import column_kernels as kernels

QUICK = settings(max_examples=60, deadline=None)
PAYLOAD_BYTES = 64
SIZES = (1, 2, 4, 8)


def number(data: bytes, offset: int, size: int, *, big: bool, signed: bool) -> int:
    return int.from_bytes(data[offset : offset + size], "big" if big else "little", signed=signed)


def plain_names(tasks: list[tuple[int, int]], changes: list[tuple[int, int, int]]) -> list[int]:
    """The twin of names_at: (tid, time) of samples, (tid, time, name) of changes in this order."""
    said = []
    for tid, time in tasks:
        before = [name for task, when, name in changes if task == tid and when <= time]
        said.append(before[-1] if before else -1)
    return said


@QUICK
@given(
    seed=st.integers(0, 1 << 30),
    rows=st.integers(1, 700),  # more than a tile
    columns=st.lists(
        st.tuples(st.integers(0, PAYLOAD_BYTES - 8), st.sampled_from(SIZES), st.booleans(), st.sampled_from(SIZES)),
        max_size=6,
    ),
    big=st.booleans(),
    traced=st.booleans(),
)
def test_columns(seed: int, rows: int, columns: list[tuple[int, int, bool, int]], big: bool, traced: bool) -> None:
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, 4 * rows + PAYLOAD_BYTES + 12, np.uint8)
    data[random.random(len(data)) < 0.3] = 0xFF
    words = data.view(np.uint32)
    words.flags.writeable = False
    at = 4 * random.integers(0, rows, rows)
    time, seq = random.integers(-1 << 40, 1 << 62, rows), random.permutation(rows)
    cpu, tid = random.integers(0, 1 << 16, rows, np.uint16), random.integers(-1, 1 << 22, rows, np.int32)
    samples = random.permutation(rows)[: max(rows - 3, 1)]
    n, used, widths = len(samples), 5, [8, 8, 2, 4, 4, 1, 1, *(width for *_, width in columns)]
    room = -(-(n + used) // 8) * 8
    starts = np.array([sum(widths[:place]) * room // width for place, width in enumerate(widths)], np.int64)
    arena = np.zeros(sum(widths) * room // 8, np.uint64)
    plan = np.zeros((len(columns), kernels.NUMBER_FIELDS), np.int64)
    for row, (offset, size, signed, width) in enumerate(columns):
        plan[row] = offset, size, 64 - 8 * size if signed else 0, width, starts[kernels.HEADS + row]
    common = np.array([2, 3, big] if traced else [-1, -1, big], np.int64)
    here = np.empty(n, np.int64)
    views: list[npt.NDArray[Any]] = [arena.view(f"u{size}") for size in SIZES]
    kernels.take_columns(
        words, words.view(np.uint16), words.view(np.uint8), at, time, cpu, tid, samples, seq[:n], 1000,
        starts[: kernels.HEADS], plan, common, here, views[0], views[1], views[2], arena, used,
    )  # fmt: skip

    def column(place: int) -> list[int]:
        begin, width = int(starts[place]), widths[place]
        assert not views[SIZES.index(width)][begin : begin + used].any()  # what was there stays
        return [int(value) for value in views[SIZES.index(width)][begin + used : begin + used + n]]

    assert here.tolist() == at[samples].tolist()
    assert column(kernels.SEQ) == [1000 + place for place in seq[:n].tolist()]
    assert column(kernels.TIME) == [value % (1 << 64) for value in time[samples].tolist()]
    assert column(kernels.CPU) == cpu[samples].tolist()
    assert column(kernels.TID) == [value % (1 << 32) for value in tid[samples].tolist()]
    payloads = [data[place : place + PAYLOAD_BYTES].tobytes() for place in here]
    assert column(kernels.FLAGS) == [payload[2] * traced for payload in payloads]
    assert column(kernels.PREEMPT) == [payload[3] * traced for payload in payloads]
    for place, (offset, size, signed, width) in enumerate(columns, kernels.HEADS):
        values = [number(payload, offset, size, big=big, signed=signed) for payload in payloads]
        assert column(place) == [value % (1 << 8 * width) for value in values]


@QUICK
@given(
    tasks=st.lists(st.tuples(st.sampled_from([-1, 0, 1, 2, 256, 257, 1 << 21]), st.integers(-5, 30)), max_size=60),
    changes=st.lists(st.tuples(st.sampled_from([0, 1, 2, 256, 257]), st.integers(-3, 25), st.integers(0, 9))),
)
def test_names(tasks: list[tuple[int, int]], changes: list[tuple[int, int, int]]) -> None:
    changes.sort(key=lambda change: change[:2])
    tid, time = np.array([tid for tid, _ in tasks], np.int32), np.array([time for _, time in tasks], np.int64)
    samples, out = np.arange(len(tasks))[::-1].copy(), np.empty(len(tasks), np.int32)
    unknown = kernels.names_at(
        tid,
        time,
        samples,
        np.array([change[0] for change in changes], np.int32),
        np.array([change[1] for change in changes], np.int64),
        np.array([change[2] for change in changes], np.int32),
        kernels.nothing_remembered(),
        out,
    )
    expected = plain_names(tasks[::-1], changes)
    assert out.tolist() == expected
    assert unknown == expected.count(-1)


@QUICK
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=50))
def test_order_and_groups(rows: list[tuple[int, int, int]]) -> None:
    time, cpu, kind = (np.array(part) for part in zip(*rows, strict=True))
    order = np.argsort(time, kind="stable")
    pairs = [(int(time[place]), int(cpu[place])) for place in order]
    assert kernels.ties_are_ordered(order, time, cpu.astype(np.uint16)) == (pairs == sorted(pairs))
    starts, seq = np.empty(4, np.int64), np.empty(len(rows), np.int64)
    group_rows(kind[order].astype(np.uint16), len(rows), starts, seq)
    grouped = order[seq]
    for one in range(3):
        mine = [(number, place) for number, place in enumerate(order.tolist()) if kind[place] == one]
        part = slice(int(starts[one]), int(starts[one + 1]))
        assert list(zip(seq[part].tolist(), grouped[part].tolist(), strict=True)) == mine


@QUICK
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=20), seed=st.integers(0, 1 << 30))
def test_payloads_in_one_place(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 32, 400, np.uint32)
    words.flags.writeable = False
    at = 4 * random.integers(0, 380, len(sizes))
    samples = random.permutation(len(sizes))
    out, out_at = np.zeros(3 + sum(-(-size // 4) for size in sizes), np.uint32), np.zeros(len(sizes), np.int64)
    used = kernels.copy_payloads(words, at, np.array(sizes, np.uint16), samples, out, out_at, 3)
    assert used == len(out)
    for sample, size in enumerate(sizes):
        copied = out.tobytes()[out_at[sample] : out_at[sample] + size]
        assert copied == words.tobytes()[at[sample] : at[sample] + size]
