"""Dumps of pages, odd shapes of text, packed data: read or refused, never a crash, in time that the size bounds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.page_owner import owner_rows
from tracereplay.errors import InputError
from tracereplay.parsers.detect import detect
from tracereplay.parsers.files import packed
from tracereplay.parsers.snapshots.page_owner import page_owner_dump
from tracereplay.parsers.snapshots.page_pinner import read_page_pinner
from tracereplay.parsers.snapshots.record_dump import Spans
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.parsers.text.normalize import normalized_head

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = st.sampled_from(
    """
    Page allocated via order 3, mask 0x1100ca(GFP_HIGHUSER)|, pid 1, tgid 1 (a b), ts 5 ns|Page allocated via order 99,
    PFN 0x1f type Movable Block 1 type CMA Flags 0x1(lru)|PFN 31 type Movable Block 2|Charged to memcg |handle: 7
    Page has been migrated, last migrate reason: |Slab cache page| f+0x1/0x2|Freed at [1.000001]
    At least, pinned for 3 us
    Page pinned ts 3 us count 0|Page pinned ts [ 1.000001]|PFN 0x1f Block 1 count 2 mapcount 0 mapping 0 Flags 0x0()
    0)   1.2 us    \x7c  f();| 1.000001 \x7c   1)   \x7c  /* mm_page_free: page=0 pfn=0x1 order=0 */| 0)  a-1  =>  b-2
    bash-1     0..... 5us : mm_page_free: pfn=0x1 order=0|mm_page_free:  pfn=0x1 order=0| f.dat:             bash-1
    [000]  1.000001: (+3) mm_page_free: pfn=0x1 order=0|> wrapped=1|\x1b[0m|-------------------------|1 0 5 type: 6
    """.strip().replace("\n", "|").replace("\\x7c", "|").split("|")
)  # fmt: skip
TEXTS = st.lists(
    PIECES | st.sampled_from(["\n", "\n\n", " ", "\r\n", "|", "/*"]) | st.text(max_size=6), max_size=40
).map("".join)


def in_file(content: bytes, read: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        path.write_bytes(content)
        return read(path)


@SLOW
@given(TEXTS)
def test_any_text_is_a_dump_or_an_input_error(text: str) -> None:
    def read(path: Path) -> None:
        for reader in (owner_rows, read_page_pinner):
            try:
                rows, losses = reader(path)
            except InputError:
                continue
            assert len(rows) or losses
        try:
            tables = TextTraceReader(path).tables()
        except InputError:
            tables = {}
        assert all(table.num_rows for table in tables.values())
        detect(path)

    in_file(text.encode("utf-8", "replace"), read)


@SLOW
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=12),
    st.integers(0, 220),
    st.integers(1, 40),
)
def test_spans_are_sets_of_pages(spans: list[tuple[int, int]], start: int, pages: int) -> None:
    inside = {pfn for first, end in spans for pfn in range(first, end)}
    touched = any(pfn in inside for pfn in range(start, start + pages))
    assert Spans.of(spans).touch(start, start + pages) == touched


@SLOW
@given(st.lists(st.tuples(st.integers(0, (1 << 52) - 1), st.integers(0, 10), st.booleans()), min_size=1, max_size=30))
def test_allocations_come_back_as_written(pages: list[tuple[int, int, bool]]) -> None:
    text = "".join(
        f"Page allocated via order {order}, mask 0x0(), pid {number}, tgid 1 (a), ts {number} ns\n"
        f"PFN {hex(pfn) if hexadecimal else pfn} type Movable Block {pfn >> 9} type CMA Flags 0x0()\n f+0x1/0x2\n\n"
        for number, (pfn, order, hexadecimal) in enumerate(pages)
    )

    def read(path: Path) -> None:
        tables = list(page_owner_dump(path, batch_rows=7))
        found = [(row["pfn"], row["order"]) for table in tables for row in table.to_pylist()]
        assert found == [(pfn, order) for pfn, order, _ in pages]

    in_file(text.encode(), read)


@SLOW
@given(st.sampled_from([b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00"]), st.binary(max_size=300))
def test_any_packed_bytes_end_in_a_loss(magic: bytes, data: bytes) -> None:
    def read(path: Path) -> None:
        losses: list[Any] = []
        found = b"".join(packed.read_chunks(path, losses))
        assert losses or not found

    in_file(magic + data, read)


@pytest.mark.parametrize(
    "unit",
    [b" ", b"> ", b"-", b"a-1 ", b"]", b"[000] ", b"1.0: ", b"| ", b"0) ", b"/* ", b" */", b": ", b"=>", b"a: ",
     b"\n", b"\r\n", b"\n \t", b"_|", b"-1 [000] 1.0: x", b"  a-1 [000] 1.0: mm_page_free: "],
)  # fmt: skip
def test_long_lines_take_no_longer(unit: bytes) -> None:
    """No pattern may need time that grows faster than the line."""
    text = unit * ((1 << 19) // len(unit))
    begin = time.process_time()
    normalized_head(text[: 1 << 16])
    in_file(text, detect)

    def read(path: Path) -> None:
        for reader in (TextTraceReader, owner_rows):
            with suppress(InputError):
                reader(path)

    in_file(b"  a-1 [000] 1.0: mm_page_free: pfn=0x1 order=0\n" + text, read)
    assert time.process_time() - begin < 5
