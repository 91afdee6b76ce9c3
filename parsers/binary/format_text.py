"""ftrace `format` texts: which field of an event is where, and how a ring-buffer page begins.

    name: page_ref_mod
    ID: 659
    format:
            field:unsigned short common_type;       offset:0;       size:2; signed:0;
            ...
            field:int val;  offset:44;      size:4; signed:1;

    print fmt: "pfn=0x%lx ...", REC->pfn, ...

Source: kernel/trace/trace_events.c (f_show), kernel/trace/ring_buffer.c (ring_buffer_print_page_header).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from tracereplay.errors import InputError

MAX_RECORD_BYTES = 1 << 16  # __data_loc has 16 bits for offsets: no record is longer

_NAME = re.compile(r"^name:\s*(\S+)", re.MULTILINE)
_ID = re.compile(r"^ID:\s*(\d+)", re.MULTILINE)
_FIELD = re.compile(
    r"^\s*field:\s*(?P<decl>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>\d+);)?",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"^(?P<type>.*?)\s*(?P<name>\w+)\s*(?:\[(?P<length>[^\]]*)\])?$", re.DOTALL)
_PRINT = re.compile(r"^print fmt:\s*(.*)", re.MULTILINE | re.DOTALL)
_UNSIGNED = re.compile(r"\b(unsigned|u8|u16|u32|u64|bool|size_t)\b|\*")


class FieldKind(Enum):
    """How the bytes of a field are to be read."""

    INT = "int"  # size bytes at offset, in the machine's byte order
    CHARS = "chars"  # char[n]: text up to a NUL or the field's end; size 0: up to the record's end
    INTS = "ints"  # T[n]: size 0: up to the record's end
    DATA_LOC = "data_loc"  # u32 length << 16 | offset from the record's start
    REL_LOC = "rel_loc"  # the same, offset from the end of this field


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event; offset and size in bytes from the record's start, element_bytes for arrays."""

    name: str
    type: str
    offset: int
    size: int
    signed: bool
    kind: FieldKind
    element_bytes: int
    is_text: bool

    @property
    def is_dynamic(self) -> bool:
        """Whether the field holds a place (`__data_loc`, `__rel_loc`) and not the value."""
        return self.kind in {FieldKind.DATA_LOC, FieldKind.REL_LOC}


@dataclass(frozen=True, slots=True)
class EventFormat:
    """An event's layout. `common` fields begin every record; `fields` are its own, in the order of the text."""

    name: str
    id: int
    common: tuple[Field, ...]
    fields: tuple[Field, ...]
    print_fmt: str
    system: str = ""

    def field(self, name: str) -> Field | None:
        """The field of that name, own fields first."""
        return next((field for field in (*self.fields, *self.common) if field.name == name), None)

    @property
    def min_bytes(self) -> int:
        """The shortest record that holds every fixed field.

        A trailing array of numbers is cut at the record's end by the kernel (kernel_stack writes `caller[8]` and
        stores as many frames as there are), so only its beginning is required.
        """
        ends = [field.offset + field.size for field in (*self.common, *self.fields)]
        if self.fields and max(self.fields, key=lambda field: field.offset).kind is FieldKind.INTS:
            last = max(self.fields, key=lambda field: field.offset)
            ends.remove(last.offset + last.size)
            ends.append(last.offset)
        return max(ends, default=0)


@dataclass(frozen=True, slots=True)
class PageHeader:
    """Where a ring-buffer page keeps its parts, in bytes; commit_bytes is the size of a kernel long (4 or 8)."""

    commit_offset: int = 8
    commit_bytes: int = 8
    data_offset: int = 16
    data_bytes: int = 4080


def _field(match: re.Match[str], long_bytes: int) -> Field:
    declaration = _DECLARATION.match(" ".join(match["decl"].split()))
    if declaration is None:
        raise InputError(f"format text declares a field without a name: {match['decl'].strip()!r}")
    c_type, name, length = declaration["type"], declaration["name"], declaration["length"]
    offset, size = int(match["offset"]), int(match["size"])
    if offset + size > MAX_RECORD_BYTES:
        raise InputError(f"format text places field {name} at bytes {offset}+{size}, beyond any record")
    kind, element = FieldKind.INT, size
    if c_type.startswith(("__data_loc", "__rel_loc")):
        kind = FieldKind.DATA_LOC if c_type.startswith("__data_loc") else FieldKind.REL_LOC
        c_type = c_type.split(maxsplit=1)[1].replace("[]", "").strip() if " " in c_type else ""
        element = _element_bytes(c_type, long_bytes)
        if size != 4:
            raise InputError(f"format text gives the dynamic field {name} {size} bytes where the kernel writes 4")
    elif length is not None or size not in {1, 2, 4, 8}:
        element = _element_bytes(c_type, long_bytes) if size else 1
        count = int(length) if length and length.isdigit() else 0
        if count and size % count == 0 and size // count in {1, 2, 4, 8}:
            element = size // count
        elif not size:
            element = _element_bytes(c_type, long_bytes)
        kind = FieldKind.CHARS if element == 1 and _is_char(c_type) else FieldKind.INTS
    signed = match["signed"] == "1" if match["signed"] is not None else not _UNSIGNED.search(c_type)
    is_text = element == 1 and _is_char(c_type) and kind is not FieldKind.INT
    return Field(name, c_type, offset, size, signed, kind, element, is_text)


