"""struct page pointers -> page frames: where vmemmap begins, which page is a folio's head, how large folios are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tracereplay.parsers.catalog.probes import KNOWN_PAGE, PageLayout, Role, Slot
from tracereplay.parsers.probes.rows import NOT_FETCHED, Ints, ProbeRows
from tracereplay.schema import integers

END_PFN = 1 << 35  # as replay.state: beyond is damage
# On 7.2 the word at compound_head of a tail is a mask with bit 0 set, 0xffffffffffff8001; before, the head's address.
SMALLEST_MASK = -(1 << 40)
MAX_ORDER = 20
# Tracepoints that print a page pointer beside its pfn: a pair tells vmemmap_base where the pointer is not hashed.
PAIRED_EVENTS = ("cma_alloc_finish", "cma_alloc_busy_retry", "cma_release", "mm_page_alloc", "mm_page_free")
POINTER_BITS = np.int64(-1) << np.int64(47)  # kernel addresses have all upper bits set; hashed ones have none


def paired_base(tables: Mapping[str, pa.Table], page: PageLayout = KNOWN_PAGE) -> int | None:
    """vmemmap_base (as int64) by the pointer and the pfn that most events agree on; None where none is known."""
    bases: list[Ints] = []
    for name in PAIRED_EVENTS:
        table = tables.get(name)
        if table is None or not {"page", "pfn"} <= set(table.column_names):
            continue
        if not all(pa.types.is_integer(table.column(column).type) for column in ("page", "pfn")):
            continue
        pointer, pfn = integers(table.column("page"), 0), integers(table.column("pfn"))
        true = (pointer < 0) & (pointer >= np.int64(-1) << np.int64(56)) & (pfn >= 0) & (pfn < END_PFN)
        bases.append(pointer[true] - pfn[true] * page.size)
    return most_common(bases)


def fetched_base(rows: Iterable[ProbeRows]) -> int | None:
    """vmemmap_base (as int64) as probes fetched it; None where none did."""
    found = [one.get(Slot.BASE, 0) for one in rows if Slot.BASE in one.values]
    return most_common([values[(values != 0) & (values != NOT_FETCHED)] for values in found])


def most_common(parts: list[Ints]) -> int | None:
    """The value that occurs most often."""
    values, counts = np.unique(np.concatenate(parts) if parts else np.empty(0, np.int64), return_counts=True)
    return int(values[np.argmax(counts)]) if len(values) else None


@dataclass(slots=True)
class Folios:
    """What page pointers of one trace stand for.

    base -- vmemmap_base; tails -- pfn of a tail page -> pfn of its head, as some event shows;
    extents -- pfn of a head -> how many pages its folio has at least.
    """

    base: int
    page: PageLayout = KNOWN_PAGE
    tails: dict[int, int] = field(default_factory=dict)
    extents: dict[int, int] = field(default_factory=dict)
    _orders: dict[int, int] = field(default_factory=dict)

    def pfns(self, pointers: Ints) -> Ints:
        """Page frames of page pointers; -1 where a pointer is not one of this vmemmap."""
        offset = pointers - self.base
        pfn = offset // self.page.size
        bad = (offset < 0) | (offset % self.page.size != 0) | (pfn >= END_PFN) | (pointers == NOT_FETCHED)
        return np.where(bad, -1, pfn)

    def learn(self, rows: ProbeRows) -> None:
        """Note tails, and how far folios reach."""
        pointers = rows.pages
        if pointers is None:
            return
        pfn = self.pfns(pointers)
        head, pages = self._heads_by_word(pointers, rows.get(Slot.HEAD_WORD, 0))
        refs = rows.get(Slot.REFS, 1) if rows.role is Role.TAKE else np.ones(len(rows), np.int64)
        # Several pages of one folio are taken at once; each page is one reference.
        several = (refs > 1) & (refs <= 1 << MAX_ORDER)
        shown = (pfn >= 0) & ((head >= 0) & (head != pfn) | several)
        for at in np.flatnonzero(shown).tolist():
            first = int(head[at]) if head[at] >= 0 else int(pfn[at])
            if first != pfn[at]:
                self.tails[int(pfn[at])] = first
            reach = max(int(pages[at]), int(pfn[at]) - first + max(int(refs[at]), 1))
            self.extents[first] = max(self.extents.get(first, 1), reach)

    def heads(self, rows: ProbeRows) -> Ints:
        """The head's page frame of each row; -1 where it cannot be known."""
        pointers = rows.pages
        if pointers is None:
            return np.full(len(rows), -1, np.int64)
        pfn = self.pfns(pointers)
        if Slot.FOLIO in rows.values:
            return pfn
        if Slot.HEAD_WORD in rows.values:
            head, _ = self._heads_by_word(pointers, rows.values[Slot.HEAD_WORD])
            return np.where(head >= 0, head, pfn)
        return np.array([self.tails.get(one, one) for one in pfn.tolist()], np.int64)

    def _heads_by_word(self, pointers: Ints, words: Ints) -> tuple[Ints, Ints]:
        """(head, pages of its folio or 1) by the word that tail pages keep; head -1 where the word is none of these."""
        tail = (words & 1 == 1) & (words != NOT_FETCHED)
        mask = words - 1
        is_mask = tail & (mask >= SMALLEST_MASK) & (mask < 0)
        size = np.where(is_mask, -mask, self.page.size)
        power_of_two = (size & (size - 1) == 0) & (size >= self.page.size)
        head = np.where(is_mask & power_of_two, self.pfns(pointers & mask), np.where(tail, self.pfns(mask), -1))
        return head, np.where(is_mask & power_of_two, size // self.page.size, 1)

    def order_of(self, pfn: int) -> int:
        """Order of the folio that begins there, as far as its tails were met; 0 for a page on its own."""
        if pfn in self._orders:
            return self._orders[pfn]
        order = min((self.extents.get(pfn, 1) - 1).bit_length(), MAX_ORDER)
        return order if pfn & ((1 << order) - 1) == 0 else 0  # folios lie aligned: else the word was something else

    def orders(self, pfns: Ints) -> Ints:
        """The same of many."""
        return np.array([self.order_of(pfn) for pfn in pfns.tolist()], np.int64)

    def size_large(self, pages: int) -> None:
        """Every large folio has this many pages: migrate_pages() counted what it could not move."""
        order = pages.bit_length() - 1
        for pfn in self.extents:
            if self.extents[pfn] <= pages and pfn & (pages - 1) == 0:
                self._orders[pfn] = order
