"""The life of one page, as `page PFN` shows it: its lives in time order, and the state after each event."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tracereplay.model.result import Allocation, DataLoss, File, Input, Tool

SCHEMA = "tracereplay.page/1"

PageStateName = Literal["unknown", "allocated", "free"]


class OpenReference(Struct, kw_only=True):
    """A reference that is still held: who took it, when, and how much it added to the count."""

    tid: int
    comm: str | None = None
    since_ns: int | None = None
    val: int = 1


class PageState(Struct, kw_only=True):
    """What is known of the page after an event; None where the trace does not tell.

    count, mapcount (raw _mapcount: -1 is unmapped) and flags as the last page_ref event said; expected is the
    number of references that mappings and page cache account for; excess = count - expected.
    """

    state: PageStateName = "unknown"
    order: int | None = None
    count: int | None = None
    mapcount: int | None = None
    flags: list[str] = field(default_factory=list)
    expected: int | None = None
    excess: int | None = None
    open_references: list[OpenReference] = field(default_factory=list)
    file: File | None = None


class PageEvent(Struct, kw_only=True):
    """One event on the page, and the state after it."""

    time_ns: int
    cpu: int
    tid: int
    comm: str | None
    event: str
    text: str
    after: PageState


class Life(Struct, kw_only=True):
    """From one allocation to its free; start_ns is None if it began before the trace, end_ns if it outlives it.

    head_pfn -- where the page is a tail of a folio: its first page, whose events these are; tail_events -- events that
    name the tail itself, which hold nothing of it.
    """

    start_ns: int | None
    end_ns: int | None
    allocated_by: Allocation | None = None
    events: list[PageEvent] = field(default_factory=list)
    head_pfn: int | None = None
    tail_events: int = 0


class PageLife(Struct, kw_only=True):
    """The whole answer for one page frame number."""

    schema: str = SCHEMA
    tool: Tool | None = None
    pfn: int
    inputs: list[Input] = field(default_factory=list)
    data_loss: list[DataLoss] = field(default_factory=list)
    address: int | None = None  # physical, where the size of a page is known
    where: str | None = None  # its zone, memory block and CMA area
    lives: list[Life] = field(default_factory=list)
