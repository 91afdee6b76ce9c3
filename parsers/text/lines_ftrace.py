"""Lines of trace text -> rows: who, where, when, which event, its payload, and the stacks and losses between.

    comm-tid   [cpu]  secs.nsecs: event:   payload                        trace-cmd report (-t: nine digits)
    comm-tid   (tgid) [cpu] d..1. secs.usecs: event: payload              /sys/kernel/tracing/trace
    comm-tid   [cpu] d..1. secs.usecs: <stack trace>  and lines ` => func`
    CPU:0 [LOST 12 EVENTS]              before the next event of that CPU (trace-cmd: DROPPED)

Lines written plainly are taken apart by a compiled loop (`lines`); the patterns here say what a line means,
and read every other line, one by one.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.tasks.names import UNKNOWN_COMM
from tracereplay.parsers.text.fast.lines import EVENT, STACKS, PlainLines, ReadRows, flags_of
from tracereplay.parsers.text.spans import Spans

Ints = npt.NDArray[np.int64]

# ASCII throughout: what Python lets pass as a digit, Arrow must be able to read.
FLAGS = r"[dDbBX.][NnpLlbB.][hHsZz.][0-9a-f.][0-9a-f.]?"
# A comm may hold blanks, brackets and dashes: it ends at the last `-digits` before the bracket (it has 15 bytes;
# quoting marks of mails and comments may stand before).
WHO = re.compile(r"[ \t]*(?:(?://|[>|*]) *)*(.{1,16})-(\d{1,9}|\?) +(?:\([ \d-]{1,9}\) +)?\[(\d{1,4}|\?)$", re.ASCII)
# A line that tells of an event: its left part ends at the first stamp that a bracket stands before. `?` stands for a
# task, CPU or time that the text does not tell (`normalize` writes it).
LINE = re.compile(
    rf"(?P<who>.{{1,100}}?-(?:\d{{1,9}}|\?) +(?:\([ \d-]{{1,9}}\) +)?\[(?:\d{{1,4}}|\?))\] +"
    rf"(?:(?P<flags>{FLAGS}) +)?(?:(?P<whole>\d{{1,18}})(?:\.(?P<part>\d{{1,9}}))?|\?): +(?P<rest>.*)",
    re.ASCII,
)
# An event line inside another: its task stands after the blanks that pad it.
INNER = re.compile(
    rf" {{2}}(\S(?:(?! {{2}}).){{0,15}}-\d{{1,9}} +(?:\([ \d-]{{1,9}}\) +)?\[\d{{1,4}}\] +(?:{FLAGS} +)?\d+\.\d+: .*)",
    re.ASCII,
)
FREE_TEXT = frozenset({"console", "print", "bprint"})
CALL = re.compile(r"\w.* <-")
NAMED = re.compile(r"(?:\(\+\d+\) +)?([A-Za-z_]\w*:|<stack trace>|<user stack trace>)(.*)", re.ASCII)
FRAME = re.compile(r"[\s/*>|]*=> (?P<frame>.*?)(?: \([0-9a-f]+\))?\s*$")
LOST = re.compile(r"[\s/*>|]*CPU:(\d{1,4}) \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]", re.ASCII)
BUFFER_STARTED = re.compile(r"#+ CPU (\d{1,4}) buffer started #+", re.ASCII)
ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})(?: +#P:(\d{1,5}))?", re.ASCII)
CPUS = re.compile(r"cpus=(\d{1,5})\s*$", re.ASCII)
# What people paste around a trace: prompts, fences, lines of a kernel log, words. Damage keeps signs of an event.
PROSE = re.compile(r"\s*(?:[>|] ?)*(?:\S*[\w~/\])][#$] |[#$] |```|(?:<\d{1,3}>)?\[ *\d+\.\d+\]|\[\.\.\.\])", re.ASCII)
SIGNS = re.compile(
    r"\s*\w+=\S|.*\w=\S.* \w+=\S"
    r"|.*(?:\[\d{3,4}\]|\d\.\d{6}|EVENTS|[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]|\b[a-z]+_[a-z_]+: |<-)",
    re.ASCII,
)
EMPTY = re.compile(r"CPU (\d{1,4}) is empty\s*$", re.ASCII)
NO_EVENT = re.compile(r"\s*$|\s*#|version = |CPU \d+ is empty|cpus=")
LATENCY_TRACE = re.compile(r"# \S+ latency trace v\S+ on (\S+)")
LATENCY = re.compile(r"# latency: .*#(\d{1,18})/(\d{1,18}), CPU.*?(?:#P:(\d{1,5}))?\)?\s*$", re.ASCII)
# What the columns hold where the text does not tell.
NO_TIME, NO_TID, NO_CPU = -(1 << 63), -(1 << 31), (1 << 16) - 1
NS_PER_S = 1_000_000_000


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
    flags int64[rows] -- as `flags_of` says them, MISSING where absent;
    event int64[rows] -- index into `events`; payload -- what follows `event: `;
    read -- by event, rows whose fields have been read already;
    stack_rows, frames -- rows that are stacks, ascending, and a list of functions for each.
    """

    tasks: list[Task]
    task: Ints
    time_ns: Ints
    flags: Ints
    events: list[str]
    event: Ints
    payload: Spans
    stack_rows: Ints
    frames: pa.ListArray
    read: Mapping[int, Sequence[ReadRows]] = field(default_factory=dict)
    ticks: bool = False  # bare integers, whose unit text does not tell (counter, x86-tsc; boot in trace-cmd 3.1)
    lost: list[LostMark] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)  # places of lines that were not understood
    prose: list[int] = field(default_factory=list)  # places of lines that are no part of a trace
    overwritten: int | None = None  # entries written but no longer in the buffer
    cpus: int | None = None
    empty: Sequence[int] = ()  # CPUs of which the text says that they recorded nothing
    kernel: str | None = None

    def __len__(self) -> int:
        return len(self.time_ns)


