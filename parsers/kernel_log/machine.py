"""What a log says of the machine in passing: the kernel, the page size, the size of memory blocks.

Offlining prints addresses; the page size makes page frames of them. It is known where a line tells it, or where several
numbers of the log agree on only one. Otherwise it is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PAGE_SIZES = (4096, 16384, 65536)
BLOCK_NAME = re.compile(r"memory(\d{1,9})")
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
SMALLEST_PAGE = 4096

RELEASE = re.compile(
    r"Linux version (\S{1,100})"
    r"|(?:Not tainted|Tainted: [A-Z ]{1,40}?) {0,12}(\d{1,2}\.\d{1,3}[\w.+~-]{0,80})"
    r"|(?:^| )(\d{1,2}\.\d{1,3}\.\d{1,3}[\w.+~-]{0,80}) #\S{1,40} Not tainted"  # lockdep
    r"|^Linux \S{1,64} (\d{1,2}\.\d{1,3}[\w.+~-]{0,80}) #"  # uname -a
    r"|^[-* ]*Kernel(?: [Vv]ersion| [Rr]elease)?: {0,9}v?(\d{1,2}\.\d{1,3}\.\d{1,3}[\w.+~-]{0,80})"  # of a bug report
)
# Architectures with one page size only. (arm64, ppc64, mips and ia64 have several.)
ONE_PAGE_SIZE = re.compile(
    r"BIOS-e820|\bx86/|x86_64|\bamd64\b|-amd64\b|\.i686\b|\bRIP: 0010:"
    r"|\bs390x?\b|\bARMv[67] Processor|\barmv[67]l\b|\briscv64\b"
)
# arm64's oops; any architecture's hash tables at boot: `(order: 9, 2097152 bytes`.
PGTABLE = re.compile(r"\b(?:user|swapper) pgtable: (\d{1,3})k pages")
ORDER_BYTES = re.compile(r"\(order: (\d{1,2}), (\d{1,15}) bytes")
BLOCK_SIZE = re.compile(r"[Mm]emory block size:? {0,12}(\d{1,6}) ?([KMG])(?:i?B)?\b")  # lsmem: ` 128M`; x86 at boot
LITERALS = ("Linux version", "ainted", "x86", "amd64", "e820", "i686", "0010:", "s390", "ARMv", "armv", "riscv64",
            "pgtable: ", "(order: ", "emory block size", " #",
            "Kernel: ", "Kernel version: ", "Kernel release: ")  # fmt: skip
HINTS = re.compile("|".join(map(re.escape, LITERALS)))


class Machine:
    """Filled line by line. page_size_bytes -- as passed, else as the log tells; None: unknown so far."""

    def __init__(self, page_size_bytes: int | None = None) -> None:
        self.page_size_bytes = page_size_bytes
        self.kernel: str | None = None
        self.memory_block_bytes: int | None = None

    def look(self, text: str) -> None:
        """Take what this line tells."""
        if not HINTS.search(text):
            return
        if match := RELEASE.search(text):
            self.kernel = next(filter(None, match.groups()))
        if self.page_size_bytes is None:
            self.page_size_bytes = _page_size_in(text)
        if match := BLOCK_SIZE.search(text):
            self.memory_block_bytes = int(match[1]) * UNITS[match[2][0]]

    def deduce(self, messages: Iterable[Mapping[str, Any]], pfns: Iterable[int]) -> None:
        """The page size by arithmetic, where exactly one is possible.

        messages -- rows of operation_messages: ranges in bytes beside page frames named and counts of pages.
        """
        if self.page_size_bytes is not None:
            return
        rows = list(messages)
        spans = [
            (row["address"], row["address"] + row["bytes"])
            for row in rows
            if row.get("address") is not None and row.get("bytes")
        ]
        spans += self._blocks(rows)
        possible = [
            possible_page_sizes(row["bytes"], row["pages"])
            for row in rows
            if row["kind"] == "cma_failed" and row.get("bytes")
        ]
        inside = {size for pfn in pfns for size in PAGE_SIZES if any(low <= pfn * size < end for low, end in spans)}
        counts = {row["pages"] for row in rows if row["kind"] == "offlined" and row.get("pages")}
        whole = {length / count for length in {end - low for low, end in spans} for count in counts}
        if len(inside) == 1:
            (self.page_size_bytes,) = inside
        elif not inside and len(whole) == 1 and whole <= {*PAGE_SIZES}:
            self.page_size_bytes = int(whole.pop())
        elif possible and len(possible[0]) == 1 and all(sizes == possible[0] for sizes in possible):
            (self.page_size_bytes,) = possible[0]

    def _blocks(self, rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
        """Address ranges of the memory blocks that are named, where their size is known."""
        size = self.memory_block_bytes
        numbers = [int(name[1]) for row in rows if (name := BLOCK_NAME.fullmatch(row.get("area") or ""))]
        return [(number * size, (number + 1) * size) for number in numbers] if size else []


def possible_page_sizes(size_bytes: int, pages: int | None) -> set[int]:
    """Page sizes with which a request of so many bytes takes so many pages; any where the pages are not known."""
    return {size for size in PAGE_SIZES if pages is None or -(-size_bytes // size) == pages}


def _page_size_in(text: str) -> int | None:
    if ONE_PAGE_SIZE.search(text):
        return SMALLEST_PAGE
    if match := PGTABLE.search(text):
        size = int(match[1]) * 1024
    elif match := ORDER_BYTES.search(text):
        size = int(match[2]) >> int(match[1])
    else:
        return None
    return size if size in PAGE_SIZES else None
