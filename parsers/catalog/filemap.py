"""filemap: pages entering and leaving the page cache, and faults on files (include/trace/events/filemap.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn
from tracereplay.schema import Op

INO = bits("i_ino", "Inode number (text prints it as hex without 0x)")
DEV = bits("s_dev", "Device of the file system: major << 20 | minor")
INDEX = count("index", "Offset in the file", "pages")
LAST_INDEX = count("last_index", "Last page of the range", "pages")
CACHE = (pfn(), INO, INDEX, DEV, count("order", "Order of the folio (6.1+)"))
ARGS = {"pfn": "pfn", "order": "order", "mapping": "i_ino", "val": "index", "ret": "s_dev"}
# `page=` went in 6.1, when `order=` came.
CACHE_TEXT = (
    r"dev (?P<dev>\d+:\d+) ino (?P<ino>[0-9a-f]+) pfn=(?P<pfn>\w+) ofs=(?P<ofs>\d+) order=(?P<order>\d+)",
    r"dev (?P<dev>\d+:\d+) ino (?P<ino>[0-9a-f]+) (?:page=\S+ )?pfn=(?P<pfn>\w+) ofs=(?P<ofs>\d+)",
)
RANGE_TEXT = (r"dev=(?P<dev>\d+:\d+) ino=(?P<ino>[0-9a-f]+) ofs=(?P<ofs>\d+)-(?P<last_ofs>\d+)",)
SPELLING = {
    "dev": Spelling("s_dev", Read.DEV),
    "ino": Spelling("i_ino", Read.HEX),
    "i_ino": Spelling("i_ino", Read.HEX),
    "ofs": Spelling("index", Read.OFFSET),
    "last_ofs": Spelling("last_index", Read.OFFSET),
}

EVENTS = (
    EventSpec(
        "filemap", "mm_filemap_add_to_page_cache", "A folio became part of a file",
        CACHE, Op.CACHE_ADD, ARGS, CACHE_TEXT, SPELLING,
    ),
    EventSpec(
        "filemap", "mm_filemap_delete_from_page_cache", "A folio left its file",
        CACHE, Op.CACHE_DELETE, ARGS, CACHE_TEXT, SPELLING,
    ),
    EventSpec("filemap", "mm_filemap_fault", "A fault on a file's page (6.12+)", (INO, DEV, INDEX), spelling=SPELLING),
    EventSpec(
        "filemap", "mm_filemap_map_pages", "A fault mapped the cached pages around it too (6.12+)",
        (INO, DEV, INDEX, LAST_INDEX), text=RANGE_TEXT, spelling=SPELLING,
    ),
    EventSpec(
        "filemap", "mm_filemap_get_pages", "A read looked up cached pages (6.12+)",
        (INO, DEV, INDEX, LAST_INDEX), text=RANGE_TEXT, spelling=SPELLING,
    ),
)  # fmt: skip
