"""cma: contiguous allocations (include/trace/events/cma.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn, text

NAME = text("name", "Name of the CMA area")
COUNT = count("count", "Pages requested", "pages")
ALIGN = count("align", "Alignment as an order")
PAGE = bits("page", "struct page pointer; 0 = failed; hashed in text")
# Up to 5.10 the PFN was printed in hexadecimal without 0x.
SPELLING = {"pfn": Spelling("pfn", Read.HEX), "page": Spelling("page", Read.HEX)}

EVENTS = (
    EventSpec(
        "cma", "cma_alloc_start", "cma_alloc() was called",
        (NAME, COUNT, count("request_count", "Pages requested (6.16+)", "pages"),
         count("available_count", "Pages free in the area (6.16+)", "pages"),
         count("total_count", "Pages of the area (6.16+)", "pages"), ALIGN),
    ),
    EventSpec(
        "cma", "cma_alloc_finish", "cma_alloc() ended",
        (NAME, pfn("First page allocated; on failure the last range tried, ~0 or 0"), PAGE, COUNT, ALIGN,
         count("errorno", "0 or a negative errno (6.6+)")),
        spelling=SPELLING,
    ),
    EventSpec(
        "cma", "cma_alloc_busy_retry", "One range failed with EBUSY; the next will be tried",
        (NAME, pfn("Start of the range that failed"), PAGE, COUNT, ALIGN), spelling=SPELLING,
    ),
    EventSpec("cma", "cma_release", "Pages given back to the area", (NAME, pfn(), PAGE, COUNT), spelling=SPELLING),
    EventSpec("cma", "cma_alloc", "cma_alloc() ended (<= 5.10)", (pfn(), PAGE, COUNT, ALIGN), spelling=SPELLING),
)  # fmt: skip
