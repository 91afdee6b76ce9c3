"""`trace-cmd report -R -t` line by line against our tables: time, cpu, task, event and every field."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tracereplay.parsers.binary.format_text import EventFormat, Field, FieldKind
from tracereplay.parsers.events.tables import column_name
from tracereplay.parsers.trace_dat.reader import TraceDatReader

TRACE_CMD = shutil.which("trace-cmd")
_LINE = re.compile(
    r"^\s*(?P<comm>[^\n]*?)-(?P<tid>\d+)\s+\[(?P<cpu>\d+)\]\s*(?P<time>[\d.]+):\s(?P<event>[\w:]+):\s*(?P<fields>.*)$",
    re.DOTALL,
)
_MAX_TOLD = 5


@dataclass(slots=True)
class Comparison:
    """Lines compared, field values compared, and the first differences in words."""

    lines: int = 0
    values: int = 0
    differences: list[str] = field(default_factory=list)
    differing: int = 0

    def tell(self, text: str) -> None:
        self.differing += 1
        if len(self.differences) < _MAX_TOLD:
            self.differences.append(text)


def report_lines(path: Path) -> Iterator[str]:
    """Event lines of the report; a line break within a text field is joined again."""
    assert TRACE_CMD is not None
    with subprocess.Popen(
        [TRACE_CMD, "report", "-R", "-t", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        held: str | None = None
        for line in process.stdout:
            if _LINE.match(line):
                if held is not None:
                    yield held
                held = line.rstrip("\n")
            elif held is not None and not line.startswith(("CPU:", "cpus=")):
                held += "\n" + line.rstrip("\n")
        if held is not None:
            yield held


@cache
def _field_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\s*".join(rf"{re.escape(name)}=(.*?)" for name in names) + r"\s*$", re.DOTALL)


def compare(path: Path) -> Comparison:
    """Every line of the report against the row of that number in ours."""
    reader = TraceDatReader(path)
    columns: dict[str, dict[str, list[Any]]] = {}
    order: list[tuple[str, int] | None] = [None] * reader.info.events
    for name, table in reader.tables().items():
        columns[name] = {column: table[column].to_pylist() for column in table.column_names}
        for row, seq in enumerate(columns[name]["seq"]):
            order[seq] = (name, row)
    result = Comparison()
    for number, line in enumerate(report_lines(path)):
        result.lines += 1
        if number >= len(order) or (place := order[number]) is None:
            result.tell(f"line {number}: we have no such event: {line[:120]}")
            continue
        name, row = place
        _compare_line(line, reader.formats[name], {c: values[row] for c, values in columns[name].items()}, result)
    if result.lines != len(order):
        result.tell(f"{result.lines} lines, but {len(order)} events of ours")
    return result


def _compare_line(line: str, event: EventFormat, ours: dict[str, Any], result: Comparison) -> None:
    match = _LINE.match(line)
    assert match is not None
    theirs = (
        int(match["time"].replace(".", "")),
        int(match["cpu"]),
        int(match["tid"]),
        match["event"],
        None if match["comm"].strip() == "<...>" else match["comm"].strip(),
    )
    mine = (ours["time_ns"], ours["cpu"], ours["tid"], event.name, ours["comm"])
    if theirs != mine:
        result.tell(f"theirs {theirs}, ours {mine}")
        return
    values = _field_pattern(tuple(f.name for f in event.fields)).match(match["fields"])
    if values is None:
        result.tell(f"{event.name}: fields not understood: {match['fields'][:120]}")
        return
    for f, text in zip(event.fields, values.groups(), strict=True):
        result.values += 1
        value = ours[column_name(f.name)]
        told = ours.get("size") if f.name == "caller" else None
        if not same(f, text.rstrip(), value, told):
            result.tell(f"{event.name}.{f.name} at {theirs[0]}: theirs {text!r}, ours {value!r}")


def numbers(text: str) -> list[int]:
    """What a printed number may be: the report takes %lx from the print format, without 0x, for some fields."""
    if text == "(nil)":
        return [0]
    found = []
    for base in (0, 16):
        try:
            found.append(int(text, base))
        except ValueError:
            continue
    return found


def same(f: Field, text: str, value: Any, frames: int | None = None) -> bool:
    """Whether a printed field and our value say the same.

    frames -- for stacks, their number by the record's own field: the report prints as many as the format announces,
    beyond the record's end where there are fewer.
    """
    if f.is_text:
        return text == (value or "").rstrip()
    if f.kind is FieldKind.INT:
        mask = (1 << 8 * f.size) - 1
        return (mask if value is None else value & mask) in {number & mask for number in numbers(text)}
    if text.startswith("ARRAY["):
        printed = bytes(int(byte, 16) for byte in text[6:].rstrip("]").split(", ") if byte)
        have = b"".join((v & ((1 << 64) - 1)).to_bytes(8, "little")[: f.element_bytes] for v in value)
        if frames is not None:
            return len(value) == frames and have[: len(printed)] == printed[: len(have)]
        return have == printed
    return False
