"""Contiguous allocations in a kernel log: cma_alloc() with its tries, and alloc_contig_range() of whoever calls it.

Each `alloc failed` line is one call that failed. Ranges that are busy are tries: those of one call rise, for the bitmap
is searched upwards; one that falls back or repeats belongs to another call. A busy range alone tells no end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tracereplay.attempts.log_calls import TRIES_NS, Call, LoggedTry, Row, call_of, follows
from tracereplay.attempts.log_causes import USUAL_ALIGN_ORDER

# alloc_contig_range() prints the start rounded down to the free block that holds it: below this order of pages.
LARGEST_ROUNDING_ORDER = 13
MOST_WAITING = 64
NO_PAGE = frozenset({"(null)", "(nil)", "null", "NULL"})
# Pointers that are not shown (4.15 and later); 5.2 to 5.6 hash a null pointer too.
HIDDEN = re.compile(r"\(_*ptrval_*\)|0{8}[0-9a-f]{8}")


class ContigCalls:
    """Takes lines in the order in which they were printed; `calls` holds what they were."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.bitmaps: list[Row] = []  # whose failure no line tells
        self._open: dict[int | None, list[Call]] = {}
        self._failed: dict[int | None, Call] = {}
        self._latest: dict[int | None, Row] = {}

    def take(self, row: Row) -> Call | None:
        """The call that the line belongs to; None where it is of none."""
        call = self._take(row)
        if call is not None:
            self._latest[row["tid"]] = row
        return call

    def _take(self, row: Row) -> Call | None:
        kind, tid = row["kind"], row["tid"]
        if kind == "cma_begins":
            return self._begins(row)
        if kind in ("contig_busy", "cma_busy"):
            return self._busy(row)
        if kind == "cma_failed":
            return self._fails(row)
        if kind == "cma_returned":
            return self._returns(row)
        if kind != "cma_bitmap":
            return None
        call = self._failed.get(tid)
        if call is None or call.bitmap is not None or not follows(call.last, row, TRIES_NS):
            self.bitmaps.append(row)
            return None
        call.bitmap = row
        call.take(row)
        return call

    def _new(self, row: Row, operation: str) -> Call:
        call = call_of(row, "cma_alloc" if operation == "cma_alloc" else "contig_alloc")
        self.calls.append(call)
        return call

    def _begins(self, row: Row) -> Call:
        call = self._new(row, "cma_alloc")
        call.area, call.pages, call.align_order = row["area"], row["pages"], row["align_order"]
        self._open[row["tid"]] = [*self._waiting(row), call]
        return call

    def _waiting(self, row: Row) -> list[Call]:
        """Calls that began and may wait for the area's mutex; where no line ends them, the last ones."""
        return [call for call in self._open.get(row["tid"], ()) if _begun(call)][-MOST_WAITING:]

    def _busy(self, row: Row) -> Call:
        start = row["start_pfn"]
        end = start + row["pages"] if start is not None and row["pages"] is not None else None
        call = next((c for c in self._open.get(row["tid"], ()) if _goes_on(c, row, start, end)), None)
        if call is None:
            call = self._new(row, "cma_alloc" if row["kind"] == "cma_busy" else "contig_alloc")
            self._open[row["tid"]] = [*self._waiting(row), call]
        else:
            call.take(row)
        if row["kind"] == "cma_busy" and call.tries and call.tries[-1].row["kind"] == "contig_busy":
            return call  # both lines tell of one try
        if end is None and start is not None and call.pages is not None:  # this line shows the start itself
            end = start + call.pages
        call.tries.append(LoggedTry(start, end, row))
        return call

    def _fails(self, row: Row) -> Call:
        waiting = self._open.get(row["tid"], [])
        call = next((c for c in waiting if _ends(c, row)), None)
        if call is None:
            call = self._new(row, "cma_alloc")
            call.rows.clear()
        else:
            waiting.remove(call)
        call.operation = "cma_alloc"
        call.area, call.pages = row["area"] or call.area, row["pages"]
        call.fail(row, row["errno"])
        self._failed[row["tid"]] = call
        return call

    def _returns(self, row: Row) -> Call:
        pointer = row["reason"] or ""
        nothing = pointer in NO_PAGE or not pointer.removeprefix("0x").strip("0")
        last = self._failed.get(row["tid"])
        # The function prints this line at once after the failure and the bitmap.
        at_once = last is not None and self._latest.get(row["tid"]) is last.last
        if (
            (nothing or (at_once and HIDDEN.fullmatch(pointer)))
            and last is not None
            and last.last["kind"] in ("cma_failed", "cma_bitmap")
            and follows(last.last, row, TRIES_NS)
        ):
            last.take(row)
            return last
        waiting = self._open.get(row["tid"], [])
        call = waiting.pop(0) if waiting else None
        if call is None or not (_begun(call) or follows(call.last, row, TRIES_NS)):
            call = self._new(row, "cma_alloc")
            call.rows.clear()
        call.operation = "cma_alloc"
        if nothing:
            call.fail(row)
            self._failed[row["tid"]] = call
        else:
            call.take(row)
            call.outcome = "succeeded"
        return call


def _begun(call: Call) -> bool:
    """Whether a line said that it begins."""
    return bool(call.first.get("kind") == "cma_begins")


def _goes_on(call: Call, row: Row, start: int | None, end: int | None) -> bool:
    """Whether a busy range is a further try of the call."""
    if not follows(call.last, row, TRIES_NS):
        return _begun(call) and follows(call.last, row, 60 * TRIES_NS)
    if not call.tries:
        return True
    before = call.tries[-1]
    if row["kind"] == "cma_busy" and before.row["kind"] == "contig_busy":
        return True
    if start is None or before.start_pfn is None:
        return start is None and before.start_pfn is None
    if end is None or before.end_pfn is None:
        return bool(start > before.start_pfn)
    rises = start >= before.start_pfn and end > before.end_pfn
    return rises and possible_pages([*call.tries, LoggedTry(start, end, row)], call.pages) is not None


def _ends(call: Call, row: Row) -> bool:
    """Whether the failure is the call's."""
    if _begun(call):
        return call.pages is None or call.pages == row["pages"]
    near = follows(call.last, row, TRIES_NS)
    return near and (not _ranges(call.tries) or possible_pages(call.tries, row["pages"]) is not None)


def possible_pages(tries: Sequence[LoggedTry], pages: int | None = None) -> tuple[int, int] | None:
    """The smallest and largest request that fits all ranges tried (and is `pages`, where known); None: none fits.

    A range is the request, its start rounded down by less than what that start is aligned to.
    """
    least, most = 1, None
    for start, end in _ranges(tries):
        order = min((start & -start).bit_length() - 1 if start else LARGEST_ROUNDING_ORDER, LARGEST_ROUNDING_ORDER)
        least = max(least, end - start - (1 << order) + 1)
        most = end - start if most is None else min(most, end - start)
    if most is None or least > most or (pages is not None and not least <= pages <= most):
        return None
    return least, most


def aligned(tries: Sequence[LoggedTry], pages: int) -> bool:
    """Whether ranges that end here may be requests of that size: dma_alloc_contiguous() aligns their start."""
    step = 1 << min((pages - 1).bit_length(), USUAL_ALIGN_ORDER)
    return all((end - pages) % step == 0 for _, end in _ranges(tries))


def _ranges(tries: Sequence[LoggedTry]) -> list[tuple[int, int]]:
    return [(t.start_pfn, t.end_pfn) for t in tries if t.start_pfn is not None and t.end_pfn is not None]
