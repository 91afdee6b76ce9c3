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
    until_ns -- up to then they did not; None: up to the last test.
    accounted -- the page's count was compared already, not by page_ref events: in the kernel's own dump of the page, or
    of kprobes' ledger, whose open references are all the excess that a migration was refused with. False: of kprobes,
    where no count was read or it differs; None: premises compare the counts of page_ref events.
    absent -- the kinds of events whose absence it uses, where they are not those of its cause.
    doubt -- what was seen contradicts it, or fits another page as well (premise `what`).
    refs -- the references it blames.
    holder_shown -- whether the events show that the holder holds it; False: a task that may.
    """

    shown: bool | None
    since_ns: int | None = None
    until_ns: int | None = None
    accounted: bool | None = None
    absent: tuple[str, ...] | None = None
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
