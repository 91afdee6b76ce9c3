r"""Unusual shapes of trace text, rewritten to the usual one a block at a time; chosen by the beginning of the file.

    bash-25306     0..... 966417446us+: event: ...                    latency-format; trace-cmd report -l: seconds
            bash   25306   0 0 00000000 00000000 [2a] 0.042ms (+0.001ms): event: ...     with verbose
     1.105144 |   1)  bash-253  |  /* event: ... */                   function_graph, its events are comments
    guest.dat:            bash-253   [001]  1.5: event: ...           several files or instances in one report
    bash-253   [001]  1.5: (+1462)  event: ...                        trace-cmd report --ts-diff
    > bash-253   [001]  1.5: event: a=1                               wrapped by a mail program
    > b=2
    event: ...                                                        payloads alone
    [  500.024297]  bash-253        1d..3. 499102956us : event: ...   ftrace_dump() into the kernel log
     966.417446: event: ...                                           task and CPU cut off; or the task's name alone

What a shape does not tell (task, CPU, time) is written as `?`. Common text has none of these and costs nothing.
Sources: KERNEL 1.12 a to f; kernel/trace/trace_output.c, trace_functions_graph.c; trace-cmd's trace-read.c.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.files.packed import read_chunks
from tracereplay.parsers.text.blocks import text_blocks

Rewrite = Callable[[bytes], bytes]

SNIFF_BYTES = 1 << 16
FLAGS = rb"[dDbBX.][NnpLlbB.][hHsZz.][0-9a-f.][0-9a-f.]?"
TASK = rb"\S.{0,15}?-\d{1,9} +(?:\([ \d-]{1,9}\) +)?\[\d{1,4}\]"
# The usual shape, for telling what needs no help.
EVENT = re.compile(rb"^[ \t]*+(?:(?://|[>|*]) *+)*+" + TASK + rb" +(?:" + FLAGS + rb" +)?\d+(?:\.\d+)?: ", re.MULTILINE)
# What `rewrite` makes of events without a task or a time.
MISSING = re.compile(rb"^(?:\?-\?|\S.{0,15}-\d{1,9}) \[(?:\d{1,4}|\?)\] (?:\?|\d+\.\d+): ", re.MULTILINE)

ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")
DIFFERENCE = re.compile(rb"(\] +(?:" + FLAGS + rb" +)?\d+(?:\.\d+)?: )\(\+\d+\) +(?=[A-Za-z_<])")
LATENCY = re.compile(
    rb"^([^\n\[]{0,40}?\S-\d{1,9}) +(\d{1,4})("
    + FLAGS
    + rb") +(?:(\d{1,15})us[ +!#*@$]?|(\d{1,9}\.\d{1,9}|\d{1,18})): ",
    re.MULTILINE,
)
VERBOSE = re.compile(
    rb"^ *(\S.{0,15}?) +(\d{1,9}) +(\d{1,4}) \d{1,3} [0-9a-f]{8} [0-9a-f]{8,16} "
    rb"\[([0-9a-f]{8,16})\] -?\d{1,15}(?:\.\d{3}ms)? \(\+-?[\d.]{1,20}(?:ms)?\): ",
    re.MULTILINE,
)
# One pattern for all lines of function_graph, so that task switches and events are met in their order.
GRAPH = re.compile(
    rb"^[> \t]*+(?:(?P<time>\d{1,9}\.\d{1,9}) \|[ \t]*+)?(?:"
    rb"(?P<on>\d{1,4})\)[ \t]+\S.{0,15}?-\d{1,9}[ \t]+=>[ \t]+(?P<next>\S.{0,15}?-\d{1,9})[ \t]*"
    rb"|(?P<cpu>\d{1,4})\)[ \t]*(?:(?P<task>\S.{0,15}?-\d{1,9})[ \t]+\|)?"
    rb"(?:[^/\n]*\|[ \t]*/\* (?P<event>[A-Za-z_]\w*: .*?) \*/[ \t]*|[^\n]*\|.*)"
    rb"|-{20,}[ \t]*)$",
    re.MULTILINE,
)
GRAPH_SIGN = re.compile(rb"^[> \t]*+(?:\d{1,9}\.\d{1,9} \|[ \t]*+)?\d{1,4}\)[^/\n]*\|", re.MULTILINE)
LABELLED = re.compile(
    rb"^ *(?P<label>[^\s:](?:[^\n:]{0,254}[^\s:])?): (?=.{15}\S-\d{1,9} +\[\d{1,4}\] .*?: +(?P<event>[A-Za-z_]\w*):)",
    re.MULTILINE,
)
UNLABELLED = re.compile(rb"^ *\S.{0,15}-\d{1,9} +\[\d{1,4}\] .*?: +(?P<event>[A-Za-z_]\w*):", re.MULTILINE)
PAYLOAD = re.compile(rb"^[ \t>|]*+([a-z]\w{1,60}):(?= +[a-z]\w*[= ])", re.MULTILINE)
# A line of an ftrace dump after the kernel log's own stamp (and what syslog puts before it).
LOGGED = re.compile(
    rb"^(?:[^\n\[]{0,100}kernel: ?)?(?:<\d{1,3}>)?\[ *\d{1,9}\.\d{3,9}\](?:\[ *[TC]\d{1,9}\])? ?"
    rb"(?=[^\n\[]{0,40}?\S-\d{1,9} +\d{1,4}" + FLAGS + rb" +[\d.]+(?:us)?[ +!#*@$]?: |CPU:\d{1,4} \[(?:LOST|\d))",
    re.MULTILINE,
)
NO_TASK = re.compile(
    rb"^[ \t>|]*+(?:\[(\d{1,4})\] +(?:" + FLAGS + rb" +)?)?(\d{1,9}\.\d{6,9}): +(?=([a-z]\w{1,60}): )", re.MULTILINE
)
NO_COMM = re.compile(rb"^[ \t>|]*+-(\d{1,9})(?= +(?:\([ \d-]{1,9}\) +)?\[\d{1,4}\] )", re.MULTILINE)
LOST = re.compile(rb"^[> \t]*+CPU:\d{1,4} \[(?:LOST )?(?:\d{1,18} )?EVENTS(?: DROPPED)?\]", re.MULTILINE)
NO_FIELDS = re.compile(rb"^(?:\d+ \d+ \d+|[0-9a-f]{8} [0-9a-f]{8} [0-9a-f ]{8,}) type: \d+\s*$", re.MULTILINE)

QUOTE = re.compile(rb"[ \t]*(?:(?://|[>|*])[ \t]?)*")
KEY = re.compile(rb"(?:^|[ ,(])\w+=")
# A mail program breaks between words where the next one would pass its width, 64 to 80 columns.
WRAP_COLUMNS = range(60, 83)
HEAD_ONLY = re.compile(rb"[ \t]*" + TASK + rb" +(?:" + FLAGS + rb" +)?\d+\.\d+:\s*$")
OTHER_LINE = re.compile(rb"\s*$|\s*=>|\s*#|CPU:\d|.*<(?:user )?stack trace>")


@dataclass(slots=True)
class Shapes:
    """How the text of one file is made usual: `rewrite` (None: it is), and what is left out on the way."""

    rewrite: Rewrite | None = None
    graph: bool = False  # whether it is function_graph's
    losses: list[Loss] = field(default_factory=list)


def shapes_of(path: Path) -> Shapes:
    """Look at the beginning of a file. A `rewrite` takes whole lines in the order of the file, once.

    Errors: InputError when it cannot be read, or was printed with the options raw, hex or bin.
    """
    head = next(read_chunks(path, []), b"")[:SNIFF_BYTES]
    head = (head.rpartition(b"\n")[0] or head).replace(b"\r\n", b"\n") + b"\n"
    refuse_bare_numbers(head, path)
    shapes = Shapes(graph=GRAPH_SIGN.search(head) is not None)
    steps = _steps(head)
    if LABELLED.search(head):
        steps.insert(0, _one_source(path, shapes.losses))
    if steps:
        shapes.rewrite = lambda raw: _all(steps, raw)
    return shapes


def normalized_head(head: bytes) -> bytes:
    """The beginning of a text in the usual shape, whatever its own (labels are taken off)."""
    head = head.replace(b"\r\n", b"\n")
    return _all(_steps(head), LABELLED.sub(b"", head))


def refuse_bare_numbers(head: bytes, path: Path) -> None:
    """Errors: InputError for text printed with a trace option that leaves the fields out."""
    binary = head.startswith(b"# tracer:") and b"\0" in head
    if binary or (NO_FIELDS.search(head) and not EVENT.search(head)):
        raise InputError(
            f"printed with the trace option {'bin' if binary else 'raw or hex'}, which leaves out the fields of events",
            path=path,
            advice="turn it off (echo noraw nohex nobin > trace_options, one by one) and copy the trace again",
        )


def _steps(head: bytes) -> list[Rewrite]:
    """The rewritings that a text with this beginning needs, in their order."""
    steps: list[Rewrite] = []

    def take(step: Rewrite) -> None:
        nonlocal head
        steps.append(step)
        head = step(head)

    if b"\x1b" in head:
        take(lambda raw: ANSI.sub(b"", raw))
    if LOGGED.search(head):
        take(lambda raw: LOGGED.sub(b"", raw))
    if _wrapped(head) != head:
        take(_wrapped)
    if LATENCY.search(head):
        take(lambda raw: LATENCY.sub(_latency, raw))
    if VERBOSE.search(head):
        take(lambda raw: VERBOSE.sub(_verbose, raw))
    if DIFFERENCE.search(head):
        take(lambda raw: DIFFERENCE.sub(rb"\1", raw))
    if GRAPH_SIGN.search(head):
        steps.append(_graph())  # not tried on the head: it would remember its tasks
    if any(line[3].decode() in SPECS for line in NO_TASK.finditer(head)):
        take(lambda raw: NO_TASK.sub(_no_task, raw))
    if NO_COMM.search(head):
        take(lambda raw: NO_COMM.sub(rb"<...>-\1", raw))
    first = PAYLOAD.match(head.lstrip())
    known = any(line[1].decode() in SPECS for line in PAYLOAD.finditer(head))
    if known and (first is not None or not EVENT.search(head)):
        take(lambda raw: PAYLOAD.sub(_payload, raw))
    return steps


def _all(steps: list[Rewrite], raw: bytes) -> bytes:
    for step in steps:
        raw = step(raw)
    return raw


def _seconds(micros: int) -> bytes:
    return b"%d.%06d" % divmod(micros, 1_000_000)


def _latency(line: re.Match[bytes]) -> bytes:
    task, cpu, flags, micros, stamp = line.groups()
    return b"%b [%b] %b %b: " % (task, cpu, flags, _seconds(int(micros)) if micros else stamp)


def _verbose(line: re.Match[bytes]) -> bytes:
    comm, tid, cpu, micros = line.groups()
    return b"%b-%b [%b] %b: " % (comm, tid, cpu, _seconds(int(micros, 16)))


def _no_task(line: re.Match[bytes]) -> bytes:
    known = line[3].decode() in SPECS
    return b"?-? [%b] %b: " % (line[1] or b"?", line[2]) if known else line[0]


def _payload(line: re.Match[bytes]) -> bytes:
    known = line[1].decode() in SPECS
    return b"?-? [?] ?: %b:" % line[1] if known else line[0]


def _graph() -> Rewrite:
    """Events out of function_graph's comments; its calls become blank lines. Follows which task runs on a CPU."""
    running: dict[bytes, bytes] = {}

    def event(line: re.Match[bytes]) -> bytes:
        if line["on"]:
            running[line["on"]] = line["next"]
        if not line["event"]:
            return b""
        cpu = line["cpu"]
        if line["task"]:
            running[cpu] = line["task"]
        return b"%b [%b] %b: %b" % (running.get(cpu, b"?-?"), cpu, line["time"] or b"?", line["event"])

    return lambda raw: GRAPH.sub(event, raw)


