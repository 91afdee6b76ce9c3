"""Page flag names -> bit numbers of `page->flags` as page_ref events record it.

The print format names the flags, but as `1UL << PG_locked`, without numbers. Which flags it names, and in which order,
tells the kernel family; the numbers follow enum pageflags of that family (include/linux/page-flags.h, KERNEL 3.4).
"""

from __future__ import annotations

import re

_NAMED = re.compile(r'\{\s*([^{},]*?(?:<<[^{},]*?)?)\s*,\s*"(\w+)"\s*\}')

# Bits from 0 up to the first one that depends on the configuration, by kernel seen.
_V4_19 = [
    "locked",
    "error",
    "referenced",
    "uptodate",
    "dirty",
    "lru",
    "active",
    "waiters",
    "slab",
    "owner_priv_1",
    "arch_1",
    "reserved",
    "private",
    "private_2",
    "writeback",
    "head",
    "mappedtodisk",
    "reclaim",
    "swapbacked",
    "unevictable",
]
V5_4 = [
    "locked",
    "referenced",
    "uptodate",
    "dirty",
    "lru",
    "active",
    "workingset",
    "waiters",
    "error",
    "slab",
    "owner_priv_1",
    "arch_1",
    "reserved",
    "private",
    "private_2",
    "writeback",
    "head",
    "mappedtodisk",
    "reclaim",
    "swapbacked",
    "unevictable",
]
_V6_6 = [
    "locked",
    "writeback",
    "referenced",
    "uptodate",
    "dirty",
    "lru",
    "head",
    "waiters",
    "active",
    "workingset",
    "error",
    "slab",
    "owner_priv_1",
    "arch_1",
    "reserved",
    "private",
    "private_2",
    "mappedtodisk",
    "reclaim",
    "swapbacked",
    "unevictable",
]
V6_12 = [
    "locked",
    "writeback",
    "referenced",
    "uptodate",
    "dirty",
    "lru",
    "head",
    "waiters",
    "active",
    "workingset",
    "owner_priv_1",
    "owner_2",
    "arch_1",
    "reserved",
    "private",
    "private_2",
    "reclaim",
    "swapbacked",
    "unevictable",
]
_V7_3 = [*V6_12, "dropbehind"]
# Flags that follow if the kernel is configured so, in the order of the enum (the text names idle before young).
_CONFIGURED = ("mlocked", "uncached", "hwpoison", "young", "idle", "arch_2", "arch_3", "skip_kasan_poison")


# Tables by release, first and last, for traces without print formats; of releases between them none is known.
_RELEASES = (
    ((4, 19), (4, 19), _V4_19),
    ((5, 0), (6, 1), V5_4),
    ((6, 6), (6, 6), _V6_6),
    ((6, 12), (6, 12), V6_12),
    ((7, 2), (7, 3), _V7_3),
)


def page_flag_bits_of_release(release: str | None) -> dict[str, int] | None:
    """Bit numbers of the flags that every configuration of this release has, `6.12.117`; None where not known."""
    version = re.match(r"(\d{1,3})\.(\d{1,3})", release or "")
    if version is None:
        return None
    number = int(version[1]), int(version[2])
    table = next((table for first, last, table in _RELEASES if first <= number <= last), None)
    return None if table is None else {name: bit for bit, name in enumerate(table)}


def page_flag_bits(print_fmt: str) -> dict[str, int] | None:
    """Bit numbers by name for the flags a page_ref print format names; None where its shape is unknown."""
    named = [(expression.strip(), name) for expression, name in _NAMED.findall(print_fmt)]
    if not named:
        return None
    literal = {name: bit for expression, name in named if (bit := _literal_bit(expression)) is not None}
    if len(literal) == len(named):
        return literal
    names = [name for _, name in named]
    base = _family(names, re.search(r"\{ 1UL\s*<<\s*PG_locked", print_fmt) is not None)
    if base is None:
        return None
    configured = [name for name in _CONFIGURED if name in names]
    return {name: bit for bit, name in enumerate((*base, *configured))}


def _literal_bit(expression: str) -> int | None:
    """The bit of `1UL << 5` or `0x20`; None where a PG_ name stands for it."""
    shift = re.fullmatch(r"\(?1(?:U?L?L?)\s*<<\s*(\d+)\)?", expression)
    if shift:
        return int(shift[1])
    if re.fullmatch(r"0x[0-9a-fA-F]+(?:U?L?L?)", expression):
        value = int(expression.rstrip("UL"), 16)
        return value.bit_length() - 1 if value and value & (value - 1) == 0 else None
    return None


def _family(names: list[str], macro_form: bool) -> list[str] | None:
    """The table whose flags are the ones named.

    5.4 to 6.1 and 6.6 name the same flags. 6.6 names them by a macro (DEF_PAGEFLAG_NAME in mmflags.h), which leaves a
    space after the brace.
    """
    named = set(names)
    if {"error", "slab"} <= named:
        if "workingset" not in named:
            return _V4_19
        return _V6_6 if macro_form else V5_4
    if "owner_2" in named and "error" not in named:
        return _V7_3 if "dropbehind" in named else V6_12
    return None
