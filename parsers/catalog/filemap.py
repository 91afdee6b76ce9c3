"""filemap: pages entering and leaving the page cache (include/trace/events/filemap.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, bits, count, pfn
from tracereplay.schema import Op

CACHE = (
    pfn(), bits("i_ino", "Inode number (text prints it as hex without 0x)"), count("index", "Offset in the file", "pages"),
    bits("s_dev", "Device of the file system: major << 20 | minor"), count("order", "Order of the folio (6.1+)"),
)
ARGS = {"pfn": "pfn", "order": "order", "mapping": "i_ino", "val": "index", "ret": "s_dev"}

EVENTS = (
    EventSpec("filemap", "mm_filemap_add_to_page_cache", "A folio became part of a file", CACHE, Op.CACHE_ADD, ARGS),
    EventSpec("filemap", "mm_filemap_delete_from_page_cache", "A folio left its file", CACHE, Op.CACHE_DELETE, ARGS),
)
