"""Lines of trace text -> rows: who, where, when, which event, its payload, and the stacks and losses between.

    comm-tid   [cpu]  secs.nsecs: event:   payload                        trace-cmd report (-t: nine digits)
    comm-tid   (tgid) [cpu] d..1. secs.usecs: event: payload              /sys/kernel/tracing/trace
    comm-tid   [cpu] d..1. secs.usecs: <stack trace>  and lines ` => func`
    CPU:0 [LOST 12 EVENTS]              before the next event of that CPU (trace-cmd: DROPPED)

Event lines written plainly are taken apart by a compiled loop (`text_trace_heads`); of the others those of unusual
form are split a block at a time, and what is no event either way is looked at line by line.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.text_spans import Spans
from tracereplay.parsers.text_trace_heads import Heads, take_heads

Ints = npt.NDArray[np.int64]

# ASCII throughout: what Python lets pass as a digit, Arrow must be able to read.
FLAGS = r"[dDbBX.][NnpLlbB.][hHsZz.][0-9a-f.][0-9a-f.]?"
# `?` stands for a task, CPU or time that the text does not tell (`text_trace_shapes` writes it).
WHEN = rf"^(?:(?P<flags>{FLAGS}) +)?(?:(?P<whole>\d+)(?:\.(?P<part>\d+))?|\?)$"
# A comm may hold blanks, brackets and dashes: it ends at the last `-digits` before the bracket (it has 15 bytes;
# quoting marks of mails and comments may stand before).
WHO = re.compile(r"[ \t]*(?:(?://|[>|*]) *)*(.{1,16})-(\d{1,9}|\?) +(?:\([ \d-]{1,9}\) +)?\[(\d{1,4}|\?)$", re.ASCII)
EVENT = re.compile(r"[A-Za-z_]\w*|<stack trace>|<user stack trace>", re.ASCII)
# The whole line in one pattern, for what splitting cannot tell apart: colons in a comm, the function tracer's calls.
LINE = re.compile(
    rf"(.{{1,60}}-(?:\d{{1,9}}|\?) +(?:\([ \d-]{{1,9}}\) +)?\[(?:\d{{1,4}}|\?))\] +"
    rf"((?:{FLAGS} +)?(?:\d+(?:\.\d+)?|\?)): +(.*)",
    re.ASCII,
)
# An event line inside another: its task stands behind the blanks that pad it.
INNER = re.compile(
    rf" {{2}}(\S(?:(?! {{2}}).){{0,15}}-\d{{1,9}} +(?:\([ \d-]{{1,9}}\) +)?\[\d{{1,4}}\] +(?:{FLAGS} +)?\d+\.\d+: .*)",
    re.ASCII,
)
FREE_TEXT = frozenset({"console", "print", "bprint"})
CALL = re.compile(r"\w.* <-")
NAMED = re.compile(r"(?:\(\+\d+\) +)?([A-Za-z_]\w*:|<stack trace>|<user stack trace>)(.*)", re.ASCII)
FRAME = r"^[\s/*>|]*=> (?P<frame>.*?)(?: \([0-9a-f]+\))?\s*$"
LOST = re.compile(r"[\s/*>|]*CPU:(\d{1,4}) \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]", re.ASCII)
BUFFER_STARTED = re.compile(r"#+ CPU (\d{1,4}) buffer started #+", re.ASCII)
ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})(?: +#P:(\d{1,5}))?", re.ASCII)
CPUS = re.compile(r"cpus=(\d{1,5})\s*$", re.ASCII)
NO_EVENT = re.compile(r"\s*$|\s*#|version = |CPU \d+ is empty|cpus=")
LATENCY_TRACE = re.compile(r"# \S+ latency trace v\S+ on (\S+)")
LATENCY = re.compile(r"# latency: .*#(\d{1,18})/(\d{1,18}), CPU.*?(?:#P:(\d{1,5}))?\)?\s*$", re.ASCII)
# What the columns hold where the text does not tell.
NO_TIME, NO_TID, NO_CPU = -(1 << 63), -(1 << 31), (1 << 16) - 1
UNKNOWN_COMM = "<...>"
STACKS = {"<stack trace>": "kernel_stack", "<user stack trace>": "user_stack"}


@dataclass(frozen=True, slots=True)
class Task:
    """The left part of a line; NO_TID and NO_CPU where it does not tell."""

    comm: str
    tid: int
    cpu: int


@dataclass(frozen=True, slots=True)
class LostMark:
    """A line that says events of a CPU are missing before its next event. row -- the row it stands before."""

    cpu: int
    count: int | None
    row: int
    starts: bool = False  # `buffer started`: everything before is missing


@dataclass(slots=True)
class LineBlock:
    """A stretch of lines, taken apart; rows are events in file order.

    task int64[rows] -- index into `tasks`; time_ns int64[rows], NO_TIME where there is none;
    flags -- dictionary of strings, "" where absent;
    event int64[rows] -- index into `events`; payload -- what follows `event: `;
    stack_rows, frames -- rows that are stacks, ascending, and a list of functions for each.
    """

    tasks: list[Task]
    task: Ints
    time_ns: Ints
    flags: pa.DictionaryArray
    events: list[str]
    event: Ints
    payload: Spans
    stack_rows: Ints
    frames: pa.ListArray
    ticks: bool = False  # bare integers, whose unit text does not tell (counter, x86-tsc; boot in trace-cmd 3.1)
    lost: list[LostMark] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)  # places of lines that were not understood
    overwritten: int | None = None  # entries written but no longer in the buffer
    cpus: int | None = None
    kernel: str | None = None

    def __len__(self) -> int:
        return len(self.time_ns)


def line_array(raw: bytes) -> pa.StringArray:
    """The lines of a block (line ends kept), without copying them."""
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    try:
        raw.decode()
    except UnicodeDecodeError:
        raw = raw.decode("utf-8", "replace").encode()
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(raw)])


@dataclass(slots=True)
class _Columns:
    """Event lines before their parts are read: place of each line, and its four parts."""

    place: Ints
    who: pa.Array
    when: pa.Array
    event: pa.StringArray
    payload: pa.StringArray

    def kept(self, mask: npt.NDArray[np.bool_]) -> _Columns:
        """The rows that `mask` selects."""
        if mask.all():
            return self
        chosen = pa.array(mask)
        return _Columns(
            self.place[mask],
            self.who.filter(chosen),
            self.when.filter(chosen),
            self.event.filter(chosen),
            self.payload.filter(chosen),
        )

    def with_rows(self, rows: Sequence[tuple[int, str, str, str, str]]) -> _Columns:
        """These and further rows, in the order of their lines."""
        if not rows:
            return self
        places, *texts = zip(*rows, strict=True)
        place = np.concatenate([self.place, np.array(places, np.int64)])
        order = pa.array(np.argsort(place, kind="stable"))
        parts = (self.who, self.when, self.event, self.payload)
        merged = [
            pa.concat_arrays([part, pa.array(text, pa.string())]).take(order)
            for part, text in zip(parts, texts, strict=True)
        ]
        return _Columns(np.sort(place), *merged)


def take_lines(lines: pa.StringArray) -> LineBlock:
    """Take a block of whole lines apart."""
    heads = take_heads(lines)
    if not len(heads.others):
        return _block_of(heads)
    block, places, frame_places, frames = _take_others(lines.take(pa.array(heads.others)), heads.others)
    if len(heads.place):
        block, places = _merged(_block_of(heads), heads.place, block, places)
    # marks came with the number of their line
    block.lost = [replace(mark, row=int(np.searchsorted(places, mark.row))) for mark in block.lost]
    _add_stacks(block, places, frame_places, frames)
    return block


def _take_others(lines: pa.StringArray, numbers: Ints) -> tuple[LineBlock, Ints, Ints, pa.StringArray]:
    """Lines of unusual form: (their events, the events' lines, the lines that are frames of stacks, those frames).

    numbers int64[lines] -- of the lines in their block; marks of losses have their line's for their row.
    """
    columns = _split(lines)
    columns = columns.kept(_plausible(columns))
    columns, torn = _untorn(columns)
    special = np.ones(len(lines), bool)
    special[columns.place] = False
    places = np.flatnonzero(special)
    frames = pc.struct_field(pc.extract_regex(lines.take(pa.array(places)), FRAME), "frame")
    is_frame = np.asarray(frames.is_valid())
    columns, notes = _special_lines(columns, lines, places[~is_frame])
    notes.odd = sorted({*notes.odd, *torn})
    block = _assembled(columns, notes)
    block.odd = numbers[block.odd].tolist()
    block.lost = [replace(mark, row=int(numbers[mark.row])) for mark in block.lost]
    return block, numbers[columns.place], numbers[places[is_frame]], frames.drop_null()


def _block_of(heads: Heads) -> LineBlock:
    """Events of plain lines."""
    return LineBlock(
        tasks=[_task(text) for text in heads.tasks],
        task=heads.task,
        time_ns=heads.time_ns,
        flags=pa.DictionaryArray.from_arrays(pa.array(heads.flag), pa.array(heads.flags, pa.string())),
        events=heads.events,
        event=heads.event,
        payload=heads.payload,
        stack_rows=np.zeros(0, np.int64),
        frames=pa.array([], pa.list_(pa.string())),
    )


def _merged(plain: LineBlock, plain_places: Ints, other: LineBlock, other_places: Ints) -> tuple[LineBlock, Ints]:
    """Events of both kinds of lines in the order of their lines, and those; the rest is the other's."""
    places = np.concatenate([plain_places, other_places])
    order = np.argsort(places, kind="stable")
    flags = pa.chunked_array([plain.flags, other.flags.cast(plain.flags.type)]).unify_dictionaries().combine_chunks()
    merged = replace(
        other,
        tasks=plain.tasks + other.tasks,
        task=np.concatenate([plain.task, other.task + len(plain.tasks)])[order],
        time_ns=np.concatenate([plain.time_ns, other.time_ns])[order],
        flags=flags.take(pa.array(order)),
        events=plain.events + other.events,
        event=np.concatenate([plain.event, other.event + len(plain.events)])[order],
        payload=other.payload.behind(plain.payload).take(order),
        ticks=other.ticks and bool(len(other_places)) and int(other_places[0]) < int(plain_places[0]),
    )
    return merged, places[order]


def _split(lines: pa.StringArray) -> _Columns:
    """Lines of the form `who] when: event: payload`; a stack's or an empty message's line ends after the event."""
    parts = pc.split_pattern(lines, ": ", max_splits=2)
    counts, values = np.asarray(pc.list_value_length(parts)), parts.values
    rows = np.flatnonzero(counts >= 2)
    starts = np.asarray(parts.offsets)[:-1][rows].astype(np.int64)
    payload = values.take(pa.array(starts + 2, mask=counts[rows] == 2)).fill_null("")
    left = pc.split_pattern(values.take(pa.array(starts)), "] ", max_splits=1, reverse=True)
    two = np.asarray(pc.list_value_length(left)) == 2
    columns = _Columns(rows, left, left, values.take(pa.array(starts + 1)), payload).kept(two)
    halves = columns.who.flatten()
    columns.who = halves.take(pa.array(np.arange(0, len(halves), 2)))
    columns.when = pc.utf8_ltrim(halves.take(pa.array(np.arange(1, len(halves), 2))), " ")
    columns.payload = pc.utf8_rtrim(columns.payload, "\n")
    return columns


def _untorn(columns: _Columns) -> tuple[_Columns, list[int]]:
    """Lines into which another writer's line was written (two readers of trace_pipe, one file): the second event is
    whole, the first is given up. Also the places of such lines."""
    suspects = np.flatnonzero(np.asarray(pc.match_substring(columns.payload, "] ")))
    rows: list[tuple[int, str, str, str, str]] = []
    given_up: list[int] = []
    for row in suspects.tolist():
        name = _event_name(columns.event[row].as_py())
        found = INNER.search(columns.payload[row].as_py()) if name in SPECS and name not in FREE_TEXT else None
        if found is not None:
            given_up.append(row)
            if inner := _event_line(found[1]):
                rows.append((int(columns.place[row]), *inner))
    if not given_up:
        return columns, []
    keep = np.ones(len(columns.place), bool)
    keep[given_up] = False
    return columns.kept(keep).with_rows(rows), columns.place[given_up].tolist()


def _event_name(text: str) -> str:
    """The event of a line: `mm_page_alloc`, or what stands in its place."""
    return text.rstrip(" \n").removesuffix(":")


def _plausible(columns: _Columns) -> npt.NDArray[np.bool_]:
    """Whether the left part is a task on a CPU, the stamp a number of sensible length, and the event a name."""
    who, event = columns.who.dictionary_encode(), columns.event.dictionary_encode()
    good = np.array([WHO.match(text) is not None for text in who.dictionary.to_pylist()], bool)
    named = np.array([EVENT.fullmatch(_event_name(text)) is not None for text in event.dictionary.to_pylist()], bool)
    when = pc.extract_regex(columns.when, WHEN)
    whole, part = pc.utf8_length(pc.struct_field(when, "whole")), pc.utf8_length(pc.struct_field(when, "part"))
    digits = np.asarray(whole.fill_null(99))
    fraction = np.asarray(part.fill_null(99))
    sensible = np.where(fraction == 0, digits <= 18, (digits <= 9) & (fraction <= 9))
    if not len(sensible):
        return np.zeros(0, bool)
    return np.asarray(sensible & good[np.asarray(who.indices)] & named[np.asarray(event.indices)])


@dataclass(slots=True)
class _Notes:
    """What the lines that are no events say."""

    lost: list[LostMark] = field(default_factory=list)  # with the number of their line for a row
    odd: list[int] = field(default_factory=list)
    overwritten: int | None = None
    cpus: int | None = None
    kernel: str | None = None


def _special_lines(columns: _Columns, lines: pa.StringArray, places: Ints) -> tuple[_Columns, _Notes]:
    """Lines that `HEAD` did not fit: events of unusual form, marks of losses, headers."""
    notes = _Notes()
    rows: list[tuple[int, str, str, str, str]] = []
    for place, line in zip(places.tolist(), lines.take(pa.array(places)).to_pylist(), strict=True):
        if row := _event_line(line):
            rows.append((place, *row))
        elif (found := INNER.search(line)) and (row := _event_line(found[1])):
            rows.append((place, *row))
            notes.odd.append(place)
        elif not _tells(notes, place, line) and not NO_EVENT.match(line):
            notes.odd.append(place)
    return columns.with_rows(rows), notes


def _event_line(line: str) -> tuple[str, str, str, str] | None:
    found = LINE.match(line)
    if found is None or WHO.match(found[1]) is None or len(found[2]) > 26:
        return None
    whole, _, part = found[2].split()[-1].partition(".")
    if len(whole) > (9 if part else 18) or len(part) > 9:
        return None
    if named := NAMED.match(found[3]):
        return found[1], found[2], named[1], named[2].removeprefix(" ")
    # The function tracer's call (`func <-parent`) is an event whose text is all it has.
    return (found[1], found[2], "function:", found[3]) if CALL.match(found[3]) else None


def _tells(notes: _Notes, place: int, line: str) -> bool:
    if found := LOST.match(line):
        notes.lost.append(LostMark(int(found[1]), int(found[2]) if found[2] else None, place))
    elif found := BUFFER_STARTED.match(line):
        notes.lost.append(LostMark(int(found[1]), None, place, starts=True))
    elif found := ENTRIES.match(line):
        notes.overwritten = max(int(found[2]) - int(found[1]), 0)
        notes.cpus = int(found[3]) if found[3] else None
    elif found := CPUS.match(line):
        notes.cpus = int(found[1])
    elif found := LATENCY_TRACE.match(line):
        notes.kernel = found[1]
    elif found := LATENCY.match(line):
        notes.overwritten = max(int(found[2]) - int(found[1]), 0)
        notes.cpus = int(found[3]) if found[3] else None
    else:
        return False
    return True


def _assembled(columns: _Columns, notes: _Notes) -> LineBlock:
    who, events = columns.who.dictionary_encode(), columns.event.dictionary_encode()
    when = pc.extract_regex(columns.when, WHEN)
    part = pc.struct_field(when, "part")
    names = [_event_name(text) for text in events.dictionary.to_pylist()]
    return LineBlock(
        tasks=[_task(text) for text in who.dictionary.to_pylist()],
        task=np.asarray(who.indices, np.int64),
        time_ns=stamps(pc.struct_field(when, "whole"), part),
        flags=pc.struct_field(when, "flags").dictionary_encode(),
        events=[STACKS.get(name, name) for name in names],
        event=np.asarray(events.indices, np.int64),
        payload=Spans.of(columns.payload),
        stack_rows=np.zeros(0, np.int64),
        frames=pa.array([], pa.list_(pa.string())),
        ticks=len(part) > 0 and part[0].as_py() == "" and pc.struct_field(when, "whole")[0].as_py() != "",
        lost=notes.lost,
        odd=notes.odd,
        overwritten=notes.overwritten,
        cpus=notes.cpus,
        kernel=notes.kernel,
    )


def _task(text: str) -> Task:
    found = WHO.match(text)
    if found is None:
        raise ValueError(text)  # excluded by _plausible()
    if found[2] == "?":
        return Task(UNKNOWN_COMM, NO_TID, NO_CPU if found[3] == "?" else int(found[3]))
    return Task(found[1], int(found[2]), NO_CPU if found[3] == "?" else int(found[3]))


def stamps(whole: pa.StringArray, part: pa.StringArray) -> Ints:
    """Stamps as int64: nanoseconds, or ticks where there is no fraction; NO_TIME where there is no number."""
    untimed = np.asarray(pc.equal(whole, ""))
    if untimed.any():
        return np.where(untimed, NO_TIME, stamps(pc.if_else(pa.array(untimed), "0", whole), part))
    numbers = np.asarray(whole.cast(pa.int64()))
    digits = np.asarray(pc.utf8_length(part), np.int64)
    if not digits.any():
        return numbers
    padded = pc.if_else(pc.equal(part, ""), "0", part)
    return np.asarray(numbers * 1_000_000_000 + np.asarray(padded.cast(pa.int64())) * 10 ** (9 - digits), np.int64)


def _add_stacks(block: LineBlock, row_places: Ints, frame_places: Ints, frames: pa.StringArray) -> None:
    """Give every stack the frames that follow its line; frames after another line belong to nothing."""
    stacks = [code for code, name in enumerate(block.events) if name in STACKS.values()]
    candidates = np.flatnonzero(np.isin(block.event, stacks))
    if not len(candidates):
        return
    # trace-cmd -R prints stacks as `size=.. caller=ARRAY[..]`: an event like others.
    empty = np.asarray(pc.match_substring_regex(block.payload.take(candidates).arrow(), r"^ *(?:<stack trace >)?\s*$"))
    block.stack_rows = candidates[empty]
    owner = np.searchsorted(row_places, frame_places) - 1
    place = np.searchsorted(block.stack_rows, owner)
    owned = (place < len(block.stack_rows)) & (owner >= 0)
    owned[owned] = block.stack_rows[place[owned]] == owner[owned]
    counts = np.bincount(place[owned], minlength=len(block.stack_rows))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    block.frames = pa.ListArray.from_arrays(pa.array(offsets), frames.filter(pa.array(owned)))
