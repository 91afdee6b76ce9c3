"""Plainly written lines of trace text, parsed by a compiled loop; all other lines go to the slow path.

The loop asks for every event and word it meets for the first time: what it then goes by is what the patterns say of
that text (`templates`).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.events.tables import numbers_array
from tracereplay.parsers.text.fast import line_kernels as kernels
from tracereplay.parsers.text.fast.intern import InternTable, words_of
from tracereplay.parsers.text.fast.intern_kernels import SLACK_BYTES
from tracereplay.parsers.text.fast.templates import Template, templates_of
from tracereplay.parsers.text.fast.value_kernels import MISSING, TEXT_BITS
from tracereplay.parsers.text.line_buffer import LineBuffer
from tracereplay.parsers.text.payloads import EventText
from tracereplay.parsers.text.spans import Spans

Ints = npt.NDArray[np.int64]

# No power of two: columns would lie in the same few lines of the cache.
ROWS = (1 << 17) + 72
# Bounds on what is remembered of one file; what goes beyond is left to the patterns.
TASKS, TEXTS, EVENTS, WORDS_OF_A_COLUMN, TEMPLATES = 1 << 14, 1 << 13, 1 << 10, 1 << 9, 1 << 8
CELLS = 1 << 8

EVENT = re.compile(r"[A-Za-z_]\w*|<stack trace>|<user stack trace>", re.ASCII)
STACKS = {"<stack trace>": "kernel_stack", "<user stack trace>": "user_stack"}

# The flags column, letter by letter (trace_print_lat_fmt() in kernel/trace/trace_output.c): TRACE_FLAG_* bits, then
# preemption depth and (5.15+) migrate-disable depth.
IRQS = {".": 0, "d": 0x01, "X": 0x02, "b": 0x80, "B": 0, "D": 0x81}
RESCHED = {".": 0, "N": 0x24, "n": 0x04, "p": 0x20, "l": 0x02, "L": 0x22, "b": 0x06, "B": 0x26}
CONTEXT = {".": 0, "s": 0x10, "h": 0x08, "H": 0x18, "z": 0x40, "Z": 0x48}
DEPTH = {letter: max(number - 1, 0) for number, letter in enumerate(".0123456789abcdef")}
LETTERS = (IRQS, RESCHED, CONTEXT, DEPTH, DEPTH)


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Rows whose fields have been read: their numbers, and a row of `cells` for each column of the program."""

    template: Template
    rows: Ints
    cells: Ints
    raw: npt.NDArray[np.uint8]

    def kept(self, mask: npt.NDArray[np.bool_]) -> ReadRows:
        """Those that `mask` selects."""
        return ReadRows(self.template, self.rows[mask], self.cells[:, mask], self.raw)

    def fields(self) -> dict[str, pa.Array]:
        """A typed array for each column."""
        arrays: dict[str, pa.Array] = {}
        for column, values in zip(self.template.columns, self.cells, strict=True):
            if pa.types.is_string(column.type):
                begin = values >> TEXT_BITS
                end = begin + (values & (1 << TEXT_BITS) - 1)
                arrays[column.name] = Spans(self.raw, begin, end).arrow()
            else:
                arrays[column.name] = numbers_array(values.copy(), column.type)
        return arrays


@dataclass(slots=True)
class PlainLines:
    """Event lines `comm-tid (tgid) [cpu] flags secs.parts: event: payload` of a stretch, in its order.

    line, task, event, time_ns, flags int64[rows] -- a line's number; indices into `tasks` (without the last bracket)
    and `events`; flags as `flags_of` gives them, MISSING where the line has none; payload -- of rows that are not in
    `read`. slow_lines -- (number, text) of all other lines but `frames`, functions of stacks in lines `frame_lines`.
    ticks -- whether the first stamp is a bare integer.
    """

    lines: int
    line: Ints
    task: Ints
    event: Ints
    time_ns: Ints
    flags: Ints
    payload: Spans
    tasks: list[str]
    events: list[str]
    read: Mapping[int, list[ReadRows]]
    slow_lines: list[tuple[int, bytearray]]
    frame_lines: Ints
    frames: Spans
    ticks: bool


def flags_of(word: str) -> int:
    """Letters of the flags column: common_flags, and preempt_count above its eight bits; MISSING for none."""
    if not word:
        return MISSING
    bits = [table[letter] for table, letter in zip(LETTERS, word, strict=False)]
    return bits[0] | bits[1] | bits[2] | bits[3] << 8 | (bits[4] << 12 if len(bits) > 4 else 0)


def _letters() -> npt.NDArray[np.int16]:
    table = np.full((len(LETTERS), 256), -1, np.int16)
    for place, letters in enumerate(LETTERS):
        for letter, bits in letters.items():
            table[place, ord(letter)] = bits
    return table


_LETTERS = _letters()


