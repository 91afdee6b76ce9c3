"""Every event, time, task and field as `trace-cmd report -R -t` prints them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.captures import capture
from tests.support.trace_cmd_compare import TRACE_CMD, compare
from tests.support.trace_dat_builder import Machine, Sparse, trace_dat_v6, trace_dat_v7

pytestmark = pytest.mark.skipif(TRACE_CMD is None, reason="trace-cmd is not installed")


@pytest.mark.parametrize("name", ["offline_unmovable", "offline_dimm_einval", "mixed_nopageref"])
def test_real_captures(name: str) -> None:
    result = compare(capture(name) / "trace.dat")
    assert result.differences == []
    assert result.lines > 10_000
    assert result.values > 3 * result.lines


def _cpu(m: Machine, seed: int, base: int) -> bytes:
    chance = random.Random(seed)
    data = b""
    for i in range(40):
        payload = chance.choice(
            [m.free(chance.randrange(1 << 40), i % 11), m.drain(i, 1, -4), m.note(b"hello %d" % i, -i)]
        )
        data += m.record(chance.choice([1, 100, 5000, 1 << 28]), payload, long_form=i % 7 == 0)
        if i % 9 == 5:
            data += m.padding(33, 8)
        if i == 20:
            data += m.time_stamp(base + (1 << 36))
    return m.page(base, data) + m.page(base + (1 << 40), m.record(5, m.free(1)), missed=77)


@pytest.mark.parametrize("m", [Machine(big, size) for big in (False, True) for size in (8, 4)], ids=str)
@pytest.mark.parametrize(
    ("clock", "options"),
    [
        ("local", []),
        ("counter", []),
        ("boot", []),
        ("mono", [(7, b"123456789\0"), (1, b"0x1234\0")]),
        ("x86-tsc", [(14, (1431655766, 31, 9))]),
    ],
)
def test_files_made_by_hand(
    tmp_path: Path, m: Machine, clock: str, options: list[tuple[int, bytes | tuple[int, int, int]]]
) -> None:
    packed = [(number, data if isinstance(data, bytes) else m.pack("IIQ", *data)) for number, data in options]
    extra = Sparse(clock=clock, options=[(8, m.pack("I", 2)), *packed])
    one, two = _cpu(m, 1, 10**12), _cpu(m, 2, 10**12 + 500)
    path = tmp_path / "trace.dat"
    for data in (trace_dat_v6([one, two], m, extra=extra), trace_dat_v7({5: one, 2: two}, m, extra=extra)):
        path.write_bytes(data)
        result = compare(path)
        assert result.differences == []
        assert result.lines == 82
