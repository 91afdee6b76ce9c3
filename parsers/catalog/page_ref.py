"""page_ref: every change of a page's reference count (CONFIG_DEBUG_PAGE_REF; include/trace/events/page_ref.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, bits, count, pfn
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

EVENTS = (
    EventSpec("page_ref", "page_ref_set", "Count set, at allocation and split", FIELDS, Op.REF_SET, ARGS),
    EventSpec("page_ref", "page_ref_mod", "Count changed", FIELDS, Op.REF_MOD, ARGS),
    EventSpec("page_ref", "page_ref_mod_and_test", "Count changed; last one frees the page", (*FIELDS, RET), Op.REF_MOD_AND_TEST, ARGS_RET),
    EventSpec("page_ref", "page_ref_mod_and_return", "Count changed; ret is exact", (*FIELDS, RET), Op.REF_MOD_AND_RETURN, ARGS_RET),
    EventSpec("page_ref", "page_ref_mod_unless", "Count raised unless it was zero", (*FIELDS, RET), Op.REF_MOD_UNLESS, ARGS_RET),
    EventSpec("page_ref", "page_ref_freeze", "Count frozen to zero if it is as expected", (*FIELDS, RET), Op.REF_FREEZE, ARGS_RET),
    EventSpec("page_ref", "page_ref_unfreeze", "Count set after a freeze", FIELDS, Op.REF_UNFREEZE, ARGS),
)
