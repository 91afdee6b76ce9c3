"""The compiled loops over trace text say what the patterns say, on real text and on lines made to be nearly plain."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.captures import SHARED, fixture_captures
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.catalog.spec import Read
from tracereplay.parsers.text import line_buffer
from tracereplay.parsers.text.fast import line_kernels as kernels
from tracereplay.parsers.text.fast import lines as fast_lines
from tracereplay.parsers.text.fast.lines import PlainLines, PlainReader
from tracereplay.parsers.text.fast.templates import Template, templates_of
from tracereplay.parsers.text.ftrace import TextTraceReader
from tracereplay.parsers.text.line_buffer import LineBuffer
from tracereplay.parsers.text.lines_ftrace import LineBlock, take_lines
from tracereplay.parsers.text.payloads import EventText
from tracereplay.parsers.text.spans import Spans
from tracereplay.parsers.text.tables import TextTableBuilder, joined

HEAD_BYTES = 1 << 18
unhurried = settings(deadline=None)  # the first call may compile
TEXTS = sorted(
    path
    for folder in (*fixture_captures(), *sorted(SHARED.glob("captures/*/")), SHARED / "cases" / "text")
    for path in folder.glob("*.txt*")
    if path.name.split(".")[0] in {"report", "trace"} or "cases" in path.parts
)
HEAD = "          <idle>-0     (-------) [001] d.h2.   12.345678: "
PAYLOADS = (
    "mm_page_free: page=(nil) pfn=0x1f order=0",
    "mm_page_alloc: page=000000004b0a4420 pfn=0x1f order=0 migratetype=1 gfp_flags=GFP_KERNEL|__GFP_ZERO",
    "mm_filemap_add_to_page_cache: dev 254:16 ino 1f pfn=0x3ed0 ofs=4096 order=0",
    "mm_compaction_isolate_migratepages: range=(0x27c00 ~ 0x27e00) nr_scanned=512 nr_taken=0",
    "writeback_dirty_folio: bdi 254:16: ino=12 index=1",
    "mm_lru_insertion: folio=00000000c0ffee00 pfn=0x5 lru=1 flags=Ma bd ",
    "my_event: a=1, b=x|y, c=0x1f",
)
NOTHING = np.zeros(0, np.int64)


def head_of(path: Path) -> bytes:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return bytes(file.read(HEAD_BYTES))


def by_loop(text: bytes, builder: TextTableBuilder) -> Iterator[LineBlock]:
    """What the compiled loop takes of a text, and the patterns of the rest."""
    return map(take_lines, PlainReader(builder.event, builder.page_size_bytes).take(iter([text])))


def by_patterns(text: bytes) -> LineBlock:
    """The same with no line taken by the loop."""
    lines = text.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    nothing = Spans(np.zeros(0, np.uint8), NOTHING, NOTHING)
    return take_lines(
        PlainLines(
            lines=len(lines),
            line=NOTHING,
            task=NOTHING,
            event=NOTHING,
            time_ns=NOTHING,
            flags=NOTHING,
            payload=nothing,
            tasks=[],
            events=[],
            read={},
            slow_lines=[(number, bytearray(line)) for number, line in enumerate(lines)],
            frame_lines=NOTHING,
            frames=nothing,
            ticks=False,
        )
    )


def told(block: LineBlock) -> dict[str, object]:
    """Everything a block says, without the order in which it numbers tasks and events."""
    return {
        "tasks": [block.tasks[code] for code in block.task],
        "events": [block.events[code] for code in block.event],
        "flags": block.flags.tolist(),
        "time_ns": block.time_ns.tolist(),
        "payload": block.payload.arrow().to_pylist(),
        "stacks": (block.stack_rows.tolist(), block.frames.to_pylist()),
        "rest": (block.lost, block.odd, block.ticks, block.overwritten, block.cpus, block.kernel),
    }


def tables_of(block: LineBlock, builder: TextTableBuilder) -> dict[str, dict[str, list[object]]]:
    """All values, columns in the order of their names."""
    return {
        name: {column: table.column(column).to_pylist() for column in sorted(table.column_names)}
        for name, table in builder.tables(block, 0).items()
    }


def same(text: bytes) -> list[LineBlock]:
    """The stretches of a text, after comparing what they say with what the patterns say."""
    builder, plain_builder = TextTableBuilder(), TextTableBuilder()
    blocks = []
    rows: dict[str, object] = {}
    for block in by_loop(text, builder):
        assert tables_of(block, builder) == tables_of(replace(block, read={}), plain_builder)
        blocks.append(block)
        rows = told(block)
    assert builder.unreadable == plain_builder.unreadable
    if len(blocks) == 1:
        assert rows == told(by_patterns(text))
    return blocks


@pytest.mark.skipif(not TEXTS, reason="no trace text on this machine")
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_real_text(path: Path) -> None:
    blocks = same(head_of(path))
    if path.name.startswith(("report", "trace")):
        (block,) = blocks
        assert sum(len(part.rows) for parts in block.read.values() for part in parts) > 0.9 * len(block)


def test_plain_lines_need_no_pattern() -> None:
    text = "".join(f"{HEAD}{payload}\n" for payload in PAYLOADS).encode() * 3
    reader = PlainReader(TextTableBuilder().event, 4096)
    (plain,) = reader.take(iter([text]))
    assert not plain.slow_lines
    assert plain.time_ns.tolist() == [12_345_678_000] * len(PAYLOADS) * 3
    rows = [row for parts in plain.read.values() for part in parts for row in part.rows.tolist()]
    assert sorted(rows) == list(range(3 * len(PAYLOADS)))


def test_null_pages_need_the_patterns() -> None:
    lines = [
        f"{HEAD}mm_page_alloc: page={page} pfn={pfn} order=0 migratetype=1 gfp_flags=GFP_KERNEL\n"
        for page in ("0x1f", "00000000c0ffee00", "(nil)", "0", "0x0", "00000000", "         (null)", "NULL", "0,", "")
        for pfn in ("0x0", "0x1f", "0xffffffffffffffff", "-1", "18446744073709551615")
    ]
    (block,) = same("".join(lines).encode())
    assert [row for parts in block.read.values() for part in parts for row in part.rows.tolist()] == [0, 1, 5, 6]


@unhurried
@given(
    st.sampled_from(PAYLOADS),
    st.lists(st.integers(0, 160), max_size=4),
    st.sampled_from(" :].[()-0aA\t>d~é?\n,=|xf"),
    st.booleans(),
)
def test_lines_that_are_nearly_plain(payload: str, places: list[int], char: str, insert: bool) -> None:
    usual = f"{HEAD}{payload}\n"
    line = usual
    for place in sorted(places, reverse=True):
        line = line[:place] + char + line[place + (not insert) :]
    same((usual + line + "\n" + usual).encode())


@unhurried
@given(
    st.lists(
        st.sampled_from(
            [
                HEAD + "<stack trace>",
                "         bash-1 [000] 1.5: kernel_stack: <stack trace >",
                "         bash-1 [000] 12345: silent:",
                "         bash-1 [000] 12345: silent",
                " => f",
                " => f+0x1/0x2 (ffffffff81234567)",
                " =>  (12)",
                "=> f [ext4]",
                " => ",
                "CPU:1 [LOST 3 EVENTS]",
                "  a: b-1 [001] 2.000001: x: y",
                "x" * 300,
                " a-1 [000] 1.0: print: x  bash-7 [001] ..... 2.5: mm_page_free: pfn=1",
                " a-1 [000] 1.0: mm_page_free:   bash-7 [001] ..... 2.5: mm_page_free: pfn=1",
                " \xff\u00e9-1 [000] 1.0: my_event: a=\u00e9",
                HEAD + PAYLOADS[1],
            ]
        ),
        max_size=9,
    )
)
def test_lines_of_all_kinds(lines: list[str]) -> None:
    same("".join(f"{line}\n" for line in lines).encode("latin-1"))


NUMBER = st.sampled_from(["0", "7", "31", "-1", "0x1f", "1f", "deadbeef", "0xffffffffffffffff", "9" * 18, "9" * 19])
WORD = st.one_of(NUMBER, st.sampled_from(["", "x", "1:2", "none", "GFP_KERNEL", "a]", "b,", "0x", "é", "locked|x"]))


def templates() -> list[tuple[EventText, Template]]:
    found = []
    for spec in SPECS.values():
        passed = [key for key, spelling in spec.spelling.items() if spelling.read in (Read.DISPLAY, Read.NULL_PAGE)]
        by_column = {spelling.column: key for key, spelling in spec.spelling.items() if key not in passed}
        fields = [field.name for field in spec.fields]
        for names in ([*passed, *fields], [by_column.get(name, name) for name in fields]):
            event = EventText(spec.name, spec)
            for shape in event.plain_shapes(" ".join(f"{name}=1" for name in dict.fromkeys(names))):
                found += [(event, template) for template in templates_of(event, shape, 4096)]
    return found


@unhurried
@given(st.data())
def test_every_program_says_what_its_pattern_says(data: st.DataObject) -> None:
    event, template = data.draw(st.sampled_from(TEMPLATES))
    lines = []
    for _ in range(data.draw(st.integers(1, 4))):
        payload = ""
        for step in template.steps:
            payload += step.literal.decode()
            if step.kind != kernels.NOTHING:
                payload += data.draw(NUMBER if step.kind == kernels.NUMBER else WORD)
        lines.append(f"{HEAD}{event.name}: {payload}{data.draw(st.sampled_from(['', '', ' ', ',']))}\n")
    same("".join(lines).encode())


TEMPLATES = templates()


def test_most_spellings_have_a_program() -> None:
    without = {name for name, spec in SPECS.items() if name not in {event.name for event, _ in TEMPLATES}}
    assert {name for name in without if not re.match(r"dma_|fuse_request_sen[dt]", name)} <= {"console"}


def test_tables_that_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"TASKS": 4, "TEXTS": 6, "EVENTS": 3, "WORDS_OF_A_COLUMN": 2, "TEMPLATES": 2, "ROWS": 3}.items():
        monkeypatch.setattr(fast_lines, name, size)
    lines = [
        f"   task-{n % 7} [000] 1.{n:06d}: {payload.replace('GFP_KERNEL', '|'.join(['__GFP_IO'] * (n % 4 + 1)))}\n"
        for n, payload in enumerate(PAYLOADS * 5)
    ]
    text = "".join(lines).encode()
    builder, plain_builder = TextTableBuilder(), TextTableBuilder()
    found: dict[str, list[pa.Table]] = {}
    seq = 0
    for block in by_loop(text, builder):
        for name, table in builder.tables(block, seq).items():
            found.setdefault(name, []).append(table)
        seq += len(block)
    expected = plain_builder.tables(by_patterns(text), 0)
    assert {name: joined(parts).to_pydict() for name, parts in found.items()} == {
        name: table.to_pydict() for name, table in expected.items()
    }


def test_tasks_far_from_their_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their table is full of bytes long before it is full of tasks."""
    monkeypatch.setattr(fast_lines, "TASKS", 64)
    lines = [f"task-{n}{' ' * 200}[000] 1.{n:06d}: my_event: a=1\n" for n in range(100)]
    blocks = list(by_loop("".join(lines).encode(), TextTableBuilder()))
    assert [block.tasks[code].tid for block in blocks for code in block.task] == list(range(100))
    assert len(blocks) > 1


