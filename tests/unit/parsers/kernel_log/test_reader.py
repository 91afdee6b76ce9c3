"""Kernel logs: real captures with known truth, public logs with the PFNs their threads name, and line shapes."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.captures import SHARED
from tracereplay.errors import InputError
from tracereplay.parsers.kernel_log import KernelLog, parse_console, parse_lines, read_kernel_log
from tracereplay.parsers.kernel_log.prefixes import LogLine, split_prefix
from tracereplay.schema import LOG_TABLES, arrow_schema

CAPTURES = SHARED / "captures"
PUBLIC_LOGS = sorted((SHARED / "cases" / "dmesg").glob("[0-9]*.txt"))
PUBLIC_LOGS = [path for path in PUBLIC_LOGS if path.with_suffix(".json").exists()]

needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures beside the checkout")


def read_text(text: str) -> KernelLog:
    return parse_lines(split_prefix(line) for line in text.splitlines())


def messages(log: KernelLog, kind: str) -> list[dict[str, Any]]:
    return [row for row in log.tables["operation_messages"].to_pylist() if row["kind"] == kind]


@needs_captures
def test_offline_dumps_name_the_planted_pages() -> None:
    folder = CAPTURES / "offline_pin"
    truth = json.loads((folder / "truth.json").read_text())
    planted = {pfn for culprit in truth["culprits"] for span in culprit["pfns"] for pfn in range(*span)}
    log = read_kernel_log(folder / "dmesg.txt")
    dumps = log.tables["page_dumps"].to_pylist()
    failures = log.tables["migrate_failures"].to_pylist()
    assert log.kernel == "6.12.117-cmalab"
    assert [row["pfn"] for row in dumps] == [row["pfn"] for row in failures]
    assert len(dumps) == 10, "do_migrate_range prints ten, then its rate limit holds"
    assert {row["failed_folios"] for row in failures} == {11}
    assert {row["owner_comm"] for row in dumps} <= {"pin-dead", "pin-vmsplice"}
    assert all(row["anon"] and row["reason"] == "migration failure" and len(row["owner_stack"]) == 11 for row in dumps)
    assert {row["pfn"] for row in dumps} <= planted


@needs_captures
def test_thp_head_line_gives_order_and_pins() -> None:
    (dump,) = read_kernel_log(CAPTURES / "offline_thp_pin" / "dmesg.txt").tables["page_dumps"].to_pylist()
    assert (dump["order"], dump["pincount"], dump["refcount"], dump["mapcount"]) == (9, 0, 3, 0)
    assert "head" in dump["flags"]


@needs_captures
def test_file_pages_name_file_and_operations() -> None:
    dumps = read_kernel_log(CAPTURES / "cma_pin_shm" / "dmesg.txt").tables["page_dumps"].to_pylist()
    assert {(row["aops"], row["ino"], row["file"]) for row in dumps} == {("shmem_aops", 2, "memfd:labshm")}


@needs_captures
def test_bitmap_over_several_lines() -> None:
    log = read_kernel_log(CAPTURES / "k72_cma_pin_vmsplice" / "dmesg.txt")
    (bitmap,) = messages(log, "cma_bitmap")
    assert (bitmap["reason"], bitmap["largest_run"]) == ("65536@0", 65536)
    assert (bitmap["free_pages"], bitmap["pages"]) == (65536, 65536)
    (failed,) = messages(log, "cma_failed")
    assert (failed["area"], failed["pages"], failed["errno"]) == ("reserved", 65520, 16)
    assert [row["start_pfn"] for row in messages(log, "cma_busy")] == list(range(0xFC00, 0xFC11))


@needs_captures
def test_offline_messages_as_pfns() -> None:
    log = read_kernel_log(CAPTURES / "offline_dimm_einval" / "dmesg.txt")
    rows = [(row["start_pfn"], row["pages"], row["reason"]) for row in messages(log, "offline_failed")]
    assert rows == [(0x8000, 0x8000, "failure to isolate range"), (0x18000, 0x8000, "memory holes")]
    assert [row["pages"] for row in messages(log, "offlined")] == [32768]


@pytest.mark.skipif(not PUBLIC_LOGS, reason="no public logs beside the checkout")
@pytest.mark.parametrize("path", PUBLIC_LOGS, ids=lambda path: path.stem)
def test_public_log_names_the_pfns_of_its_thread(path: Path) -> None:
    log = read_kernel_log(path)
    tables = log.tables
    named = set(tables["page_dumps"]["pfn"].to_pylist()) | set(tables["migrate_failures"]["pfn"].to_pylist())
    busy = [(row["start_pfn"], row["start_pfn"] + row["pages"]) for row in messages(log, "contig_busy")]
    for wanted in json.loads(path.with_suffix(".json").read_text())["failing_pfns"]:
        if re.fullmatch(r"0x[0-9a-f]+", wanted):
            pfn = int(wanted, 16)
            assert pfn in named or (pfn, pfn + 1) in busy, wanted
        elif match := re.fullmatch(r"\[(0x[0-9a-f]+),(0x[0-9a-f]+)\)", wanted):
            start, end = int(match[1], 16), int(match[2], 16)
            assert min(first for first, _ in busy) <= start
            assert end in {last for _, last in busy}
    for name, table in tables.items():
        assert table.schema.equals(arrow_schema(LOG_TABLES[name]))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[   12.345678] Offlined Pages 5", LogLine(12_345_678_000, None, "Offlined Pages 5")),
        ("<6>[    0.000001][    T0] x", LogLine(1_000, 0, "x")),
        ("[12661.793667][T566417]  frame+0x1/0x2", LogLine(12_661_793_667_000, 566417, "frame+0x1/0x2")),
        ("[    1.000000][   C12] x", LogLine(1_000_000_000, None, "x")),
        ("Jan 11 14:29:18 localhost kernel: [ 5009.361913] x", LogLine(5_009_361_913_000, None, "x")),
        ("Jun  4 20:03:13 host kernel: soft offline", LogLine(None, None, "soft offline")),
        ("2026-11-20T12:00:00,123456+00:00 x", LogLine(None, None, "x")),
        ("2026-11-20T12:00:00+0100 host kernel: x", LogLine(None, None, "x")),
        ("[   12.345678] host kernel: x", LogLine(12_345_678_000, None, "x")),
        ("[Thu Nov 20 12:00:00 2026] x", LogLine(None, None, "x")),
        ("[ 77.xxx ] x", LogLine(None, None, "x")),
        ("kern  :warn  : [   12.345678] x", LogLine(12_345_678_000, None, "x")),
        ("[   12.415458]  [2:   Binder:714_1:  744] cma: x", LogLine(12_415_458_000, 744, "cma: x")),
        ("<4>[   12.415458] (3)[744:Binder:714_1]cma: x", LogLine(12_415_458_000, 744, "cma: x")),
        ("sh-5.1# [   12.345678] x", LogLine(12_345_678_000, None, "x")),
        ("\x1b[32m[   12.345678] \x1b[0mx", LogLine(12_345_678_000, None, "x")),
        ("> > [   12.345678] x", LogLine(12_345_678_000, None, "x")),
        ("<4>x", LogLine(None, None, "x")),
        ("| x", LogLine(None, None, "x")),
        ("x", LogLine(None, None, "x")),
        ("", LogLine(None, None, "")),
    ],
)
def test_prefixes(line: str, expected: LogLine) -> None:
    found = split_prefix(line)
    assert (found.time_ns, found.tid, found.text) == expected[:3]


def test_dumps_of_two_tasks_are_kept_apart() -> None:
    log = read_text(
        "[    1.000001][  T10] migrating pfn a1 failed ret:1\n"
        "[    1.000002][  T20] migrating pfn b2 failed ret:1\n"
        "[    1.000003][  T10] page:c0 refcount:2 mapcount:0 mapping:0 index:0x0\n"
        "[    1.000004][  T20] page:c0 refcount:3 mapcount:1 mapping:0 index:0x0\n"
        "[    1.000005][  T10] anon flags: 0x4(uptodate|node=0)\n"
        "[    1.000006][  T20] flags: 0x1(locked)\n"
        "[    1.000007][  T20] page dumped because: migration failure\n"
    )
    first, second = log.tables["page_dumps"].to_pylist()
    assert (first["tid"], first["pfn"], first["anon"], first["flags"], first["reason"]) == (
        10,
        0xA1,
        True,
        ["uptodate"],
        None,
    )
    assert (second["tid"], second["pfn"], second["anon"], second["flags"]) == (20, 0xB2, False, ["locked"])


def test_free_stack_is_not_the_owners() -> None:
    log = read_text(
        "page: refcount:1 mapcount:0 mapping:(____ptrval____) index:0x0 pfn:0x10\n"
        "page last allocated via order 3, migratetype Movable, gfp_mask 0x1(GFP_USER), pid 7, tgid 6 (a) (b), ts 5\n"
        " alloc+0x1/0x2\n"
        "page last free pid 1 tgid 1 stack trace:\n"
        " free+0x1/0x2\n"
    )
    (dump,) = log.tables["page_dumps"].to_pylist()
    assert dump["owner_stack"] == ["alloc+0x1/0x2"]
    assert (dump["owner_tid"], dump["owner_pid"], dump["owner_comm"]) == (7, 6, "a) (b")
    assert (dump["owner_order"], dump["owner_time_ns"], dump["mapping"]) == (3, 5, None)


def test_numbers_that_do_not_fit_are_null() -> None:
    log = read_text(
        "page: refcount:99999999999 mapcount:-1 mapping:0 index:0x0 pfn:0xffffffffffffffff\n"
        "migrating pfn ffffffffffffffff failed ret:3\n"
    )
    (dump,) = log.tables["page_dumps"].to_pylist()
    assert (dump["refcount"], dump["mapcount"], dump["pfn"]) == (None, -1, None)
    assert log.tables["migrate_failures"]["pfn"].to_pylist() == [None]


def test_suppressed_lines_are_a_loss_where_they_are_ours() -> None:
    log = read_text(
        "[    2.000000] do_migrate_range: 11716 callbacks suppressed\nnet_ratelimit: 5 callbacks suppressed\n"
    )
    assert [(loss.code, loss.count, loss.start_ns) for loss in log.losses] == [
        ("log_lines_suppressed", 11716, 2_000_000_000)
    ]
    assert [row["count"] for row in messages(log, "suppressed")] == [11716, 5]


def test_offline_addresses_are_null_without_page_size() -> None:
    line = "memory offlining [mem 0x08000000-0x0fffffff] failed due to memory holes"
    (row,) = messages(read_text(line), "offline_failed")
    assert (row["start_pfn"], row["pages"]) == (None, None)
    (row,) = messages(parse_lines([LogLine(None, None, line)], page_size_bytes=65536), "offline_failed")
    assert (row["start_pfn"], row["pages"]) == (0x800, 0x800)


def test_console_events_and_file_give_the_same() -> None:
    text = [
        "migrating pfn 1f failed ret:2",
        "page: refcount:1 mapcount:0 mapping:0 index:0x0 pfn:0x1f",
        " alloc+0x1/0x2",
    ]
    table = pa.table({"time_ns": pa.array([5, 6, 7], pa.int64()), "tid": pa.array([9, 9, 9], pa.int32()), "msg": text})
    console = parse_console(table)
    assert console.tables["page_dumps"]["pfn"].to_pylist() == [0x1F]
    assert console.tables["page_dumps"]["tid"].to_pylist() == [9]
    assert console.tables["migrate_failures"]["time_ns"].to_pylist() == [5]
    assert console.lines == 3


def test_several_boots_are_noted() -> None:
    log = read_text("[  100.000000] x\n[   99.999990] x\n[    1.000000] x\n")
    assert [loss.code for loss in log.losses] == ["clock_step_back"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        read_kernel_log(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    with pytest.raises(InputError, match="no text file"):
        read_kernel_log(tmp_path / "binary")
    whole = gzip.compress(b"[    1.000000] Offlined Pages 8\n" * 5000)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    log = read_kernel_log(tmp_path / "cut.gz")
    assert [loss.code for loss in log.losses] == ["truncated"]
    (tmp_path / "empty").write_bytes(b"")
    assert read_kernel_log(tmp_path / "empty").lines == 0
