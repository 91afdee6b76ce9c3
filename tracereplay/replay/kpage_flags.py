"""What a word of /proc/kpageflags says of a page, in the model's terms.

The bits are a stable interface: include/uapi/linux/kernel-page-flags.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.schema import KPF

Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


# kpageflags bits that stand for one bit of page->flags, by the name page_ref events give it.
PAGE_FLAG_NAMES: Mapping[KPF, str] = {
    KPF.LOCKED: "locked",
    KPF.REFERENCED: "referenced",
    KPF.UPTODATE: "uptodate",
    KPF.DIRTY: "dirty",
    KPF.LRU: "lru",
    KPF.ACTIVE: "active",
    KPF.WRITEBACK: "writeback",
    KPF.RECLAIM: "reclaim",
    KPF.SWAPBACKED: "swapbacked",
    KPF.COMPOUND_HEAD: "head",
    KPF.UNEVICTABLE: "unevictable",
    KPF.RESERVED: "reserved",
    KPF.OWNER_PRIVATE: "owner_priv_1",
    KPF.PRIVATE: "private",
}


@dataclass(frozen=True, slots=True)
class PageWords:
    """Page flags of [start_pfn, start_pfn + n) at one moment.

    words -- uint64[n] of /proc/kpageflags; mapcount -- uint64[n] of /proc/kpagecount, None where there is no copy.
    """

    start_pfn: int
    words: Words
    mapcount: Words | None = None

    def of(self, spans: Iterable[tuple[int, int]]) -> list[PageWords]:
        """The parts of it that lie in the spans."""
        end_pfn = self.start_pfn + len(self.words)
        parts = []
        for start, end in spans:
            low, high = max(start, self.start_pfn) - self.start_pfn, min(end, end_pfn) - self.start_pfn
            if low < high:
                mapcount = None if self.mapcount is None else self.mapcount[low:high]
                parts.append(PageWords(self.start_pfn + low, self.words[low:high], mapcount))
        return parts


def has(words: Words, *flags: KPF) -> Bools:
    """bool[n]: the words with any of these flags."""
    mask = np.uint64(sum(1 << flag for flag in flags))
    found: Bools = (words & mask) != 0
    return found


def is_free(words: Words) -> Bools:
    """bool[n]: pages of the buddy lists. Pages on per-cpu lists have a word of 0, as plain kernel pages have."""
    return has(words, KPF.BUDDY)


def is_used(words: Words) -> Bools:
    """bool[n]: pages that are surely in use: something is said of them, and not that they are free or absent."""
    used: Bools = (words != 0) & ~has(words, KPF.BUDDY, KPF.NOPAGE)
    return used


def is_anon(words: Words) -> Bools:
    """bool[n]: anonymous pages."""
    return has(words, KPF.ANON)


def is_file(words: Words) -> Bools:
    """bool[n]: pages of a page cache, shared memory included: on an LRU list or mapped, and not anonymous."""
    return has(words, KPF.LRU, KPF.MMAP) & ~has(words, KPF.ANON, KPF.SLAB, KPF.BUDDY)


def is_typed(words: Words) -> Bools:
    """bool[n]: pages whose _mapcount holds a page type."""
    return has(words, KPF.SLAB, KPF.PGTABLE, KPF.OFFLINE)


def page_flags(words: Words, bits: Mapping[str, int] | None) -> npt.NDArray[np.uint32]:
    """uint32[n]: page->flags, as far as the words tell them, in the bit order of a kernel (`bits` by name)."""
    flags = np.zeros(len(words), np.uint32)
    for kpf, name in PAGE_FLAG_NAMES.items():
        if bits and name in bits and bits[name] < 32:
            flags[has(words, kpf)] |= np.uint32(1 << bits[name])
    return flags


def folio_orders(words: Words) -> npt.NDArray[np.int8]:
    """int8[n]: order of the compound page each page belongs to; 0 for single pages, -1 where the range cuts it off."""
    tail = has(words, KPF.COMPOUND_TAIL)
    head = has(words, KPF.COMPOUND_HEAD) & ~tail
    orders = np.where(tail, -1, 0).astype(np.int8)
    starts = np.flatnonzero(~tail)
    lengths = np.diff(np.append(starts, len(words)))
    for start, length in zip(starts[head[starts]], lengths[head[starts]], strict=True):
        order = int(length).bit_length() - 1
        whole = length == 1 << order
        orders[start : start + length] = order if whole else -1
    return orders
