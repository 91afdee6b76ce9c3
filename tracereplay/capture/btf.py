"""Where the fields of struct page lie in this kernel, out of its BTF (Documentation/bpf/btf.rst).

Only what that takes: structs and unions with their members, and typedefs and modifiers are not followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracereplay.parsers.catalog.probes import KNOWN_PAGE, PageLayout

VMLINUX = Path("/sys/kernel/btf/vmlinux")
MAGIC = 0xEB9F
KIND_STRUCT, KIND_UNION = 4, 5
# Bytes after a type's header, by kind: fixed, and for each of its vlen members.
SIZES = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0),
         19: (0, 12)}  # fmt: skip
FIELDS = {"flags": "flags", "compound_head": "compound_head", "compound_info": "compound_head", "mapping": "mapping",
          "_mapcount": "mapcount", "_refcount": "refcount"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Type:
    kind: int
    name: int
    size: int
    at: int  # of its members
    members: int
    bitfields: bool


def page_layout(path: Path = VMLINUX) -> tuple[PageLayout, str]:
    """struct page's layout, and where that comes from; KNOWN_PAGE where the kernel has no BTF that tells."""
    try:
        found = read_page_layout(path.read_bytes())
    except (OSError, struct.error, ValueError, IndexError):
        found = None
    if found is None:
        return KNOWN_PAGE, "no BTF: as x86-64 and arm64 kernels 6.1 to 7.2 have it"
    return found, "BTF"


def read_page_layout(data: bytes) -> PageLayout | None:
    """The layout that raw BTF describes; None where it has no struct page with all of the fields."""
    magic, _, _, header, type_at, type_bytes, text_at, text_bytes = struct.unpack_from("<HBBIIIII", data)
    if magic != MAGIC:
        return None
    texts = data[header + text_at : header + text_at + text_bytes]
    types = list(_types(data[header + type_at : header + type_at + type_bytes]))
    section = data[header + type_at : header + type_at + type_bytes]
    wanted = texts.find(b"\0page\0") + 1
    page = next((one for one in types if one.kind == KIND_STRUCT and _name(texts, one.name) == "page"), None)
    if wanted <= 0 or page is None:
        return None
    offsets = {name: bits // 8 for name, bits in _members(types, texts, section, page, 0, 0)}
    known = {FIELDS[name]: offset for name, offset in offsets.items() if name in FIELDS}
    if len(known) < len(set(FIELDS.values())):
        return None
    return PageLayout(size=page.size, **known)


def _types(section: bytes) -> Iterator[_Type]:
    at = 0
    while at + 12 <= len(section):
        name, info, size = struct.unpack_from("<III", section, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        fixed, each = SIZES.get(kind, (0, 0))
        yield _Type(kind, name, size, at + 12, count, bool(info >> 31))
        at += 12 + fixed + count * each


def _members(
    types: list[_Type], texts: bytes, section: bytes, one: _Type, base: int, depth: int
) -> Iterator[tuple[str, int]]:
    """(name, offset in bits) of members, those of unnamed structs and unions among them; the first of a name counts."""
    found: dict[str, int] = {}
    for number in range(one.members):
        name, kind, offset = struct.unpack_from("<III", section, one.at + 12 * number)
        bits = base + (offset & 0xFFFFFF if one.bitfields else offset)
        if text := _name(texts, name):
            found.setdefault(text, bits)
        elif depth < 8 and 0 < kind <= len(types) and types[kind - 1].kind in (KIND_STRUCT, KIND_UNION):
            for inner, place in _members(types, texts, section, types[kind - 1], bits, depth + 1):
                found.setdefault(inner, place)
    yield from found.items()


def _name(texts: bytes, at: int) -> str:
    return texts[at : texts.index(b"\0", at)].decode("ascii", "replace") if 0 < at < len(texts) else ""