def test_blocks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = HEAD + "<stack trace>\n => f\n => g (ffffffff81234567)\n => h+0x1/0x2\n"
    path = tmp_path / "trace.txt"
    path.write_text("".join(f"{HEAD}{payload}\n{stack}" for payload in PAYLOADS) + "x" * 900 + "\n" + stack)

    def read() -> dict[str, object]:
        return {name: table.to_pydict() for name, table in TextTraceReader(path).tables().items()}

    whole = read()
    for size in (700, 1000, 1023, 2048):
        monkeypatch.setattr(line_buffer, "BUFFER_BYTES", size)
        assert read() == whole


@unhurried
@given(st.lists(st.sampled_from(["a", "bc\n", "\r\n", "\r", "", "\n\n", "d" * 9]), max_size=12), st.integers(4, 20))
def test_lines_come_whole(texts: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_buffer, "BUFFER_BYTES", size)
        buffer = LineBuffer(iter([text.encode() for text in texts]), 8)
    found = b""
    stop = 0
    while buffer.fill(stop):
        stop = buffer.stop
        assert buffer.raw[stop - 1 : stop] == b"\n"
        found += buffer.raw[:stop]
    assert buffer.last
    whole = "".join(texts)
    if all(len(line) < size for line in whole.split("\n")):
        ended = whole + "\n" * (bool(whole) and not whole.endswith("\n"))
        assert found.decode() == ended.replace("\r\n", "\n")
    else:
        assert found.decode().replace("\n", "").replace("\r", "") == whole.replace("\n", "").replace("\r", "")


