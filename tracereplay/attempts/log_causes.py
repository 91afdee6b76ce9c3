"""Why a call failed, as far as its own lines decide: the errno, and the arithmetic of an area's bitmap."""

from __future__ import annotations

import re

from tracereplay.attempts.log_calls import Call, Row

# dma_alloc_contiguous() asks for alignment to the size, at most CONFIG_CMA_ALIGNMENT, which is 8 unless configured.
USUAL_ALIGN_ORDER = 8
RUN = re.compile(r"(\d{1,15})@(\d{1,15})")

# What may keep a page from moving, most likely first, where nothing is known of any page.
ANY_PAGE = ("extra_reference", "task_reference", "pin_short", "buffer_head", "lru_batch", "locked_folio", "writeback")
IN_A_BLOCK = ("unmovable_allocation", "extra_reference", "hugetlb", "isolation_conflict", "notifier_veto")


def room(bitmap: Row, pages: int, align_order: int | None) -> bool | None:
    """Whether a free run holds the request: False, none does; True, one does at its alignment; None: not known."""
    free, total = bitmap["free_pages"], bitmap["pages"]
    if (free is not None and free < pages) or (total is not None and total < pages):
        return False
    runs = [(int(position), int(size)) for size, position in RUN.findall(bitmap["reason"] or "")]
    if not runs or (
        free is not None and sum(size for _, size in runs) != free
    ):  # as console events runs may be missing
        return None
    order = min((pages - 1).bit_length(), USUAL_ALIGN_ORDER) if align_order is None else min(align_order, 40)
    step = 1 << order
    return any(-(-position // step) * step + pages <= position + size for position, size in runs)


def long_enough(bitmap: Row, pages: int) -> bool:
    """Whether a run is listed that is long enough at any alignment."""
    return (bitmap["largest_run"] or 0) >= pages


def decide(call: Call) -> tuple[str | None, tuple[str, ...]]:
    """(cause, other causes that are possible, most likely first). None: the pages that it names have to answer."""
    if call.outcome == "succeeded":
        return None, ()
    if call.cause is not None:
        return call.cause, ()
    if call.outcome == "interrupted":
        return "interrupted", ()
    if call.operation in ("cma_alloc", "contig_alloc"):
        return _contiguous(call)
    if call.operation == "memory_offline":
        return _offline(call)
    return (None, ()) if call.evidence else ("unknown", ANY_PAGE)


def _contiguous(call: Call) -> tuple[str | None, tuple[str, ...]]:
    fits = None
    if call.bitmap is not None and call.pages is not None:
        fits = room(call.bitmap, call.pages, call.align_order)
    if call.errno == "ENOMEM":
        if fits:
            return "destination_enomem", ()
        if call.tries:  # something was tried, so that there was room
            return "unknown", ("destination_enomem", "bitmap_full")
        return "bitmap_full", () if fits is False else ("destination_enomem",)
    if call.evidence:
        return None, ()
    if call.outcome != "failed" or call.errno != "EBUSY":
        return "unknown", ANY_PAGE
    if fits is False and not call.tries and call.bitmap is not None and not long_enough(call.bitmap, call.pages or 0):
        return "bitmap_full", ()  # 6.13 and later say -EBUSY for this too
    # Several tasks that allocate at once isolate each other's pageblocks.
    likely = (*ANY_PAGE, "isolation_conflict")
    return "unknown", likely if fits or call.tries else (*likely, "bitmap_full")


def _offline(call: Call) -> tuple[str | None, tuple[str, ...]]:
    if call.evidence:
        return None, ()
    reason = next((row["reason"] for row in reversed(call.rows) if row.get("kind") == "offline_failed"), None)
    if reason == "unmovable page":  # a page that is no LRU page; since 5.8 one of a balloon or of virtio-mem
        return "unmovable_allocation", ("offline_or_hwpoison",)
    if reason == "failure to isolate range":
        return "unknown", ("unmovable_allocation", "isolation_conflict", "hugetlb")
    return "unknown", IN_A_BLOCK