def _wrapped(raw: bytes) -> bytes:
    """Lines that a mail program has broken, joined; as many blank lines follow, so that line numbers stay true."""
    out: list[bytes] = []
    columns = blanks = 0  # of the line before; lines joined to it
    event = False
    for line in raw.split(b"\n"):
        text = QUOTE.sub(b"", line, count=1)
        if event and _continues(out[-1], columns, text):
            glue = b"" if out[-1][-1:] in b"|=_(" or text[:1] in b"|_)" else b" "
            out[-1] = out[-1].rstrip() + glue + text.rstrip()
            columns, blanks = len(line), blanks + 1
            continue
        out += [b""] * blanks
        columns, blanks = len(line), 0
        event = EVENT.match(line + b" ") is not None
        out.append(line)
    return b"\n".join(out + [b""] * blanks)


def _continues(before: bytes, columns: int, text: bytes) -> bool:
    """Whether a line is the rest of the one before, which had so many columns."""
    if OTHER_LINE.match(text) or EVENT.match(text + b" "):
        return False
    if HEAD_ONLY.match(before) or before[-1:] == b"|" or text[:1] == b"|":
        return True
    word = text.split(maxsplit=1)[0]
    if columns > WRAP_COLUMNS.stop or columns + 1 + len(word) < WRAP_COLUMNS.start:
        return False
    return KEY.search(text) is not None or before[-1:] in b"|=,~" or text[:1] in b"|_~"