def take_lines(plain: PlainLines) -> LineBlock:
    """The events of a stretch of lines, those that the compiled loop has left over among them."""
    block = _block_of(plain)
    places, frame_lines, frames = plain.line, plain.frame_lines, plain.frames.arrow()
    if plain.slow_lines:
        found = read_lines((number, text.decode("utf-8", "replace")) for number, text in plain.slow_lines)
        if found.rows:
            block, places = _merged(block, places, *found.block())
        block.lost = [replace(mark, row=int(np.searchsorted(places, mark.row))) for mark in found.lost]
        block.odd, block.prose, block.empty = found.odd, found.prose, found.empty
        block.overwritten, block.cpus, block.kernel = found.overwritten, found.cpus, found.kernel
        if found.frames:
            frame_lines = np.concatenate([frame_lines, np.array([number for number, _ in found.frames], np.int64)])
            order = np.argsort(frame_lines, kind="stable")
            frame_lines = frame_lines[order]
            frames = pa.concat_arrays([frames, pa.array([text for _, text in found.frames], pa.string())])
            frames = frames.take(pa.array(order))
    _add_stacks(block, places, frame_lines, frames)
    return block


def _block_of(plain: PlainLines) -> LineBlock:
    """Events of plain lines."""
    return LineBlock(
        tasks=[_task(text) for text in plain.tasks],
        task=plain.task,
        time_ns=plain.time_ns,
        flags=plain.flags,
        events=plain.events,
        event=plain.event,
        payload=plain.payload,
        stack_rows=np.zeros(0, np.int64),
        frames=pa.array([], pa.list_(pa.string())),
        read=plain.read,
        ticks=plain.ticks,
    )


