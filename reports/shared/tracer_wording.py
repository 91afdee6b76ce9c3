"""The tracer's own ring buffer in the way: an effect of watching, so what comes next matters more."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.result import Culprit
from tracereplay.reports.shared.holder_wording import holder_name
from tracereplay.reports.shared.wording import count, join_runs, task_name

RING_BUFFER = "ring_buffer"  # `mechanism` of such a culprit


def is_tracer(culprit: Culprit) -> bool:
    """Whether the page belongs to the ring buffer that the trace was recorded in."""
    return culprit.mechanism == RING_BUFFER


def tracer_note(following: Sequence[Culprit]) -> str:
    """`your trace buffer; without it the next is lab-main (116), 20 pages`; following -- the next group, or nothing."""
    if not following:
        return "your trace buffer; nothing else is known to block migration"
    c = following[0]
    task = c.holder or c.allocated_by
    name = task_name(task) if task is not None else holder_name(c) or c.cause
    pages = sum(
        pages for _, pages in join_runs([(one.start_pfn, one.pages) for one in following if one.start_pfn is not None])
    )
    return f"your trace buffer; without it the next is {name}, {count(pages, 'page')}"
