"""What would block migration if a range were requested at some time: an attempt that no task made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import EventRows
from tracereplay.attempts.find import taken_spans
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.errors import UsageError, did_you_mean
from tracereplay.layout.holes import holes_of
from tracereplay.layout.layout import Layout, Span
from tracereplay.layout.spans import Spans, merge_spans, without
from tracereplay.model.result import Request
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.units import NS_PER_S

CONFIG_CMA_ALIGNMENT = 8  # Kconfig's default


@dataclass(frozen=True, slots=True)
class Question:
    """What an inventory is of: a CMA area (None: all) or a memory block; with `pages`, whether so many would fit.

    align_order -- None: as dma_alloc_contiguous() aligns them, to their order, at most 8 (CONFIG_CMA_ALIGNMENT).
    """

    area: str | None = None
    block: int | None = None
    pages: int | None = None
    align_order: int | None = None

    def wanted(self, span: Span) -> tuple[int, int] | None:
        """(pages, align order). Raises UsageError for more pages than the range has."""
        if self.pages is None:
            return None
        if not 0 < self.pages <= span.pages:
            raise UsageError(f"{self.pages} pages cannot fit in {span.name}, which has {span.pages}")
        usual = min((self.pages - 1).bit_length(), CONFIG_CMA_ALIGNMENT)
        return self.pages, usual if self.align_order is None else self.align_order


def requested_ranges(layout: Layout, area: str | None, block: int | None) -> list[tuple[Span, bool]]:
    """The ranges meant, and whether each is a CMA area: the one named, or all areas.

    Raises UsageError where the layout knows no such area or block; the sentence names those it knows.
    """
    if block is not None:
        if not layout.memory_block_pages:
            raise UsageError("--block needs the size of a memory block: pass --layout with block_size_bytes")
        if layout.memory_blocks and block not in layout.memory_blocks:
            first, last = layout.memory_blocks[0], layout.memory_blocks[-1]
            raise UsageError(f"no memory block {block}; known: {len(layout.memory_blocks)} from {first} to {last}")
        return [(Span(f"memory{block}", block * layout.memory_block_pages, layout.memory_block_pages), False)]
    known = ", ".join(repr(span.name) for span in layout.cma_areas) or "none"
    if area is not None:
        span = layout.area_named(area)
        if span is None:
            near = did_you_mean(area, [one.name for one in layout.cma_areas])
            raise UsageError(f"no CMA area {area!r}{near}; known: {known}")
        return [(span, True)]
    if not layout.cma_areas:
        raise UsageError("no CMA area is known: name a memory block with --block N, or pass --layout")
    return [(span, True) for span in layout.cma_areas]


def inventory_attempts(question: Question, at_ns: int | None, layout: Layout) -> list[DetectedAttempt]:
    """A draft for each range, at this time; None: at the moment of a snapshot, whose time is not known.

    offline_pages() refuses a block with a hole before it looks at any page: that is the cause then.
    """
    ranges = requested_ranges(layout, question.area, question.block)
    holes = {span: () if is_area else holes_of(layout, span.start_pfn, span.end_pfn) for span, is_area in ranges}
    return [
        DetectedAttempt(
            "cma_alloc" if is_area else "memory_offline",
            None,
            at_ns or 0,
            at_ns,
            "unfinished",
            "inferred",
            span.name,
            request=Request(pages=span.pages, start_pfn=span.start_pfn, end_pfn=span.end_pfn),
            spans=((span.start_pfn, span.end_pfn),),
            inventory=True,
            cause="not_isolatable" if holes[span] else None,
            holes=holes[span],
            wanted=question.wanted(span),
        )
        for span, is_area in ranges
    ]


def refuse_outside(at_ns: int, traces: Sequence[tuple[str, int | None, int | None]]) -> None:
    """Raise UsageError where none of the traces, (name, start_ns, end_ns) each, covers the time."""
    if any(start is not None and end is not None and start <= at_ns <= end for _, start, end in traces):
        return
    said = (
        f"{name} has events from {seconds(start)} to {seconds(end)}" if start is not None and end is not None
        else f"{name} has no events"
        for name, start, end in traces
    )  # fmt: skip
    raise UsageError(f"{seconds(at_ns)} is not in the trace: {'; '.join(said)}")


def seconds(time_ns: int) -> str:
    """`6.437`, with as many digits as it has: what --at takes."""
    whole, rest = divmod(abs(time_ns), NS_PER_S)
    return f"{'-' * (time_ns < 0)}{whole}.{rest:09d}".rstrip("0").removesuffix(".") + " s"


def given_out_at(drafts: Sequence[DetectedAttempt], releases: EventRows, at_ns: int, before: Spans) -> Spans:
    """What cma_alloc() had taken by then and cma_release() had not released, as their events tell.

    before -- what the area's bitmap says was taken before the trace.
    """
    ended = ((draft.end_ns, taken_spans(draft)) for draft in drafts)
    taken = [(end_ns, 1, got) for end_ns, got in ended if end_ns is not None and got]
    pfns, counts = releases.ints("pfn"), releases.ints("count")
    gone = [
        (int(ns), 0, ((int(pfn), int(pfn + count)),))
        for ns, pfn, count in zip(releases.time_ns, pfns, counts, strict=True)
    ]
    held = before
    for _, is_taken, spans in sorted(row for row in (*taken, *gone) if row[0] <= at_ns):
        held = merge_spans([*held, *spans]) if is_taken else without(held, spans)
    return held


def takes(drafts: Sequence[DetectedAttempt], first_number: int) -> list[ReplayAction]:
    """What real attempts took from the areas, under numbers from `first_number` on."""
    return [
        ReplayAction(draft.end_ns, ActionKind.TAKE, ProbeKey(first_number + place).encode(), got, draft.tid)
        for place, draft in enumerate(drafts)
        if draft.end_ns is not None and (got := taken_spans(draft))
    ]


def plan_inventory_probes(drafts: list[DetectedAttempt], numbers: list[int]) -> list[ReplayAction]:
    """Look at each range once, at its time."""
    return [
        ReplayAction(draft.start_ns, kind, number, draft.spans, ignore_budget=True, zeroed=True, inventory=True)
        for draft, number in zip(drafts, numbers, strict=True)
        for kind in (ActionKind.WATCH, ActionKind.PROBE, ActionKind.SNAPSHOT)
    ]
