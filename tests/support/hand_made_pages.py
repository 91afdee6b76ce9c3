"""Pages made by hand for the tests of the replay's rules: allocated, anonymous, cached, watched."""

from __future__ import annotations

from tests.support.replay_twin import ANON_MAPPING, FILE_MAPPING, Entry, entry, flags
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.schema import IrqContext, Op

PFN = 20
WHOLE = ((0, 64),)
MOVABLE = 8
APP, DRIVER, OTHER, WORKER = 7, 9, 8, 3
SET, MOD, UNLESS, PUT = Op.REF_SET, Op.REF_MOD, Op.REF_MOD_UNLESS, Op.REF_MOD_AND_TEST


def born(ns: int = 0, pfn: int = PFN, tid: int = APP, gfp: int = MOVABLE, order: int = 0) -> list[Entry]:
    """page_ref_set and mm_page_alloc, as the allocator emits them."""
    return [
        entry(ns, tid, SET, pfn, val=1, count=1, mapcount=-1),
        entry(ns, tid, Op.ALLOC, pfn, order=order, flags=gfp),
    ]


def ref(ns: int, tid: int, op: Op, val: int, count: int, mapcount: int, *, names: tuple[str, ...] = (), pfn: int = PFN,
        mapping: int = ANON_MAPPING, ret: int = 1, irq: IrqContext = IrqContext.TASK) -> Entry:  # fmt: skip
    """A page_ref event of an anonymous page."""
    return entry(
        ns, tid, op, pfn, irq=irq, val=val, count=count, mapcount=mapcount, flags=flags(*names), mapping=mapping,
        ret=ret,
    )  # fmt: skip


def anon(ns: int = 0, pfn: int = PFN) -> list[Entry]:
    """An anonymous page, mapped once, off the LRU batch: count 1, no excess."""
    return [*born(ns, pfn), ref(ns, APP, MOD, 1, 2, 0, pfn=pfn), ref(ns, APP, PUT, -1, 1, 0, pfn=pfn)]


def cached(ns: int = 0, pfn: int = PFN, mapcount: int = -1) -> list[Entry]:
    """A page-cache page: the cache holds one reference."""
    return [
        *born(ns, pfn),
        entry(ns, APP, Op.CACHE_ADD, pfn, mapping=12, val=3, ret=5),
        ref(ns, APP, MOD, 1, 2, mapcount, pfn=pfn, mapping=FILE_MAPPING),
    ]


def watched(end_ns: int = 100, kind: ActionKind = ActionKind.PROBE, **more: int) -> list[ReplayAction]:
    """An attempt by DRIVER from 10 on, probed at `end_ns`."""
    return [
        ReplayAction(10, ActionKind.WATCH, 0, WHOLE, DRIVER),
        ReplayAction(
            end_ns, kind, 0, WHOLE, DRIVER, visited_end_pfn=more.get("visited", 0), named_pfn=more.get("named", -1)
        ),
    ]


def page(engine: Engine, pfn: int = PFN) -> dict[str, int]:
    """The page's row."""
    row = engine.pages(pfn, pfn + 1)[0]
    return {name: int(row[name]) for name in row.dtype.names or ()}


def takers(engine: Engine, pfn: int = PFN) -> list[tuple[int, int, int]]:
    """(tid, val, kind) of the open references, youngest first."""
    return [(int(r["tid"]), int(r["val"]), int(r["kind"])) for r in engine.open_refs(pfn)]


def suspects(engine: Engine) -> dict[int, int]:
    """Reasons by pfn."""
    return {int(row["pfn"]): int(row["reasons"]) for row in engine.table("suspects")}
