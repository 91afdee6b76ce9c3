"""The range of an attempt at its last failing test: what became of its pages, run by run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Culprit, MapRun, PageCounts
from tracereplay.replay.state import Mark, State

# Beyond this many runs a map is drawn by pageblocks.
RUNS_KEPT = 4096
STATES = ("not_seen", "free", "moved", "held", "culprit", "mixed")
NOT_SEEN, FREE, MOVED, HELD, CULPRIT, MIXED = range(len(STATES))

Pictures = Sequence[tuple[int, npt.NDArray[np.void]]]  # (first pfn, rows of state.RUN)


def _codes(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    """State code of each page; a page is moved when it was in use and left while the attempt ran."""
    codes = np.full(len(rows), HELD, np.uint8)
    free = (rows["state"] == State.BUDDY) | (rows["state"] == State.PCP)
    codes[free] = FREE
    codes[free & ((rows["marks"] & (Mark.TOUCHED | Mark.FROZEN | Mark.MIGRATION_ENTRY)) != 0)] = MOVED
    codes[rows["state"] == State.UNSEEN] = NOT_SEEN
    return np.repeat(codes, rows["pages"])


def count_pages(pictures: Pictures) -> PageCounts:
    """How many pages of the range were free, moved away, still held, or never seen."""
    codes = np.concatenate([_codes(rows) for _, rows in pictures])
    tally = np.bincount(codes, minlength=len(STATES))
    return PageCounts(
        requested=len(codes),
        free=int(tally[FREE]),
        moved=int(tally[MOVED]),
        held=int(tally[HELD]),
        not_seen=int(tally[NOT_SEEN]),
    )


def map_runs(
    pictures: Pictures, try_index: int, culprits: Sequence[Culprit], pageblock_pages: int | None
) -> list[MapRun]:
    """Run-length map of the range; by pageblock where that would be longer than anyone draws."""
    runs: list[MapRun] = []
    for start_pfn, rows in pictures:
        codes = _codes(rows).astype(np.int32)
        owners = np.full(len(codes), -1, np.int32)
        for number, culprit in enumerate(culprits):
            low = max(culprit.start_pfn - start_pfn, 0)
            high = min(culprit.start_pfn + culprit.pages - start_pfn, len(codes))
            if low < high:
                codes[low:high], owners[low:high] = CULPRIT, number
        keys = codes * (len(culprits) + 2) + owners
        if np.count_nonzero(np.diff(keys)) >= RUNS_KEPT and pageblock_pages:
            codes, owners = _by_pageblock(codes, owners, start_pfn, pageblock_pages)
            keys = codes * (len(culprits) + 2) + owners
        edges = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
        for low, high in itertools.pairwise(edges.tolist()):
            owner = int(owners[low])
            runs.append(
                MapRun(
                    try_index=try_index,
                    start_pfn=start_pfn + int(low),
                    pages=int(high - low),
                    state=STATES[int(codes[low])],
                    culprit_id=culprits[owner].id if owner >= 0 else None,
                )
            )
    return runs


def _by_pageblock(
    codes: npt.NDArray[np.int32], owners: npt.NDArray[np.int32], start_pfn: int, pageblock_pages: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Each pageblock in one state: its culprit's if it has one, else what all its pages share, else mixed."""
    codes, owners = codes.copy(), owners.copy()
    low = 0
    while low < len(codes):
        high = min(low + pageblock_pages - (start_pfn + low) % pageblock_pages, len(codes))
        culprit = np.flatnonzero(owners[low:high] >= 0)
        if len(culprit):
            codes[low:high], owners[low:high] = CULPRIT, owners[low + culprit[0]]
        elif (codes[low:high] != codes[low]).any():
            codes[low:high] = MIXED
        low = high
    return codes, owners
