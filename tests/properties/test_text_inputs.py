"""Text of any kind is read or refused, never a crash, and what is written comes back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracereplay.errors import InputError
from tracereplay.gfp import GFP, gfp_names
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.kernel_log import parse_lines
from tracereplay.parsers.kernel_log.prefixes import split_prefix
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.schema import PFN

WORDS = st.sampled_from(
    """
      a-1|<...>-7|[000]|[0001|.....|d.h2.|1.000001:|999999999999999999999999999999:|=> f+0x1|<stack trace>|pfn=0x1f|pfn=
    page=(nil)|order=-3|flags=locked,x|gfp_flags=GFP_KERNEL|ofs=99999999999999999999|=|:|dev 1:2:3|ino zz|\x00|\ufffd
    CPU:1 [LOST 3 EVENTS]|page:|refcount:1 mapcount:0 mapping:0 index:0|cma: number of available pages:
    migrating pfn ffffffffffffffffff failed ret:1|=> 1 free of 2 total pages|1 callbacks suppressed
    memory offlining [mem 0xff-0x00] failed|page last allocated via order 1, migratetype x, gfp_mask 0x1
    """.replace("\n", "|").split("|")
    + [f"{name}:" for name in list(SPECS)[:40]]
)
LINES = st.lists(st.lists(WORDS | st.text(max_size=8), max_size=9).map(" ".join), max_size=12).map("\n".join)
ALLOCATIONS = st.tuples(st.integers(1, (1 << 52) - 1), st.integers(0, 10), st.integers(0, (1 << 24) - 1))
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(LINES)
def test_any_text_is_a_trace_or_an_input_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.txt"
        path.write_text(text, encoding="utf-8")
        try:
            reader = TextTraceReader(path)
        except InputError:
            return
        tables = reader.tables()
        whole = not any(loss.detail.startswith("values of") for loss in reader.losses)
        rows = {name: table.num_rows for name, table in tables.items()}
        assert rows == reader.info.by_event if whole else sum(rows.values()) <= reader.info.events
        assert sum(len(part) for part in reader.stream()) <= reader.info.events


@SLOW
@given(LINES)
def test_any_text_is_a_kernel_log(text: str) -> None:
    log = parse_lines(split_prefix(line) for line in text.split("\n"))
    assert log.lines == text.count("\n") + 1


@SLOW
@given(
    st.lists(
        st.tuples(st.integers(1, (1 << 52) - 1), st.integers(0, 10), st.integers(0, (1 << 24) - 1)),
        min_size=1,
        max_size=20,
    )
)
def test_allocations_come_back_as_written(events: list[tuple[int, int, int]]) -> None:
    lines = [
        f"  a b-{n + 1} [{n % 3:03d}] ..... {n}.000001: mm_page_alloc: page=00000000c0ffee00 pfn={pfn:#x} "
        f"order={order} migratetype=1 gfp_flags={gfp_names(gfp)}\n"
        for n, (pfn, order, gfp) in enumerate(events)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.txt"
        path.write_text("".join(lines))
        reader = TextTraceReader(path)
        table = reader.tables()["mm_page_alloc"]
        assert list(zip(*(table[name].to_pylist() for name in ("pfn", "order", "gfp_flags")), strict=True)) == events
        (stream,) = reader.stream()
        assert stream.args[:, PFN].tolist() == [pfn for pfn, _, _ in events]
        assert {loss.code for loss in reader.losses} <= {"cpu_ends_early", "cpu_starts_late"}  # of a short text


@given(st.integers(0, (1 << 24) - 1))
def test_gfp_masks_round_trip(value: int) -> None:
    names = gfp_names(value).split("|")
    total = 0
    for name in names:
        total |= GFP.get(name, 0)
    assert total == value