def _merged(plain: LineBlock, plain_places: Ints, other: LineBlock, other_places: Ints) -> tuple[LineBlock, Ints]:
    """Events of both kinds of lines in the order of their lines, and those."""
    places = np.concatenate([plain_places, other_places])
    order = np.argsort(places, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    merged = LineBlock(
        tasks=plain.tasks + other.tasks,
        task=np.concatenate([plain.task, other.task + len(plain.tasks)])[order],
        time_ns=np.concatenate([plain.time_ns, other.time_ns])[order],
        flags=np.concatenate([plain.flags, other.flags])[order],
        events=plain.events + other.events,
        event=np.concatenate([plain.event, other.event + len(plain.events)])[order],
        payload=other.payload.after(plain.payload).take(order),
        stack_rows=plain.stack_rows,
        frames=plain.frames,
        read={code: [replace(part, rows=place[part.rows]) for part in parts] for code, parts in plain.read.items()},
        ticks=(other if order[0] >= len(plain_places) else plain).ticks,
    )
    return merged, places[order]


@dataclass(frozen=True, slots=True)
class EventLine:
    """What one line says of an event. time_ns -- NO_TIME where it has none; ticks -- whether it is a bare integer."""

    task: Task
    time_ns: int
    flags: int
    event: str
    payload: str
    ticks: bool


@dataclass(slots=True)
class OtherLines:
    """What lines say by the patterns: events, functions of stacks, and the rest, each with the number of its line."""

    rows: list[tuple[int, EventLine]] = field(default_factory=list)
    frames: list[tuple[int, str]] = field(default_factory=list)
    lost: list[LostMark] = field(default_factory=list)  # with the number of their line for a row
    odd: list[int] = field(default_factory=list)
    prose: list[int] = field(default_factory=list)
    overwritten: int | None = None
    cpus: int | None = None
    empty: list[int] = field(default_factory=list)
    kernel: str | None = None

    def block(self) -> tuple[LineBlock, Ints]:
        """The events as a block, and their lines."""
        tasks = list(dict.fromkeys(row.task for _, row in self.rows))
        events = list(dict.fromkeys(row.event for _, row in self.rows))
        task_code = {task: code for code, task in enumerate(tasks)}
        event_code = {event: code for code, event in enumerate(events)}
        block = LineBlock(
            tasks=tasks,
            task=np.array([task_code[row.task] for _, row in self.rows], np.int64),
            time_ns=np.array([row.time_ns for _, row in self.rows], np.int64),
            flags=np.array([row.flags for _, row in self.rows], np.int64),
            events=events,
            event=np.array([event_code[row.event] for _, row in self.rows], np.int64),
            payload=Spans.of(pa.array([row.payload for _, row in self.rows], pa.string())),
            stack_rows=np.zeros(0, np.int64),
            frames=pa.array([], pa.list_(pa.string())),
            ticks=bool(self.rows) and self.rows[0][1].ticks,
        )
        return block, np.array([number for number, _ in self.rows], np.int64)


def read_lines(lines: Iterable[tuple[int, str]]) -> OtherLines:
    """Lines by their patterns, each with its number; their ends do not matter."""
    found = OtherLines()
    for number, text in lines:
        line = text.rstrip("\n")
        if not line or line.isspace():
            continue
        row = event_line(line)
        if row is not None and (inner := _torn(row)):
            # Two readers of trace_pipe, one file: the second event is whole, the first is cut off.
            found.odd.append(number)
            row = event_line(inner)
            if row is None:
                continue
        if row is not None:
            found.rows.append((number, row))
        elif frame := FRAME.match(line):
            found.frames.append((number, frame["frame"]))
        elif (torn := INNER.search(line)) and (row := event_line(torn[1])):
            found.rows.append((number, row))
            found.odd.append(number)
        elif not _tells(found, number, line) and not NO_EVENT.match(line):
            (found.prose if is_prose(line) else found.odd).append(number)
    return found


def is_prose(line: str) -> bool:
    """Whether a line that tells of no event is no damaged one either."""
    return PROSE.match(line) is not None or SIGNS.match(line) is None


def _torn(row: EventLine) -> str | None:
    """The line of another writer within this one."""
    if "] " not in row.payload or row.event not in SPECS or row.event in FREE_TEXT:
        return None
    found = INNER.search(row.payload)
    return found[1] if found else None


def event_line(line: str) -> EventLine | None:
    """The event that a line tells of, if it does."""
    found = LINE.match(line)
    if found is None or WHO.match(found["who"]) is None or (found["part"] and len(found["whole"]) > 9):
        return None
    event, _, payload = found["rest"].partition(": ")
    event = event.rstrip(" ").removesuffix(":")
    if EVENT.fullmatch(event) is None:
        if named := NAMED.match(found["rest"]):
            event, payload = named[1].removesuffix(":"), named[2].removeprefix(" ")
        elif CALL.match(found["rest"]):
            # The function tracer's call (`func <-parent`) is an event whose text is all it has.
            event, payload = "function", found["rest"]
        else:
            return None
    whole, part = found["whole"], found["part"]
    time_ns = NO_TIME if whole is None else int(whole) * NS_PER_S + int(part.ljust(9, "0")) if part else int(whole)
    flags = flags_of(found["flags"] or "")
    return EventLine(_task(found["who"]), time_ns, flags, STACKS.get(event, event), payload, bool(whole) and not part)


def _tells(notes: OtherLines, place: int, line: str) -> bool:
    if found := LOST.match(line):
        notes.lost.append(LostMark(int(found[1]), int(found[2]) if found[2] else None, place))
    elif found := BUFFER_STARTED.match(line):
        notes.lost.append(LostMark(int(found[1]), None, place, starts=True))
    elif found := ENTRIES.match(line):
        notes.overwritten = max(int(found[2]) - int(found[1]), 0)
        notes.cpus = int(found[3]) if found[3] else None
    elif found := CPUS.match(line):
        notes.cpus = int(found[1])
    elif found := EMPTY.match(line):
        notes.empty.append(int(found[1]))
    elif found := LATENCY_TRACE.match(line):
        notes.kernel = found[1]
    elif found := LATENCY.match(line):
        notes.overwritten = max(int(found[2]) - int(found[1]), 0)
        notes.cpus = int(found[3]) if found[3] else None
    else:
        return False
    return True


def _task(text: str) -> Task:
    found = WHO.match(text)
    if found is None:
        raise ValueError(text)  # neither the loop nor LINE lets it pass
    if found[2] == "?":
        return Task(UNKNOWN_COMM, NO_TID, NO_CPU if found[3] == "?" else int(found[3]))
    return Task(found[1], int(found[2]), NO_CPU if found[3] == "?" else int(found[3]))


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
