"""Shapes of `perf script` text: columns that -F adds, call chains, losses, wrapped lines; and as people posted it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import SHARED
from tracereplay.errors import InputError
from tracereplay.gfp import GFP
from tracereplay.losses import Loss
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.text import blocks
from tracereplay.parsers.text.perf_script import PerfScriptReader

PUBLIC = [
    path
    for path in sorted((SHARED / "cases" / "text").glob("[0-9]*.json"))
    if json.loads(path.read_text())["format"].startswith("perf script")
]
FREE = "page=0x1f pfn=0x1f order=3"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write(text: str) -> PerfScriptReader:
        path = tmp_path / "perf.txt"
        path.write_text(text)
        assert detect(path).kind is Kind.PERF_SCRIPT
        return PerfScriptReader(path)

    return write


def rows(reader: PerfScriptReader, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = reader.tables([name])[name].to_pylist()
    assert len(found) == reader.info.by_event[name]
    return found


@pytest.mark.parametrize(
    ("line", "comm", "tid", "cpu", "time_ns"),
    [
        ("            perf   159 [001]     5.939817:      kmem:mm_page_free: ", "perf", 159, 1, 5_939_817_000),
        ("            perf   159 [001]     5.939817273:   kmem:mm_page_free: ", "perf", 159, 1, 5_939_817_273),
        ("            perf 123456 [127]   5.939817:       kmem:mm_page_free: ", "perf", 123456, 127, 5_939_817_000),
        ("            perf   158/159   [001]     5.939817:  kmem:mm_page_free: ", "perf", 159, 1, 5_939_817_000),
        ("            perf   159 [001]     5.939817:   1   kmem:mm_page_free: ", "perf", 159, 1, 5_939_817_000),
        ("            perf   159 [001] K    5.939817:      kmem:mm_page_free: ", "perf", 159, 1, 5_939_817_000),
        (
            "            perf   159 [001]     5.939817:      kmem:mm_page_free:                     ",
            "perf",
            159,
            1,
            None,
        ),
        ("            perf   159     5.939817:             kmem:mm_page_free: ", "perf", 159, 0, None),
        ("    perf   159   1     5.939817:                 kmem:mm_page_free: ", "perf", 159, 1, None),
        ("perf   159 [001]     5.939817: kmem:mm_page_free: ", "perf", 159, 1, None),
        ("     Web Content   159 [001]     5.939817:      kmem:mm_page_free: ", "Web Content", 159, 1, None),
        (" tokio [1] 2 3/4  159 [001]     5.939817:       kmem:mm_page_free: ", "tokio [1] 2 3/4", 159, 1, None),
        ("      kworker/0:1-ev   159 [001]     5.939817:  kmem:mm_page_free: ", "kworker/0:1-ev", 159, 1, None),
        ("            :159   159 [001]     5.939817:      kmem:mm_page_free: ", None, 159, 1, None),
        ("         swapper     0 [001]     5.939817:      kmem:mm_page_free: ", "swapper", 0, 1, None),
        ("             :-1    -1 [001]     5.939817:      kmem:mm_page_free: ", None, -1, 1, None),
    ],
)
def test_columns(read: Any, line: str, comm: str | None, tid: int, cpu: int, time_ns: int | None) -> None:
    reader = read(line + FREE + "\n")
    found = rows(reader, "mm_page_free")[0]
    assert (found["comm"], found["tid"], found["cpu"]) == (comm, tid, cpu)
    assert found["time_ns"] == (time_ns or 5_939_817_000)
    assert (found["pfn"], found["order"]) == (0x1F, 3)
    assert {loss.code for loss in reader.losses} <= {"comm_unresolved", "losses_not_told"}


CHAIN = """true 24686 [001]   926.700967:   kmem:mm_page_free: page=0x1f pfn=0x1f order=3
\tffffffff8128312d __free_pages+0x22e ([kernel.kallsyms])
\tffffffff81283130 do_exit+0x1 (/lib/modules/6.1 (debian)/vmlinux)
\t    7efdf7f7d3e8 __poll+0x18 (/usr/lib64/libc-2.28.so)

my comm 24687 [000]   926.700968:   kmem:mm_page_free: page=0x20 pfn=0x20 order=0

true 24686 [001]   926.700969:   kmem:mm_page_alloc: page=0x21 pfn=0x21 order=0 migratetype=0 gfp_flags=GFP_KERNEL
\tffffffff8128312d [unknown] ([unknown])

