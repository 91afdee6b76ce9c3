"""huge_memory: khugepaged collapsing pages (include/trace/events/huge_memory.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn, text
from tracereplay.schema import Column

MM = bits("mm", "mm_struct pointer; hashed in text")
ORDER = count("order", "Order of the folio wanted (7.x)")
REFERENCED = count("referenced", "Entries found referenced")
NONE_OR_ZERO = count("none_or_zero", "Entries without a page of their own")
WRITABLE = count("writable", "1: some entry is writable (up to 6.12)")
# enum scan_result was renumbered between 6.12 and 7.2: text gives the name, the record the number.
STATUS = (
    count("status", "enum scan_result (differs by kernel; not in text)"),
    text("status_name", "Its name (text only)"),
)
RESULT = (
    count("result", "enum scan_result (differs by kernel; not in text)"),
    text("result_name", "Its name (text only)"),
)
SPELLING = {
    "mm": Spelling("mm", Read.HEX),
    "scan_pfn": Spelling("pfn"),
    "hpage_pfn": Spelling("hpfn"),
    "addr": Spelling("addr", Read.HEX),
    "status": Spelling("status_name"),
    "result": Spelling("result_name"),
}


def event(name: str, doc: str, *fields: Column) -> EventSpec:
    """An event of this subsystem: none has an entry in the page stream."""
    return EventSpec("huge_memory", name, doc, fields, spelling=SPELLING)


EVENTS = (
    event("mm_khugepaged_scan_pmd", "A stretch of anonymous memory was looked at",
          MM, pfn(), WRITABLE, REFERENCED, NONE_OR_ZERO, *STATUS, count("unmapped", "Entries swapped out")),
    event("mm_khugepaged_scan_file", "A stretch of a file was looked at",
          MM, pfn(), text("filename", "Name of the file"), count("present", "Pages cached", "pages"),
          count("swap", "Pages swapped out", "pages"), *RESULT),
    event("mm_khugepaged_scan", "One round over a process (7.x)",
          MM, count("progress", "Entries looked at"), count("full_scan_finished", "1: all processes were visited")),
    event("mm_khugepaged_collapse_file", "Pages of a file were joined (6.6+)",
          MM, pfn("First page of the new folio", "hpfn"), count("index", "Offset in the file", "pages"),
          bits("addr", "User virtual address"), count("is_shmem", "1: shared memory"),
          text("filename", "Name of the file"), count("nr", "Pages", "pages"), *RESULT),
    event("mm_collapse_huge_page", "Pages were joined, or not",
          MM, count("isolated", "1: the pages had been isolated"), *STATUS, ORDER),
    event("mm_collapse_huge_page_isolate", "Pages to be joined were isolated, or one could not be",
          pfn(), NONE_OR_ZERO, REFERENCED, WRITABLE, *STATUS, ORDER),
    event("mm_collapse_huge_page_swapin", "Swapped pages were read back for it",
          MM, count("swapped_in", "Pages read", "pages"), REFERENCED, count("ret", "1: done"), ORDER),
)  # fmt: skip
