"""Pages in an attempt's way, made by hand: what a cause is decided on, without a replay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.attempt_tables import DRIVER, OTHER
from tests.support.log_rows import blank
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.layout.layout import Layout
from tracereplay.losses import Loss
from tracereplay.model.result import File
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefKind, State
from tracereplay.schema import IrqContext, Op

PFN, KERNEL = 500, 3
COMMS = {OTHER: "app", KERNEL: "kworker/0:1", DRIVER: "cma-driver"}
HELD = Mark.COUNT_KNOWN | Mark.ANON | Mark.ALLOC_SEEN
TAKEN_UP = HELD | Mark.ISOLATED | Mark.ON_LRU
CACHED = Mark.COUNT_KNOWN | Mark.FILE | Mark.ALLOC_SEEN
INTERNAL = File(dev=11, ino=1579, index=7)
BDEV = File(dev=3, ino=0xFE00010, index=7)


def run(**changes: Any) -> AnalysisContext:
    """An analysis of a machine without CMA areas, with page_ref events, without losses."""
    known: dict[str, Any] = {
        "layout": Layout(source="test"), "comm_of": COMMS.get, "has_page_ref": True, "flag_bits": {}, "losses": (),
        "dumps": {}, "migrate_failures": {}, "end_ns": 10_000,
    }  # fmt: skip
    return AnalysisContext(**{**known, **changes})


def attempt(**changes: Any) -> DetectedAttempt:
    """A failed offline by DRIVER from 100 to 1000, one of its migrations failed."""
    draft = DetectedAttempt("memory_offline", DRIVER, 100, 1000, "failed", "event", errno="EBUSY", failed_migrations=1)
    for name, value in changes.items():
        setattr(draft, name, value)
    return draft


def taken(tid: int = OTHER, kind: RefKind = RefKind.GET, **changes: Any) -> Ref:
    """A reference taken before the attempt and still held."""
    val = 1024 if kind is RefKind.PIN else 1
    return replace(Ref(50, None, tid, None, val, 0, int(Op.REF_MOD_UNLESS), kind, False), **changes)


def page(**changes: Any) -> Suspect:
    """A movable page allocated by OTHER before the attempt, met at its failing test, nothing wrong with it."""
    values: dict[str, Any] = {
        "context": run(), "draft": attempt(), "seen_in_wait": False, "pfn": PFN, "pages": 1,
        "first_ns": 900, "last_ns": 900,
        "reasons": 0, "marks": HELD, "state": State.ALLOCATED, "order": 0, "count": 1, "mapcount": 0,
        "flags": frozenset({"lru", "uptodate"}), "post_flags": frozenset(), "gfp": 8, "alloc_ns": 10,
        "alloc_tid": OTHER, "file": None, "min_excess": 0, "confirmed": 0, "no_event_since_probe": False,
        "isolation_refs": 0,
        "post_ns": None, "clear_ns": None, "clear_tid": None, "clear_irq": IrqContext.TASK,
        "unlock_ns": None, "written_ns": None, "end_ns": None, "end_tid": None, "refs": [],
    }  # fmt: skip
    return Suspect(**{**values, **changes})


def held(**changes: Any) -> Suspect:
    """A page with one reference too many, taken up by the attempt, the excess confirmed."""
    values = {"reasons": Reason.EXCESS | Reason.LEFT, "marks": TAKEN_UP, "min_excess": 1, "confirmed": 1}
    return page(**{**values, **changes})


def cached(**changes: Any) -> Suspect:
    """A page-cache page that the attempt took up and left."""
    values = {"reasons": Reason.LEFT, "marks": CACHED | Mark.ISOLATED, "file": File(dev=1 << 20, ino=12, index=3)}
    return page(**{**values, **changes})


def dumped(suspect: Suspect, reason: str = "migration failure", **values: Any) -> Suspect:
    """The same page, which the kernel dumped."""
    row = blank("page_dumps", 0, DRIVER, pfn=PFN, reason=reason, **values)
    row["time_ns"] = 950
    return replace(suspect, context=replace(suspect.context, dumps={PFN: [row]}))


def in_cma(suspect: Suspect) -> Suspect:
    """The same page, of a CMA allocation."""
    return replace(suspect, draft=attempt(operation="cma_alloc"))


def lossy(suspect: Suspect) -> Suspect:
    """The same page, with events lost before the test."""
    lost = Loss("overrun", 5, start_ns=300, end_ns=400)
    assert lost.kind.hides_events
    return replace(suspect, context=replace(suspect.context, losses=[("loss-0", lost)]))


def stacked(suspect: Suspect, *frames: str) -> Suspect:
    """The same page, with a stack for every event."""
    return replace(suspect, context=replace(suspect.context, stack_of=lambda _ns, _cpu, _tid: frames))


def typed(kind: PageType) -> Suspect:
    """A page whose _mapcount holds a page type."""
    return page(marks=Mark.COUNT_KNOWN | Mark.TYPED, mapcount=TYPED_MAPCOUNT + kind)
