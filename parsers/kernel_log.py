"""The kernel log: what failed operations print, from a dmesg file or from the printk:console events of a trace.

Kernel functions: dump_page(), do_migrate_range(), offline_pages(), cma_alloc(), alloc_contig_range().
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.parsers.log_lines import LogLine, split_prefix
from tracereplay.parsers.page_dump import HEADER, POISONED, PageDump, signed, unsigned
from tracereplay.parsers.text_input import text_lines
from tracereplay.schema import LOG_TABLES, arrow_schema
from tracereplay.units import NS_PER_S

Row = dict[str, Any]

BANNER = re.compile(r"Linux version (\S+)")
# Only x86 tells its page size by being x86; offline messages print addresses, not PFNs.
X86 = re.compile(r"BIOS-e820|x86/|x86_64")
X86_PAGE_SIZE_BYTES = 4096

# `migrating pfn 1083e9 failed ret:11`: ret is migrate_pages()' count of folios left. 2.6.32 said `removing from LRU`.
MIGRATING = re.compile(r"migrating pfn ([0-9a-f]{1,16}) failed ret:(-?\d{1,19})")
ISOLATING = re.compile(r"(?:failed to isolate pfn|removing from LRU failed) ([0-9a-f]{1,16})\b")
SOFT_OFFLINE = re.compile(r"soft offline: 0x([0-9a-f]{1,16}): .*?migration failed (-?\d{1,19})")

# The area's name is arbitrary text; up to 5.10 it is not printed.
CMA_FAILED = re.compile(
    r"cma: \w*cma_alloc\w*: (?:(?P<area>.*): )?alloc failed, "
    r"req-size: (?P<pages>\d{1,18}) pages, ret: (?P<ret>-?\d{1,9})"
)
CMA_BUSY = re.compile(r"cma: \w+\(\): memory range at (?:pfn 0x(?P<pfn>[0-9a-f]{1,16}) )?\S+ is busy, retrying")
BITMAP_WHOLE = re.compile(
    r"cma: (?:number of available pages: ?)?(?P<map>\S*?)=> (?P<free>\d{1,18}) free of (?P<total>\d{1,18}) total pages"
)
# 7.x prints one line per range, and the sum apart.
BITMAP_BEGINS = re.compile(r"cma: number of available pages: ?$")
BITMAP_RANGE = re.compile(r"cma: (range \d+: \S+)$")
BITMAP_ENDS = re.compile(r"(?:cma: )?=> (?P<free>\d{1,18}) free of (?P<total>\d{1,18}) total pages")
# 3.x said `test_pages_isolated(a2e00, a3400) failed`.
CONTIG_BUSY = re.compile(
    r"alloc_contig_range(?:: \[| test_pages_isolated\()(?P<start>[0-9a-f]{1,16}), (?P<end>[0-9a-f]{1,16})"
    r"\) (?:PFNs busy|failed)"
)
OFFLINE_FAILED = re.compile(
    r"memory offlining \[mem 0x(?P<start>[0-9a-f]{1,16})-0x(?P<last>[0-9a-f]{1,16})\] failed(?: due to (?P<reason>.*))?"
)
BLOCK_FAILED = re.compile(r"memory (?P<block>memory\d{1,18}): Offline failed")
OFFLINED = re.compile(r"Offlined Pages (?P<pages>\d{1,18})$")
SUPPRESSED = re.compile(r"(?P<function>\w+): (?P<count>\d{1,18}) callbacks suppressed")
# Functions whose suppressed lines would have mattered here.
OUR_FUNCTIONS = re.compile(r"cma|contig|migrat|isolat|offlin|dump_page")

# One search decides whether a line outside a dump concerns us at all.
RELEVANT = re.compile(
    r"page:|pfn|LRU failed|soft offline|cma: |total pages|alloc_contig_range|fflin|callbacks suppressed"
    r"|Linux version|x86|e820"
)
# A log whose uptime falls by more than this holds another boot; CPUs may disagree by microseconds.
REBOOT_NS = NS_PER_S
DUMP_COLUMNS = [item.name for item in fields(PageDump) if not item.name.startswith("_")]


@dataclass(slots=True)
class KernelLog:
    """A kernel log, read: `tables` as `schema.LOG_TABLES`, the release its banner names, and what is missing."""

    tables: dict[str, pa.Table]
    losses: list[Loss] = field(default_factory=list)
    kernel: str | None = None
    lines: int = 0


@dataclass(slots=True)
class _Printer:
    """What one task (or, where the log does not tell, all of them) is in the middle of printing."""

    dump: PageDump | None = None
    announced_pfn: int | None = None  # of the `migrating pfn` line that the next dump belongs to
    bitmap: Row | None = None


class LogParser:
    """Takes log lines one by one; `result` gives the tables.

    page_size_bytes -- to turn the addresses of offlining messages into PFNs; None: known for x86 logs only.
    """

    def __init__(self, page_size_bytes: int | None = None) -> None:
        self.page_size_bytes = page_size_bytes
        self.kernel: str | None = None
        self.losses: list[Loss] = []
        self.lines = 0
        self._dumps: list[PageDump] = []
        self._failures: list[Row] = []
        self._messages: list[Row] = []
        self._printers: dict[int | None, _Printer] = {}
        self._last_ns: int | None = None

    def feed(self, line: LogLine) -> None:
        """Take the next line."""
        self.lines += 1
        self._watch_uptime(line)
        printer = self._printers.get(line.tid)
        if RELEVANT.search(line.text):
            if printer is None:
                printer = self._printers[line.tid] = _Printer()
            if self._begin_dump(printer, line) or any(take(self, printer, line) for take in _TAKERS):
                return
        if printer is not None and printer.dump is not None:
            printer.dump.take(line.text)

    def _watch_uptime(self, line: LogLine) -> None:
        if line.time_ns is None:
            return
        if self._last_ns is not None and line.time_ns < self._last_ns - REBOOT_NS:
            self.losses.append(
                Loss("clock_step_back", 1, detail=f"uptime falls at line {self.lines}: the log holds several boots")
            )
        self._last_ns = line.time_ns

    def _begin_dump(self, printer: _Printer, line: LogLine) -> bool:
        header = HEADER.match(line.text)
        if header is None and POISONED.match(line.text) is None:
            return False
        dump = PageDump(line.time_ns, self.lines, line.tid)
        if header is not None:
            dump.header(header)
        # do_migrate_range() prints the pfn and the dump in one breath; 5.7 and older name the page only in the former.
        if dump.pfn is None:
            dump.pfn = printer.announced_pfn
        printer.announced_pfn = None
        printer.dump = dump
        self._dumps.append(dump)
        return True

    def _banner(self, _printer: _Printer, line: LogLine) -> bool:
        if banner := BANNER.search(line.text):
            self.kernel = banner[1]
        if self.page_size_bytes is None and X86.search(line.text):
            self.page_size_bytes = X86_PAGE_SIZE_BYTES
        return banner is not None

    def _failure(self, printer: _Printer, line: LogLine) -> bool:
        folios = None
        if match := MIGRATING.search(line.text):
            kind, folios = "migrate", signed(match[2], 64)
        elif match := ISOLATING.search(line.text):
            kind = "isolate"
        elif match := SOFT_OFFLINE.search(line.text):
            kind, folios = "soft_offline", signed(match[2], 64)
        else:
            return False
        pfn = unsigned(match[1])
        # A negative one is an errno, no count of folios.
        folios = folios if folios is not None and folios >= 0 else None
        self._failures.append(self._row(line) | {"pfn": pfn, "failed_folios": folios, "kind": kind})
        printer.dump, printer.announced_pfn = None, pfn
        return True

    def _row(self, line: LogLine) -> Row:
        return {"time_ns": line.time_ns, "line": self.lines, "tid": line.tid}

    def _message(self, line: LogLine, kind: str, **values: object) -> None:
        self._messages.append(self._row(line) | {"kind": kind, "text": line.text} | values)

    def _cma(self, printer: _Printer, line: LogLine) -> bool:
        text = line.text
        if match := CMA_FAILED.search(text):
            self._message(
                line, "cma_failed", area=match["area"], pages=int(match["pages"]), errno=abs(int(match["ret"]))
            )
        elif match := CMA_BUSY.search(text):
            self._message(line, "contig_busy", start_pfn=unsigned(match["pfn"]))
        elif match := BITMAP_WHOLE.search(text):
            self._message(line, "cma_bitmap", pages=int(match["total"]), reason=text[match.start("map") :])
        elif BITMAP_BEGINS.search(text):
            printer.bitmap = self._row(line) | {"kind": "cma_bitmap", "text": text, "reason": ""}
        elif printer.bitmap is not None and (match := BITMAP_RANGE.search(text) or BITMAP_ENDS.search(text)):
            self._continue_bitmap(printer, printer.bitmap, match)
        else:
            return False
        return True

    def _continue_bitmap(self, printer: _Printer, row: Row, match: re.Match[str]) -> None:
        """A further line of a bitmap; the one with the sum completes it."""
        if match.re is BITMAP_RANGE:
            row["reason"] = f"{row['reason']} {match[1]}".strip()
            return
        row["pages"] = int(match["total"])
        row["reason"] += match.string[match.string.index("=>") :]
        self._messages.append(row)
        printer.bitmap = None

    def _operation(self, _printer: _Printer, line: LogLine) -> bool:
        text = line.text
        if match := CONTIG_BUSY.search(text):
            start, end = unsigned(match["start"]), unsigned(match["end"])
            pages = end - start if start is not None and end is not None and end >= start else None
            self._message(line, "contig_busy", start_pfn=start, pages=pages)
        elif match := OFFLINE_FAILED.search(text):
            self._message(line, "offline_failed", reason=match["reason"], **self._span(match["start"], match["last"]))
        elif match := BLOCK_FAILED.search(text):
            self._message(line, "offline_failed", area=match["block"])
        elif match := OFFLINED.search(text):
            self._message(line, "offlined", pages=int(match["pages"]))
        else:
            return False
        return True

    def _span(self, start: str, last: str) -> dict[str, int]:
        """PFNs of an address range [start, last] printed in hexadecimal."""
        first, end = int(start, 16), int(last, 16) + 1
        if self.page_size_bytes is None or end <= first:
            return {}
        return {"start_pfn": first // self.page_size_bytes, "pages": (end - first) // self.page_size_bytes}

    def _suppressed(self, _printer: _Printer, line: LogLine) -> bool:
        match = SUPPRESSED.search(line.text)
        if match is None:
            return False
        count = int(match["count"])
        self._message(line, "suppressed", count=count, reason=match["function"])
        if OUR_FUNCTIONS.search(match["function"]):
            self.losses.append(Loss("log_lines_suppressed", count, None, line.time_ns, line.time_ns, match["function"]))
        return True

    def result(self) -> KernelLog:
        """What was read so far, as tables."""
        dumps = [{name: getattr(dump, name) for name in DUMP_COLUMNS} for dump in self._dumps]
        rows = {"page_dumps": dumps, "migrate_failures": self._failures, "operation_messages": self._messages}
        tables = {
            name: pa.Table.from_pylist(rows[name], schema=arrow_schema(columns)) for name, columns in LOG_TABLES.items()
        }
        return KernelLog(tables, self.losses, self.kernel, self.lines)


_TAKERS: tuple[Callable[[LogParser, _Printer, LogLine], bool], ...] = (
    LogParser._failure,
    LogParser._cma,
    LogParser._operation,
    LogParser._suppressed,
    LogParser._banner,
)


def parse_lines(lines: Iterable[LogLine], page_size_bytes: int | None = None) -> KernelLog:
    """The tables of these log lines, numbered from 1."""
    parser = LogParser(page_size_bytes)
    for line in lines:
        parser.feed(line)
    return parser.result()


def read_kernel_log(path: str | Path, page_size_bytes: int | None = None) -> KernelLog:
    """Read a dmesg, syslog or journal text file (plain or gzip). Errors: InputError when it cannot be read."""
    losses: list[Loss] = []
    log = parse_lines((split_prefix(line) for line in text_lines(Path(path), losses)), page_size_bytes)
    log.losses.extend(losses)
    return log


def parse_console(table: pa.Table, page_size_bytes: int | None = None) -> KernelLog:
    """The kernel log inside a trace: `table` holds printk:console events (time_ns, tid, msg) in time order.

    Line numbers count the rows, from 1. A message carries no prefix of its own; the caller's tid keeps tasks apart.
    """
    if "msg" not in table.column_names:  # the trace's format text describes another event of this name
        return parse_lines([], page_size_bytes)
    columns = [table.column(name).to_pylist() for name in ("time_ns", "tid", "msg")]
    lines = (LogLine(time_ns, tid, (msg or "").strip()) for time_ns, tid, msg in zip(*columns, strict=True))
    return parse_lines(lines, page_size_bytes)
