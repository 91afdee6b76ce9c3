"""Inputs are told by content."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.captures import SHARED, capture
from tests.support.trace_dat_builder import trace_dat_v6
from tracereplay.errors import InputError
from tracereplay.parsers.detect import Kind, detect, open_trace_refusal

TEXTS = {
    Kind.FTRACE_TEXT: "# tracer: nop\n#\n",
    Kind.TRACE_CMD_REPORT: "cpus=2\n       trace-cmd-142   [001]     5.783076216: page_ref_mod_unless:   pfn=0x1f993\n",
    Kind.KERNEL_LOG: "[    0.000000] Linux version 6.12\n",
    Kind.PERF_SCRIPT: "cma-driver   153 [001]     9.324221: cma:cma_alloc_finish: name=reserved\n",
    Kind.BLAME_JSON: '{"schema": "tracereplay.blame/1"}',
    Kind.UNKNOWN: "hello\n",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
def test_texts(tmp_path: Path, kind: Kind, packed: bool) -> None:
    path = tmp_path / "input"
    path.write_bytes(gzip.compress(TEXTS[kind].encode()) if packed else TEXTS[kind].encode())
    found = detect(path)
    assert (found.kind, found.packing) == (kind, "gzip" if packed else "")
    assert found.reason


def test_event_lines_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "input"
    for line, kind in (
        ("  <idle>-0     [000] d..1.  12.345678: mm_page_free: page=0 pfn=0x1 order=0\n", Kind.FTRACE_TEXT),
        ("  kworker/0:1-9 (   77) [000] .....  12.345678: mm_page_free: pfn=0x1\n", Kind.FTRACE_TEXT),
        ("  <...>-12  [000] 5783076216: mm_page_free: pfn=0x1 order=0\n", Kind.TRACE_CMD_REPORT),
    ):
        path.write_text(line)
        assert detect(path).kind is kind, line


def test_binary(tmp_path: Path) -> None:
    path = tmp_path / "input"
    for data, kind in (
        (trace_dat_v6([b""]), Kind.TRACE_DAT),
        (b"PERFILE2" + b"\0" * 96, Kind.PERF_DATA),
        (b"", Kind.UNKNOWN),
        (b"\x7fELF\0\0", Kind.UNKNOWN),
        (b"\x1f\x8b\x08broken", Kind.UNKNOWN),
    ):
        path.write_bytes(data)
        assert detect(path).kind is kind
    with pytest.raises(InputError):
        detect(tmp_path / "absent")
    path.write_bytes(b"PERFILE2")
    assert "perf.data" in str(open_trace_refusal(path, detect(path)))


def test_captures() -> None:
    where = capture("offline_unmovable")
    assert detect(where / "trace.dat").kind is Kind.TRACE_DAT
    assert detect(where / "layout_before").kind is Kind.LAYOUT_DIR
    assert detect(where / "dmesg.txt").kind is Kind.KERNEL_LOG


@pytest.mark.skipif(not (SHARED / "captures").is_dir(), reason="../shared/captures is not on this machine")
def test_all_captures() -> None:
    expected = {
        "trace.dat": Kind.TRACE_DAT,
        "perf.data": Kind.PERF_DATA,
        "dmesg.txt": Kind.KERNEL_LOG,
        "report.txt.gz": Kind.TRACE_CMD_REPORT,
        "trace.txt.gz": Kind.FTRACE_TEXT,
        "perf_script.txt.gz": Kind.PERF_SCRIPT,
        "page_owner.txt.gz": Kind.PAGE_OWNER,
        "layout_before": Kind.LAYOUT_DIR,
    }
    seen = set()
    for path in (SHARED / "captures").glob("*/*"):
        if path.name in expected:
            assert detect(path).kind is expected[path.name], path
            seen.add(path.name)
    assert seen == set(expected)


BUSY = "cma: cma_alloc: reserved: alloc failed, req-size: 16 pages, ret: -16"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (BUSY, Kind.KERNEL_LOG),  # dmesg -t
        (BUSY.removeprefix("cma: "), Kind.KERNEL_LOG),  # it begins as an event does
        (f"> {BUSY}\n> hello", Kind.KERNEL_LOG),
        (f"05-14 12:00:00.123     0     0 E cma     : {BUSY.removeprefix('cma: ')}", Kind.KERNEL_LOG),
        ("cma_alloc_finish: name=reserved pfn=0x1f800 page=(null) count=16 align=0 errorno=-16", Kind.FTRACE_TEXT),
        (f"sh-142 [001] ..... 5.7: console: {BUSY}", Kind.FTRACE_TEXT),
        ("cma_alloc() failed for me, too. alloc_contig_range is not to blame.", Kind.UNKNOWN),
    ],
)
def test_a_log_without_stamps(tmp_path: Path, text: str, kind: Kind) -> None:
    path = tmp_path / "input"
    path.write_text(text + "\n")
    assert detect(path).kind is kind
