"""The machine's memory blocks from perf.data's header, where no layout is given."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.captures import capture
from tests.support.perf_data_builder import PerfFile
from tracereplay.dataset import write_dataset
from tracereplay.errors import InputError, UsageError
from tracereplay.parsers.perf_data.header import MEM_TOPOLOGY
from tracereplay.parsers.perf_data.mem_topology import MemoryBlocks, parse_mem_topology
from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.session import Session


def topology(*words: int, big: bool = False) -> bytes:
    return struct.pack(f"{'>' if big else '<'}{len(words)}Q", *words)


def test_a_real_file_tells_what_its_machine_said() -> None:
    """As the copy of /sys/devices/system/memory of the same boot has it: memory0 to memory5, of 128 MiB."""
    folder = capture("cma_pin_vmsplice_perf")
    info = PerfDataReader(folder / "perf.data").info
    snapshot = (folder / "layout_before" / "memory_blocks.txt").read_text()
    assert info.memory_blocks == tuple(int(line.split()[0].removeprefix("memory")) for line in snapshot.splitlines())
    assert info.memory_block_bytes == int((folder / "layout_before" / "block_size_bytes").read_text(), 16)


@pytest.mark.parametrize("big", [False, True])
def test_several_nodes(big: bool) -> None:
    data = topology(1, 1 << 27, 2, 0, 70, 70, 0b1011, 1 << 5, 1, 3, 3, 0b100, big=big)
    assert parse_mem_topology(data, big=big) == MemoryBlocks(1 << 27, (0, 1, 2, 3, 69))


def test_bits_behind_the_announced_ones_are_no_blocks() -> None:
    assert parse_mem_topology(topology(1, 1 << 27, 1, 0, 2, 2, 0b111), big=False) == MemoryBlocks(1 << 27, (0, 1))


def test_another_version_tells_nothing() -> None:
    assert parse_mem_topology(topology(2, 0, 0), big=False) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((1,), "ends within"),
        ((1, 100, 1), "memory blocks of 100 bytes"),
        ((1, 0, 1), "memory blocks of 0 bytes"),
        ((1, 3 << 27, 1), "memory blocks of"),
        ((1, 1 << 60, 1), "memory blocks of"),
        ((1, 1 << 27, 1 << 40), "memory nodes"),
        ((1, 1 << 27, 1, 0, 1 << 60, 1 << 60), "a node of"),
        ((1, 1 << 27, 1, 0, 500, 500, 1), "ends within"),
    ],
)
def test_numbers_that_cannot_be(words: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_mem_topology(topology(*words), big=False)


def perf_file(path: Path, data: bytes) -> Path:
    made = PerfFile.usual()
    made.records = made.make.record(68, b"")  # FINISHED_ROUND: without records perf was killed, and wrote no features
    made.features[MEM_TOPOLOGY] = data
    path.write_bytes(made.file())
    return path


def test_it_is_the_layout_where_none_is_given(tmp_path: Path) -> None:
    path = perf_file(tmp_path / "perf.data", topology(1, 1 << 27, 1, 0, 6, 6, 63))
    result = Session([path]).blame()
    assert result.layout is not None
    assert result.layout.memory_block_pages == 1 << 15
    assert result.layout.source == "inferred; memory blocks: trace header"
    with pytest.raises(UsageError, match=r"0 s is not in the trace: perf\.data has no events"):
        Session([path]).inventory(at=0, block=5)


def test_it_fills_the_gap_of_a_layout_and_stays_with_a_dataset(tmp_path: Path) -> None:
    path = perf_file(tmp_path / "perf.data", topology(1, 1 << 27, 1, 0, 6, 6, 63))
    (tmp_path / "layout.toml").write_text('[[cma]]\nname = "a"\nstart_pfn = 0\npages = 512\n')
    (tmp_path / "other.toml").write_text(
        'memory_block_size = "1GiB"\n[[cma]]\nname = "a"\nstart_pfn = 0\npages = 512\n'
    )
    write_dataset(PerfDataReader(path), tmp_path / "dataset")
    for source, layout, pages in (
        (path, tmp_path / "layout.toml", 1 << 15),
        (path, tmp_path / "other.toml", 1 << 18),
        (tmp_path / "dataset", None, 1 << 15),
    ):
        summary = Session([source], layout=layout).blame().layout
        assert summary is not None
        assert summary.memory_block_pages == pages


def test_damage_is_a_loss_and_the_trace_is_read(tmp_path: Path) -> None:
    path = perf_file(tmp_path / "perf.data", topology(1, 1 << 27, 1, 0, 6, 6))
    reader = PerfDataReader(path)
    assert reader.info.memory_block_bytes is None
    (loss,) = (loss for loss in reader.losses if loss.code == "layout_incomplete")
    assert "perf.data's memory topology: the file ends" in loss.detail
