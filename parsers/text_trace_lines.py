"""Lines of trace text -> rows: who, where, when, which event, its payload, and the stacks and losses between.

comm-tid   [cpu]  secs.nsecs: event:   payload                        trace-cmd report (-t: nine digits)
comm-tid   (tgid) [cpu] d..1. secs.usecs: event: payload              /sys/kernel/tracing/trace
comm-tid   [cpu] d..1. secs.usecs: <stack trace>  and lines ` => func`
CPU:0 [LOST 12 EVENTS]                                                before that CPU's next event; trace-cmd: DROPPED
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# The comm may hold blanks and dashes: it ends at the last `-digits` before the bracket (greedy, but bounded: a comm
# has 15 bytes; quoting marks of mails and comments may stand before).
LINE = re.compile(
    r"[ \t]*(.{1,24})-(\d{1,9}) +(?:\([ \d-]{1,9}\) +)?\[(\d{1,4})\] +(?:([dDbBX.][NnpLlbB.][hHsZz.][0-9a-f.]{1,2}) +)?"
    r"(\d{1,9})(?:\.(\d{3,9})|(\d{0,9})): +(?:\(\+\d+\) +)?(?:([A-Za-z_]\w*):(?= |$))?(.*)"
)
COMM, TID, CPU, FLAGS, SECONDS, FRACTION, TICKS, EVENT, PAYLOAD = range(9)
FRAME = re.compile(r"[\s/*>|]*=> (.*?)(?: \([0-9a-f]+\))?\s*$")
LOST = re.compile(r"[\s/*>|]*CPU:(\d{1,4}) \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]")
BUFFER_STARTED = re.compile(r"#+ CPU (\d{1,4}) buffer started #+")
ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})(?: +#P:(\d{1,5}))?")
CPUS = re.compile(r"cpus=(\d{1,5})\s*$")
NO_EVENT = re.compile(r"\s*$|\s*#|version = |CPU \d+ is empty|cpus=")
STACKS = {"<stack trace>": "kernel_stack", "<stack trace >": "kernel_stack", "<user stack trace>": "user_stack"}


@dataclass(frozen=True, slots=True)
class LostMark:
    """A line that says events of a CPU are missing before its next event. row -- the row it stands before."""

    cpu: int
    count: int | None
    row: int
    starts: bool = False  # `buffer started`: everything before is missing


@dataclass(slots=True)
class LineBlock:
    """A stretch of lines, taken apart.

    rows -- groups of `LINE` per event, in file order; names -- the event of each; frames -- stacks by row.
    """

    rows: list[tuple[str, ...]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    frames: dict[int, list[str]] = field(default_factory=dict)
    lost: list[LostMark] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)  # line numbers that were not understood
    overwritten: int | None = None  # entries written but no longer in the buffer
    cpus: int | None = None


def take_lines(lines: list[str], first_number: int) -> LineBlock:
    """Take whole lines apart; `first_number` is the number of the first one in its file."""
    block = LineBlock()
    rows, names = block.rows, block.names
    match = LINE.match
    for number, line in enumerate(lines, first_number):
        if found := match(line):
            groups = found.groups("")
            name = groups[EVENT]
            if not name or name == "kernel_stack":
                text = groups[PAYLOAD].strip()
                if text in STACKS:
                    name = STACKS[text]
                    block.frames[len(rows)] = []
                elif not name and " <-" in text:
                    name = "function"  # the function tracer: `func <-parent`
                elif not name:
                    block.odd.append(number)
                    continue
            rows.append(groups)
            names.append(name)
        elif not _continues_stack(block, line) and not _tells_of_losses(block, line) and not NO_EVENT.match(line):
            block.odd.append(number)
    return block


def _continues_stack(block: LineBlock, line: str) -> bool:
    if "=> " not in line or (found := FRAME.match(line)) is None:
        return False
    # Frames whose header was lost belong to nothing, but are no mystery either.
    if (frames := block.frames.get(len(block.rows) - 1)) is not None:
        frames.append(found[1])
    return True


def _tells_of_losses(block: LineBlock, line: str) -> bool:
    if found := LOST.match(line):
        block.lost.append(LostMark(int(found[1]), int(found[2]) if found[2] else None, len(block.rows)))
    elif found := BUFFER_STARTED.match(line):
        block.lost.append(LostMark(int(found[1]), None, len(block.rows), starts=True))
    elif found := ENTRIES.match(line):
        block.overwritten = max(int(found[2]) - int(found[1]), 0)
        block.cpus = int(found[3]) if found[3] else None
    elif found := CPUS.match(line):
        block.cpus = int(found[1])
    else:
        return False
    return True
