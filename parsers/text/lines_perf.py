"""Lines of `perf script` -> rows, with the call chains and losses between them.

         comm   tid [cpu]  secs.usecs:            sys:event: payload      comm padded, or not where chains follow
         comm   pid/tid [cpu] K secs.nsecs:  period  sys:event:   payload     -F +pid,+misc,+period,+flags, --ns
        ffffffff8128312d __alloc_pages+0x22e ([kernel.kallsyms])
         comm   tid [cpu]  secs.usecs: PERF_RECORD_LOST lost 39766        --show-lost-events

Sources: KERNEL 1.12 g; tools/perf/builtin-script.c (perf_sample__fprintf_start, sample__fprintf_callchain).
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracereplay.parsers.tasks.names import UNKNOWN_COMM
from tracereplay.parsers.text.fast.value_kernels import MISSING
from tracereplay.parsers.text.lines_ftrace import NS_PER_S, PROSE, LineBlock, LostMark, Task, is_prose
from tracereplay.parsers.text.spans import Spans

Ints = npt.NDArray[np.int64]

# A comm may hold anything: the task is read from its right end.
TASK = re.compile(
    r"\s*(?P<comm>\S.{0,15}?|) +(?:-?\d{1,10}/)?(?P<tid>-?\d{1,9}) *(?: \[(?P<cpu>\d{1,5})\])?(?: +[A-Z]{1,3})?",
    re.ASCII,
)
# --Latency: three columns of fixed width.
LATENCY = re.compile(r"(?P<comm>.{8}) (?P<tid>[ \d]{4,8}\d) (?P<cpu>[ \d]{2}\d)", re.ASCII)
TIME = r"^(?P<whole>\d{1,9})\.(?P<part>\d{6,9})$"
# The event, a period before it perhaps; `cycles:pp` is a counter with its modifiers.
EVENT = re.compile(r"(?:\d{1,20} +)?(?P<event>[\w./-]+(?::[\w./-]*)?)", re.ASCII)
MODIFIERS = re.compile(r"[ukhGHpPSDIWeb]{1,8}")
FRAME = r"^\s+[0-9a-f]{1,16} (?P<frame>.*?)(?: \([^()]*(?:\([^()]*\))?[^()]*\))?\s*$"
EVENT_LINE = re.compile(rb".* \d{1,9}\.\d{6,9}: .*:")
LOST = re.compile(
    r"(?P<who>.*?) +\d{1,9}\.\d{6,9}: PERF_RECORD_LOST(?:_SAMPLES)? lost (?P<count>\d{1,18})\s*$", re.ASCII
)
NO_EVENT = re.compile(r"\s*$|#|.* PERF_RECORD_[A-Z]")
HEADER = re.compile(r"# (?P<key>os release|arch|nrcpus online|nrcpus avail) : (?P<value>\S+)")
UNKNOWN_TASK = re.compile(r":-?\d+")


@dataclass(slots=True)
class PerfHeader:
    """What the lines of `perf script --header` say."""

    kernel: str | None = None
    machine: str | None = None
    cpus: int | None = None
    online_cpus: int | None = None

    def take(self, line: str) -> None:
        """Take a comment line."""
        if found := HEADER.match(line):
            value = found["value"]
            if found["key"] == "arch":
                self.machine = value
            elif found["key"] == "os release":
                self.kernel = value
            elif value.isdigit() and len(value) < 6:
                if found["key"] == "nrcpus online":
                    self.online_cpus = int(value)
                else:
                    self.cpus = int(value)


@dataclass(slots=True)
class _Rows:
    """Event lines: place of each, what is before the time, the time, the event with what precedes it, the payload."""

    place: Ints
    who: pa.StringArray
    when: pa.StringArray
    event: pa.StringArray
    payload: pa.StringArray

    def kept(self, mask: npt.NDArray[np.bool_]) -> _Rows:
        """The rows that `mask` selects."""
        chosen = pa.array(mask)
        parts = (part.filter(chosen) for part in (self.who, self.when, self.event, self.payload))
        return _Rows(self.place[mask], *parts)


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


def take_lines(lines: pa.StringArray, header: PerfHeader) -> LineBlock:
    """Take a block of whole lines apart."""
    rows = _split(lines)
    who, event = rows.who.dictionary_encode(), rows.event.dictionary_encode()
    tasks = [_task(text) for text in who.dictionary.to_pylist()]
    names = [_event_name(text) for text in event.dictionary.to_pylist()]
    good = np.array([task is not None for task in tasks], bool)[np.asarray(who.indices)]
    named = np.array([name is not None for name in names], bool)[np.asarray(event.indices)]
    timed = np.asarray(pc.match_substring_regex(rows.when, TIME))
    rows = rows.kept(good & named & timed)
    special = np.ones(len(lines), bool)
    special[rows.place] = False
    places = np.flatnonzero(special)
    frames = pc.struct_field(pc.extract_regex(lines.take(pa.array(places)), FRAME), "frame")
    is_frame = np.asarray(frames.is_valid())
    notes = _Notes(header)
    for place, line in zip(
        places[~is_frame].tolist(), lines.take(pa.array(places[~is_frame])).to_pylist(), strict=True
    ):
        notes.take(place, line, rows.place)
    rows.payload = notes.completed(rows.payload)
    return _assembled(rows, notes, places[is_frame], frames.drop_null())


def _split(lines: pa.StringArray) -> _Rows:
    """Lines of the form `who when: event: payload`."""
    parts = pc.split_pattern(lines, ": ", max_splits=2)
    counts, values = np.asarray(pc.list_value_length(parts)), parts.values
    rows = np.flatnonzero(counts >= 2)
    starts = np.asarray(parts.offsets)[:-1][rows].astype(np.int64)
    left = pc.split_pattern(values.take(pa.array(starts)), " ", max_splits=1, reverse=True)
    two = np.asarray(pc.list_value_length(left)) == 2
    rows, starts, left = rows[two], starts[two], left.filter(pa.array(two))
    halves = left.flatten()
    event = values.take(pa.array(starts + 1))
    payload = values.take(pa.array(starts + 2, mask=counts[rows] == 2)).fill_null("")
    return _Rows(
        rows,
        halves.take(pa.array(np.arange(0, len(halves), 2))),
        halves.take(pa.array(np.arange(1, len(halves), 2))),
        pc.utf8_trim(event, " \n"),
        pc.utf8_rtrim(payload, "\n"),
    )


def _task(text: str) -> Task | None:
    text = text.rstrip(" ")
    found = LATENCY.fullmatch(text) or TASK.fullmatch(text)
    if found is None:
        return None
    comm = found["comm"].strip(" ")
    unknown = not comm or UNKNOWN_TASK.fullmatch(comm)
    cpu = int(found["cpu"] or 0)
    return Task(UNKNOWN_COMM if unknown else comm, int(found["tid"]), cpu) if cpu < 1 << 16 else None


def _event_name(text: str) -> str | None:
    """`kmem:mm_page_alloc` -> mm_page_alloc; counters keep their modifiers."""
    found = EVENT.fullmatch(text.removesuffix(":"))
    if found is None or found["event"].startswith("PERF_RECORD_"):
        return None
    _system, _, name = found["event"].partition(":")
    return found["event"].removesuffix(":") if not name or MODIFIERS.fullmatch(name) else name


@dataclass(slots=True)
class _Notes:
    """What the lines that are neither events nor frames say."""

    header: PerfHeader
    lost: list[tuple[int, int, int]] = field(default_factory=list)  # place, CPU, count
    odd: list[int] = field(default_factory=list)
    prose: list[int] = field(default_factory=list)
    rests: dict[int, str] = field(default_factory=dict)  # by row: what a terminal or mail wrapped

    def take(self, place: int, line: str, rows: Ints) -> None:
        """Take a line."""
        row = int(np.searchsorted(rows, place)) - 1
        if (found := LOST.match(line)) and (task := _task(found["who"])):
            self.lost.append((place, task.cpu, int(found["count"])))
        elif NO_EVENT.match(line):
            self.header.take(line)
        elif PROSE.match(line):
            self.prose.append(place)
        elif row >= 0 and int(rows[row]) == place - 1 and not line[0].isspace():
            self.rests[row] = line.rstrip("\n")
        else:
            (self.prose if is_prose(line.rstrip("\n")) else self.odd).append(place)

    def completed(self, payload: pa.StringArray) -> pa.StringArray:
        """Payloads with the rest that stood on the next line."""
        if not self.rests:
            return payload
        texts = payload.to_pylist()
        for row, rest in self.rests.items():
            texts[row] += rest
        return pa.array(texts, pa.string())


def _assembled(rows: _Rows, notes: _Notes, frame_places: Ints, frames: pa.StringArray) -> LineBlock:
    """The block; a call chain becomes a row of its own after its event, as ftrace writes it."""
    owner = np.searchsorted(rows.place, frame_places) - 1
    owned = owner >= 0
    with_chain, counts = np.unique(owner[owned], return_counts=True)
    who, event = rows.who.dictionary_encode(), rows.event.dictionary_encode()
    names = [_event_name(text) or "" for text in event.dictionary.to_pylist()]
    # rows and chains in one order: each chain after its event
    order = np.argsort(np.concatenate([np.arange(len(rows.place)), with_chain]), kind="stable")
    source = np.concatenate([np.arange(len(rows.place)), with_chain])[order]
    is_chain = order >= len(rows.place)
    place = rows.place[source]
    when = pc.extract_regex(rows.when, TIME)
    codes = np.where(is_chain, len(names), np.asarray(event.indices, np.int64)[source])
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return LineBlock(
        tasks=[task for text in who.dictionary.to_pylist() if (task := _task(text))],
        task=np.asarray(who.indices, np.int64)[source],
        time_ns=_stamps(pc.struct_field(when, "whole"), pc.struct_field(when, "part"))[source],
        flags=np.full(len(source), MISSING, np.int64),
        events=[*names, *(["kernel_stack"] if len(with_chain) else [])],
        event=codes,
        payload=Spans.of(pc.if_else(pa.array(is_chain), "", rows.payload.take(pa.array(source)))),
        stack_rows=np.flatnonzero(is_chain),
        frames=pa.ListArray.from_arrays(pa.array(offsets), frames.filter(pa.array(owned))),
        lost=[LostMark(cpu, count, int(np.searchsorted(place, at))) for at, cpu, count in notes.lost],
        odd=notes.odd,
        prose=notes.prose,
        cpus=notes.header.cpus,
    )


def _stamps(whole: pa.StringArray, part: pa.StringArray) -> Ints:
    """Seconds and their parts as nanoseconds."""
    digits = np.asarray(pc.utf8_length(part), np.int64)
    return np.asarray(whole.cast(pa.int64())) * NS_PER_S + np.asarray(part.cast(pa.int64())) * 10 ** (9 - digits)


def whole_samples(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks cut before their last event: its call chain, or the rest of its line, may go on in the next."""
    held = b""
    for raw in blocks:
        block = held + raw
        begin = end = len(block)
        while end:
            begin = block.rfind(b"\n", 0, end - 1) + 1
            if EVENT_LINE.match(block, begin, end):
                break
            end = begin
        cut = begin if begin and end else len(block)
        yield block[:cut]
        held = block[cut:]
    if held:
        yield held
