"""The compiled loops over trace text say what the patterns say, on real text and on lines made to be nearly plain."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captures import SHARED, fixture_captures
from tracereplay.parsers import text_trace_lines
from tracereplay.parsers.text_spans import Spans
from tracereplay.parsers.text_trace_heads import take_heads
from tracereplay.parsers.text_trace_lines import LineBlock, line_array, take_lines

HEAD_BYTES = 1 << 18
unhurried = settings(deadline=None)  # the first call may compile
TEXTS = sorted(
    path
    for folder in (*fixture_captures(), *sorted(SHARED.glob("captures/*/")), SHARED / "cases" / "text")
    for path in folder.glob("*.txt*")
    if path.name.split(".")[0] in {"report", "trace"} or "cases" in path.parts
)
WORD = "          <idle>-0     (-------) [001] d.h2.   12.345678: mm_page_free: page=(nil) pfn=0x1f order=0\n"


def head_of(path: Path) -> bytes:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return bytes(file.read(HEAD_BYTES))


def by_patterns(lines: pa.StringArray) -> LineBlock:
    """What `take_lines` says with no plain line taken by the loop."""
    block, places, frame_places, frames = text_trace_lines._take_others(lines, np.arange(len(lines)))
    for mark in block.lost:
        object.__setattr__(mark, "row", int(np.searchsorted(places, mark.row)))
    text_trace_lines._add_stacks(block, places, frame_places, frames)
    return block


def told(block: LineBlock) -> dict[str, object]:
    """Everything a block says, without the order in which it numbers tasks, flags and events."""
    return {
        "tasks": [block.tasks[code] for code in block.task],
        "events": [block.events[code] for code in block.event],
        "flags": block.flags.to_pylist(),
        "time_ns": block.time_ns.tolist(),
        "payload": block.payload.arrow().to_pylist(),
        "stacks": (block.stack_rows.tolist(), block.frames.to_pylist()),
        "rest": (block.lost, block.odd, block.ticks, block.overwritten, block.cpus, block.kernel),
    }


@pytest.mark.skipif(not TEXTS, reason="no trace text on this machine")
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_real_text(path: Path) -> None:
    lines = line_array(head_of(path))
    assert told(take_lines(lines)) == told(by_patterns(lines))


def test_plain_lines_need_no_pattern() -> None:
    lines = line_array(WORD.encode() * 3)
    heads = take_heads(lines)
    assert len(heads.place) == 3
    assert not len(heads.others)
    assert heads.time_ns.tolist() == [12_345_678_000] * 3


@unhurried
@given(st.lists(st.integers(0, len(WORD) - 1), max_size=4), st.sampled_from(" :].[()-0aA\t>d~é?\n"), st.booleans())
def test_lines_that_are_nearly_plain(places: list[int], char: str, insert: bool) -> None:
    line = WORD
    for place in sorted(places, reverse=True):
        line = line[:place] + char + line[place + (not insert) :]
    lines = line_array((WORD + line + WORD).encode())
    assert told(take_lines(lines)) == told(by_patterns(lines))


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