"""


def test_call_chains(read: Any) -> None:
    reader = read(CHAIN)
    assert reader.info.by_event == {"kernel_stack": 2, "mm_page_alloc": 1, "mm_page_free": 2}
    assert reader.info.has_stacks
    stacks = rows(reader, "kernel_stack")
    assert [row["frames"] for row in stacks] == [["__free_pages+0x22e", "do_exit+0x1", "__poll+0x18"], ["[unknown]"]]
    assert [(row["time_ns"], row["cpu"], row["tid"]) for row in stacks] == [
        (926_700_967_000, 1, 24686),
        (926_700_969_000, 1, 24686),
    ]
    assert [row["seq"] for row in stacks] == [1, 4]
    assert [row["seq"] for row in rows(reader, "mm_page_free")] == [0, 2]
    assert rows(reader, "mm_page_alloc")[0]["gfp_flags"] == GFP["GFP_KERNEL"]
    assert reader.losses == [Loss("losses_not_told")]


def test_chains_over_block_ends(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(CHAIN * 50).tables()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 300)
    cut = read(CHAIN * 50).tables()
    assert whole.keys() == cut.keys()
    for name in whole:
        assert whole[name].to_pylist() == cut[name].to_pylist()


def test_losses(read: Any) -> None:
    def line(time: int, cpu: int, rest: str) -> str:
        return f"            perf   159 [{cpu:03}] {time:5}.000001: {rest}\n"

    free = f"kmem:mm_page_free: {FREE}"
    reader = read(
        line(1, 0, free) + line(2, 1, free) + line(5, 0, "PERF_RECORD_LOST lost 39766") + line(6, 0, free)
        + line(7, 0, "PERF_RECORD_COMM exec: sh:159/159") + line(8, 1, "PERF_RECORD_LOST_SAMPLES lost 7")
    )  # fmt: skip
    assert reader.losses == [
        Loss("lost_events", 39766, 0, 1_000_001_000, 6_000_001_000),
        Loss("lost_events", 7, 1, 2_000_001_000, None),
    ]
    assert reader.info.by_event == {"mm_page_free": 3}


def test_header_and_counters(read: Any) -> None:
    reader = read(
        "# ========\n# os release : 6.12.117\n# arch : x86_64\n# nrcpus avail : 4\n#\n"
        f"            perf   159 [001]     5.939817:      kmem:mm_page_free: {FREE}\n"
        "            perf   159 [001]     5.939818:     250000 cycles:ppp:  ffffffffb4343bad do_x+0x1 (x)\n"
        "            perf   159 [001]     5.939819:          1 branch-misses:  ffffffffb4343bad [unknown] (x)\n"
    )
    assert (reader.info.kernel, reader.info.machine, reader.info.cpus) == ("6.12.117", "x86_64", 4)
    assert reader.info.by_event == {"branch-misses": 1, "cycles:ppp": 1, "mm_page_free": 1}
    assert reader.losses == [Loss("losses_not_told")]


@pytest.mark.parametrize("content", ["", "hello\nworld\n", "a 1 [000] 1.000001: \n", "x: y: z\n"])
def test_refusals(tmp_path: Path, content: str) -> None:
    path = tmp_path / "perf.txt"
    path.write_text(content)
    with pytest.raises(InputError):
        PerfScriptReader(path)


def test_lines_that_say_nothing_are_counted(read: Any) -> None:
    reader = read(f"  a 1 [000] 1.000001: kmem:mm_page_free: {FREE}\n  bash 1 [000] 1.0000\n```\nwords are no loss\n")
    assert [loss.code for loss in reader.losses] == ["unparsed_line", "losses_not_told"]


@pytest.mark.skipif(not PUBLIC, reason="no public traces beside the checkout")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_public_traces(path: Path) -> None:
    case = json.loads(path.read_text())
    reader = PerfScriptReader(path.with_suffix(".txt"))
    assert reader.losses == [Loss("losses_not_told")]
    tables = {name: table.to_pylist() for name, table in reader.tables().items()}
    assert sum(len(found) for name, found in tables.items() if name != "kernel_stack") == case["n_event_lines"]
    for event in case["expected"]:
        row = tables[event["event"].split(":")[1]][0]
        assert (row["cpu"], row["tid"], row["comm"]) == (event["cpu"], event["pid"], event["comm"])
        assert row["time_ns"] == round(event["ts"] * 1e6) * 1000
        for name, text in event["fields"].items():
            if name == "page":
                continue
            value = row[name]
            if name == "gfp_flags":
                assert value in {"GFP_KERNEL", GFP["GFP_KERNEL"]}
            else:
                numbers = {int(text, base) for base in (10, 16) if _is_number(text, base)}
                assert value == text or value in numbers
        if "callchain" in event:
            assert tables["kernel_stack"][0]["frames"] == event["callchain"]


def _is_number(text: str, base: int) -> bool:
    try:
        int(text, base)
    except ValueError:
        return False
    return True
