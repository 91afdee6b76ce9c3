"""How many pages of a range are in which state, at the times requested: small arrays, within a budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.layout.spans import Spans
from tracereplay.replay import state as st
from tracereplay.replay.budget import Budget
from tracereplay.replay.ledger_kernels import Memory
from tracereplay.replay.range_kernels import count_states

# A count reads every row of its range, at about 1 ns each; replaying an event costs 100 ns and reading it as much.
ROWS_ALWAYS = 1 << 26  # over all counts of a run
ROWS_PER_EVENT = 4  # and these for every event replayed


class StateCount(NamedTuple):
    """One range at one time. What of the range is in none of the three was not seen."""

    key: int  # the asker's number
    time_ns: int
    free_pages: int
    allocated_pages: int  # by mm_page_alloc, or before the trace (as an event or the seeding snapshot says)
    taken_pages: int  # allocated as a range, and not released


@dataclass(slots=True)
class StateCounts:
    """The counts taken so far. planned -- how many will be requested; those beyond the budget are left out, evenly."""

    planned: int
    rows: list[StateCount] = field(default_factory=list)
    _budget: Budget = field(init=False)
    _last: dict[int, tuple[object, StateCount]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._budget = Budget(self.planned, ROWS_ALWAYS, ROWS_PER_EVENT)

    def count(self, mem: Memory, key: int, time_ns: int, spans: Spans, taken: Spans) -> None:
        """Count these [start_pfn, end_pfn) spans now. taken -- parts of them that were allocated as ranges."""
        events = int(mem.tally[st.ReplayCounter.EVENTS])
        request = events, spans, taken
        last = self._last.get(key)
        known = last[1] if last is not None and last[0] == request else None  # nothing has happened since
        cost = 0 if known is not None else sum(present_rows(mem, *span) for span in spans)
        if not self._budget.ask(cost, events):
            return
        if known is not None:
            self.rows.append(known._replace(time_ns=time_ns))
            return
        states, ranges = _counted(mem, spans), _counted(mem, taken)
        free = int(states[st.State.BUDDY] + states[st.State.PCP] + states[st.State.SEEDED_FREE])
        used = int(states[st.State.ALLOCATED] + states[st.State.SEEDED_USED])
        in_ranges = int(ranges[-1])
        self.rows.append(StateCount(key, time_ns, free, used - in_ranges, in_ranges))
        self._last[key] = request, self.rows[-1]

    def forget(self) -> None:
        """Pages have changed without an event."""
        self._last.clear()


def present_rows(mem: Memory, start_pfn: int, end_pfn: int) -> int:
    """Rows that looking at the span reads, rounded up to sections."""
    sections = mem.sections[max(start_pfn, 0) >> st.SECTION_BITS : ((end_pfn - 1) >> st.SECTION_BITS) + 1]
    return int(np.count_nonzero(sections >= 0)) << st.SECTION_BITS


def _counted(mem: Memory, spans: Iterable[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Pages by State; after them those allocated without an allocation seen."""
    counts = np.zeros(len(st.State) + 1, np.int64)
    for start_pfn, end_pfn in spans:
        count_states(mem, max(start_pfn, 0), min(end_pfn, st.END_PFN), counts)
    return counts
