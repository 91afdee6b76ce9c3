"""GFP masks by name: the bits of each kernel, and the names that the kernel prints for them.

Text names the bits, so its masks have the numbers of GFP_BITS whatever its kernel's own were; binary traces hold the
kernel's own numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# include/linux/gfp_types.h since 5.4. 4.19 had other bits 8-22 under the same names. Bits from 24 on are packed by
# the kernel's configuration and are left to their hexadecimal residue; none of them bears on mobility.
GFP_BITS: Mapping[str, int] = {
    "__GFP_DMA": 1 << 0,
    "__GFP_HIGHMEM": 1 << 1,
    "__GFP_DMA32": 1 << 2,
    "__GFP_MOVABLE": 1 << 3,
    "__GFP_RECLAIMABLE": 1 << 4,
    "__GFP_HIGH": 1 << 5,
    "__GFP_IO": 1 << 6,
    "__GFP_FS": 1 << 7,
    "__GFP_ZERO": 1 << 8,
    "__GFP_ATOMIC": 1 << 9,  # up to 6.2
    "__GFP_DIRECT_RECLAIM": 1 << 10,
    "__GFP_KSWAPD_RECLAIM": 1 << 11,
    "__GFP_WRITE": 1 << 12,
    "__GFP_NOWARN": 1 << 13,
    "__GFP_RETRY_MAYFAIL": 1 << 14,
    "__GFP_NOFAIL": 1 << 15,
    "__GFP_NORETRY": 1 << 16,
    "__GFP_MEMALLOC": 1 << 17,
    "__GFP_COMP": 1 << 18,
    "__GFP_NOMEMALLOC": 1 << 19,
    "__GFP_HARDWALL": 1 << 20,
    "__GFP_THISNODE": 1 << 21,
    "__GFP_ACCOUNT": 1 << 22,
    "__GFP_ZEROTAGS": 1 << 23,
}
_RECLAIM = GFP_BITS["__GFP_DIRECT_RECLAIM"] | GFP_BITS["__GFP_KSWAPD_RECLAIM"]
_KERNEL = _RECLAIM | GFP_BITS["__GFP_IO"] | GFP_BITS["__GFP_FS"]
_USER = _KERNEL | GFP_BITS["__GFP_HARDWALL"]
_HIGHUSER_MOVABLE = _USER | GFP_BITS["__GFP_HIGHMEM"] | GFP_BITS["__GFP_MOVABLE"]
_TRANSHUGE_LIGHT = (
    _HIGHUSER_MOVABLE | GFP_BITS["__GFP_COMP"] | GFP_BITS["__GFP_NOMEMALLOC"] | GFP_BITS["__GFP_NOWARN"]
) & ~_RECLAIM
# In the order of the kernel's __def_gfpflag_names: it prints the first that fits, and takes its bits away.
GFP_COMPOSITES: Mapping[str, int] = {
    "GFP_TRANSHUGE": _TRANSHUGE_LIGHT | GFP_BITS["__GFP_DIRECT_RECLAIM"],
    "GFP_TRANSHUGE_LIGHT": _TRANSHUGE_LIGHT,
    "GFP_HIGHUSER_MOVABLE": _HIGHUSER_MOVABLE,
    "GFP_HIGHUSER": _USER | GFP_BITS["__GFP_HIGHMEM"],
    "GFP_USER": _USER,
    "GFP_KERNEL_ACCOUNT": _KERNEL | GFP_BITS["__GFP_ACCOUNT"],
    "GFP_KERNEL": _KERNEL,
    "GFP_NOFS": _RECLAIM | GFP_BITS["__GFP_IO"],
    "GFP_ATOMIC": GFP_BITS["__GFP_HIGH"] | GFP_BITS["__GFP_KSWAPD_RECLAIM"],
    "GFP_NOIO": _RECLAIM,
    # 6.6 put __GFP_NOWARN into it. Text of older kernels gets that bit too: it only silences a warning.
    "GFP_NOWAIT": GFP_BITS["__GFP_KSWAPD_RECLAIM"] | GFP_BITS["__GFP_NOWARN"],
    "GFP_DMA": GFP_BITS["__GFP_DMA"],
    "GFP_DMA32": GFP_BITS["__GFP_DMA32"],
    "__GFP_RECLAIM": _RECLAIM,
}
# What older kernels called them. Names of bits that no longer exist stand for nothing.
GFP_OLD_NAMES: Mapping[str, int] = {
    "GFP_TEMPORARY": _KERNEL | GFP_BITS["__GFP_RECLAIMABLE"],
    "__GFP_WAIT": GFP_BITS["__GFP_DIRECT_RECLAIM"],
    "__GFP_REPEAT": GFP_BITS["__GFP_RETRY_MAYFAIL"],
    "__GFP_COLD": 0,
    "__GFP_NOTRACK": 0,
    "__GFP_OTHER_NODE": 0,
    "__GFP_NOLOCKDEP": 0,
    "__GFP_NO_OBJ_EXT": 0,
    "__GFP_SKIP_ZERO": 0,
    "__GFP_SKIP_KASAN": 0,
    "__GFP_SKIP_KASAN_POISON": 0,
    "__GFP_SKIP_KASAN_UNPOISON": 0,
} | {
    # 3.x printed single bits with one underscore less: GFP_KERNEL|GFP_ZERO.
    name[2:]: bit
    for name, bit in GFP_BITS.items()
    if name[2:] not in GFP_COMPOSITES
}
GFP: Mapping[str, int] = {**GFP_OLD_NAMES, **GFP_BITS, **GFP_COMPOSITES}

# include/linux/gfp.h of 4.16 to 5.3: the same names on other bits from 8 on. Earlier kernels have bits of names that
# no longer exist (__GFP_COLD), which no table here tells.
GFP_BITS_4_16: Mapping[str, int] = {
    **{name: bit for name, bit in GFP_BITS.items() if bit < 1 << 8},
    "__GFP_WRITE": 1 << 8,
    "__GFP_NOWARN": 1 << 9,
    "__GFP_RETRY_MAYFAIL": 1 << 10,
    "__GFP_NOFAIL": 1 << 11,
    "__GFP_NORETRY": 1 << 12,
    "__GFP_MEMALLOC": 1 << 13,
    "__GFP_COMP": 1 << 14,
    "__GFP_ZERO": 1 << 15,
    "__GFP_NOMEMALLOC": 1 << 16,
    "__GFP_HARDWALL": 1 << 17,
    "__GFP_THISNODE": 1 << 18,
    "__GFP_ATOMIC": 1 << 19,
    "__GFP_ACCOUNT": 1 << 20,
    "__GFP_DIRECT_RECLAIM": 1 << 21,
    "__GFP_KSWAPD_RECLAIM": 1 << 22,
}
_OLDEST, _RENUMBERED = (4, 16), (5, 4)
_BINARY_FORMATS = ("trace.dat", "perf.data", "raw ring buffers", "Perfetto trace")  # as readers call themselves
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


def gfp_names(value: int) -> str:
    """A GFP mask as 7.x prints it: `GFP_HIGHUSER_MOVABLE|__GFP_ZERO`; `none` for 0, unknown bits as hex.

    >>> gfp_names(0x104CC8)
    'GFP_USER|__GFP_MOVABLE|__GFP_RETRY_MAYFAIL'
    """
    names = []
    rest = value
    for name, mask in (*GFP_COMPOSITES.items(), *GFP_BITS.items()):
        if rest & mask == mask:
            names.append(name)
            rest &= ~mask
    if rest:
        names.append(f"{rest:#x}")
    return "|".join(names) or "none"


def kernel_of_masks(format_: str, kernel: str | None) -> str | None:
    """The kernel whose own bits the masks of an input of this format have; None for text, which names them."""
    return kernel if any(kind in format_ for kind in _BINARY_FORMATS) else None


@lru_cache(maxsize=1024)
def gfp_words(value: int, kernel: str | None = None) -> str:
    """The names of a mask that a binary trace of this kernel holds; without a kernel by the bits of 5.4 and later.

    Hexadecimal with its reason where the bits of the kernel are in no table.

    >>> gfp_words(0x6200CA, "4.19.152")
    'GFP_HIGHUSER_MOVABLE'
    """
    found = _VERSION.match(kernel or "")
    version = (int(found[1]), int(found[2])) if found else _RENUMBERED
    if version >= _RENUMBERED:
        return gfp_names(value)
    if version < _OLDEST:
        return f"mask {value:#x} of Linux {version[0]}.{version[1]}"
    return gfp_names(_renumbered(value))


def _renumbered(value: int) -> int:
    """The mask of 4.16 to 5.3 by the numbers of GFP_BITS; bits without a name move above these."""
    known = sum(GFP_BITS_4_16.values())
    bits = sum(GFP_BITS[name] for name, bit in GFP_BITS_4_16.items() if value & bit)
    return bits | (value & ~known) << 1
