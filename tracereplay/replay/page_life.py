"""The life of one page: its events in order, each with the state after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from msgspec import structs

from tracereplay.dev_t import device_number
from tracereplay.gfp import GFP_BITS
from tracereplay.layout.names import Names
from tracereplay.model.page import Life, OpenReference, PageEvent, PageState, PageStateName
from tracereplay.model.result import Allocation, File
from tracereplay.replay.engine import Engine
from tracereplay.replay.state import Mark, State
from tracereplay.schema import COUNT, FLAGS, MAPCOUNT, MAPPING, MT, OP_INFO, ORDER, PFN, RET, VAL, Op, PageStream

Args = npt.NDArray[np.int64]  # of one event
GFP_COMP = GFP_BITS["__GFP_COMP"]
COVERING = [op for op, info in OP_INFO.items() if info.covers_order]
STATE_NAMES: dict[int, PageStateName] = {
    State.UNSEEN: "unknown",
    State.BUDDY: "free",
    State.PCP: "free",
    State.ALLOCATED: "allocated",
    State.SEEDED_FREE: "free",
    State.SEEDED_USED: "allocated",
}


@dataclass(frozen=True, slots=True)
class PageNames:
    """Names for the numbers of events: of a task by its tid, of a GFP mask, of files."""

    comm_of: Callable[[int], str | None]
    gfp_words: Callable[[int], str]
    listed: Names = field(default_factory=Names)


def lives_of(pfn: int, stream: Iterable[PageStream], engine: Engine, names: PageNames) -> list[Life]:
    """Replay only what names this page, one event at a time, and tell its lives."""
    lives: list[Life] = []
    waiting: list[PageEvent] = []  # on the way out of the free lists: they belong to the life that follows
    before: PageStateName = "unknown"
    for chunk in stream:
        engine.decode(chunk)
        for at in np.flatnonzero(_names(chunk, pfn)):
            engine.feed(chunk.select(slice(int(at), int(at) + 1)))
            event = _event(pfn, chunk, int(at), engine, names)
            if event.event == "mm_page_alloc_zone_locked" and event.after.state != "allocated":
                waiting.append(event)
            else:
                if _begins(lives, event, before):
                    lives.append(
                        Life(start_ns=event.time_ns if before != "unknown" or _born(event) else None, end_ns=None)
                    )
                    lives[-1].events += waiting
                    waiting = []
                _add(pfn, lives[-1], event, chunk.args[at], names)
            before = event.after.state
    return lives


def with_heads(lives: list[Life], lives_of_page: Callable[[int], Sequence[Life]]) -> list[Life]:
    """The lives of a page; of those that it spent as a tail of a folio the head's, which references and flags are of.

    A tail that was counted for itself is none any more: its folio was split, and its own events are its story.
    """
    heads = {life.head_pfn: lives_of_page(life.head_pfn) for life in lives if life.head_pfn is not None}
    return [life if life.head_pfn is None else _as_head(life, heads[life.head_pfn]) for life in lives]


def _as_head(life: Life, lives_of_head: Sequence[Life]) -> Life:
    split = any((event.after.count or 0) > 0 for event in life.events)
    same = next((one for one in lives_of_head if one.allocated_by == life.allocated_by), None)
    if split or same is None:
        return structs.replace(life, head_pfn=None)
    return structs.replace(same, head_pfn=life.head_pfn, tail_events=sum(map(_is_own, life.events)))


def _is_own(event: PageEvent) -> bool:
    """Whether the event names this page: those of an allocation and of the free lists cover a folio."""
    return event.event.startswith(("page_ref", "tracereplay"))


def _head_of(pfn: int, args: Args) -> int | None:
    """The first page of the allocation, where it is a folio and this page another of it."""
    first = int(args[PFN])
    return first if first != pfn and _gfp(args) & GFP_COMP else None


def _born(event: PageEvent) -> bool:
    return event.event in ("mm_page_alloc", "page_ref_set")


def _begins(lives: list[Life], event: PageEvent, before: PageStateName) -> bool:
    """Whether a life begins: the page left the free lists, or was allocated although its free was not seen."""
    if not lives:
        return True
    if event.after.state == "allocated" and before != "allocated":
        return True
    return event.event == "mm_page_alloc" and lives[-1].events[-1].event != "page_ref_set"


def _names(chunk: PageStream, pfn: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    first = chunk.args[:, PFN]
    covers = np.isin(chunk.op, COVERING)
    order = np.where(covers, np.clip(chunk.args[:, ORDER], 0, 20), 0)
    named: np.ndarray[tuple[int], np.dtype[np.bool_]] = (first <= pfn) & (pfn < first + (1 << order)) & (first >= 0)
    return named


def _event(pfn: int, chunk: PageStream, at: int, engine: Engine, names: PageNames) -> PageEvent:
    op, args, tid = Op(int(chunk.op[at])), chunk.args[at], int(chunk.tid[at])
    return PageEvent(
        time_ns=int(chunk.time_ns[at]),
        cpu=int(chunk.cpu[at]),
        tid=tid,
        comm=names.comm_of(tid),
        event=OP_INFO[op].name,
        text=_text(op, args, names),
        after=_state(pfn, engine, names),
    )


def _text(op: Op, args: Args, names: PageNames) -> str:
    if Op.REF_SET <= op <= Op.REF_UNFREEZE:
        ret = f" ret={args[RET]}" if op not in (Op.REF_SET, Op.REF_MOD, Op.REF_UNFREEZE) else ""
        return f"val={args[VAL]:+d} count={args[COUNT]} mapcount={args[MAPCOUNT]} mt={args[MT]}{ret}"
    if Op.PROBE_GET <= op <= Op.PROBE_UNPIN:
        sign = "+" if op in (Op.PROBE_GET, Op.PROBE_PIN) else "-"
        return f"val={sign}{args[VAL]}" + (f" count={args[COUNT]} before" if args[COUNT] >= 0 else "")
    if op == Op.PROBE_REFUSED:
        return f"count={args[COUNT]} mapcount={args[MAPCOUNT]} ret={args[RET]}"
    if op == Op.ALLOC:
        return f"order={args[ORDER]} gfp_flags={names.gfp_words(_gfp(args))} migratetype={args[MT]}"
    if op in (Op.CACHE_ADD, Op.CACHE_DELETE):
        file = f"dev {device_number(args[RET])} ino {args[MAPPING]}"
        return f"{file} index={args[VAL]} order={args[ORDER]}"
    if op in (Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE):
        return f"addr={int(args[VAL]) & 0xFFFFFFFFFFFFFFFF:#x}"
    return f"order={args[ORDER]}"


def _state(pfn: int, engine: Engine, names: PageNames) -> PageState:
    row = engine.pages(pfn, pfn + 1)[0]
    counted = bool(row["marks"] & Mark.COUNT_KNOWN)
    excess = engine.excess(pfn) if counted else None
    return PageState(
        state=STATE_NAMES[int(row["state"])],
        order=int(row["order"]) if row["state"] != State.UNSEEN else None,
        count=int(row["count"]) if counted else None,
        mapcount=int(row["mapcount"]) if counted else None,
        flags=engine.flag_names(int(row["page_flags"])) if counted else [],
        expected=None if excess is None else int(row["count"]) - excess,
        excess=excess,
        open_references=[
            OpenReference(
                tid=int(ref["tid"]), comm=names.comm_of(int(ref["tid"])), since_ns=int(ref["ns"]), val=int(ref["val"])
            )
            for ref in engine.open_refs(pfn)
        ],
        file=_file_of(engine, int(row["file"]), int(row["index"]), names.listed),
    )


def _file_of(engine: Engine, number: int, index: int, names: Names) -> File | None:
    """The file of this row of the file table; None for pages without one, or known by their pointer only."""
    if number < 0:
        return None
    row = engine.table("files")[number]
    if row["dev"] < 0:
        return None
    return names.file(int(row["dev"]), int(row["ino"]), index if index >= 0 else None)


def _gfp(args: Args) -> int:
    """gfp_t has 32 bits."""
    return int(args[FLAGS]) & 0xFFFFFFFF


def _add(pfn: int, life: Life, event: PageEvent, args: Args, names: PageNames) -> None:
    """Append the event to its life; an allocation tells who began it, a free ends it."""
    life.events.append(event)
    if event.event == "mm_page_alloc":
        life.head_pfn = _head_of(pfn, args)
        life.allocated_by = Allocation(
            tid=event.tid,
            comm=event.comm,
            gfp=names.gfp_words(_gfp(args)),
            order=int(args[ORDER]),
            time_ns=event.time_ns,
        )
    if event.event == "mm_page_free":
        life.end_ns = event.time_ns
