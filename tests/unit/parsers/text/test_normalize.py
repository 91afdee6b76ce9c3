"""The less usual shapes of trace text: latency format, function graph, labels, wrapped and torn lines, bare numbers."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import capture
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.opening import open_reader
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.text import normalize
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.schema import PFN, Window

FREE = "mm_page_free: page=000000004b0a4420 pfn=0x1f order=3"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write(text: str | bytes) -> TextTraceReader:
        path = tmp_path / "trace.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        reader = open_reader(path)
        assert isinstance(reader, TextTraceReader)
        return reader

    return write


def rows(reader: TextTraceReader, name: str = "mm_page_free") -> list[dict[str, Any]]:
    table = reader.tables([name])[name]
    assert table.num_rows == reader.info.by_event[name]
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize(
    ("line", "time_ns", "flags", "preempt"),
    [
        (f"    bash-25306     0..... 966417446us+: {FREE}", 966_417_446_000, 0, 0),
        (f"    bash-25306     0d.h1    12us : {FREE}", 12_000, 9, 1),
        (f"    bash-25306     0dN.2.   44us!: {FREE}", 44_000, 0x25, 2),
        (f"    bash-25306     0..... 966417446us: {FREE}", 966_417_446_000, 0, 0),
        (f"    bash-25306   0.....   966.417446: {FREE}", 966_417_446_000, 0, 0),
        (f"    bash-25306   0d..1.   966.417446123: {FREE}", 966_417_446_123, 1, 1),
        (
            f"            bash   25306   0 0 00000000 0000002a [399a8e36] 966417.462ms (+0.003ms): {FREE}",
            966_430_262_000,
            None,
            None,
        ),
        (f"\x1b[01;32m            bash\x1b[0m-25306 [000] \x1b[K..... 966.417446: {FREE}", 966_417_446_000, 0, 0),
        (f"   bash-25306 [000] ..... 966.417446: (+12)  {FREE}", 966_417_446_000, 0, 0),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_shapes(read: Any, line: str, time_ns: int, flags: int | None, preempt: int | None, end: str) -> None:
    reader = read(f"# tracer: nop{end}#{end}{line}{end}{line}{end}")
    for row in rows(reader):
        assert (row["comm"], row["tid"], row["cpu"], row["pfn"], row["order"]) == ("bash", 25306, 0, 31, 3)
        assert (row["time_ns"], row["common_flags"], row["preempt_count"]) == (time_ns, flags, preempt)
    assert reader.losses == []
    headless = read(line + end)
    assert headless.info.events == 1


def test_latency_header(read: Any) -> None:
    reader = read(
        "# tracer: nop\n#\n# nop latency trace v1.1.5 on 6.12.117-lab\n# " + "-" * 60 + "\n"
        "# latency: 0 us, #2/7, CPU#0 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:4)\n"
        "#    -----------------\n#    | task: -0 (uid:0 nice:0 policy:0 rt_prio:0)\n#    -----------------\n#\n"
        "#                    _------=> CPU#\n#  cmd     pid     |||||| time  |   caller\n"
        f"   a b c-25306     3..... 5us : {FREE}\n  <idle>-0       1d.... 6us+: {FREE}\n"
    )
    assert (reader.info.kernel, reader.info.cpus) == ("6.12.117-lab", 4)
    assert [(row["comm"], row["tid"], row["cpu"]) for row in rows(reader)] == [("a b c", 25306, 3), ("<idle>", 0, 1)]
    silent = [Loss("cpu_silent", None, cpu, 5000, 6000) for cpu in (0, 2)]
    assert reader.losses == [Loss("overrun", 5, None, None, 6000), *silent]


def test_function_graph(read: Any) -> None:
    reader = read(
        "# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n"
        " 0)   0.146 us    |      __next_zones_zonelist();\n"
        f" 0)               |  /* {FREE} */\n"
        " ------------------------------------------\n"
        " 0)    bash-253    =>  Web Con-77  \n"
        " ------------------------------------------\n\n"
        " 0) @ 184012.3 us |    }\n"
        " 0)               |    get_page_from_freelist() {\n"
        f" 0)               |      /* {FREE.replace('0x1f', '0x20')} */\n"
        f"   2.000001 |   1)               |  /* {FREE.replace('0x1f', '0x21')} */\n"
        f"   2.000002 |   1)  kworker/0:1-9   | ..... |  /* {FREE.replace('0x1f', '0x22')} */\n"
        " 1)               |  } /* get_page_from_freelist */\n"
        " 1)               |  /* a comment */\n"
    )
    found = [(row["pfn"], row["comm"], row["tid"], row["cpu"], row["time_ns"]) for row in rows(reader)]
    assert sorted(found, key=lambda row: row[0]) == [
        (0x1F, None, None, 0, None),
        (0x20, "Web Con", 77, 0, None),
        (0x21, None, None, 1, 2_000_001_000),
        (0x22, "kworker/0:1", 9, 1, 2_000_002_000),
    ]
    assert reader.losses == [Loss("untimed_events", 2)]
    # What has no time cannot be replayed.
    (stream,) = reader.stream()
    assert stream.args[:, PFN].tolist() == [0x21, 0x22]
    assert stream.tid.tolist() == [-1, 9]
    assert (reader.info.start_ns, reader.info.end_ns) == (2_000_001_000, 2_000_002_000)
    assert len(reader.tables(window=Window(end_ns=3_000_000_000))["mm_page_free"]) == 2


def test_payloads_alone(read: Any) -> None:
    reader = read(
        "mm_page_free:         page=0x1f pfn=0x1f order=3\nmm_page_free:         page=0x2f pfn=0x2f order=0\n"
    )
    assert [(row["pfn"], row["cpu"], row["tid"], row["time_ns"]) for row in rows(reader)] == [
        (0x1F, None, None, None),
        (0x2F, None, None, None),
    ]
    assert list(reader.stream()) == []


LONG = (
    "              sh-14869 [000] ....  6850.456641: mm_compaction_begin: zone_start=0x100000 migrate_pfn=0x100000 "
    "free_pfn=0x27fe00 zone_end=0x280000, mode=sync"
)


@pytest.mark.parametrize("width", [64, 72, 76, 80])
@pytest.mark.parametrize("quote", ["", "> ", ">> "])
def test_wrapped_lines(read: Any, width: int, quote: str) -> None:
    """As a mail program breaks them: between words, at its width."""
    lines, line = [], ""
    blanks, words = LONG[: len(LONG) - len(LONG.lstrip())], LONG.split()
    for word in words:
        if line and len(quote + line) + 1 + len(word) > width:
            lines.append(quote + line)
            line = word
        else:
            line = f"{line} {word}" if line else blanks + word
    text = "\n".join([*lines, quote + line]) + "\n"
    assert len(lines) > 0
    reader = read(text * 3)
    found = reader.tables()["mm_compaction_begin"].to_pylist()
    assert [(row["zone_start"], row["zone_end"]) for row in found] == [(0x100000, 0x280000)] * 3
    assert reader.losses == []


def test_a_wrapped_flags_word(read: Any) -> None:
    reader = read(
        "  a-1 [000] .... 1.000001: mm_page_alloc: page=01 pfn=0x1 order=0 migratetype=1\n"
        "gfp_flags=GFP_USER|\n__GFP_MOVABLE\n"
        f"  a-1 [000] .... 1.000002: {FREE}\n"
    )
    assert rows(reader, "mm_page_alloc")[0]["gfp_flags"] == 0x100CC8
    assert reader.losses == []


def test_what_is_no_continuation(read: Any) -> None:
    """Lines between long lines are no part of them; line numbers stay true."""
    event = f"            bash-25306   [000] .....   966.417446: {FREE} and=further words=of that=kind\n"
    reader = read(f"{event}PATH=/bin\n{event}pfn=gibberish\n")
    assert reader.losses == [Loss("unparsed_line", 2, detail="the first is line 2")]
    wrapped = "  a-1 [000] .... 1.000001: mm_page_alloc: page=01 pfn=0x1 order=0 migratetype=1\ngfp_flags=GFP_USER\n"
    assert read(wrapped + "[000] gibberish\n").losses == [Loss("unparsed_line", 1, detail="the first is line 3")]


def test_torn_lines(read: Any) -> None:
    reader = read(
        f"            bash-1     [000] .....   1.000001: {FREE}\n"
        "            bash-1     [000] .....   1.000002: mm_page_free: page=000000004b0a44"
        f"            bash-2     [001] .....   1.000003: {FREE}\n"
        "20 pfn=0x99 order=1\n"
        f"            bash-1     [000] ...     Web Content-3     [001] .....   1.000004: {FREE}\n"
        f"            bash-1     [000] .....   1.000005: {FREE}\n"
    )
    assert [(row["comm"], row["tid"], row["time_ns"]) for row in rows(reader)] == [
        ("bash", 1, 1_000_001_000),
        ("bash", 2, 1_000_003_000),
        ("Web Content", 3, 1_000_004_000),
        ("bash", 1, 1_000_005_000),
    ]
    assert reader.losses == [Loss("unparsed_line", 3, detail="the first is line 2")]


def test_console_lines_may_quote_events(read: Any) -> None:
    text = f"[    1.0] see   bash-2     [001] .....   1.000003: {FREE}"
    reader = read(f"            bash-1     [000] .....   1.000002: console: {text}\n")
    assert rows(reader, "console")[0]["msg"] == text
    assert reader.losses == []


def report_line(label: str, tid: int, event: str) -> str:
    return f"{label}            bash-{tid:<5} [001]  {tid}.000001: {event + ':':<22}page=0x1f pfn=0x1f order=0\n"


def test_instances_of_one_file(read: Any) -> None:
    free, drain = "mm_page_free", "mm_page_pcpu_drain"
    reader = read(
        "cpus=2\n"
        + report_line("         ", 1, free)
        + report_line("  inst1: ", 2, free)
        + report_line("  inst1: ", 3, free)
        + report_line("i 2: ".rjust(9), 4, drain)
    )
    assert reader.info.format == "trace-cmd report"
    assert [row["tid"] for row in rows(reader)] == [2, 3]
    assert [row["tid"] for row in rows(reader, "mm_page_pcpu_drain")] == [4]
    assert reader.losses == [
        Loss("instance_left_out", 1, detail="mm_page_free is read from inst1 only"),
        Loss("cpu_silent", None, 0, 2_000_001_000, 4_000_001_000),
    ]


def test_several_files(read: Any) -> None:
    free, drain = "mm_page_free", "mm_page_pcpu_drain"
    reader = read(
        "cpus=2\n"
        + report_line("guest 1.dat: ", 1, free)
        + report_line(" host.dat: ".rjust(13), 2, drain)
        + report_line(" host.dat: ".rjust(13), 3, drain)
    )
    assert reader.info.by_event == {"mm_page_pcpu_drain": 2}
    assert reader.losses == [
        Loss("instance_left_out", 1, detail="mm_page_free is read from host.dat only"),
        Loss("cpu_silent", None, 0, 2_000_001_000, 3_000_001_000),
    ]


def test_a_comm_with_a_colon_is_no_label(read: Any) -> None:
    line = f"            a: b-77      [003] .....     1.000001: {FREE}\n"
    assert normalize.LABELLED.search(line.encode()) is None
    assert rows(read(line))[0]["comm"] == "a: b"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        (b"25306 0 966417445934 type: 653\n25306 0 966417445999 type: 653\n", "raw or hex"),
        (b"# tracer: nop\n#\n25306 0 966417445934 type: 653\n", "raw or hex"),
        (b"000062da 00000000 000000e104a81f2e type: 653\n", "raw or hex"),
        (b"# tracer: nop\n#\n\x0a\0\0\0\x01\0\0\0type: 653\n", "option bin"),
    ],
)
def test_traces_without_fields_are_refused(read: Any, text: bytes, option: str) -> None:
    with pytest.raises(InputError, match=option) as caught:
        read(text)
    assert "noraw" in str(caught.value)


def test_fields_option(read: Any) -> None:
    reader = read(
        "  a-1 [000] ..... 1.000001: mm_page_alloc: migratetype=0x1 (1) gfp_flags=0x440dc0 (4459968) order=0x0 (0) "
        "pfn=0x55cc96 (5622934)\n"
        "  a-1 [000] ..... 1.000002: mm_page_alloc: migratetype=0x1 (1) gfp_flags=0x440dc0 (4459968) order=0x9 (9) "
        "pfn=0xffffffffffffffff (-1)\n"
        "  a-1 [000] ..... 1.000003: cma_alloc_finish: errorno=0xfffffff0 (-16) align=0x0 (0) count=0x40 (64) "
        "page=0xffffea0000010000 (-24189255745536) pfn=0x400 (1024) name=linux,cma\n"
        "  a-1 [000] ..... 1.000004: mm_filemap_add_to_page_cache: order=0x0 (0) s_dev=0x800001 (8388609) "
        "index=0x2 (2) i_ino=0x43a0aa (4432042) pfn=0x200 (512)\n"
    )
    assert [(row["pfn"], row["gfp_flags"], row["order"]) for row in rows(reader, "mm_page_alloc")] == [
        (0x55CC96, 0x440DC0, 0),
        (None, 0x440DC0, 9),
    ]
    (finish,) = rows(reader, "cma_alloc_finish")
    assert (finish["name"], finish["pfn"], finish["errorno"], finish["count"]) == ("linux,cma", 0x400, -16, 64)
    assert finish["page"] == 0xFFFFEA0000010000
    (added,) = rows(reader, "mm_filemap_add_to_page_cache")
    assert (added["s_dev"], added["i_ino"], added["index"], added["pfn"]) == (8 << 20 | 1, 0x43A0AA, 2, 512)
    assert reader.losses == []


def test_failed_to_parse_is_read_by_its_fields(read: Any) -> None:
    reader = read(
        "cpus=1\n    bash-1     [000]     1.000001: mm_page_free:         [FAILED TO PARSE] pfn=0x1f order=3\n"
    )
    assert (rows(reader)[0]["pfn"], rows(reader)[0]["order"]) == (0x1F, 3)


def test_detection_of_shapes(tmp_path: Path) -> None:
    path = tmp_path / "input"
    for text, kind in (
        (f"    bash-25306     0..... 966417446us+: {FREE}\n", Kind.FTRACE_TEXT),
        (f" 0)               |  /* {FREE} */\n", Kind.FTRACE_TEXT),
        (f"{FREE}\n", Kind.FTRACE_TEXT),
        ("PATH=/bin: x\nusage: y\n", Kind.UNKNOWN),
        ("[    1.000000] migrating pfn 1f46d failed ret:1\n", Kind.KERNEL_LOG),
    ):
        path.write_text(text)
        assert detect(path).kind is kind, text


def as_latency(line: str) -> str:
    found = re.match(r" *(.{1,16})-(\d+) +\[(\d+)\] (\S+) +(\d+)\.(\d+): (.*)", line)
    if found is None:
        return line
    comm, tid, cpu, flags, seconds, micros, rest = found.groups()
    return f"{comm[:8]:>8}-{tid:<7} {int(cpu):3d}{flags} {int(seconds + micros):4d}us+: {rest}"


def as_graph(line: str) -> str:
    found = re.match(r" *(.{1,16})-(\d+) +\[(\d+)\] \S+ +(\d+\.\d+): (\w+: .*)", line)
    if found is None:
        return line
    comm, tid, cpu, time, rest = found.groups()
    return f"{time:>16} | {int(cpu):3d})  {comm}-{tid}  |               |  /* {rest} */"


@pytest.mark.parametrize("shape", [as_latency, as_graph])
def test_a_real_trace_in_another_shape(tmp_path: Path, shape: Callable[[str], str]) -> None:
    path = next(path for path in capture("cma_bufferhead").glob("trace*.txt.gz"))
    with gzip.open(path, "rt") as text:
        lines = text.read().splitlines()[:4000]
    usual, other = tmp_path / "usual", tmp_path / "other"
    usual.write_text("\n".join(lines) + "\n")
    other.write_text("\n".join(map(shape, lines)) + "\n")
    expected, found = TextTraceReader(usual), TextTraceReader(other)
    assert found.info.by_event == expected.info.by_event
    # the latency format cuts names, function graph has no flags
    left_out = {"comm"} | ({"common_flags", "preempt_count"} if shape is as_graph else set())
    tables = found.tables()
    for name, table in expected.tables().items():
        kept = [column for column in table.column_names if column not in left_out]
        assert tables[name].select(kept).equals(table.select(kept)), name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # ftrace_dump() into the kernel log, also through syslog and with callers
        (
            "[   88.000001] Dumping ftrace buffer:\n[   88.000002] ---------------------------------\n"
            "[   88.000003] bash-253       3d.h2. 966417446us+: {FREE}\n",
            (966_417_446_000, 253, 3, "bash"),
        ),
        ("<4>[   88.000003][ T253] bash-253       3d.h2. 966417446us : {FREE}\n", (966_417_446_000, 253, 3, "bash")),
        (
            "Nov 20 12:00:00 host kernel: [   88.000003] bash-253  3d.h2. 966417446us : {FREE}\n",
            (966_417_446_000, 253, 3, "bash"),
        ),
        # what a person cut off
        ("966.417446: {FREE}\n", (966_417_446_000, None, None, None)),
        ("> 966.417446: {FREE}\n", (966_417_446_000, None, None, None)),
        ("[003] d.h2. 966.417446: {FREE}\n", (966_417_446_000, None, 3, None)),
        ("-253     [003] d.h2.   966.417446: {FREE}\n", (966_417_446_000, 253, 3, None)),
        ("Some words.\n\n  {FREE}\n", (None, None, None, None)),
        ("> {FREE}\n", (None, None, None, None)),
        (
            "$ cat trace\n```\n  bash-253     [003] d.h2.   966.417446: {FREE}\n```\n\nand\n",
            (966_417_446_000, 253, 3, "bash"),
        ),
    ],
)  # fmt: skip
def test_excerpts(read: Any, text: str, expected: tuple[Any, ...]) -> None:
    reader = read(text.replace("{FREE}", FREE))
    (row,) = rows(reader)
    assert (row["time_ns"], row["tid"], row["cpu"], row["comm"]) == expected
    assert row["pfn"] == 31
    assert {loss.code for loss in reader.losses} <= {"untimed_events", "comm_unresolved"}


def test_a_trace_without_events_that_lost_some(read: Any) -> None:
    reader = read(
        " 0)   0.585 us    |    _raw_spin_lock();\n CPU:0 [LOST 7 EVENTS]\n 0)   0.954 us    |    io_serial_in();\n"
    )
    assert (reader.info.events, reader.losses) == (0, [Loss("lost_events", 7, 0, None, None)])
    reader = read("[   88.000003] bash-253  3d.h2. 966417446us : " + FREE + "\n[   88.000004] CPU:1 [LOST 9 EVENTS]\n")
    assert [(loss.code, loss.count, loss.cpu) for loss in reader.losses] == [("lost_events", 9, 1)]
