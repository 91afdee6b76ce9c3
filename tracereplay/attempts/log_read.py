"""The calls that a kernel log shows: its lines, given to the operations they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.attempts.log_calls import LOOP_NS, Call, Row, call_of, follows, in_print_order
from tracereplay.attempts.log_cma import ContigCalls, aligned, possible_pages
from tracereplay.attempts.log_offline import KINDS as OFFLINE_KINDS
from tracereplay.attempts.log_offline import UNMOVABLE, OfflineCalls, shown

MIGRATION = "migration failure"
# do_migrate_range() dumps what it could not take off the LRU; `failed to remove from LRU` up to 4.8.
ISOLATION = frozenset({"isolation failed", "failed to remove from LRU"})
# What linux-next printed before 5.0, and what patches print that look for the page: by whoever isolates a range.
BY_ANYBODY = ("has_unmovable_pages", "test_pages_isolated")
# A dump follows the line that names its page at once; another task's lines may come between.
ANNOUNCED_LINES = 40
PAGE_SIZES = (4096, 16384, 65536)


class LogCalls:
    """Takes rows of all three tables in the order in which they were printed."""

    def __init__(self, page_size_bytes: int | None) -> None:
        self.contig, self.offline = ContigCalls(), OfflineCalls()
        self.unclaimed: list[Call] = []  # page dumps of which nothing says for whom the page was to move
        self._page_size_bytes = page_size_bytes
        self._loose: dict[int | None, Call] = {}
        self._named: dict[int | None, Row] = {}

    def take(self, row: Row) -> None:
        """The next row."""
        if "refcount" in row:
            self._dump(row)
        elif "failed_folios" in row:
            self._named_page(row)
        elif row["kind"] in OFFLINE_KINDS:
            self.offline.take(row)
        elif (call := self.contig.take(row)) is not None and call.errno != "ENOMEM" and call.outcome != "succeeded":
            self._claim(call, row)

    def calls(self) -> list[Call]:
        """Every call, each with the size that its lines allow."""
        found = [*self.contig.calls, *shown(self.offline.calls), *self.unclaimed]
        for call in self.contig.calls:
            self._size(call)
        return found

    def _dump(self, row: Row) -> None:
        named = self._named.get(row["tid"])
        announced = (
            named is not None
            and named["pfn"] == row["pfn"]
            and 0 <= abs(row["line"] - named["line"]) <= ANNOUNCED_LINES
        )
        if announced and named is not None and named["kind"] == "unmovable":
            row = {**row, "reason": f"{BY_ANYBODY[0]}: {row['reason'] or 'a patch'}"}
        elif row["reason"] is None and announced and named is not None and named["kind"] == "migrate":
            row = {**row, "reason": MIGRATION}  # the dump is cut, or of 2018
        if (
            row["reason"] == UNMOVABLE
            or row["reason"] in ISOLATION
            or (announced and row["reason"] in (None, MIGRATION))
        ):
            self.offline.page(row)
        elif row["reason"] == MIGRATION or str(row["reason"]).startswith(BY_ANYBODY):
            self._unannounced(row)

    def _unannounced(self, row: Row) -> None:
        call = self._loose.get(row["tid"])
        if call is None or not follows(call.last, row, LOOP_NS):
            call = self._loose[row["tid"]] = call_of(row, "unknown")
            self.unclaimed.append(call)
        else:
            call.take(row)
        call.evidence.append(row)

    def _named_page(self, row: Row) -> None:
        """`migrating pfn X failed`: only an offline says so, and dumps just before are its own."""
        if row["kind"] == "unmovable":  # whoever isolates a range
            self._named[row["tid"]] = row
            return
        call = self._loose.pop(row["tid"], None)
        if call is not None and follows(call.last, row, LOOP_NS):
            self.unclaimed.remove(call)
            self.offline.adopt(call)
        self._named[row["tid"]] = row
        self.offline.page(row)

    def _claim(self, call: Call, row: Row) -> None:
        """Dumps before a line of a contiguous allocation show the pages that it could not move."""
        loose = self._loose.get(row["tid"])
        if loose is None or not follows(loose.last, row, LOOP_NS) or not _within(loose, call):
            return
        del self._loose[row["tid"]]
        self.unclaimed.remove(loose)
        call.evidence += loose.evidence
        if len(call.rows) == 1:
            call.rows[:0] = loose.rows

    def _size(self, call: Call) -> None:
        """The request's size by the ranges tried, and by what its driver said; else the most that it can be."""
        fitting = possible_pages(call.tries, call.pages)
        if call.pages is not None or fitting is None:
            return
        least, most = fitting
        sizes = {row["bytes"] for row in call.rows if row.get("bytes")}
        page_sizes = (self._page_size_bytes,) if self._page_size_bytes else PAGE_SIZES
        page_counts = {pages for size in sizes for one in page_sizes if least <= (pages := -(-size // one)) <= most}
        if len(page_counts) > 1:
            page_counts = {pages for pages in page_counts if aligned(call.tries, pages)}
        if least == most:
            call.pages = most
        elif len(page_counts) == 1:
            (call.pages,) = page_counts
        else:
            call.pages_at_most = most


def calls_of(
    page_dumps: Sequence[Row], failures: Sequence[Row], messages: Sequence[Row], page_size_bytes: int | None = None
) -> tuple[list[Call], list[Row]]:
    """Every call that these tables show, in the order of their first lines, and bitmaps whose failure no line tells.

    Soft offlines are no calls.
    """
    reader = LogCalls(page_size_bytes)
    messages = [located(row, page_size_bytes) for row in messages]
    named = [row for row in failures if row["kind"] != "soft_offline" and row["pfn"] is not None]
    rows = in_print_order((named, page_dumps, messages))
    for row in rows:
        reader.take(row)
    newest_first = bool(rows) and rows[0]["line"] > rows[-1]["line"]
    calls = sorted(reader.calls(), key=lambda call: -call.first["line"] if newest_first else call.first["line"])
    return calls, reader.contig.bitmaps


def located(row: Row, page_size_bytes: int | None) -> Row:
    """The row with the page frames of its addresses, where the page size is known from elsewhere than the log."""
    known = row.get("start_pfn") is not None or not page_size_bytes
    if known or row.get("address") is None or not row.get("bytes") or row["kind"] in ("cma_failed", "contig_busy"):
        return row
    assert page_size_bytes is not None
    start, pages = row["address"] // page_size_bytes, row["bytes"] // page_size_bytes
    return {**row, "start_pfn": start, "pages": pages}


def _within(loose: Call, call: Call) -> bool:
    """Whether the pages dumped lie in the ranges tried, where both are known."""
    ranges = [(t.start_pfn, t.end_pfn) for t in call.tries if t.start_pfn is not None and t.end_pfn is not None]
    pfns = [row["pfn"] for row in loose.evidence if row["pfn"] is not None]
    return not ranges or all(any(low <= pfn < high for low, high in ranges) for pfn in pfns)
