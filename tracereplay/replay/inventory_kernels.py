"""Pages that no attempt has tried yet and that may be of a kind that is not migrated: for inventories."""

from __future__ import annotations

from tracereplay.compiled import njit
from tracereplay.replay.ledger_kernels import Memory, Row
from tracereplay.replay.page_kernels import ALLOCATED, COUNT_KNOWN, FILE, PRIVATE, find_row
from tracereplay.replay.probe_kernels import T_CLAIMS, T_SUSPECTS, note_suspect, open_refs
from tracereplay.replay.state import Reason

R_CACHED = int(Reason.CACHED)


@njit
def may_be_unmigratable(mem: Memory, page: Row) -> int:
    """1 for a page-cache page with private data (buffers); of a known file where no event showed its flags."""
    if page.state != ALLOCATED or page.marks & FILE == 0:
        return 0
    if page.marks & COUNT_KNOWN:
        return 1 if page.page_flags & mem.flag_masks[PRIVATE] else 0
    return 1 if page.file >= 0 else 0


@njit
def list_cached(mem: Memory, start_pfn: int, end_pfn: int, ns: int, attempt: int) -> int:
    """Note such pages of [start_pfn, end_pfn); returns the pfn it reached (tables full: less)."""
    for pfn in range(start_pfn, end_pfn):
        row = find_row(mem, pfn)
        if row < 0 or may_be_unmigratable(mem, mem.pages[row]) == 0:
            continue
        page = mem.pages[row]
        if pfn & ((1 << page.order) - 1) != 0:
            continue  # its folio's head tells
        if mem.tally[T_SUSPECTS] + 1 >= len(mem.suspects) or mem.tally[T_CLAIMS] + open_refs(mem, page) >= len(
            mem.claims
        ):
            return pfn
        note_suspect(mem, page, pfn, attempt, ns, R_CACHED)
    return end_pfn
