"""pagemap: folios on the LRU lists (include/trace/events/pagemap.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn
from tracereplay.schema import Op

# PAGEMAP_* of the header, one letter each at a fixed place; f (file) stands where a (anonymous) does not.
LETTERS = {"M": 0x01, "a": 0x02, "s": 0x08, "b": 0x10, "d": 0x20, "B": 0x40}
POINTERS = (bits("folio", "struct folio pointer (6.1+)"), bits("page", "struct page pointer (up to 5.15)"))
SPELLING = {
    "folio": Spelling("folio", Read.HEX),
    "page": Spelling("page", Read.HEX),
    "flags": Spelling("flags", Read.LETTERS, LETTERS),
    "raw_flags": Spelling("flags", Read.HEX),
}

EVENTS = (
    EventSpec(
        "pagemap", "mm_lru_insertion", "A folio left the per-cpu batch for an LRU list",
        (*POINTERS, pfn(), count("lru", "enum lru_list: 0, 1 anonymous, 2, 3 file, 4 unevictable"),
         bits("flags", "1 mapped, 2 anonymous, 8 swap cache, 16 swap backed, 32 mapped to disk, 64 has buffers")),
        Op.LRU_ADD, {"pfn": "pfn", "flags": "flags"},
        (r"folio=(?P<folio>\S+) pfn=(?P<pfn>\w+) lru=(?P<lru>\d+) flags=(?P<flags>[Mafsbd B]*)",
         r"page=(?P<page>\S+) pfn=(?P<pfn>\w+) lru=(?P<lru>\d+) flags=(?P<flags>[Mafsbd B]*)",
         r"folio=(?P<folio>\S+) pfn=(?P<pfn>\w+) lru=(?P<lru>\d+) flags=(?P<raw_flags>0x[0-9a-f]+)"),
        SPELLING,
    ),
    EventSpec("pagemap", "mm_lru_activate", "A folio moved to an active list", (*POINTERS, pfn()), spelling=SPELLING),
)  # fmt: skip
