"""What a cause says of a suspect: one obstacle, what it rests on, who holds it, and the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.model.result import Allocation, Evidence, File, Task, Verdict


@dataclass(slots=True)
class Finding:
    """One obstacle on one page. A predicate claims; `premises.judge` gives the verdicts.

    shown -- an event or a dump shows the cause itself; False: it is inferred; None: nothing is claimed (`unknown`).
    since_ns -- the claim rests on events that did not happen from then on; None: it rests on none.
    dumped -- it rests on the kernel's own dump of the page, not on the ledger of references.
    doubt -- what was seen contradicts it, or fits another page as well (premise `what`).
    refs -- the references it blames.
    holder_shown -- whether the events show that the holder holds it; False: a task that may.
    """

    shown: bool | None
    since_ns: int | None = None
    dumped: bool = False
    doubt: bool = False
    refs: tuple[Ref, ...] = ()
    holder: Task | None = None
    holder_shown: bool = False
    holder_name: str | None = None
    taken_by: Task | None = None
    released_by: Task | None = None
    mechanism: str | None = None
    candidates: tuple[str, ...] = ()
    held_since_ns: int | None = None
    released_ns: int | None = None
    allocated_by: Allocation | None = None  # where another source than the trace tells
    file: File | None = None
    evidence: list[Evidence] = field(default_factory=list)
    # given by premises.judge
    verdict: Verdict = "unknown"
    holder_verdict: Verdict = "unknown"
    premises_failed: tuple[str, ...] = ()
    weakened_by: Sequence[str] = field(default_factory=list)


Predicate = Callable[[Suspect], list[Finding]]
