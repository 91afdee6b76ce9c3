"""What kpageflags says that pages without events are: free, or in use by what."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.layout.spans import Spans
from tracereplay.model.result import USES, UseCount, UseRun
from tracereplay.replay.kpage_flags import Bools, PageWords, Words, has, is_anon, is_file
from tracereplay.schema import KPF

RUNS_KEPT = 4096  # of more runs each block has the use of most of its pages
BLOCK_PAGES = 512  # where no pageblock size is known
NOTHING = -1  # a word of 0: on a per-cpu list, or used by the kernel in a way that has no flag
Codes = npt.NDArray[np.int8]

# In this order the first that holds (Documentation/admin-guide/mm/pagemap.rst).
_SIGNS: tuple[tuple[str, Callable[[Words], Bools]], ...] = (
    ("no_page", lambda words: has(words, KPF.NOPAGE)),
    ("free", lambda words: has(words, KPF.BUDDY)),
    ("offline", lambda words: has(words, KPF.OFFLINE, KPF.HWPOISON)),
    ("page_table", lambda words: has(words, KPF.PGTABLE)),
    ("slab", lambda words: has(words, KPF.SLAB)),
    ("hugetlb", lambda words: has(words, KPF.HUGE)),
    ("reserved", lambda words: has(words, KPF.RESERVED)),
    ("anon", is_anon),
    ("shmem", lambda words: is_file(words) & has(words, KPF.SWAPBACKED)),
    ("file", is_file),
)


def use_codes(words: Words) -> Codes:
    """int8[n]: places in USES; NOTHING where the word says none. Tails are what their head is."""
    codes = np.full(len(words), USES.index("other"), np.int8)
    codes[words == 0] = NOTHING
    undecided = words != 0
    for name, holds in _SIGNS:
        found = undecided & holds(words)
        codes[found] = USES.index(name)
        undecided &= ~found
    tails = has(words, KPF.COMPOUND_TAIL)
    heads = np.maximum.accumulate(np.where(tails, -1, np.arange(len(words))))
    plain = tails & (codes == USES.index("other")) & (heads >= 0)  # of a slab the head alone has the flag up to 6.x
    codes[plain] = codes[heads[plain]]
    return codes


def use_runs(snapshot: PageWords, spans: Spans, pageblock_pages: int | None) -> list[UseRun]:
    """Runs of pages of the spans of which the snapshot says something, in order; at most about RUNS_KEPT."""
    parts = [(part.start_pfn, use_codes(part.words)) for part in snapshot.of(spans)]
    runs = list(_runs(parts))
    if len(runs) > RUNS_KEPT:
        size = pageblock_pages or BLOCK_PAGES
        runs = list(_runs([(start, _by_blocks(start, codes, size)) for start, codes in parts]))
    return runs


def count_uses(snapshot: PageWords, spans: Spans) -> list[UseCount]:
    """Pages of the spans by use, most first."""
    counts = np.zeros(len(USES), np.int64)
    for part in snapshot.of(spans):
        codes = use_codes(part.words)
        counts += np.bincount(codes[codes >= 0], minlength=len(USES))
    order = np.argsort(-counts, kind="stable")
    return [UseCount(use=USES[at], pages=int(counts[at])) for at in order.tolist() if counts[at]]


def _runs(parts: Sequence[tuple[int, Codes]]) -> Iterator[UseRun]:
    for start_pfn, codes in parts:
        edges = np.flatnonzero(np.diff(codes)) + 1
        for first, end in itertools.pairwise([0, *edges.tolist(), len(codes)]):
            if codes[first] >= 0:
                yield UseRun(start_pfn=start_pfn + first, pages=end - first, use=USES[codes[first]])


def _by_blocks(start_pfn: int, codes: Codes, size: int) -> Codes:
    """The codes with each block's most frequent one for all its pages of which something is known."""
    drawn = codes.copy()
    first = -(start_pfn % size)
    for low in range(first, len(codes), size):
        block = drawn[max(low, 0) : low + size]
        known = block[block >= 0]
        if len(known):
            block[block >= 0] = np.bincount(known).argmax()
    return drawn
