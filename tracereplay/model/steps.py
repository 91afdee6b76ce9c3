"""What to record next, fitted to this record: nothing that is there already, the real range and task in commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tracereplay.model.explain import capture
from tracereplay.model.result import Attempt, Input, LayoutSummary

# A step is of no use where one of these is recorded or was given: capabilities of inputs, and their roles.
_HAVE = {
    capture.PAGE_REF: ("page_ref", "kprobes"),
    capture.REF_STACKS: ("stacks",),
    capture.KERNEL_LOG: ("kernel log", "log"),
    capture.PAGE_OWNER: ("page_owner",),
}


def fit_steps(attempts: Iterable[Attempt], inputs: Sequence[Input], layout: LayoutSummary | None) -> None:
    """Fit `capture_next` of attempts and culprits, in place."""
    sides = {i.role for i in inputs}
    for attempt in attempts:
        own = {word for i in inputs if i.id == attempt.input_id for word in (*i.capabilities, i.role)}
        have = frozenset[str](own | sides)
        values = _values(attempt, layout)
        attempt.capture_next = _fitted(attempt.capture_next, values, have)
        for culprit in attempt.culprits:
            culprit.capture_next = _fitted(culprit.capture_next, values, have)


def _fitted(steps: Iterable[str], values: Mapping[str, str], have: frozenset[str]) -> list[str]:
    return [_filled(step, values) for step in steps if not _is_there(step, have)]


def _is_there(step: str, have: frozenset[str]) -> bool:
    return any(word in have for word in _HAVE.get(step, ()))


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
    """The area's, else what was requested or tried."""
    areas = layout.cma_areas if layout is not None else []
    named = [area for area in areas if area.name == attempt.area]
    if attempt.operation == "cma_alloc" and len(named) == 1:
        return named[0].start_pfn, named[0].start_pfn + named[0].pages
    spans = [(attempt.request.start_pfn, attempt.request.end_pfn), *((t.start_pfn, t.end_pfn) for t in attempt.tries)]
    known = [(start, end) for start, end in spans if start is not None and end is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None


def _filled(step: str, values: Mapping[str, str]) -> str:
    words = step.replace("/proc/TID/", f"/proc/{values.get('TID', 'TID')}/")
    if "START" in values:
        words = words.replace("pfn >= START && pfn < END", f"pfn >= {values['START']} && pfn < {values['END']}")
    return words
