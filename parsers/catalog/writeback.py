"""writeback: dirty folios and who waits for them (include/trace/events/writeback.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, bits, count, text

FOLIO = (
    text("name", "bdi: the whole disk, e.g. 254:0"),
    bits("ino", "Inode number"),
    count("index", "Offset in the file", "pages"),
)
FOLIO_TEXT = (r"bdi (?P<name>.*?): ino=(?P<ino>\d+) index=(?P<index>\d+)",)

EVENTS = (
    EventSpec(
        "writeback", "folio_wait_writeback", "A task found the folio under writeback and sleeps", FOLIO, text=FOLIO_TEXT
    ),
    EventSpec("writeback", "wait_on_page_writeback", "The same, 5.4 to 5.15", FOLIO, text=FOLIO_TEXT),
    EventSpec("writeback", "writeback_dirty_folio", "A folio became dirty", FOLIO, text=FOLIO_TEXT),
    EventSpec("writeback", "writeback_dirty_page", "The same, up to 5.15", FOLIO, text=FOLIO_TEXT),
)
