"""A layout written by hand, for machines from which no snapshot can be copied any more.

    page_size = 4096                  # bytes; default 4096
    memory_block_size = "128MiB"      # bytes, or with KiB, MiB, GiB; optional
    pageblock_order = 9               # optional
    machine = "x86_64"                # optional
    kernel = "6.12.117"               # optional
    cma_configured = true             # CONFIG_CMA; default: whether a [[cma]] is listed, else unknown

    [[zone]]
    node = 0                          # default 0
    name = "Normal"
    start_pfn = 0x100000              # or start = 0x100000000 (an address, bytes)
    pages = 0x80000                   # or size = "2GiB"

    [[cma]]
    name = "linux,cma"
    start_pfn = 0x1f0000              # or start
    pages = 65536                     # or size
    order_per_bit = 0                 # default 0

Numbers are integers (0x for hexadecimal, `_` between digits as TOML allows) or, for sizes, strings with a unit.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tracereplay.errors import InputError
from tracereplay.parsers.snapshots.layout_tables import LayoutSnapshot, layout_tables

TOP_KEYS = ("page_size", "memory_block_size", "pageblock_order", "machine", "kernel", "cma_configured", "zone", "cma")
SPAN_KEYS = ("name", "start_pfn", "start", "pages", "size")
ADVICE = (
    f"a layout file has {', '.join(TOP_KEYS[:-2])}, [[zone]] and [[cma]]; "
    "each of those has name, start_pfn or start, pages or size"
)
FILE_LIMIT_BYTES = 1 << 20
MAX_BYTES = 1 << 58
SHOWN_CHARACTERS = 80
_SIZE = re.compile(r"(\d{1,15})\s*(B|KiB|MiB|GiB|TiB)")
_UNITS = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}


def read_layout_toml(path: str | Path) -> LayoutSnapshot:
    """Reads one such file. Raises InputError on the first key or value that is not as described above."""
    path = Path(path)
    try:
        return _Reader(path).read(_load(path))
    except InputError as error:
        raise error.with_path(path) from None


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
        if len(content) > FILE_LIMIT_BYTES:
            raise InputError(f"longer than {FILE_LIMIT_BYTES} bytes", advice=ADVICE)
        return tomllib.loads(content.decode())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", advice="give a directory or a .toml file") from None
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and int() of thousands of digits raise ValueErrors
        raise InputError(f"not TOML: {' '.join(str(error).split())[:200]}", advice=ADVICE) from None


class _Reader:
    """Checks and converts one document; `page_size_bytes` is needed to turn bytes into pages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.page_size_bytes = 4096

    def read(self, document: dict[str, Any]) -> LayoutSnapshot:
        _refuse_other_keys(document, TOP_KEYS, "the file")
        self.page_size_bytes = _power_of_two(document, "page_size", 1 << 10, 1 << 20) or 4096
        zones = [self._zone(table, f"[[zone]] {n}") for n, table in enumerate(_tables(document, "zone"), 1)]
        areas = [self._area(table, f"[[cma]] {n}") for n, table in enumerate(_tables(document, "cma"), 1)]
        if not zones and not areas:
            raise InputError("neither a [[zone]] nor a [[cma]]", advice=ADVICE)
        _refuse_twins(areas)
        has_cma = _typed(document, "cma_configured", bool, "the file")
        if areas and has_cma is False:
            raise InputError("cma_configured = false, yet a [[cma]] is listed", advice="remove one of them")
        return LayoutSnapshot(
            path=self.path,
            source="file",
            tables=layout_tables({"zones": zones, "cma_areas": areas}),
            page_size_bytes=self.page_size_bytes,
            memory_block_bytes=_power_of_two(document, "memory_block_size", self.page_size_bytes, MAX_BYTES),
            pageblock_order=_integer(document, "pageblock_order", "the file", limit=31),
            has_cma=True if areas else has_cma,
            kernel=_typed(document, "kernel", str, "the file"),
            machine=_typed(document, "machine", str, "the file"),
            files=[self.path],
        )

    def _zone(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        _refuse_other_keys(table, ("node", *SPAN_KEYS), where)
        return {"node": _integer(table, "node", where, limit=1 << 16) or 0} | self._span(table, where)

    def _area(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        _refuse_other_keys(table, ("order_per_bit", *SPAN_KEYS), where)
        return {"order_per_bit": _integer(table, "order_per_bit", where, limit=31) or 0} | self._span(table, where)

    def _span(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        name = _typed(table, "name", str, where)
        if not name:
            raise InputError(f"{where} has no name", advice=ADVICE)
        start_pfn = self._pages(table, "start_pfn", "start", where)
        pages = self._pages(table, "pages", "size", where)
        if pages == 0:
            raise InputError(f"{where} {name!r} has no pages", advice=ADVICE)
        return {"name": name, "start_pfn": start_pfn, "pages": pages}

    def _pages(self, table: dict[str, Any], in_pages: str, in_bytes: str, where: str) -> int:
        """A number of pages, given as such or in bytes: exactly one of the two keys."""
        if (in_pages in table) == (in_bytes in table):
            raise InputError(f"{where} needs either {in_pages} or {in_bytes}", advice=ADVICE)
        pages = _integer(table, in_pages, where, limit=MAX_BYTES // self.page_size_bytes)
        if pages is not None:
            return pages
        size_bytes = _size_bytes(table[in_bytes], f"{where} {in_bytes}")
        if size_bytes % self.page_size_bytes:
            given, page = _shown(table[in_bytes]), self.page_size_bytes
            raise InputError(
                f"{where} {in_bytes} = {given} is not a multiple of the page size {page}",
                advice="give whole pages",
            )
        return size_bytes // self.page_size_bytes


def _refuse_other_keys(table: dict[str, Any], keys: Collection[str], where: str) -> None:
    if other := next((key for key in table if key not in keys), None):
        raise InputError(f"unknown key {other!r} in {where}", advice=f"known are {', '.join(keys)}")


def _refuse_twins(areas: list[dict[str, Any]]) -> None:
    names = [area["name"] for area in areas]
    if twin := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two [[cma]] are named {twin!r}", advice="an area's name is its key in the kernel's events")


def _tables(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{key} is not a list of tables", advice=f"write [[{key}]], with two brackets")
    return tables


def _typed(table: dict[str, Any], key: str, wanted: type, where: str) -> Any:
    value = table.get(key)
    if value is not None and not isinstance(value, wanted):
        word = {str: "a string", bool: "true or false"}[wanted]
        raise InputError(f"{key} = {_shown(value)} in {where} is not {word}", advice=ADVICE)
    return value


def _integer(table: dict[str, Any], key: str, where: str, limit: int) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise InputError(f"{key} = {_shown(value)} in {where} is not an integer from 0 to {limit - 1}", advice=ADVICE)
    return value


def _size_bytes(value: object, where: str) -> int:
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        value = int(found[1]) << _UNITS[found[2]]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_BYTES:
        raise InputError(
            f"{where} = {_shown(value)} is not a size",
            advice='write bytes as an integer, or "128MiB" (B, KiB, MiB, GiB, TiB)',
        )
    return value


def _power_of_two(document: dict[str, Any], key: str, lowest: int, limit: int) -> int | None:
    if key not in document:
        return None
    size_bytes = _size_bytes(document[key], key)
    if not lowest <= size_bytes <= limit or size_bytes & size_bytes - 1:
        raise InputError(f"{key} = {_shown(document[key])} is not a power of two from {lowest} bytes on", advice=ADVICE)
    return size_bytes


def _shown(value: object) -> str:
    """A value for a message: its beginning, where it is long. Python writes out no number of thousands of digits."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
