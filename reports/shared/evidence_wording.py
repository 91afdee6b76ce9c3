"""Evidence in words: one event a line, in time order, and the stack that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.model.result import Culprit, Evidence, Result
from tracereplay.reports.shared.wording import moment


def in_time_order(culprit: Culprit) -> list[Evidence]:
    """Its events as they happened; those without a time last."""
    return sorted(culprit.evidence, key=lambda e: (e.time_ns is None, e.time_ns or 0))


def event_line(item: Evidence, unit: str) -> str:
    """`6.129649 s  task 145  page_ref_mod_unless  pfn 0x1e403: +1 taken`."""
    when = moment(item.time_ns, unit, digits=6) if item.time_ns is not None else ""
    who = f"task {item.tid}" if item.tid is not None else ""
    return "  ".join(part for part in (when, who, item.event, item.text) if part)


def stack_line(frames: Iterable[str]) -> str:
    """The frames, innermost first."""
    return " <- ".join(frames)


def stack_frames(result: Result) -> dict[str, list[str]]:
    """Frames by stack id."""
    return {stack.id: stack.frames for stack in result.stacks}


def evidence_lines(culprit: Culprit, stacks: dict[str, list[str]], unit: str) -> list[str]:
    """Every event of a culprit, its stack indented below it."""
    lines = []
    for item in in_time_order(culprit):
        lines.append(event_line(item, unit))
        if item.stack_id in stacks:
            lines.append(f"    {stack_line(stacks[item.stack_id])}")
    return lines
