"""The life of a page in words."""

from __future__ import annotations

from tracereplay.model.page import Life, PageLife
from tracereplay.reports.shared.wording import count, moment, task_name
from tracereplay.units import format_pfn


def page_place(life: PageLife) -> str:
    """`physical address 0x1e403000, zone DMA32, CMA area "reserved"`; empty where nothing is known."""
    address = None if life.address is None else f"physical address {life.address:#x}"
    return ", ".join(filter(None, [address, life.where]))


def life_sentence(life: Life, unit: str) -> str:
    """Who allocated it, when and how, when it was freed, and how many events name it."""
    began = "before the trace began" if life.start_ns is None else f"at {moment(life.start_ns, unit)}"
    ended = "outlives the trace" if life.end_ns is None else f"freed at {moment(life.end_ns, unit)}"
    made = life.allocated_by
    by = f" by {task_name(made)}" if made is not None and made.tid is not None else ""
    how = ""
    if made is not None:
        how = f", order {made.order}" if made.order is not None else ""
        how += f", {made.gfp}" if made.gfp else ""
    tail = ""
    if life.head_pfn is not None:
        own = f"; {count(life.tail_events, 'event')} of the tail itself left out" if life.tail_events else ""
        tail = f"; a tail of the folio at {format_pfn(life.head_pfn)}, whose story is shown{own}"
    return f"allocated {began}{by}{how}; {ended}; {count(len(life.events), 'event')}{tail}"
