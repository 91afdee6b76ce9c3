"""Which parts of a CMA area are allocated as ranges at a time: from the record, less what a policy makes fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tracereplay.model.result import Attempt
from tracereplay.whatif.page_rows import Step
from tracereplay.whatif.script import Script


@dataclass(frozen=True, slots=True)
class HeldRange:
    """A range of the record: allocated at from_ns, its first page freed at to_ns (the far future: never)."""

    attempt_id: str
    start_pfn: int
    end_pfn: int
    from_ns: int
    to_ns: int
    comm: str | None = None


@dataclass(slots=True)
class RangesHeld:
    """The bitmap of all areas over time. saved -- ranges that a policy adds; how long they are held is not known."""

    ranges: Sequence[HeldRange]
    at_start: Sequence[tuple[int, int]] = ()
    failing: set[str] = field(default_factory=set)
    saved: list[HeldRange] = field(default_factory=list)

    def at(self, time_ns: int, asking: Attempt) -> list[tuple[int, int]]:
        """[start_pfn, end_pfn) held at this time by other attempts, without those saved.

        What the task that asks got after it began to ask is left out: while it retries it does not go on.
        """
        comm = asking.task.comm if asking.task is not None else None
        return [
            (one.start_pfn, one.end_pfn)
            for one in self.ranges
            if one.from_ns <= time_ns < one.to_ns
            and one.attempt_id not in self.failing
            and one.attempt_id != asking.id
            and (one.from_ns <= asking.begin_ns or one.comm is None or one.comm != comm)
        ]

    def freed_by_policy(self, time_ns: int) -> bool:
        """Whether a range held in the record at this time is not, under the policy."""
        return any(one.from_ns <= time_ns < one.to_ns and one.attempt_id in self.failing for one in self.ranges)


def ranges_held(attempts: Sequence[Attempt], script: Script) -> RangesHeld:
    """From the attempts that succeeded and the frees of their first pages."""
    frees = script.events["kind"] == Step.FREE
    found = []
    for attempt in attempts:
        if (
            attempt.operation not in ("cma_alloc", "contig_alloc")
            or attempt.outcome != "succeeded"
            or not attempt.tries
        ):
            continue
        last = attempt.tries[-1]
        if last.start_pfn is None or last.end_pfn is None or attempt.end_ns is None:
            continue
        comm = attempt.task.comm if attempt.task is not None else None
        frame = int(script.frames.of(np.array([last.start_pfn], np.int64))[0])
        rows = np.flatnonzero(frees & (script.events["page"] == frame) & (script.events["time_ns"] > attempt.end_ns))
        to_ns = int(script.events["time_ns"][rows[0]]) if len(rows) else 1 << 62
        found.append(HeldRange(attempt.id, last.start_pfn, last.end_pfn, attempt.end_ns, to_ns, comm))
    return RangesHeld(found)
