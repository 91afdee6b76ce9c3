"""What would stand in the way if a range were asked for at some time: an attempt nobody made."""

from __future__ import annotations

from tracereplay.attempts.draft import Draft
from tracereplay.errors import UsageError
from tracereplay.layout.layout import Layout, Span
from tracereplay.model.result import Request
from tracereplay.replay.engine import Action, ActionKind


def asked_ranges(layout: Layout, area: str | None, block: int | None) -> list[tuple[Span, bool]]:
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
            raise UsageError(f"no CMA area {area!r}; known: {known}")
        return [(span, True)]
    if not layout.cma_areas:
        raise UsageError("no CMA area is known: name a memory block with --block N, or pass --layout")
    return [(span, True) for span in layout.cma_areas]


def asked(ranges: list[tuple[Span, bool]], at_ns: int | None) -> list[Draft]:
    """A draft for each range, at this time; None: at the moment of a snapshot, whose time nobody knows."""
    return [
        Draft(
            "cma_alloc" if is_area else "memory_offline",
            None,
            at_ns or 0,
            at_ns,
            "unfinished",
            "inferred",
            span.name,
            request=Request(pages=span.pages, start_pfn=span.start_pfn, end_pfn=span.end_pfn),
            spans=((span.start_pfn, span.end_pfn),),
            asked=True,
        )
        for span, is_area in ranges
    ]


def inventory_questions(drafts: list[Draft], numbers: list[int]) -> list[Action]:
    """Look at each range once, at its time."""
    return [
        Action(draft.start_ns, kind, number, draft.spans, must=True, zeroed=True)
        for draft, number in zip(drafts, numbers, strict=True)
        for kind in (ActionKind.WATCH, ActionKind.PROBE, ActionKind.PICTURE)
    ]