def _one_source(path: Path, losses: list[Loss]) -> Rewrite:
    """Labels taken off, and lines of other sources than the one read left out.

    Several files (all lines labelled) are several machines or recordings: the one with most events is read. Instances
    of one file stand beside unlabelled lines of its top level: each event is read from the one that has most of it.
    """
    counts: Counter[tuple[bytes, bytes]] = Counter()
    for block in text_blocks(path, []):
        counts.update((line["label"], line["event"]) for line in LABELLED.finditer(block))
        counts.update((b"", line["event"]) for line in UNLABELLED.finditer(LABELLED.sub(b"\0", block)))
    labels: Counter[bytes] = Counter()
    for (label, _), count in counts.items():
        labels[label] += count
    best = dict.fromkeys((event for _, event in counts), max(labels, key=lambda label: (labels[label], label)))
    if labels[b""]:
        best = {event: max((c, label) for (label, name), c in counts.items() if name == event)[1] for event in best}
    for event, kept in sorted(best.items()):
        left = sum(count for (label, name), count in counts.items() if name == event and label != kept)
        if left:
            detail = f"{event.decode()} is read from {kept.decode('utf-8', 'replace') or 'the top level'} only"
            losses.append(Loss("instance_left_out", left, detail=detail))

    def strip(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        for place, line in enumerate(lines):
            if found := LABELLED.match(line):
                lines[place] = line[found.end() :] if best.get(found["event"]) == found["label"] else b""
            elif (found := UNLABELLED.match(line)) and best.get(found["event"], b""):
                lines[place] = b""
        return b"\n".join(lines)

    return strip