@unhurried
@given(st.lists(st.sampled_from(["a=1", "b=0x1f,", " ", "b=", "c=x y", "a=1 b=2", "  a=3 b=4,, ", "é=1"]), max_size=5))
def test_words(texts: list[str]) -> None:
    keys = ("a", "b")
    fits, (first, second) = Spans.of(pa.array(texts, pa.string())).words(keys)
    plain = [text.strip(" ").split(" ") for text in texts]
    expected = [
        len(words) == 2 and all(word.startswith(f"{key}=") for key, word in zip(keys, words, strict=True))
        for words in plain
    ]
    assert fits.tolist() == expected
    for at, values in enumerate((first, second)):
        wanted = [words[at][2:].rstrip(",") for words, fit in zip(plain, expected, strict=True) if fit]
        assert values.arrow().to_pylist() == wanted


@unhurried
@given(
    st.lists(st.one_of(st.integers(-(1 << 59), 1 << 59).map(str), st.integers(0, (1 << 64) - 1).map(hex)), max_size=9),
    st.sampled_from(["", "", "(nil)", "1x", "0x", "-", "9" * 19, "0x" + "f" * 17]),
)
def test_numbers(texts: list[str], last: str) -> None:
    texts = [*texts, last] if last else texts
    spans = Spans.of(pa.array(texts, pa.string()))
    for type_, low, high in ((pa.int64(), -(1 << 63), (1 << 63) - 1), (pa.uint64(), -(1 << 63), (1 << 64) - 1)):
        read = spans.numbers(type_)
        values = [int(text, 0) for text in texts] if not last else [1 << 65]
        if read is None:
            assert last or not all(low <= value <= high for value in values)
            continue
        mask = (1 << 64) - 1
        assert [value & mask for value in read.to_pylist()] == [value & mask for value in values]


@unhurried
@given(st.lists(st.text("ab é", max_size=3)))
def test_texts_told_apart(texts: list[str]) -> None:
    codes, words = Spans.of(pa.array(texts, pa.string())).distinct()
    assert [words[code] for code in codes] == texts
    assert words == list(dict.fromkeys(texts))
