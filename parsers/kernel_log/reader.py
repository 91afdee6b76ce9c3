"""The kernel log: what failed operations print, from a dmesg file or from the printk:console events of a trace.

Lines become rows of `schema.LOG_TABLES`: page dumps, page frames named as not movable, and messages (`grammar`). What
they say together of an operation is decided in `tracereplay.attempts`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.kernel_log import bitmap
from tracereplay.parsers.kernel_log.copies import REPEATABLE, Copies, is_title, without_repetitions
from tracereplay.parsers.kernel_log.grammar import ERRNO_OF_WORDS, Found, Message, messages_in
from tracereplay.parsers.kernel_log.machine import Machine, possible_page_sizes
from tracereplay.parsers.kernel_log.numbers import unsigned
from tracereplay.parsers.kernel_log.page_dump import HEADER, POISONED, PageDump, name_by_address
from tracereplay.parsers.kernel_log.prefixes import LogLine, split_prefix
from tracereplay.parsers.kernel_log.rejoin import rejoined
from tracereplay.parsers.kernel_log.scan import LogScan, RawLine
from tracereplay.schema import LOG_TABLES, arrow_schema
from tracereplay.units import NS_PER_S

Row = dict[str, Any]

# Functions whose suppressed lines would have mattered here.
OUR_FUNCTIONS = re.compile(r"cma|contig|migrat|isolat|offlin|dump_page")
# A log whose uptime falls by more than this holds another boot; CPUs may disagree by microseconds.
REBOOT_NS = NS_PER_S
LATEST_NS = 1 << 62  # what is later does not fit into a column
# So many lines tell whether a log is printed with the newest first (journalctl -r).
ORDER_SAMPLE = 4096
# `last message repeated N times`: no more than this many are taken apart.
MOST_REPEATED = 10_000
DUMP_COLUMNS = [item.name for item in fields(PageDump) if not item.name.startswith("_")]
# Sizes in bytes that a driver names beside a failure; page sizes follow from them.
BYTES = re.compile(r"(?<![\w.:])(\d{4,12})(?![\w.:])")
OURS = re.compile(
    r"cma_alloc\w{0,24}[:(]|alloc_contig\w{0,24}(?:: | test_pages_isolated\()|memory offlining \[|: Offline failed"
    r"|migrating pfn "
)
OURS_PART = re.compile(r"cma_|contig|emory o|ffline|migrating")
# Frames and registers of a stack, source, the lines of callers that were read otherwise.
NOT_OURS = re.compile(r"\+0x[0-9a-f]+/0x|\bpc : |\blr : |RIP:|;\s*$|%[#0-9.*l]*[a-z]")
LINES_TO_DRIVER = 2
BITMAP_KINDS = {"cma_bitmap", "bitmap_begins", "bitmap_part", "bitmap_range"}
MESSAGE_KINDS = {"migrate", "isolate", "unmovable", "soft_offline"}


@dataclass(slots=True)
class KernelLog:
    """A kernel log, read: `tables` as `schema.LOG_TABLES`, what it tells of its machine, and what is missing."""

    tables: dict[str, pa.Table]
    losses: list[Loss] = field(default_factory=list)
    kernel: str | None = None
    lines: int = 0
    page_size_bytes: int | None = None
    memory_block_bytes: int | None = None
    odd_lines: int = 0  # that name what concerns us in words which are not known
    first_odd: int | None = None


@dataclass(slots=True)
class _Printer:
    """What one task (or, where the log does not tell, all of them) is in the middle of printing."""

    dump: PageDump | None = None
    announced_pfn: int | None = None  # of the `migrating pfn` line that the next dump belongs to
    bitmap: Row | None = None
    runs: list[str] = field(default_factory=list)  # of the bitmap, as they come


class LogParser:
    """Takes log lines one by one; `result` gives the tables.

    page_size_bytes -- to turn the addresses of offlining messages into PFNs; None: as the log tells, if it does.
    """

    def __init__(self, page_size_bytes: int | None = None) -> None:
        self.machine = Machine(page_size_bytes)
        self.losses: list[Loss] = []
        self.lines = 0
        self._dumps: list[PageDump] = []
        self._failures: list[Row] = []
        self._messages: list[Row] = []
        self._latest: Row | None = None  # of them, that is not a driver's
        self._titles: set[int] = set()  # places of those that stand in a heading or in quotation marks
        self._copies = Copies()
        self._printers: dict[int | None, _Printer] = {}
        self._last_ns: int | None = None
        self._clock_ns = 0  # wall clock of the last line that has one, and what lines after it add to that
        self._said_bytes = -LINES_TO_DRIVER - 1, 0  # line, size: what a driver said last
        self._odd_lines = 0
        self._first_odd: int | None = None
        self._repeatable: tuple[int, Found] = (0, ())

    def feed(self, line: LogLine) -> None:
        """Take the next line."""
        self.lines = line.number or self.lines + 1
        found = messages_in(line.text)
        if self._copies.is_copy(line, leads=bool(found) or "page:" in line.text):
            return
        self._watch_uptime(line)
        line = self._clocked(line)
        self.machine.look(line.text)
        printer = self._printers.get(line.tid)
        if "page:" in line.text and self._begin_dump(line):
            return
        if found:
            self._take_all(found, line)
        elif printer is not None and printer.dump is not None:
            printer.dump.take(line.text, self.lines)
        if not found:
            self._driver(line)
            self._odd(line)

    def _take_all(self, found: Found, line: LogLine) -> None:
        repeated = next((match for message, match in found if message.kind == "repeated"), None)
        if repeated is not None:
            self._repeat(found, repeated, line)
            return
        printer = self._printers.setdefault(line.tid, _Printer())
        for message, match in found:
            if len(found) == 1 and message.kind in REPEATABLE and is_title(line.text, *match.span()):
                self._titles.add(len(self._messages))
            self._take(message, match, line, printer)
        self._repeatable = self.lines, found

    def _repeat(self, found: Found, repeated: re.Match[str], line: LogLine) -> None:
        """`message repeated N times: [text]` holds the message; `last message repeated` means the line before."""
        number, before = self._repeatable
        own = tuple(one for one in found if one[0].kind != "repeated")
        what = own if repeated["whole"] else before if number == self.lines - 1 else ()
        printer = self._printers.setdefault(line.tid, _Printer())
        for _ in range(min(int(repeated["count"]), MOST_REPEATED) if what else 0):
            for message, match in what:
                self._take(message, match, line, printer)

    def _watch_uptime(self, line: LogLine) -> None:
        if line.time_ns is None:
            return
        if self._last_ns is not None and line.time_ns < self._last_ns - REBOOT_NS:
            self.losses.append(
                Loss("clock_step_back", 1, detail=f"uptime falls at line {self.lines}: the log holds several boots")
            )
        self._last_ns = line.time_ns

    def _clocked(self, line: LogLine) -> LogLine:
        """The line with a clock that is good for differences: `dmesg -H` shows the time since the line before."""
        if line.since_ns is not None and line.time_ns is None and line.wall_ns is None:
            line = line._replace(wall_ns=min(self._clock_ns + line.since_ns, LATEST_NS))
        self._clock_ns = self._clock_ns if line.wall_ns is None else line.wall_ns
        return line

    def _begin_dump(self, line: LogLine) -> bool:
        header = HEADER.search(line.text)
        if header is None and POISONED.search(line.text) is None:
            return False
        printer = self._printers.setdefault(line.tid, _Printer())
        dump = PageDump(line.time_ns, self.lines, line.tid, line.wall, line.wall_ns)
        if header is not None:
            dump.header(header)
        # do_migrate_range() prints the pfn and the dump in one breath; 5.7 and older name the page only in the former.
        if dump.pfn is None:
            dump.pfn = printer.announced_pfn
        printer.announced_pfn = None
        printer.dump = dump
        self._dumps.append(dump)
        return True

    def _take(self, message: Message, match: re.Match[str], line: LogLine, printer: _Printer) -> None:
        groups = match.groupdict()
        if message.kind in MESSAGE_KINDS:
            self._failure(message.kind, groups, line, printer)
        elif message.kind in BITMAP_KINDS:
            self._bitmap(message.kind, groups, line, printer)
        else:
            self._message(message.kind, groups, line)

    def _failure(self, kind: str, groups: dict[str, str | None], line: LogLine, printer: _Printer) -> None:
        pfn = unsigned(groups["pfn"])
        count = int(groups.get("count") or -1)  # a negative one is an errno, no count of folios
        row = self._row(line) | {"pfn": pfn, "failed_folios": count if count >= 0 else None, "kind": kind}
        self._failures.append(row)
        printer.dump, printer.announced_pfn = None, None if kind == "soft_offline" else pfn

    def _row(self, line: LogLine) -> Row:
        return {
            "time_ns": line.time_ns,
            "line": self.lines,
            "tid": line.tid,
            "wall": line.wall,
            "wall_ns": line.wall_ns,
        }

    def _message(self, kind: str, groups: dict[str, str | None], line: LogLine) -> None:
        row: Row = self._row(line) | {"kind": kind, "text": line.text} | _values(groups)
        if kind == "driver_failed":
            self._driver(line)
        if kind == "suppressed" and OUR_FUNCTIONS.search(str(row.get("reason"))):
            detail = str(row["reason"])
            self.losses.append(Loss("log_lines_suppressed", row["count"], None, line.time_ns, line.time_ns, detail))
        self._messages.append(row)
        if kind != "driver_failed":
            self._latest = row
            self._size_request(row)

    def _bitmap(self, kind: str, groups: dict[str, str | None], line: LogLine, printer: _Printer) -> None:
        """A bitmap, or a part of one that is printed in several; the part with the sum completes it."""
        begun, part = printer.bitmap, groups["reason"] or ""
        if kind == "bitmap_begins" or (begun is None and kind == "cma_bitmap"):
            begun = printer.bitmap = self._row(line) | {"kind": "cma_bitmap", "text": line.text}
            printer.runs.clear()
        if begun is None:  # a range without a beginning: nothing says what it is a part of
            return
        printer.runs.append(part.strip("+"))
        if kind == "cma_bitmap":
            begun["reason"] = "+".join(filter(None, printer.runs))
            begun |= _values({"pages": groups["pages"], "free": groups["free"]})
            begun["largest_run"] = bitmap.largest_run(begun["reason"])
            self._messages.append(begun)
            self._latest, printer.bitmap = begun, None

    def _driver(self, line: LogLine) -> None:
        """A driver's own words beside a failure of ours: the size that it requested, in bytes."""
        if "fail" not in line.text.lower() or not (sizes := BYTES.findall(line.text)):
            return
        self._said_bytes = self.lines, int(sizes[0])
        self._size_request(self._latest)

    def _odd(self, line: LogLine) -> None:
        """Count a line that looks like a message of ours and is none of the grammar."""
        if OURS_PART.search(line.text) and OURS.search(line.text) and not NOT_OURS.search(line.text):
            self._odd_lines += 1
            self._first_odd = self._first_odd or self.lines

    def _size_request(self, row: Row | None) -> None:
        """Give the row of a contiguous allocation the size that a driver named, where the lines are neighbours."""
        number, size = self._said_bytes
        if row is None or row["kind"] not in ("cma_failed", "contig_busy") or row.get("bytes"):
            return
        if abs(row["line"] - number) <= LINES_TO_DRIVER and possible_page_sizes(size, row.get("pages")):
            row["bytes"] = size

    def result(self) -> KernelLog:
        """What was read so far, as tables."""
        name_by_address(self._dumps, self._failures)
        self._messages, self._titles = without_repetitions(self._messages, self._titles), set()
        named = [row["pfn"] for row in self._failures if row["pfn"] is not None]
        named += [dump.pfn for dump in self._dumps if dump.pfn is not None]
        self.machine.deduce(self._messages, named)
        for row in self._messages:
            _locate(row, self.machine.page_size_bytes)
        dumps = [{name: getattr(dump, name) for name in DUMP_COLUMNS} for dump in self._dumps]
        rows = {"page_dumps": dumps, "migrate_failures": self._failures, "operation_messages": self._messages}
        tables = {
            name: pa.Table.from_pylist(rows[name], schema=arrow_schema(columns)) for name, columns in LOG_TABLES.items()
        }
        machine = self.machine
        return KernelLog(
            tables,
            self.losses,
            machine.kernel,
            self.lines,
            machine.page_size_bytes,
            machine.memory_block_bytes,
            self._odd_lines,
            self._first_odd,
        )


