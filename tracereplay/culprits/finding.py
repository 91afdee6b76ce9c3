"""What a cause says of a suspect: one obstacle, with how sure it is, who holds it, and the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tracereplay.culprits.suspect import Suspect
from tracereplay.model.result import Allocation, Evidence, File, Task, Verdict


@dataclass(slots=True)
class Finding:
    """One obstacle on one page."""

    verdict: Verdict
    holder: Task | None = None
    holder_verdict: Verdict = "unknown"
    holder_name: str | None = None
    mechanism: str | None = None
    candidates: tuple[str, ...] = ()
    held_since_ns: int | None = None
    released_ns: int | None = None
    release_known: bool = True  # whether the trace would have shown the release
    allocated_by: Allocation | None = None  # where another source than the trace tells
    file: File | None = None
    weakened_by: list[str] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)


Predicate = Callable[[Suspect], list[Finding]]


def weaker(verdict: Verdict, weakened_by: list[str]) -> Verdict:
    """A claim that rests on nothing having happened is at most suggested where events may be missing."""
    return "suggested" if verdict == "proved" and weakened_by else verdict
