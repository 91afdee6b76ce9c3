"""A row of culprits in words: where it is, who holds it since when, what it did, why its verdict is not `proved`."""

from __future__ import annotations

from tracereplay.model.derived.culprit_groups import Group, is_only_listed, is_tracer, next_without_tracer
from tracereplay.model.derived.holding import is_same_task, known_by_allocator
from tracereplay.model.page_runs import join_runs
from tracereplay.model.result import Attempt, Culprit, Result
from tracereplay.reports.shared.holder_wording import holder_name, story
from tracereplay.reports.shared.premise_wording import why
from tracereplay.reports.shared.wording import (
    address_page_size,
    address_words,
    clock_unit,
    count,
    file_name,
    pfn_spans,
    task_name,
)
from tracereplay.units import format_duration


def where_words(group: Group, limit: int | None, result: Result) -> str:
    """Page frames, at most `limit` runs (None: all), and their physical addresses.

    Addresses of struct pages where a log shows only these.
    """
    addresses = [c.page_address for c in group.culprits if c.start_pfn is None and c.page_address is not None]
    physical = address_words(group.runs, address_page_size(result))
    named = [" ".join(filter(None, [pfn_spans(group.runs, limit), physical]))] if group.runs else []
    if addresses:
        more = f" and {count(len(addresses[limit:]), 'more')}" if limit is not None and addresses[limit:] else ""
        named.append("struct page " + ", ".join(addresses[:limit]) + more)
    return ", ".join(named) if named else "PFN not known"


def cause_words(culprit: Culprit) -> str:
    """`buffer_head (proved)`; `unknown` once, where cause and verdict are both that."""
    sure = "" if culprit.verdict == culprit.cause else f" ({culprit.verdict})"
    return f"{culprit.cause}{sure}"


def sentence(group: Group, attempt: Attempt, result: Result) -> str:
    """Who holds it, since when, until when; what it did to the attempt; why its verdict is not `proved`."""
    c, unit = group.first, clock_unit(result, attempt)
    parts = [_tracer(attempt)] if is_tracer(c) else []
    parts.append(story(group.culprits, unit))
    if c.file is not None and not c.holder_name:  # which names the file or its device already
        parts.append(file_name(c.file))
    said = known_by_allocator(c) or any(is_same_task(c.allocated_by, t) for t in (c.holder, c.taken_by))
    if c.allocated_by is not None and not said:
        parts.append(f"allocated by {task_name(c.allocated_by)}")
    if c.effect == "delayed":
        waited = [member.delay_ns for member in group.culprits if member.delay_ns is not None]
        how_long = f" {format_duration(max(waited))}" if waited and unit == "ns" else ""
        parts.append(f"the attempt waited{how_long} for it")
    if c.effect == "would_block" and not attempt.inventory and not is_only_listed(c):
        parts.append("not reached: above the first blocking page")
    if c.cause in ("unknown", "extra_reference") and c.candidates:
        parts.append("not excluded: " + ", ".join(c.candidates))
    if (reason := why(group.culprits, result)) is not None:
        parts.append(reason)
    return "; ".join(parts)


def _tracer(attempt: Attempt) -> str:
    """`your trace buffer; without it the next is lab-main (116), 20 pages`: an effect of watching, so what is next."""
    following = next_without_tracer(attempt)
    if following is None:
        return "your trace buffer; nothing else is known to block migration"
    c = following.first
    task = c.holder or c.allocated_by
    name = task_name(task) if task is not None else holder_name(c) or c.cause
    pages = sum(pages for _, pages in join_runs(following.runs))
    return f"your trace buffer; without it the next is {name}, {count(pages, 'page')}"
