"""Where vmemmap begins and how large struct page is, by pointers that the kernel printed beside their page frames.

`record` copies such lines (kmem:mm_page_alloc as text, option hash-ptr off) into `page_pointers`. They need neither a
symbol nor an offset, so they hold on every machine that has a vmemmap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PAIR = re.compile(r"\bpage=(?:0x)?([0-9a-f]{16})\s+pfn=(0x[0-9a-f]{1,13}|\d{1,16})\b", re.ASCII)
KERNEL_BIT = 1 << 63  # addresses of the kernel have it; hashed pointers have none of the upper half
SMALLEST_BYTES, LARGEST_BYTES = 32, 256
MOST_PAIRS = 1 << 12


@dataclass(frozen=True, slots=True)
class StructPages:
    """base -- vmemmap_base as u64; size_bytes -- of struct page."""

    base: int
    size_bytes: int


def struct_pages(text: str) -> StructPages | None:
    """What the lines agree on; None where they tell of fewer than two pages, are hashed, or memory is no one array."""
    pairs: dict[int, int] = {}
    for found, _ in zip(PAIR.finditer(text), range(MOST_PAIRS), strict=False):
        pairs[int(found[2], 0)] = int(found[1], 16)
    if len(pairs) < 2:
        return None
    low, high = min(pairs), max(pairs)
    size, rest = divmod(pairs[high] - pairs[low], high - low)
    if rest or size % 8 or not SMALLEST_BYTES <= size <= LARGEST_BYTES:
        return None
    base = pairs[low] - low * size
    agree = all(pointer & KERNEL_BIT and pointer - pfn * size == base for pfn, pointer in pairs.items())
    return StructPages(base, size) if agree and base >= KERNEL_BIT else None
