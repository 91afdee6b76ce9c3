"""iomap: folios of XFS and others (fs/iomap/trace.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count

RANGE = (
    bits("dev", "Device of the file system: major << 20 | minor"), bits("ino", "Inode number"),
    count("size", "Size of the file", "bytes"), count("offset", "Offset in the file", "bytes"),
    count("length", "Length of the range", "bytes"),
)  # fmt: skip
TEXT = (
    r"dev (?P<dev>\d+:\d+) ino (?P<ino>0x[0-9a-f]+) size (?P<size>0x[0-9a-f]+) "
    r"offset (?P<offset>0x[0-9a-f]+) length (?P<length>0x[0-9a-f]+)",
)
SPELLING = {"dev": Spelling("dev", Read.DEV)}

EVENTS = (
    EventSpec(
        "iomap", "iomap_release_folio", "Private data of a folio is to be released: by reclaim, truncation or a split",
        RANGE, text=TEXT, spelling=SPELLING,
    ),
    EventSpec("iomap", "iomap_invalidate_folio", "A folio was cut off", RANGE, text=TEXT, spelling=SPELLING),
)  # fmt: skip
