"""What each page of a range was at a moment: copies small enough to keep many, within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.replay import state as st
from tracereplay.replay.budget import Budget
from tracereplay.replay.ledger_kernels import Memory
from tracereplay.replay.occupancy import present_rows

# Looking at a row takes some 5 ns; replaying an event costs 100 ns and reading it as much.
ROWS_ALWAYS = 1 << 22  # over all snapshots of a run
ROWS_PER_EVENT = 1  # and these for every event replayed
RUNS_ALWAYS = 1 << 20  # kept in memory, 11 bytes each
UNSEEN = np.array([st.State.UNSEEN], np.uint16)
STATES = 7  # the bits of a State
MARKS = int(st.Mark.ISOLATED | st.Mark.FROZEN | st.Mark.MIGRATION_ENTRY)  # those that a snapshot shows


class RangeSnapshot(NamedTuple):
    """Spans by their first pfn, each as runs (state.RUN) of pages of equal state and marks."""

    number: int  # the asker's
    spans: Sequence[tuple[int, npt.NDArray[np.void]]]


@dataclass(slots=True)
class RangeSnapshots:
    """The snapshots taken so far, by asker. planned -- how many will be requested.

    Those beyond the budget are left out, but for the ones that must be there.
    """

    planned: int
    taken: dict[int, list[RangeSnapshot]] = field(default_factory=dict)
    _rows: Budget = field(init=False)
    _runs: Budget = field(init=False)

    def __post_init__(self) -> None:
        self._rows = Budget(self.planned, ROWS_ALWAYS, ROWS_PER_EVENT)
        self._runs = Budget(self.planned, RUNS_ALWAYS)

    def take(
        self, mem: Memory, key: int, number: int, spans: Iterable[tuple[int, int]], *, ignore_budget: bool
    ) -> None:
        """Keep what the pages of these [start_pfn, end_pfn) spans are now."""
        within = [(max(start, 0), min(end, st.END_PFN)) for start, end in spans]
        within = [(start, end) for start, end in within if start < end]
        if not within:
            return
        cost = sum(present_rows(mem, *span) for span in within)
        if not (self._rows.ask(cost, int(mem.tally[st.ReplayCounter.EVENTS])) or ignore_budget):
            return
        drawn = [(start, _runs(mem, start, end)) for start, end in within]
        if self._runs.ask(sum(len(runs) for _, runs in drawn), 0) or ignore_budget:
            self.taken.setdefault(key, []).append(RangeSnapshot(number, drawn))


def _runs(mem: Memory, start_pfn: int, end_pfn: int) -> npt.NDArray[np.void]:
    """The span as runs, however long: sections that the model does not have cost nothing."""
    first = start_pfn >> st.SECTION_BITS
    seen = np.flatnonzero(mem.sections[first : ((end_pfn - 1) >> st.SECTION_BITS) + 1] >= 0) + first
    starts: list[npt.NDArray[np.int64]] = []
    looks: list[npt.NDArray[np.uint16]] = []
    at = start_pfn
    for section in seen.tolist():
        base = section << st.SECTION_BITS
        low, high = max(base, start_pfn), min(base + st.SECTION_PAGES, end_pfn)
        if at < low:
            starts.append(np.array([at]))
            looks.append(UNSEEN)
        row = (int(mem.sections[section]) << st.SECTION_BITS) + low - base
        pages = mem.pages[row : row + high - low]
        look = (pages["marks"] & np.uint16(MARKS)) | pages["state"]
        edges = _edges(look)
        starts.append(low + edges)
        looks.append(look[edges])
        at = high
    if at < end_pfn:
        starts.append(np.array([at]))
        looks.append(UNSEEN)
    start, look = np.concatenate(starts), np.concatenate(looks)
    edges = _edges(look)  # again: sections begin runs of their own
    runs = np.zeros(len(edges), st.RUN)
    runs["pages"] = np.diff(start[edges], append=end_pfn)
    runs["state"], runs["marks"] = look[edges] & np.uint16(STATES), look[edges] & np.uint16(MARKS)
    return runs


def _edges(look: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Where runs of equal values begin."""
    return np.flatnonzero(np.concatenate([[True], look[1:] != look[:-1]]))