def _values(groups: dict[str, str | None]) -> Row:
    """The groups of a pattern as the columns of operation_messages."""
    named = {"reason": groups.get("reason"), "area": groups.get("area") or groups.get("block")}
    row: Row = {column: text for column, text in named.items() if text}
    for group, column in (
        ("pages", "pages"),
        ("align", "align_order"),
        ("free", "free_pages"),
        ("count", "count"),
        ("errno", "errno"),
    ):
        if groups.get(group) is not None:
            row[column] = int(groups[group] or 0)
    if groups.get("blocks"):  # chmem: `Memory Block 32`
        row["area"] = "memory" + str(groups["blocks"]).rsplit(" ", 1)[-1]
    if groups.get("error"):
        row["errno"] = ERRNO_OF_WORDS[str(groups["error"]).capitalize()]
    start, end = unsigned(groups.get("start")), unsigned(groups.get("end"))
    if start is not None:
        row["start_pfn"] = start
        if end is not None and end >= start:
            row["pages"] = end - start
    low, last = unsigned(groups.get("low")), unsigned(groups.get("last"))
    if last is None and (beyond := unsigned(groups.get("end_address"))):
        last = beyond - 1
    if low is not None and last is not None and last >= low:
        row |= {"address": low, "bytes": last + 1 - low}
    if (address := unsigned(groups.get("address"))) is not None:
        row["address"] = address
    return row


