"""Perfetto traces: what protobuf's own library writes is what is read, and damage never does worse than lose."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.perfetto_trace import Writer
from tracereplay.errors import InputError
from tracereplay.parsers.perfetto.reader import PerfettoReader

U64 = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 1, 127, 128, 1 << 32, (1 << 63) - 1, 1 << 63])
S64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([-1, 0, -(1 << 63)])
S32 = st.integers(-(1 << 31), (1 << 31) - 1)
U32 = st.integers(0, (1 << 32) - 1)
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mm_page_free": {"order": U32, "pfn": U64.filter(lambda pfn: pfn != (1 << 64) - 1)},
    "cma_alloc_finish": {"name": TEXT, "count": U64.map(lambda n: n >> 1), "errorno": S32},
    "task_rename": {"pid": S32, "oldcomm": TEXT, "newcomm": TEXT, "oom_score_adj": S32},
    "page_ref_mod": {"val": S64, "count": S64, "mt": S32},
    "vendor_event": {"what": TEXT.filter(bool), "amount": S64},
}


def rows() -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
    def event(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        common = {
            "time_ns": st.integers(1, 200), "cpu": st.integers(0, 3), "tid": st.integers(0, 1 << 22),
            "common_flags": st.integers(0, 255),
        }  # fmt: skip
        return st.tuples(st.just(name), st.fixed_dictionaries(common | FIELDS[name]))

    return st.lists(st.sampled_from(sorted(FIELDS)).flatmap(event), min_size=1, max_size=30)


def opened(data: bytes) -> PerfettoReader:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_bytes(data)
        return PerfettoReader(path)


@settings(max_examples=80, deadline=None)
@given(rows=rows(), size=st.integers(1, 9), described=st.booleans(), compressed=st.booleans())
def test_what_is_written_is_read(
    rows: list[tuple[str, dict[str, Any]]], size: int, described: bool, compressed: bool
) -> None:
    writer = Writer(described, flags=True)
    writer.bundles(rows, size)
    reader = opened(writer.written(compressed=compressed))
    tables = reader.tables()
    said: dict[str, list[dict[str, Any]]] = {}
    for name, row in sorted(rows, key=lambda row: (row[1]["time_ns"], row[1]["cpu"])):
        said.setdefault(name, []).append(row)
    assert reader.info.by_event == {name: len(of_name) for name, of_name in sorted(said.items())}
    for name, expected in said.items():
        for column in ("time_ns", "cpu", "tid", "common_flags", *FIELDS[name]):
            values = tables[name].column(column).to_pylist()
            assert sorted(map(str, values)) == sorted(str(row[column]) for row in expected), column
        times = list(zip(*(tables[name].column(one).to_pylist() for one in ("time_ns", "cpu")), strict=True))
        assert times == [(row["time_ns"], row["cpu"]) for row in expected]
    seqs = sorted(seq for table in tables.values() for seq in table.column("seq").to_pylist())
    assert seqs == list(range(len(rows)))


@settings(max_examples=150, deadline=None)
@given(rows=rows(), described=st.booleans(), compressed=st.booleans(), data=st.data())
def test_damage(rows: list[tuple[str, dict[str, Any]]], described: bool, compressed: bool, data: st.DataObject) -> None:
    """Bytes changed, taken out or put in: every event counted is read, or the file is refused in one line."""
    writer = Writer(described)
    writer.bundles(rows, 5)
    damaged = bytearray(writer.written(compressed=compressed))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        piece = data.draw(st.binary(max_size=3))
        damaged[at : at + data.draw(st.integers(0, 3))] = piece
    try:
        reader = opened(bytes(damaged))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 (any input may be fine)
        return
    assert sum(map(len, reader.tables().values())) == reader.info.events
    for chunk in reader.stream():
        assert (chunk.time_ns[1:] >= chunk.time_ns[:-1]).all()
