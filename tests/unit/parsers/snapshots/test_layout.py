"""Snapshots of a machine's files, real ones first, then what may be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.captures import FIXTURES, capture
from tracereplay.errors import InputError
from tracereplay.layout.layout import Span
from tracereplay.opening import layout_of
from tracereplay.parsers.snapshots import proc_files as texts
from tracereplay.parsers.snapshots.layout import read_layout, read_layout_snapshot
from tracereplay.schema import LAYOUT_TABLES, arrow_schema

SNAPSHOTS = sorted(FIXTURES.glob("*/layout_*"))


@pytest.mark.parametrize("directory", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_real_snapshot_is_understood(directory: Path) -> None:
    snapshot = read_layout_snapshot(directory)
    assert snapshot.losses == []
    for name, columns in LAYOUT_TABLES.items():
        assert snapshot.tables[name].schema.equals(arrow_schema(columns))
    assert snapshot.page_size_bytes == 4096
    assert snapshot.memory_block_bytes == 128 << 20
    assert snapshot.pageblock_order == 9
    assert snapshot.has_cma is True
    assert snapshot.kernel in ("6.12.117-cmalab", "7.2.13-cmalab")


@pytest.mark.parametrize(
    "directory", [path for path in SNAPSHOTS if path.name == "layout_before"], ids=lambda path: path.parent.name
)
def test_two_files_count_the_same_free_memory(directory: Path) -> None:
    """Moments apart, so on the quiet machine only: pagetypeinfo by list, buddyinfo in all."""
    free = [row for row in read_layout_snapshot(directory).tables["free_areas"].to_pylist() if row["blocks"]]
    by_list = sum(row["blocks"] << row["order"] for row in free if row["migratetype"])
    in_all = sum(row["blocks"] << row["order"] for row in free if not row["migratetype"])
    assert by_list > 0
    assert abs(by_list - in_all) < 0.05 * in_all


@pytest.mark.parametrize("name", ["cma_pin_vmsplice", "k72_cma_pin_vmsplice"])
def test_cma_areas_come_from_debugfs(name: str) -> None:
    """7.2 has a directory per range beside the old files: still one area."""
    layout = layout_of(read_layout(capture(name) / "layout_before"))
    assert layout.cma_areas == (Span("reserved", 0xFC00, 65536),)
    assert layout.source == "snapshot"
    assert layout.isolate_migratetype == 5
    assert layout.pageblock_pages == 512
    assert layout.memory_block_pages == 32768
    assert layout.assumed == ()
    assert layout.comms[1] == "init"
    zone = layout.zone_of(0x1E403)
    assert zone is not None
    assert zone.name == "DMA32"


def test_hotplugged_blocks_and_zones() -> None:
    layout = layout_of(read_layout(capture("offline_pin_nopageref") / "layout_before"))
    assert [(zone.name, zone.start_pfn, zone.pages) for zone in layout.zones][1] == ("Movable", 0x100000, 65536)
    assert layout.memory_blocks == (0, 1, 2, 3, 32, 33)
    assert layout.cma_areas == ()
    block = layout.block_of(0x1083E9)
    assert block is not None
    assert (block.name, block.start_pfn) == ("memory33", 0x108000)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_copy_shaped_like_the_machine(tmp_path: Path) -> None:
    block = "sys/devices/system/memory/memory"
    write(
        tmp_path,
        {
            "proc/version": "Linux version 5.15.1 (gcc)\n",
            "proc/zoneinfo": "Node 1, zone   Normal\n  pages free 1\n        spanned  64\n        present  60\n"
            "        managed  50\n  start_pfn:           4096\n",
            "proc/meminfo": "MemTotal:  3200 kB\n",
            "proc/self/mountinfo": "22 1 254:16 / /mnt\\040x rw - ext4 /dev/vdb rw\n"
            "23 1 0:24 / /f rw shared:1 - fuse.x x rw\n",
            "sys/devices/system/memory/block_size_bytes": "8000000\n",
            f"{block}2/state": "online\n",
            f"{block}10/state": "offline\n",
            f"{block}10/valid_zones": "Movable Normal\n",
            "sys/kernel/debug/cma/two/count": "96\n",
            "sys/kernel/debug/cma/two/order_per_bit": "1\n",
            "sys/kernel/debug/cma/two/ranges/0/base_pfn": "4096\n",
            "sys/kernel/debug/cma/two/ranges/0/bitmap": "4294967295\n",
            "sys/kernel/debug/cma/two/ranges/1/base_pfn": "8192\n",
            "sys/kernel/debug/cma/two/ranges/1/bitmap": "0\n",
            "uname": "Linux box 5.15.1 #1 SMP aarch64 GNU/Linux\n",
        },
    )
    (tmp_path / f"{block}10/node1").symlink_to("../../node/node1")
    snapshot = read_layout_snapshot(tmp_path)
    assert snapshot.losses == []
    assert (snapshot.page_size_bytes, snapshot.machine, snapshot.kernel) == (65536, "aarch64", "5.15.1")
    layout = layout_of(snapshot)
    assert layout.zones == (Span("Normal", 4096, 64, node=1),)
    assert layout.memory_block_pages == 2048
    assert layout.file_systems == {254 << 20 | 16: "ext4", 24: "fuse.x"}
    assert snapshot.tables["mounts"]["path"].to_pylist() == ["/mnt x", "/f"]
    assert snapshot.tables["memory_blocks"].to_pylist() == [
        {"block": 2, "state": "online", "valid_zones": None, "node": None},
        {"block": 10, "state": "offline", "valid_zones": "Movable Normal", "node": 1},
    ]
    assert layout.cma_areas == (Span("two", 4096, 64), Span("two", 8192, 32))
    assert layout.pageblock_pages is None


def test_the_page_size_is_said_or_follows_from_two_counts(tmp_path: Path) -> None:
    zone = "Node 0, zone Normal\n spanned  100\n managed  100\n start_pfn: 0\n"
    files = {"zoneinfo": zone, "meminfo": "MemTotal: 1600 kB\n"}
    assert read_layout_snapshot(write(tmp_path, files)).page_size_bytes == 16384
    files["meminfo"] = "MemTotal: 1750 kB\n"
    assert read_layout_snapshot(write(tmp_path, files)).page_size_bytes is None
    files["page_size"] = "65536\n"
    assert read_layout_snapshot(write(tmp_path, files)).page_size_bytes == 65536


def test_mounts_without_device_numbers_name_no_file_system(tmp_path: Path) -> None:
    snapshot = read_layout_snapshot(write(tmp_path, {"mounts": "/dev/vdb /mnt ext4 rw 0 0\n"}))
    assert snapshot.tables["mounts"]["fs"].to_pylist() == ["ext4"]
    assert layout_of(snapshot).file_systems == {}


def test_unknown_stays_unknown(tmp_path: Path) -> None:
    snapshot = read_layout_snapshot(write(tmp_path, {"version": "Linux version 6.1.0 (x)\n"}))
    assert (snapshot.page_size_bytes, snapshot.has_cma, snapshot.pageblock_order) == (None, None, None)
    layout = layout_of(snapshot)
    assert (layout.isolate_migratetype, layout.pageblock_pages, layout.memory_block_pages) == (None, None, None)
    assert layout.assumed == ("page_size_bytes",)


def test_a_kernel_without_cma_isolates_as_four(tmp_path: Path) -> None:
    assert layout_of(read_layout_snapshot(write(tmp_path, {"meminfo": "MemTotal: 100 kB\n"}))).isolate_migratetype == 4
    lists = "Page block order: 9\nNode    0, zone Normal, type      Movable      2      0    >100000\n"
    snapshot = read_layout_snapshot(write(tmp_path, {"pagetypeinfo": lists}))
    assert snapshot.has_cma is False
    assert snapshot.tables["free_areas"]["blocks"].to_pylist() == [2, 0, None]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("zoneinfo", "Node 0, zone Normal\n        spanned  10\n", "zoneinfo: line 1"),
        ("zoneinfo", "nonsense\n", "zoneinfo: holds nothing"),
        ("iomem", "00000000-00000000 : System RAM\n" * 3, "iomem: line 1"),
        ("buddyinfo", "Node 0, zone Normal 1 2 x\n", "buddyinfo: line 1"),
        ("pagetypeinfo", "Node 0, zone N, type Movable x\n", "pagetypeinfo: line 1"),
        ("pagetypeinfo", "Page block order: 999\n", "pagetypeinfo: line 1"),
        ("block_size_bytes", "0x8000001\n", "block_size_bytes: not a hexadecimal power of two"),
        ("page_size", "5000\n", "page_size: not the size of a page"),
        ("memory_blocks.txt", "memory99999999999 state=online\n", "memory_blocks.txt: line 1"),
        ("ps.txt", "what is this\n", "ps.txt: line 1"),
        ("ps.txt", "PID COMMAND\nx init\n", "ps.txt: line 2"),
        ("mountinfo", "22 1 999999:1 / /x rw - ext4 a rw\n", "mountinfo: line 1"),
        ("cma/a/count", "12\n", "base_pfn or count"),
        ("cma/a/count", "99999999999999999999999999\n", "base_pfn or count"),
    ],
)
def test_what_is_not_understood_is_a_loss(tmp_path: Path, name: str, content: str, says: str) -> None:
    snapshot = read_layout_snapshot(write(tmp_path, {name: content, "version": "Linux version 6.1.0 (x)\n"}))
    assert [loss.code for loss in snapshot.losses] == ["layout_incomplete"]
    assert says in snapshot.losses[0].detail
    assert not snapshot.losses[0].kind.hides_events


def test_a_bad_bitmap_leaves_the_area(tmp_path: Path) -> None:
    area = {"cma/a/count": "64\n", "cma/a/base_pfn": "128\n", "cma/a/bitmap": "1 2 4294967296\n"}
    snapshot = read_layout_snapshot(write(tmp_path, area))
    assert layout_of(snapshot).cma_areas == (Span("a", 128, 64),)
    assert "bitmap" in snapshot.losses[0].detail


def test_no_snapshot_is_one_line_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, what in (
        (tmp_path / "none", "no such"),
        (tmp_path / "empty", "no file of a layout"),
        (tmp_path / "file", "TOML"),
    ):
        with pytest.raises(InputError, match=what) as caught:
            read_layout(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="not a directory"):
        read_layout_snapshot(tmp_path / "file")
    with pytest.raises(InputError, match="cp /proc/zoneinfo"):
        read_layout_snapshot(tmp_path / "empty")


def test_binary_rubbish_is_no_crash(tmp_path: Path) -> None:
    for name in (
        "zoneinfo",
        "iomem",
        "pagetypeinfo",
        "buddyinfo",
        "meminfo",
        "version",
        "mountinfo",
        "ps.txt",
        "uname",
    ):
        (tmp_path / name).write_bytes(bytes(range(256)) * 20)
    snapshot = read_layout_snapshot(tmp_path)
    assert snapshot.tables["zones"].num_rows == 0
    assert {"zoneinfo", "buddyinfo"} <= {Path(loss.detail.split(": ")[0]).name for loss in snapshot.losses}


def test_iomem_rounds_out_to_pages_and_keeps_nesting() -> None:
    odd: list[int] = []
    lines = ["00100000-1ffd8fff : System RAM", "  01000000-01bfffff : Kernel code", "0009fc00-0009ffff : Reserved"]
    rows = texts.parse_iomem(lines, odd, 4096)
    assert odd == []
    assert [(row["start_pfn"], row["pages"], row["depth"]) for row in rows] == [
        (0x100, 0x1FED9, 0),
        (0x1000, 0xC00, 1),
        (0x9F, 1, 0),
    ]


def test_threads_have_their_process() -> None:
    odd: list[int] = []
    lines = ["  PID     TID COMMAND", "  10      10 server", "  10      12 worker pool 1", ""]
    assert texts.parse_tasks(lines, odd) == [
        {"tid": 10, "pid": 10, "comm": "server"},
        {"tid": 12, "pid": 10, "comm": "worker pool 1"},
    ]
    assert odd == []


def test_clocks_are_tied_as_exactly_as_they_were_read(tmp_path: Path) -> None:
    files = {"proc/stat": "cpu  1 2 3\nbtime 1795176000\n"}
    clocks = read_layout_snapshot(write(tmp_path, files)).clocks
    assert {name: clock.words(5_250_000_000) for name, clock in clocks.items()} == {"boot": "2026-11-20 12:00:05 UTC"}
    files = {"clocks": "realtime 1795176000123000000\nboot 100\nmono 200000100\nodd\nmono_raw x\n"}
    clocks = read_layout_snapshot(write(tmp_path, files)).clocks
    assert {name: clock.words(1_200_000_100) for name, clock in clocks.items()} == {
        "boot": "2026-11-20 12:00:01.323 UTC", "mono": "2026-11-20 12:00:01.123 UTC",
    }  # fmt: skip
    assert "at once" not in clocks["boot"].source
