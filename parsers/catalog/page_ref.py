"""page_ref: every change of a page's reference count (CONFIG_DEBUG_PAGE_REF; include/trace/events/page_ref.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.enums import PAGE_FLAGS
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn
from tracereplay.schema import Op

FIELDS = (
    pfn(),
    bits("flags", "page->flags; bit numbers differ by kernel: names are in the event's format text"),
    count("count", "_refcount, read after the change and without lock"),
    count("mapcount", "Raw _mapcount: -1 = unmapped; for typed pages the page_type word"),
    bits("mapping", "page->mapping; bit 0 set = anonymous; hashed in text"),
    count("mt", "Type of the pageblock now (ISOLATE while it is isolated)"),
    count("val", "The change; the expected count for freeze, the new one for set and unfreeze"),
)
RET = count("ret", "mod_and_test 1: dropped to zero; mod_unless, freeze 1: it happened; mod_and_return: the new count")
ARGS = {name: name for name in ("pfn", "flags", "mt", "count", "mapcount", "mapping", "val")}
ARGS_RET = ARGS | {"ret": "ret"}
SPELLING = {
    "flags": Spelling("flags", Read.FLAGS, PAGE_FLAGS),
    "mapping": Spelling("mapping", Read.HEX),
}


def event(name: str, doc: str, op: Op, *, ret: bool = False) -> EventSpec:
    """One event of the subsystem; `ret` tells whether it has a result."""
    fields, args = ((*FIELDS, RET), ARGS_RET) if ret else (FIELDS, ARGS)
    return EventSpec("page_ref", name, doc, fields, op, args, spelling=SPELLING)


EVENTS = (
    event("page_ref_set", "Count set, at allocation and split", Op.REF_SET),
    event("page_ref_mod", "Count changed", Op.REF_MOD),
    event("page_ref_mod_and_test", "Count changed; last one frees the page", Op.REF_MOD_AND_TEST, ret=True),
    event("page_ref_mod_and_return", "Count changed; ret is exact", Op.REF_MOD_AND_RETURN, ret=True),
    event("page_ref_mod_unless", "Count raised unless it was zero", Op.REF_MOD_UNLESS, ret=True),
    event("page_ref_freeze", "Count frozen to zero if it is as expected", Op.REF_FREEZE, ret=True),
    event("page_ref_unfreeze", "Count set after a freeze", Op.REF_UNFREEZE),
)
