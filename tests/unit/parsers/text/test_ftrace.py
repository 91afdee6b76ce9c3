"""Shapes of trace text: columns, stamps, names, stacks, losses, damage; and traces as people posted them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import SHARED
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.schema import FLAGS, ORDER, PFN, Op, Window

CASES = SHARED / "cases"
PUBLIC = [path for path in sorted((CASES / "text").glob("[0-9]*.json")) if "perf-script" not in path.name]
PUBLIC += sorted((CASES / "fragments").glob("[0-9]*.json"))


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write(text: str) -> TextTraceReader:
        path = tmp_path / "trace.txt"
        path.write_text(text)
        return TextTraceReader(path)

    return write


def rows(reader: TextTraceReader, name: str) -> list[dict[str, Any]]:
    table = reader.tables([name])[name]
    assert table.num_rows == reader.info.by_event[name]
    found: list[dict[str, Any]] = table.to_pylist()
    return found


FREE = "mm_page_free: page=000000004b0a4420 pfn=0x1f order=3"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # <= 5.4: narrow pid, four flags; decimal pfn up to 5.10.
        (
            "            bash-253   [000] d.h1   966.417446: mm_page_free: page=00 pfn=31 order=3",
            (966_417_446_000, 9, 1),
        ),
        (f"            bash-253     [000] .....   966.417446: {FREE}", (966_417_446_000, 0, 0)),
        (f"            bash-253     (-------) [000] dN.2.   966.417446: {FREE}", (966_417_446_000, 0x25, 2)),
        (f"            bash-253     (    253) [000] ..s.1   966.417446: {FREE}", (966_417_446_000, 0x10, 0x10)),
        (f"            bash-253     (-------) [000]    966.417446: {FREE}", (966_417_446_000, None, None)),
        (f"            bash-253   [000]  966.417446123: {FREE}", (966_417_446_123, None, None)),
        (f"            bash-253   [000]  966.417446: (+1462)  {FREE}", (966_417_446_000, None, None)),
        (f"            bash-253   [000]  966417446123: {FREE}", (966_417_446_123, None, None)),
        (f"            // bash-253   [000] ...1 966.417446: {FREE}", (966_417_446_000, 0, 1)),
        (f"> bash-253 [000] 966.417446: {FREE}\r", (966_417_446_000, None, None)),
        # -R, and the `fields` option of ftrace.
        ("   bash-253   [000]  966.417446: mm_page_free:          pfn=0x1f order=3", (966_417_446_000, None, None)),
        (
            "   bash-253   [000] ..... 966.417446: mm_page_free: order=0x3 (3) pfn=0x1f (31)",
            (966_417_446_000, 0, 0),
        ),
    ],
)
def test_line_shapes(read: Any, line: str, expected: tuple[int, int | None, int | None]) -> None:
    (row,) = rows(read(line + "\n"), "mm_page_free")
    assert (row["comm"], row["tid"], row["cpu"]) == ("bash", 253, 0)
    assert (row["time_ns"], row["common_flags"], row["preempt_count"]) == expected
    assert (row["pfn"], row["order"]) == (31, 3)


@pytest.mark.parametrize(
    "comm",
    [
        "kworker/0:1-eve",
        "Web Content",
        "tokio-runtime-w",
        "a-12",
        "x] y",
        "a: b",
        "<idle>",
        "-",
        "migration/0",
        "[kworker]",
    ],
)
def test_odd_names(read: Any, comm: str) -> None:
    reader = read(f"  {comm:>16}-77      [003] .....     1.000001: {FREE}\n")
    (row,) = rows(reader, "mm_page_free")
    assert (row["comm"], row["tid"], row["cpu"]) == (comm, 77, 3)
    assert reader.comm_of(77) == comm


def test_unsaved_names_are_null_and_counted(read: Any) -> None:
    reader = read(
        f"  <...>-7 [000] ..... 1.000001: {FREE}\n"
        f"  bash-8 [000] ..... 1.000002: {FREE}\n"
        f"  <...>-8 [000] ..... 1.000003: {FREE}\n"
    )
    assert [row["comm"] for row in rows(reader, "mm_page_free")] == [None, "bash", None]
    assert (reader.comm_of(7), reader.comm_of(8)) == (None, "bash")
    assert reader.losses == [Loss("comm_unresolved", 1)]


@pytest.mark.parametrize("page", ["(nil)", "(null)", "0000000000000000", "0x0", "          (null)"])
@pytest.mark.parametrize("pfn", ["0", "0x0"])
def test_failed_allocation(read: Any, page: str, pfn: str) -> None:
    reader = read(
        f"  a-1 [000] ..... 1.000001: mm_page_alloc: page={page} pfn={pfn} order=9 migratetype=1 "
        "gfp_flags=GFP_USER|__GFP_MOVABLE\n"
    )
    assert rows(reader, "mm_page_alloc")[0]["pfn"] is None
    (stream,) = reader.stream()
    assert stream.op.tolist() == [Op.ALLOC]
    assert stream.args[0, [PFN, ORDER, FLAGS]].tolist() == [-1, 9, 0x100CC8]


def test_old_cma_events_print_hexadecimal_without_prefix(read: Any) -> None:
    reader = read(
        "  a-1 [000] .... 1.000001: cma_alloc: pfn=10800 page=00000000deadbeef count=256 align=8\n"
        "  a-1 [000] .... 1.000002: cma_alloc: pfn=ffffffffffffffff page=          (null) count=256 align=8\n"
        "  a-1 [000] .... 1.000003: cma_alloc_finish: name=linux,cma pfn=0x10 page=(nil) count=1 align=0 errorno=-16\n"
        "  a-1 [000] .... 1.000004: cma_alloc_start: name=my area 2 count=1 align=0\n"
    )
    assert [(row["pfn"], row["page"]) for row in rows(reader, "cma_alloc")] == [(0x10800, 0xDEADBEEF), (None, 0)]
    (finish,) = rows(reader, "cma_alloc_finish")
    assert (finish["name"], finish["pfn"], finish["errorno"]) == ("linux,cma", 0x10, -16)
    assert rows(reader, "cma_alloc_start")[0]["name"] == "my area 2"
    assert reader.losses == []


def test_file_pages_across_kernels(read: Any) -> None:
    add = "mm_filemap_add_to_page_cache"
    reader = read(
        f"  a-1 [000] .... 1.000001: {add}: dev 8:1 ino 43a0aa page=00000000c0ffee00 pfn=512 ofs=8192\n"
        f"  a-1 [000] .... 1.000002: {add}: dev 8:1 ino 43a0aa page=00000000c0ffee00 pfn=0x200 ofs=8192\n"
        f"  a-1 [000] .... 1.000003: {add}: dev 8:1 ino 43a0aa pfn=0x200 ofs=8192 order=4\n"
    )
    found = [(row["s_dev"], row["i_ino"], row["pfn"], row["index"], row["order"]) for row in rows(reader, add)]
    assert found == [(8 << 20 | 1, 0x43A0AA, 512, 2, order) for order in (None, None, 4)]


def test_page_flags_names_and_residue(read: Any) -> None:
    line = "  a-1 [000] ..... 1.000001: page_ref_mod: pfn=0x1 flags={} count=1 mapcount=-1 mapping=(nil) mt=4 val=-1\n"
    reader = read("".join(line.format(flags) for flags in ("none", "locked|0x2001c", "locked|lru|head", "0x5")))
    assert [row["flags"] for row in rows(reader, "page_ref_mod")] == [0, 0x2001D, 0b1100001, 5]
    assert rows(reader, "page_ref_mod")[0]["mapcount"] == -1


def test_stacks(read: Any) -> None:
    reader = read(
        f"  a-1 [000] ..... 1.000001: {FREE}\n"
        "  a-1 [000] ..... 1.000001: <stack trace>\n"
        " => free_pages\n => exit_mmap+0x10/0x20\n"
        "  a-1 [000] ..... 1.000002: <user stack trace>\n"
        " =>  <00007f0012345678>\n"
        f"  b-2 [001] ..... 1.000003: {FREE}\n"
        "  b-2 [001] 1.000004: kernel_stack:         <stack trace >\n"
        "=> free_pages (ffffffff8120a507)\n"
        "\n"
        f"  b-2 [001] ..... 1.000005: {FREE}\n"
        " => orphan\n"
    )
    assert [row["frames"] for row in rows(reader, "kernel_stack")] == [
        ["free_pages", "exit_mmap+0x10/0x20"],
        ["free_pages"],
    ]
    assert [row["tid"] for row in rows(reader, "kernel_stack")] == [1, 2]
    assert [row["frames"] for row in rows(reader, "user_stack")] == [[" <00007f0012345678>"]]
    assert reader.info.has_stacks
    assert reader.losses == [Loss("cpu_ends_early", None, 0, 1_000_002_000, 1_000_005_000)]
    tables = reader.tables()
    seq = {name: table["seq"].to_pylist() for name, table in tables.items()}
    assert seq == {"kernel_stack": [1, 4], "mm_page_free": [0, 3, 5], "user_stack": [2]}


def test_stacks_across_blocks(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    event = f"  a-1 [000] ..... 1.000001: {FREE}\n  a-1 [000] ..... 1.000001: <stack trace>\n => one\n => two\n"
    text = event * 50
    for size in (256, 300, 333):  # a stack that is longer than half of that is cut
        monkeypatch.setattr("tracereplay.parsers.text.line_buffer.BUFFER_BYTES", size)
        reader = read(text)
        assert [row["frames"] for row in rows(reader, "kernel_stack")] == [["one", "two"]] * 50
        assert reader.losses == []


def test_lost_events_lie_between_the_neighbours_on_their_cpu(read: Any) -> None:
    reader = read(
        "# tracer: nop\n#\n# entries-in-buffer/entries-written: 5/15   #P:4\n#\n"
        "##### CPU 1 buffer started ####\n"
        f"  a-1 [001] ..... 1.000001: {FREE}\n"
        f"  a-1 [000] ..... 1.000002: {FREE}\n"
        "CPU:1 [LOST 12 EVENTS]\n"
        f"  a-1 [000] ..... 1.000003: {FREE}\n"
        f"  a-1 [001] ..... 1.000004: {FREE}\n"
        "CPU:0 [EVENTS DROPPED]\n"
        f"  a-1 [001] ..... 1.000005: {FREE}\n"
        "CPU:2 [7 EVENTS DROPPED]\n"
    )
    assert reader.info.cpus == 4
    assert reader.losses == [
        Loss("overrun", 10, None, None, 1_000_002_000),
        Loss("cpu_starts_late", None, 1, None, 1_000_001_000),
        Loss("lost_events", 12, 1, 1_000_001_000, 1_000_004_000),
        Loss("lost_events", None, 0, 1_000_003_000, None),
        Loss("lost_events", 7, 2, None, None),
        Loss("cpu_silent", None, 2, 1_000_001_000, 1_000_005_000),
        Loss("cpu_silent", None, 3, 1_000_001_000, 1_000_005_000),
    ]


def test_equal_stamps_keep_the_order_of_the_file(read: Any) -> None:
    events = ("mm_page_free", "mm_page_pcpu_drain", "mm_page_free")
    lines = "".join(
        f"  a-1 [00{n % 2}] ..... 1.000001: {events[n % 3]}: page=0 pfn=0x{n:x} order=0\n" for n in range(1, 30)
    )
    (stream,) = read(lines).stream()
    assert stream.args[:, PFN].tolist() == list(range(1, 30))


def test_lines_out_of_order_are_sorted(read: Any) -> None:
    text = "".join(
        f"  a-1 [000] ..... {time}.000001: mm_page_free: page=0 pfn=0x{pfn:x} order=0\n"
        for time, pfn in ((3, 5), (1, 1), (1, 2), (2, 4))
    )
    text += "  a-1 [000] ..... 1.500000: mm_page_pcpu_drain: page=0 pfn=0x3 order=0 migratetype=1\n"
    reader = read(text)
    parts = list(reader.stream(chunk_events=2))
    assert [part.args[:, PFN].tolist() for part in parts] == [[1, 2], [3, 4], [5]]
    assert [row["pfn"] for row in rows(reader, "mm_page_free")] == [1, 2, 4, 5]
    assert {name: table["seq"].to_pylist() for name, table in reader.tables().items()} == {
        "mm_page_free": [0, 1, 3, 4],
        "mm_page_pcpu_drain": [2],
    }
    assert (reader.info.start_ns, reader.info.end_ns) == (1_000_001_000, 3_000_001_000)
    assert reader.tables(window=Window(end_ns=0)) == {}


def test_unknown_events_keep_what_they_say(read: Any) -> None:
    reader = read(
        "  a-1 [000] ..... 1.000001: sched_wakeup: comm=Web Content pid=22 prio=110 target_cpu=002\n"
        "  a-1 [000] ..... 1.000002: my_event: pages=3 ptr=0xffffffffffffffff state=idle\n"
        "  a-1 [000] ..... 1.000003: my_event: something else\n"
        "  a-1 [000] ..... 1.000004: silent:\n"
    )
    (wakeup,) = rows(reader, "sched_wakeup")
    assert (wakeup["comm"], wakeup["comm_field"], wakeup["pid"]) == ("a", "Web Content", 22)
    first, second = rows(reader, "my_event")
    assert (first["pages"], first["ptr"], first["state"], first["text"]) == (3, (1 << 64) - 1, "idle", None)
    assert (second["pages"], second["text"]) == (None, "something else")
    assert rows(reader, "silent")[0]["text"] == ""
    assert reader.losses == []


def test_what_is_not_understood_is_counted(read: Any) -> None:
    reader = read(
        f"  a-1 [000] ..... 1.000001: {FREE}\n"
        "x-[000] 1.0000015: mm_page\n"
        "  a-1 [000] ..... 1.000002: mm_page_free: page=0 pfn=zero order=0\n"
        "  a-1 [000] ..... 1.000003: mm_page_free: nothing of the kind\n"
        "bash-1 [000]\n"
        "words around it are no loss:\n"
        "**\u0645\u062b\u0627\u0644 ftrace:**\n"
        "\u8f93\u51fa\u793a\u4f8b\uff1a\n"
        "```\n"
        "root@host:~# dd if=/dev/zero bs=1M\n"
    )
    # A page that cannot be read must not pass for none.
    assert reader.tables()["mm_page_free"]["pfn"].to_pylist() == [31]
    assert reader.info.by_event == {"mm_page_free": 3}
    assert reader.losses == [
        Loss("unparsed_line", 2, detail="the first is line 2"),
        Loss("unparsed_line", 2, detail="values of mm_page_free that were not understood"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "  a-\u0663 [000] ..... 1.000001: mm_page_free: pfn=0x1 order=0",
        "  a-1 [000] ..... \u0663.000001: mm_page_free: pfn=0x1 order=0",
        "CPU:\u0663 [LOST 1 EVENTS]",
    ],
)
def test_digits_are_ascii(read: Any, line: str) -> None:
    reader = read(f"  a-1 [000] ..... 1.000001: {FREE}\n{line}\n")
    assert reader.info.events == 1
    assert [loss.code for loss in reader.losses] == ["unparsed_line"]


def test_a_new_flag_leaves_the_known_ones(read: Any) -> None:
    reader = read(
        "  a-1 [000] ..... 1.000001: mm_page_alloc: page=01 pfn=0x1 order=0 migratetype=1 "
        "gfp_flags=GFP_KERNEL|__GFP_NEW\n"
        "  a-1 [000] ..... 1.000001: mm_page_alloc: page=(nil) pfn=0x0 order=0 migratetype=1 "
        "gfp_flags=GFP_KERNEL|__GFP_NEW\n"
    )
    assert [(row["pfn"], row["gfp_flags"]) for row in rows(reader, "mm_page_alloc")] == [(1, 0xCC0), (None, 0xCC0)]
    assert [loss.code for loss in reader.losses] == ["unparsed_line"]


def test_ticks_are_no_nanoseconds(read: Any) -> None:
    reader = read(f"  a-1 [000] 31415926535897: {FREE}\n")
    assert (reader.info.clock_unit, reader.info.start_ns) == ("tick", 31415926535897)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no event"),
        (b"# tracer: nop\n#\n", "no event"),
        (b"cpus=2\n", "no event"),
        (b"\n\nhello\nworld\n", "line 3 is no trace event"),
        (b"[    1.000000] Offlined Pages 5\n", "line 1 is no trace event"),
        (b"\x17\x08\x44tracing6\0\x01\x08", "no text file"),
        (b"  a-99999999999 [000] 1.000001: x: y\n", "line 1 is no trace event"),
        (b"  a-1 [99999] 1.000001: x: y\n", "line 1 is no trace event"),
        (b"  a-1 [000] 99999999999999999999.000001: x: y\n", "line 1 is no trace event"),
        (b"\xff\xfe\xfd" * 1000, "line 1 is no trace event"),
        (b"x" * 300_000, "line 1 is no trace event"),
    ],
)
def test_refusals(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        TextTraceReader(path)
    assert str(path) in str(caught.value)


def test_cut_gzip(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"  a-1 [000] ..... {n}.000001: {FREE}\n" for n in range(20_000)).encode())
    path = tmp_path / "trace.txt.gz"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    reader = TextTraceReader(path)
    assert 5_000 < reader.info.events < 20_000
    assert "truncated" in {loss.code for loss in reader.losses}


@pytest.mark.skipif(not PUBLIC, reason="no public traces beside the checkout")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_public_traces(path: Path) -> None:
    case = json.loads(path.read_text())
    reader = TextTraceReader(path.with_suffix(".txt"))
    tables = {name: table.to_pylist() for name, table in reader.tables().items()}
    assert [loss for loss in reader.losses if loss.code == "unparsed_line"] == []
    for event in case["expected"]:
        name = event["event"].split(" ")[0]
        found = [
            row
            for row in tables[name]
            if row["time_ns"] == (None if event["ts"] is None else round(event["ts"] * 1e6) * 1000)
            and all(row[key] == event[name] for name, key in (("cpu", "cpu"), ("pid", "tid")) if name in event)
            and ("comm" not in event or row["comm"] == (None if event["comm"] == "<...>" else event["comm"]))
            and all(says(row, key, value) for key, value in event["fields"].items())
        ]
        assert found, event
        if first := event.get("stack_first"):
            assert first in {row["frames"][0] for row in tables["kernel_stack"]}


def says(row: dict[str, Any], key: str, value: str) -> bool:
    """Whether a row holds what was read by eye, for keys that are fields of their own and plain numbers."""
    if key not in row or row[key] is None:
        return True
    if isinstance(row[key], str):
        return bool(row[key] == value)
    try:
        numbers = {int(value, 0 if value.startswith("0x") else 10)}
    except ValueError:
        try:
            numbers = {int(value, 16)}
        except ValueError:
            return True  # a name: what numbers stand for names is tested elsewhere
    if key in {"mapping", "page", "addr", "pte"}:
        numbers = {int(value, 16)}
    return row[key] in numbers
