"""What guaranteed CMA costs: how long an allocation takes at most, and how much has to find room elsewhere.

All that is in the area then is clean page cache without references. An allocation drops what is in its range: at
most every page of it. How long one takes is measured in the trace, where a task frees page cache page after page (a
file that is truncated or deleted); the time of tracing is in it. A clock that counts ticks does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.page_rows import Step
from tracereplay.whatif.script import Script

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
PAUSE_NS = 1_000_000  # a longer gap between two frees of a task is no work on the next page
ENOUGH_PAGES = 64  # freed in a row, for a time per page


@dataclass(frozen=True, slots=True)
class GuaranteedNeed:
    """displaced_pages -- most pages in the areas at one time that are no page cache, of those allocated in the trace.

    drop_ns -- time to drop a page of page cache, None = the trace frees too few in a row.
    """

    displaced_pages: int | None
    drop_ns: float | None

    def longest_ns(self, pages: int | None) -> int | None:
        """What an allocation of so many pages takes at most."""
        return None if self.drop_ns is None or pages is None else round(self.drop_ns * pages)


def displaced_pages(script: Script, chosen: Bools, freed_ns: Numbers) -> int:
    """Peak of the pages of these allocations that are in use at one time; freed_ns -- of the chosen ones."""
    events = script.events
    pages = events["pages"][chosen].astype(np.int64)
    times = np.concatenate([events["time_ns"][chosen], freed_ns])
    changes = np.concatenate([pages, -pages])
    return int(np.cumsum(changes[np.lexsort((changes, times))]).max(initial=0))


def drop_ns(script: Script, cached: Bools) -> float | None:
    """Mean time from one free of a page-cache page to the next by the same task, over frees without a pause."""
    events = script.events
    rows = np.flatnonzero(np.isin(events["kind"], (Step.ALLOC, Step.FREE)))
    by_page = rows[np.lexsort((rows, events["page"][rows]))]
    pair = (events["page"][by_page[1:]] == events["page"][by_page[:-1]]) & cached[by_page[:-1]]
    frees = np.sort(by_page[1:][pair & (events["kind"][by_page[1:]] == Step.FREE)])
    by_task = frees[np.lexsort((frees, events["tid"][frees]))]
    gaps = np.diff(events["time_ns"][by_task])
    same = (events["tid"][by_task[1:]] == events["tid"][by_task[:-1]]) & (gaps < PAUSE_NS)
    pages = int(events["pages"][by_task[1:][same]].sum())
    spent_ns = int(gaps[same].sum())
    return spent_ns / pages if pages >= ENOUGH_PAGES and spent_ns else None