def _is_char(c_type: str) -> bool:
    """Text, unlike `unsigned char` and u8, which are numbers (addresses, raw bytes)."""
    words = c_type.split()
    return "char" in words and "unsigned" not in words


def _element_bytes(c_type: str, long_bytes: int) -> int:
    """Size of one element by its C type; `long` and pointers as wide as the traced kernel's."""
    words = set(c_type.replace("*", " * ").split())
    if "*" in words or words & {"size_t", "ino_t", "pgoff_t", "sector_t"}:
        return long_bytes
    for names, size in (
        ({"char", "u8", "__u8", "s8", "__s8", "bool", "uint8_t", "int8_t"}, 1),
        ({"short", "u16", "__u16", "s16", "__s16", "uint16_t", "int16_t"}, 2),
        ({"u64", "__u64", "s64", "__s64", "uint64_t", "int64_t", "dma_addr_t", "phys_addr_t"}, 8),
    ):
        if words & names:
            return size
    if "long" in words:
        return 8 if c_type.split().count("long") > 1 else long_bytes
    return 4


def _head_of(text: str) -> tuple[str, int] | None:
    """An event's name and id; None where the text has none."""
    name, event_id = _NAME.search(text), _ID.search(text)
    return None if name is None or event_id is None else (name[1], int(event_id[1]))


@lru_cache(1 << 10)  # the traces of a corpus are of few kernels
def parse_format(text: str, system: str = "", long_bytes: int = 8) -> EventFormat:
    """Read one `format` text. long_bytes: size of the traced kernel's `long`, for dynamic arrays of longs.

    Raises InputError where the text is none.
    """
    found = _head_of(text)
    if found is None:
        raise InputError(f"not a format text: it lacks name or ID: {text[:60]!r}")
    name, event_id = found
    if event_id >= 1 << 16:
        raise InputError(f"format text of {name} has the id {event_id}, wider than 16 bits")
    print_fmt = _PRINT.search(text)
    body = text[: print_fmt.start()] if print_fmt else text
    fields = [_field(match, long_bytes) for match in _FIELD.finditer(body)]
    return EventFormat(
        name,
        event_id,
        tuple(field for field in fields if field.name.startswith("common_")),
        tuple(field for field in fields if not field.name.startswith("common_")),
        print_fmt[1].strip() if print_fmt else "",
        system,
    )


class Formats(Mapping[str, EventFormat]):
    """Event formats by name, each parsed when first requested: a file holds thousands, a trace few of them.

    texts -- (system, text); an event named as another of a different system is `system:name`. `refused` tells of
    texts that are none; asking for a damaged one raises InputError.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], long_bytes: int = 8) -> None:
        self.refused: list[str] = []
        self.ids: dict[str, int] = {}
        self._texts: dict[str, tuple[str, str]] = {}
        self._long_bytes = long_bytes
        for system, text in texts:
            found = _head_of(text)
            if found is None or found[1] >= 1 << 16:
                self.refused.append(f"not a format text: {text[:60]!r}")
                continue
            name, event_id = found
            key = name if name not in self._texts else f"{system}:{name}"
            self._texts[key] = (system, text)
            self.ids[key] = event_id

    def __getitem__(self, name: str) -> EventFormat:
        system, text = self._texts[name]
        return parse_format(text, system, self._long_bytes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def parse_header_page(text: str) -> PageHeader:
    """Read a `header_page` text; the third field is `overwrite` in all kernels seen and is not needed."""
    fields = {}
    for match in _FIELD.finditer(text):
        fields[match["decl"].split()[-1]] = (int(match["offset"]), int(match["size"]))
    if "commit" not in fields or "data" not in fields:
        raise InputError(f"not a header_page text: it lacks commit or data: {text[:60]!r}")
    commit, data = fields["commit"], fields["data"]
    if commit[0] != 8 or commit[1] not in {4, 8} or data[0] < commit[0] + commit[1] or data[0] % 4 or data[0] > 64:
        raise InputError(f"header_page places commit at {commit} and data at {data}: no known kernel does")
    return PageHeader(commit[0], commit[1], data[0], data[1])