def _locate(row: Row, page_size_bytes: int | None) -> None:
    """Page frames of an address range, where the page size is known."""
    address, size = row.get("address"), row.get("bytes")
    if page_size_bytes is None or address is None or not size or row["kind"] in ("cma_failed", "contig_busy"):
        return
    row |= {"start_pfn": address // page_size_bytes, "pages": size // page_size_bytes}


def parse_lines(lines: Iterable[LogLine], page_size_bytes: int | None = None) -> KernelLog:
    """The tables of these log lines, numbered from 1 where they have no number."""
    parser = LogParser(page_size_bytes)
    for line in in_order_of_time(lines):
        parser.feed(line)
    return parser.result()


def in_order_of_time(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """The same lines, turned round where the newest comes first. Of such a log all lines are held in memory."""
    source = iter(lines)
    sample = list(itertools.islice(source, ORDER_SAMPLE))
    if newest_first(sample):
        yield from reversed([*sample, *source])
    else:
        yield from sample
        yield from source


def newest_first(lines: Iterable[LogLine]) -> bool:
    """Whether stamps fall from line to line. Wall clocks decide; uptimes also fall where another boot begins."""
    walls = [line.wall_ns for line in lines if line.wall_ns is not None]
    uptimes = [line.time_ns for line in lines if line.time_ns is not None]
    for stamps, least, ratio in ((walls, 1, 1), (uptimes, 3, 4)):
        pairs = list(itertools.pairwise(stamps))
        falls, rises = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
        if falls or rises:
            return falls >= least and falls > rises * ratio
    return False


def read_kernel_log(path: str | Path, page_size_bytes: int | None = None) -> KernelLog:
    """Read a dmesg, syslog or journal text file (plain or packed). Errors: InputError when it cannot be read."""
    losses: list[Loss] = []
    scan = LogScan(Path(path), losses)
    log = parse_lines(rejoined(scan), page_size_bytes)
    log.lines = scan.lines
    log.losses.extend(losses)
    return log


def is_log(text: str) -> bool:
    """Whether anything in a text is a message that is read, or a page dump."""
    lines = (RawLine(number, line) for number, line in enumerate(text.splitlines(), 1))
    return any(table.num_rows for table in parse_lines(rejoined(lines)).tables.values())


def says(line: str) -> bool:
    """Whether a line has a message that is read."""
    return bool(messages_in(split_prefix(line).text))


def parse_console(table: pa.Table, page_size_bytes: int | None = None) -> KernelLog:
    """The kernel log inside a trace: `table` holds printk:console events (time_ns, tid, msg) in time order.

    Line numbers count the rows, from 1. A message carries no prefix of its own; the caller's tid keeps tasks apart.
    """
    if "msg" not in table.column_names:  # the trace's format text describes another event of this name
        return parse_lines([], page_size_bytes)
    columns = [table.column(name).to_pylist() for name in ("time_ns", "tid", "msg")]
    lines = (LogLine(time_ns, tid, (msg or "").strip()) for time_ns, tid, msg in zip(*columns, strict=True))
    return parse_lines(lines, page_size_bytes)
