"""Blocks that dump_page() writes to the kernel log, with page_owner's lines, from 2.6.3x to 7.x.

page: refcount:2 mapcount:0 mapping:0000000000000000 index:0x7ff6ed7fb pfn:0x1083f5     6.12; page:<address> before
head: order:9 mapcount:1 entire_mapcount:1 nr_pages_mapped:0 pincount:0                 large folios
aops:shmem_aops ino:2 dentry name(?):"memfd:labshm"                                     files
anon flags: 0x20000000002080c(referenced|uptodate|owner_2|swapbacked|node=0|zone=2)
page dumped because: migration failure
page last allocated via order 0, migratetype Movable, gfp_mask 0x140dca(...), pid 146, tgid 146 (pin-dead), ts ...
 prep_new_page+0xfc/0x130
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracereplay.parsers.kernel_log.numbers import pointer, signed, unsigned

# 2.6.3x has flags on this line. The address is that of the struct page: raw up to 5.8, hashed later, none since 6.12.
HEADER = re.compile(
    r"page: ?(?:(?P<address>[^\s:]{1,20}) )?(?:flags:\S{1,40} )?(?:ref)?count:(?P<refcount>-?\d{1,19})"
    r" mapcount:(?P<mapcount>-?\d{1,19}) mapping:(?P<mapping>\S+)"
    r" index:\S+(?: pfn:0x(?P<pfn>[0-9a-f]{1,16}))?"
)
POISONED = re.compile(r"page:\S{1,40} is uninitialized and poisoned")
ORDER = re.compile(r"\border:(\d{1,3})\b")
PINCOUNT = re.compile(r"pincount: ?(-?\d{1,19})")
FLAGS = re.compile(r"(?P<anon>(?:anon|ksm) )?(?:page )?flags: ?(?:0x)?[0-9a-f]+\((?P<names>[^)]*)\)")
# Before 5.8 the operations stand bare or after `mapping->a_ops:`; module symbols carry ` [module]`.
AOPS = re.compile(
    r"(?:(?:mapping->a_ops|aops):(?P<aops>\S+)|(?P<bare>\w+_(?:aops|operations)))(?: \[\w+\])?"
    r'(?: ino:(?P<ino>[0-9a-f]{1,16}))?(?: (?:dentry )?name(?:\(\?\))?:"(?P<file>.*)")?$'
)
NAME = re.compile(r'name:"(?P<file>.*)"$')  # of the file; a line of its own up to 5.7
REASON = re.compile(r"page dumped because: (.*)")
OWNER = re.compile(
    r"page (?:last )?allocated via order (?P<order>\d{1,3}), migratetype (?P<migratetype>\w+), "
    r"gfp_mask (?P<gfp>(?:0x)?[0-9a-f]+(?:\([^)]*\))?)(?:, p?id (?P<tid>\d{1,10}))?(?:, tgid (?P<pid>\d{1,10}))?"
    r"(?: \((?P<comm>.{0,16}?)\))?(?:, ts (?P<ts>\d{1,19}))?(?=,| ns|$)"
)
FREED = ("page_owner tracks the page as freed", "page_owner info is not")
STRUCT_PAGE_BYTES = 64
VMEMMAP_ALIGNMENT = 1 << 24
# Lines of other tasks between two of one dump: more than these, and the dump was over.
LINES_BETWEEN = 40
FRAME = re.compile(r"(?:\? )?[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?$")
STACK_ENDS = re.compile(
    r"page last free|page_owner |page has been migrated|Call [Tt]race:|Backtrace:|CPU: \d|migrating pfn"
)


@dataclass(slots=True)
class PageDump:
    """One dump, filled line by line; the fields are the columns of `LOG_TABLES["page_dumps"]`."""

    time_ns: int | None
    line: int
    tid: int | None
    wall: str | None = None
    wall_ns: int | None = None
    address: int | None = None
    pfn: int | None = None
    refcount: int | None = None
    mapcount: int | None = None
    pincount: int | None = None
    order: int | None = None
    anon: bool | None = None
    mapping: int | None = None
    aops: str | None = None
    ino: int | None = None
    file: str | None = None
    flags: list[str] | None = None
    page_type: str | None = None
    reason: str | None = None
    owner_tid: int | None = None
    owner_pid: int | None = None
    owner_comm: str | None = None
    owner_order: int | None = None
    owner_gfp: str | None = None
    owner_migratetype: str | None = None
    owner_time_ns: int | None = None
    owner_stack: list[str] | None = None
    _in_owner_stack: bool = field(default=False, repr=False)
    _freed: bool = field(default=False, repr=False)  # page_owner tells of the page's last life
    _last_line: int = field(default=0, repr=False)

    def header(self, match: re.Match[str]) -> None:
        """Take the `page:` line."""
        self.refcount, self.mapcount = signed(match["refcount"], 32), signed(match["mapcount"], 32)
        self.mapping = pointer(match["mapping"])
        self.address = pointer(match["address"] or "")
        self.pfn = unsigned(match["pfn"])
        # 4.19 and 5.4 mark a compound page by its mapcount alone: the order stays unknown.
        self.order = None if "compound_mapcount" in match.string else 0
        self._large(match.string)

    def _large(self, text: str) -> None:
        """Order and pins of a large folio: on the `head:` line, in 5.7 on the `page:` line."""
        if order := ORDER.search(text):
            self.order = int(order[1])
        if pincount := PINCOUNT.search(text):
            self.pincount = signed(pincount[1], 32)

    def _owner(self, match: re.Match[str]) -> None:
        """Take page_owner's line."""
        self.owner_order, self.owner_migratetype, self.owner_gfp = (
            int(match["order"]),
            match["migratetype"],
            match["gfp"],
        )
        self.owner_tid, self.owner_pid = signed(match["tid"], 32), signed(match["pid"], 32)
        self.owner_comm, self.owner_time_ns = match["comm"], signed(match["ts"], 64)
        self.owner_stack, self._in_owner_stack = [], True

    def take(self, text: str, line: int = 0) -> None:
        """Take one line of the block; lines of other messages between are passed over, a gap of many ends it."""
        if line > max(self._last_line, self.line) + LINES_BETWEEN:
            self._in_owner_stack = False
            return
        self._last_line = line
        if self._in_owner_stack and FRAME.match(text) and self.owner_stack is not None:
            self.owner_stack.append(text)
        elif text.startswith("head:"):
            self._large(text)
        elif match := FLAGS.match(text):
            self.anon = bool(match["anon"]) or bool(self.anon)
            self.flags = [name for name in match["names"].split("|") if name and "=" not in name]
        elif text in {"anon", "ksm"}:  # up to 5.7 on a line of its own
            self.anon = True
        elif text.startswith("page_type: "):
            self.page_type = text.removeprefix("page_type: ")
        elif match := REASON.match(text):
            self.reason = match[1]
        elif text.startswith(FREED):
            self._freed = True
        elif match := OWNER.match(text):
            if not self._freed:  # who had it before is no owner
                self._owner(match)
        elif match := AOPS.match(text):
            self.aops = match["aops"] or match["bare"]
            self.ino, self.file = unsigned(match["ino"]), match["file"]
        elif self.aops is not None and (match := NAME.match(text)):
            self.file = match["file"]
        elif STACK_ENDS.match(text):
            self._in_owner_stack = False


def name_by_address(dumps: Sequence[PageDump], named: Sequence[Mapping[str, Any]]) -> None:
    """Give dumps without a PFN the one of a `migrating pfn` line after them, where the page's address confirms it.

    An excerpt may begin between the two. vmemmap is an array of struct pages whose base is a round number. Addresses
    are raw up to 5.8; a hashed one fits by chance once in millions.
    """
    after = sorted((row["line"], row["pfn"]) for row in named if row["pfn"] is not None)
    for dump in dumps:
        if dump.pfn is not None or not dump.address:
            continue
        at = bisect_left(after, (dump.line, -1))
        for line, pfn in after[at : at + 1]:
            base = dump.address - pfn * STRUCT_PAGE_BYTES
            if line - dump.line <= LINES_BETWEEN and base > 0 and base % VMEMMAP_ALIGNMENT == 0:
                dump.pfn = pfn


def is_line(text: str) -> bool:
    """Whether this is a whole line of a dump."""
    return any(pattern.match(text) for pattern in (HEADER, FLAGS, AOPS, REASON, OWNER, FRAME)) or text.startswith(
        "head:"
    )