def _cells(columns: int) -> Ints:
    """Room for columns. Most are filled to a small part: as its own map, only those pages are taken that are written
    (numpy asks for pages of 2 MiB)."""
    return np.frombuffer(mmap.mmap(-1, columns * ROWS * 8), np.int64).reshape(columns, ROWS)


class PlainReader:
    """Reads the plain lines of one file, block by block.

    event_of -- the shapes of an event, by name.
    """

    def __init__(self, event_of: Callable[[str], EventText], page_size_bytes: int) -> None:
        self._event_of, self._page_size_bytes = event_of, page_size_bytes
        self._tasks, self._texts = InternTable(TASKS), InternTable(TEXTS)
        self.events: list[str] = []
        self._templates: list[Template] = []
        self._rooms = np.full(kernels.WORDS, EVENTS, np.int64)
        self._parse_word: list[Callable[[str], int | None]] = []  # by space, from WORDS on
        self._first_program = np.full(EVENTS, -1, np.int64)
        self._template_rows = np.zeros((0, 4), np.int64)
        self._steps = np.zeros((0, kernels.STEP_FIELDS), np.int64)
        self._literals = np.zeros((0, 2), np.uint64)
        self._rows = np.empty((kernels.ROW_FIELDS, ROWS), np.int64)
        self._cells = _cells(CELLS)
        self._filled = np.zeros(0, np.int64)
        self._others, self._frames = np.empty((ROWS, 3), np.int64), np.empty((ROWS, 3), np.int64)
        self._state = np.zeros(kernels.STATE_FIELDS, np.int64)

    def take(self, pieces: Iterator[bytes | memoryview]) -> Iterator[PlainLines]:
        """Take a text apart, in stretches of whole lines, each of which is good until the next is requested.

        No stretch ends in the middle of a stack.
        """
        buffer = LineBuffer(pieces, SLACK_BYTES)
        raw = np.frombuffer(buffer.raw, np.uint8)
        state = self._state
        begin = 0
        while buffer.fill(begin):
            begin = 0
            done = False
            while not done:
                if self._tasks.half_full:
                    self._tasks.clear()
                state[:] = 0
                state[kernels.PLACE] = begin
                self._filled[:] = 0
                done = self._run(buffer, raw)
                cut = self._last_stack(buffer.raw)
                if not (done and buffer.last) and cut > (buffer.stop // 2 if done else begin):
                    self._cut(cut)
                yield self._stretch(buffer.raw, raw)
                begin = int(state[kernels.PLACE])

    def _run(self, buffer: LineBuffer, raw: npt.NDArray[np.uint8]) -> bool:
        """Let the loop run until all lines are taken (True) or there is no more room (False)."""
        block, words, stop = buffer.raw, words_of(raw), buffer.stop
        tasks, texts = self._tasks, self._texts
        state = self._state
        while True:
            status = kernels.take_lines(
                raw, words, stop, self._page_size_bytes, _LETTERS,
                tasks.slots, tasks.known, tasks.texts, tasks.used, texts.slots, texts.known, texts.texts, self._rooms,
                self._template_rows, self._first_program, self._steps, self._literals,
                state, self._rows, self._cells, self._filled, self._others, self._frames,
                np.full(len(self._steps), -1, np.int64),
            )  # fmt: skip
            if status != kernels.NEW:
                return status == kernels.DONE
            namespace = int(state[kernels.NEW_NAMESPACE])
            text = block[state[kernels.NEW_BEGIN] : state[kernels.NEW_END]]
            if namespace == kernels.EVENTS:
                payload = block[state[kernels.NEW_PAYLOAD] : block.index(b"\n", int(state[kernels.NEW_PAYLOAD]) - 1)]
                value = self._new_event(text, payload)
            else:
                value = self._parse_word[namespace - kernels.WORDS](text.decode("utf-8", "replace"))
            self._rooms[namespace] -= 1
            if not self._texts.insert(text, namespace, value):
                self._rooms[:] = 0

    def _new_event(self, name: bytearray, payload: bytearray) -> int | None:
        """The number of an event met for the first time, its programs made."""
        event_name = name.decode("utf-8", "replace")
        if EVENT.fullmatch(event_name) is None:
            return None
        event = self._event_of(STACKS.get(event_name, event_name))
        code = len(self.events)
        self.events.append(event.name)
        before = -1
        for shape in event.plain_shapes(payload.decode("utf-8", "replace")):
            for template in templates_of(event, shape, self._page_size_bytes):
                if len(self._templates) < TEMPLATES:
                    number = self._add(template)
                    if before < 0:
                        self._first_program[code] = number
                    else:
                        self._template_rows[before, 3] = number
                    before = number
        return code

    def _add(self, template: Template) -> int:
        """Add a program to the tables; its number."""
        number, first_step = len(self._templates), len(self._steps)
        steps: list[tuple[int, ...]] = []
        literals: list[npt.NDArray[np.uint64]] = []
        for step in template.steps:
            first = len(self._literals) + len(literals)
            pieces = [step.literal[at : at + 8] for at in range(0, len(step.literal), 8)]
            literals += [
                np.frombuffer(part.ljust(8, b"\0") + (b"\xff" * len(part)).ljust(8, b"\0"), np.uint64)
                for part in pieces
            ]
            namespace = 0
            if step.parse_word is not None:
                namespace = kernels.WORDS + len(self._parse_word)
                self._parse_word.append(step.parse_word)
                self._rooms = np.append(self._rooms, WORDS_OF_A_COLUMN)
            steps.append(
                (first, first + len(pieces), len(step.literal), step.kind, step.allowed, namespace, step.column)
            )
        self._steps = np.concatenate([self._steps, np.array(steps, np.int64)])
        if literals:
            self._literals = np.concatenate([self._literals, np.stack(literals)])
        first_cell = sum(1 + len(known.columns) for known in self._templates)
        entry = np.array([[first_step, len(self._steps), first_cell, -1]], np.int64)
        self._template_rows = np.concatenate([self._template_rows, entry])
        self._filled = np.append(self._filled, 0)
        if first_cell + 1 + len(template.columns) > len(self._cells):
            fresh = _cells(2 * (first_cell + 1 + len(template.columns)))
            fresh[:first_cell, : self._filled.max()] = self._cells[:first_cell, : self._filled.max()]
            self._cells = fresh
        self._templates.append(template)
        return number

    def _last_stack(self, block: bytearray) -> int:
        """Where the last line that a stack may follow begins; -1 = there is none."""
        state, begins = self._state, [-1]
        taken = int(state[kernels.TAKEN])
        stacks = [code for code, name in enumerate(self.events) if name in STACKS.values()]
        if stacks:
            rows = np.flatnonzero(np.isin(self._rows[kernels.EVENT, :taken], stacks))
            if len(rows):
                begins.append(block.rfind(b"\n", 0, int(self._rows[kernels.BEGIN, rows[-1]])) + 1)
        for _, begin, end in self._others[: state[kernels.OTHERS]][::-1].tolist():
            if block.find(b"stack trace", begin, end) >= 0:
                begins.append(begin)
                break
        return max(begins)

    def _cut(self, place: int) -> None:
        """Give back all from the line on that begins there."""
        state = self._state
        others, frames = self._others[: state[kernels.OTHERS]], self._frames[: state[kernels.FRAMES]]
        rows = int(state[kernels.TAKEN])
        taken = int(np.searchsorted(self._rows[kernels.END, :rows], place))
        state[kernels.OTHERS] = np.searchsorted(others[:, 1], place)
        state[kernels.FRAMES] = np.searchsorted(frames[:, 1], place)
        state[kernels.TAKEN] = taken
        state[kernels.PLACE] = place
        beyond = [
            others[state[kernels.OTHERS] :, 0],
            frames[state[kernels.FRAMES] :, 0],
            self._rows[kernels.LINE, taken:rows],
        ]
        state[kernels.LINES] = min(int(lines[0]) for lines in beyond if len(lines))
        for number, template in enumerate(self._template_rows):
            self._filled[number] = np.searchsorted(self._cells[template[2], : self._filled[number]], taken)

    def _stretch(self, block: bytearray, raw: npt.NDArray[np.uint8]) -> PlainLines:
        """What the loop has taken."""
        state = self._state
        rows = self._rows[:, : state[kernels.TAKEN]]
        frames = self._frames[: state[kernels.FRAMES]]
        used = np.flatnonzero(np.bincount(rows[kernels.TASK], minlength=len(self._tasks)))
        renamed = np.zeros(len(self._tasks), np.int64)
        renamed[used] = np.arange(len(used))
        read: dict[int, list[ReadRows]] = {}
        for number in np.flatnonzero(self._filled).tolist():
            template, first = self._templates[number], int(self._template_rows[number, 2])
            cells = self._cells[first : first + 1 + len(template.columns), : self._filled[number]]
            code = int(rows[kernels.EVENT, cells[0, 0]])
            read.setdefault(code, []).append(ReadRows(template, cells[0], cells[1:], raw))
        return PlainLines(
            int(state[kernels.LINES]),
            rows[kernels.LINE],
            renamed[rows[kernels.TASK]],
            rows[kernels.EVENT],
            rows[kernels.TIME],
            rows[kernels.FLAGS],
            Spans(raw, rows[kernels.BEGIN], rows[kernels.END]),
            [self._tasks.text(task).lstrip(" ").removesuffix("]") for task in used.tolist()],
            self.events,
            read,
            [(line, block[begin:end]) for line, begin, end in self._others[: state[kernels.OTHERS]].tolist()],
            frames[:, 0],
            Spans(raw, frames[:, 1], frames[:, 2]),
            bool(state[kernels.TICKS]),
        )
