"""Begin a replay with what is known beside the trace: kpageflags and kpagecount, the CMA bitmap.

`seed` takes a copy as the truth of the moment at which it is called. `seed_before` does not: of a page that no event
names, the copy taken before the trace is all that is known, and its first event says what it really is.

Only pages that no event has named yet are filled in: what the events showed stays.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tracereplay.layout.spans import merge_spans
from tracereplay.replay.engine import Engine
from tracereplay.replay.kpage_flags import (
    PageWords,
    Words,
    folio_orders,
    has,
    is_anon,
    is_file,
    is_free,
    is_typed,
    is_used,
    page_flags,
)
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, State
from tracereplay.schema import KPF

PAGE_TYPES = {KPF.SLAB: PageType.SLAB, KPF.PGTABLE: PageType.TABLE, KPF.OFFLINE: PageType.OFFLINE}


def seed(engine: Engine, start_pfn: int, words: Words, mapcount: Words | None = None) -> int:
    """Fill in the pages [start_pfn, start_pfn + n) that no event has named; returns how many.

    words -- uint64[n] of /proc/kpageflags; mapcount -- uint64[n] of /proc/kpagecount. A word of 0 tells nothing: the
    page is on a per-cpu list, or the kernel uses it. Nor does a compound page that the range cuts off.
    """
    rows = engine.pages(start_pfn, start_pfn + len(words))
    orders = folio_orders(words)
    unseen = rows["state"] == State.UNSEEN
    free = unseen & is_free(words)
    used = unseen & is_used(words) & (orders >= 0)
    rows["state"][free] = State.BUDDY
    rows["state"][used] = State.ALLOCATED
    rows["order"][used] = orders[used]
    rows["page_flags"][used] = page_flags(words, engine.page_flag_bits)[used]
    rows["marks"][used & is_anon(words)] |= np.uint16(Mark.ANON)
    rows["marks"][used & is_file(words)] |= np.uint16(Mark.FILE)
    if mapcount is not None:
        rows["mapcount"][used] = np.minimum(mapcount[used], 32766).astype(np.int16) - 1
    typed = used & is_typed(words)
    rows["marks"][typed] |= np.uint16(Mark.TYPED)
    for kpf, page_type in PAGE_TYPES.items():
        rows["mapcount"][typed & has(words, kpf)] = TYPED_MAPCOUNT + page_type
    engine.write_pages(start_pfn, rows)
    return int(np.count_nonzero(free | used))


def seed_before(engine: Engine, snapshot: PageWords, spans: Iterable[tuple[int, int]]) -> int:
    """Pages of the spans that no event has named are in the state that the snapshot gives them; returns how many.

    A word of 0 tells nothing (see `seed`); nor does KPF_NOPAGE, which a block that is offline has.
    """
    known = 0
    for part in snapshot.of(merge_spans(spans)):
        rows = engine.pages(part.start_pfn, part.start_pfn + len(part.words))
        unseen = rows["state"] == State.UNSEEN
        rows["state"][unseen & is_free(part.words)] = State.SEEDED_FREE
        rows["state"][unseen & is_used(part.words)] = State.SEEDED_USED
        engine.write_pages(part.start_pfn, rows)
        known += int(np.count_nonzero(rows["state"] >= State.SEEDED_FREE))
    return known


def seed_cma(engine: Engine, start_pfn: int, bits: npt.NDArray[np.bool_], order_per_bit: int) -> int:
    """Pages that the CMA bitmap says are allocated and no event has named are in use; returns how many."""
    taken = np.repeat(bits, 1 << order_per_bit)
    rows = engine.pages(start_pfn, start_pfn + len(taken))
    new = taken & (rows["state"] == State.UNSEEN)
    rows["state"][new] = State.ALLOCATED
    engine.write_pages(start_pfn, rows)
    return int(np.count_nonzero(new))
