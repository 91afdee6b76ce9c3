"""page_isolation: the kernel's own test of a range (include/trace/events/page_isolation.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, pfn

EVENTS = (
    EventSpec(
        "page_isolation", "test_pages_isolated", "Whether every page of a range is free and isolated",
        (pfn("First page tested", "start_pfn"), pfn("End of the range", "end_pfn"),
         pfn("First page that is not free; end_pfn or beyond when all are", "fin_pfn")),
        spelling={"ret": Spelling(read=Read.DISPLAY)},  # success if end_pfn <= fin_pfn
    ),
)  # fmt: skip
