"""What to record next, fitted to this record: nothing that is there already, the real range and task in commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tracereplay.model.explain import capture
from tracereplay.model.result import Attempt, Culprit, Input, LayoutSummary, Operation

# A step is of no use where one of these is recorded or was given: capabilities of inputs, and their roles.
_HAVE = {
    capture.PAGE_REF: ("page_ref", "kprobes"),
    capture.REF_STACKS: ("stacks",),
    capture.KERNEL_LOG: ("kernel log", "log"),
    capture.PAGE_OWNER: ("page_owner",),
}
# A step is of use to these operations alone: it switches on messages of functions that others do not call.
_OF: dict[str, tuple[Operation, ...]] = {
    capture.DUMP_CONTIG: ("cma_alloc", "contig_alloc"),
    capture.DUMP_HOTPLUG: ("memory_offline",),
}
_AS_WELL = re.compile(r"Record (-e .*?) as well(.*)", re.DOTALL)
_EVENTS = re.compile(r"-e [\w:]+(?: or -e [\w:]+)*")  # of alternatives one is enough


def fit_steps(
    attempts: Iterable[Attempt],
    inputs: Sequence[Input],
    layout: LayoutSummary | None,
    recorded: Mapping[str, frozenset[str]] | None = None,
) -> None:
    """Fit `capture_next` of attempts and culprits, in place.

    recorded -- by input id what `-e` may name of the events in it: `kmem`, `kmem:mm_page_free`.
    """
    sides = {i.role for i in inputs}
    for attempt in attempts:
        own = {word for i in inputs if i.id == attempt.input_id for word in (*i.capabilities, i.role)}
        have = frozenset[str](own | sides)
        values = _values(attempt, layout)
        parts: list[Attempt | Culprit] = [attempt, *attempt.culprits]
        for of in parts:
            steps = [step for step in of.capture_next if _is_of_use(step, attempt.operation, have)]
            events = (recorded or {}).get(attempt.input_id or "", frozenset())
            fitted = (_filled(_without_recorded(step, events), values) for step in steps)
            of.capture_next = [step for step in fitted if step]


def _is_of_use(step: str, operation: Operation, have: frozenset[str]) -> bool:
    fits = operation in _OF.get(step, (operation, "unknown")) or operation == "unknown"
    return fits and not any(word in have for word in _HAVE.get(step, ()))


def _without_recorded(step: str, recorded: frozenset[str]) -> str:
    """A step that wants events `as well` without those that are there; empty where none is left."""
    found = _AS_WELL.fullmatch(step)
    if found is None:
        return step
    groups: list[str] = _EVENTS.findall(found[1])
    lacking = [group for group in groups if recorded.isdisjoint(group.replace("-e ", "").split(" or "))]
    return f"Record {' '.join(lacking)} as well{found[2]}" if lacking else ""


def _values(attempt: Attempt, layout: LayoutSummary | None) -> dict[str, str]:
    """What stands for START, END and TID; what is not known keeps its word."""
    values: dict[str, str] = {}
    span = _span(attempt, layout)
    if span is not None:
        values |= {"START": f"{span[0]:#x}", "END": f"{span[1]:#x}"}
    if attempt.task is not None and attempt.task.tid is not None:
        values["TID"] = str(attempt.task.tid)
    return values


def _span(attempt: Attempt, layout: LayoutSummary | None) -> tuple[int, int] | None:
    """The area's, else what was requested or tried, else the area with its culprits, else where these are."""
    areas = layout.cma_areas if layout is not None else []
    named = [area for area in areas if area.name == attempt.area]
    if attempt.operation == "cma_alloc" and len(named) == 1:
        return named[0].start_pfn, named[0].start_pfn + named[0].pages
    spans = [(attempt.request.start_pfn, attempt.request.end_pfn), *((t.start_pfn, t.end_pfn) for t in attempt.tries)]
    if (tried := _hull(spans)) is not None:
        return tried
    met = _hull((c.start_pfn, None if c.start_pfn is None else c.start_pfn + c.pages) for c in attempt.culprits)
    if met is None:
        return None
    around = [(a.start_pfn, a.start_pfn + a.pages) for a in areas]
    return next((span for span in around if span[0] <= met[0] and met[1] <= span[1]), met)


def _hull(spans: Iterable[tuple[int | None, int | None]]) -> tuple[int, int] | None:
    """From the first to the last of spans that are known."""
    known = [(start, end) for start, end in spans if start is not None and end is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None


def _filled(step: str, values: Mapping[str, str]) -> str:
    words = step.replace("/proc/TID/", f"/proc/{values.get('TID', 'TID')}/")
    if "START" in values:
        words = words.replace("pfn >= START && pfn < END", f"pfn >= {values['START']} && pfn < {values['END']}")
    return words
