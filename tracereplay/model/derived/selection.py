"""Which attempts a report describes, in which order, and which are alike. Words and looks are elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tracereplay.model.derived.judgement import is_notable
from tracereplay.model.result import Attempt, Result

_RANGE = re.compile(r"pfn >= (0x[0-9a-f]+) && pfn < (0x[0-9a-f]+)")
_ANY_RANGE = "pfn >= START && pfn < END"  # as a step spells it that no range was known for


def notable_attempts(result: Result) -> list[Attempt]:
    """Failures first; compaction, which is often only in the background, last, after single allocations."""
    return sorted(filter(is_notable, result.attempts), key=lambda a: (_rank(a), a.outcome == "succeeded"))


def _rank(attempt: Attempt) -> int:
    """Ranges that were wanted first."""
    return {"kernel_alloc": 1, "compaction": 2}.get(attempt.operation, 0)


def representatives(notable: Iterable[Attempt]) -> list[tuple[Attempt, list[Attempt]]]:
    """Attempts that fail alike, under the first of them that names the most."""
    alike: dict[object, list[Attempt]] = {}
    for a in notable:
        culprits = frozenset((c.cause, c.verdict, c.holder.comm if c.holder else c.holder_name) for c in a.culprits)
        task = a.task.comm if a.task else None
        alike.setdefault((a.parent_id, a.operation, a.area, task, a.outcome, a.errno, a.cause, culprits), []).append(a)
    shown = []
    for attempts in alike.values():
        best = max(attempts, key=lambda a: sum(c.pages for c in a.culprits))
        shown.append((best, [a for a in attempts if a is not best]))
    return shown


def shown_attempts(notable: Sequence[Attempt], *, each: bool = False) -> list[tuple[Attempt, list[Attempt]]]:
    """What a report describes: each attempt with those like it, unless `each` stands for itself; requests together."""
    return _by_request([(attempt, []) for attempt in notable] if each else representatives(notable))


def _by_request(shown: Iterable[tuple[Attempt, list[Attempt]]]) -> list[tuple[Attempt, list[Attempt]]]:
    """The same, those of one request beside the first of them."""
    order: dict[str, list[tuple[Attempt, list[Attempt]]]] = {}
    for attempt, like_it in shown:
        order.setdefault(attempt.parent_id or attempt.id, []).append((attempt, like_it))
    return [one for request in order.values() for one in request]


def causes_of(attempts: Iterable[Attempt]) -> list[str]:
    """Cause codes without repeats: the deciding cause, then what blocked or delayed, then `would_block`."""
    codes: dict[str, None] = {}
    for attempt in attempts:
        order = sorted(attempt.culprits, key=lambda c: (not c.primary, c.effect == "would_block"))
        found = ([attempt.cause] if attempt.cause else []) + [c.cause for c in order]
        # An attempt of a log that nothing explains has steps of its own (`capture_next`).
        codes |= dict.fromkeys(code for code in found if code != "unknown" or not attempt.capture_next)
    return list(codes)


def next_captures(attempts: Iterable[Attempt]) -> list[str]:
    """What to record for a conclusive answer, each step once; of several ranges from the first to the last page."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for attempt in attempts:
        for step in (*attempt.capture_next, *(step for culprit in attempt.culprits for step in culprit.capture_next)):
            found = [(int(low, 16), int(end, 16)) for low, end in _RANGE.findall(step)]
            spans.setdefault(_RANGE.sub(_ANY_RANGE, step), []).extend(found)
    return [step.replace(_ANY_RANGE, _range_words(found)) if found else step for step, found in spans.items()]


def _range_words(spans: Sequence[tuple[int, int]]) -> str:
    return f"pfn >= {min(low for low, _ in spans):#x} && pfn < {max(end for _, end in spans):#x}"
