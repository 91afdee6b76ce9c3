"""Changes of reference counts that no event shows: the trace lacks events, although nothing says that any were lost.

A filter by task, a CPU whose buffer begins later and events that were enabled later leave no record of a loss. But
every event tells the page's count: where it is not the count before and the event's own change, something was missed
between the two. Over 60 captures without losses not one such contradiction is left when races are set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.losses import UNSEEN_CHANGES, Loss
from tracereplay.schema import COUNT, OP_INFO, ORDER, PFN, RET, VAL, Op, PageStream
from tracereplay.units import NS_PER_MS

# page_ref events read the count after the change, without a lock: of two at once the first may show both. A virtual CPU
# may be stopped in between; 1.1 ms were seen.
RACE_NS = 10 * NS_PER_MS
FEWEST_PAGES = 128  # looked at, of all that contradict themselves: so many tell when events were missed
MOST_EVENTS = 1 << 20  # of pages whose counts contradict each other so many are looked at
CHANGES = frozenset({Op.REF_MOD, Op.REF_MOD_AND_TEST, Op.REF_MOD_AND_RETURN, Op.REF_MOD_UNLESS})
FREEZES = frozenset({Op.REF_FREEZE, Op.REF_UNFREEZE})
# After these a page's count is another one, which the next event tells.
RESETS = frozenset({Op.ALLOC, *(op for op, info in OP_INFO.items() if info.frees_to is not None)})
LOOKED_AT = CHANGES | FREEZES | RESETS | {Op.REF_SET}
Interval = tuple[int, int]  # [start_ns, end_ns], both included


class _Seen(NamedTuple):
    """An event of a page: its change, and by how much its count differs from the one expected."""

    ns: int
    change: int
    off_by: int


@dataclass(slots=True)
class _Page:
    """The events of a page, without those that begin a count anew. count -- None: not known."""

    count: int | None = None
    seen: list[_Seen] = field(default_factory=list)

    def take(self, op: Op, ns: int, change: int, count: int) -> None:
        if op in RESETS or op in FREEZES:
            self.count = None
        elif op is Op.REF_SET:
            self.count = count
        else:
            self.seen.append(_Seen(ns, change, 0 if self.count is None else count - change - self.count))
            self.count = count


def pages_looked_at(conflicted: npt.NDArray[np.int64], suspects: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pages (ascending) whose counts contradict each other: all that attempts met, and of the others a part."""
    others = np.setdiff1d(conflicted, suspects)
    some = others[:: max(len(others) // FEWEST_PAGES, 1)]
    return np.union1d(np.intersect1d(conflicted, suspects), some)


def unseen_changes(
    stream: Iterable[PageStream], pfns: npt.NDArray[np.int64], *, freezes_recorded: bool
) -> list[Interval]:
    """When the counts of these pages (ascending) changed unseen: an interval for each contradiction, in order of ends.

    stream -- with at least the entries LOOKED_AT; freezes_recorded -- whether page_ref_freeze was recorded: without it
    a count may fall.
    """
    pages = {pfn: _Page() for pfn in pfns.tolist()}
    left = MOST_EVENTS
    for chunk in stream:
        firsts, ends = _places(chunk, pfns)
        rows = np.flatnonzero(firsts < ends)[:left]
        left -= len(rows)
        ops, times, args = chunk.op[rows].tolist(), chunk.time_ns[rows].tolist(), chunk.args[rows].tolist()
        for row, number, ns, values in zip(rows.tolist(), ops, times, args, strict=True):
            op = Op(number)
            if op not in LOOKED_AT or (op in (Op.REF_MOD_UNLESS, Op.REF_FREEZE) and values[RET] == 0):
                continue
            for pfn in pfns[firsts[row] : ends[row]].tolist():
                pages[pfn].take(op, ns, values[VAL], values[COUNT])
        if not left:
            break
    found = [one for page in pages.values() for one in _contradictions(page.seen, freezes_recorded=freezes_recorded)]
    return sorted(found, key=lambda one: one[::-1])


def _places(chunk: PageStream, pfns: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Of each entry: which of the pages it is about, as [first, end)."""
    first = chunk.args[:, PFN]
    sized = np.isin(chunk.op, [int(op) for op in RESETS])
    pages = np.where(sized, np.int64(1) << np.clip(chunk.args[:, ORDER], 0, 20), 1)
    return np.searchsorted(pfns, first, "left"), np.searchsorted(pfns, first + pages, "left")


def _contradictions(seen: Sequence[_Seen], *, freezes_recorded: bool) -> Iterable[Interval]:
    at = 1
    while at < len(seen):
        off_by = seen[at].off_by
        if off_by == 0 or (off_by < 0 and not freezes_recorded):
            at += 1
            continue
        end = _end_of_race(seen, at)
        if end is None:
            start_ns = seen[at - 1].ns + 1
            yield start_ns, max(start_ns, seen[at].ns - 1)
        at = at + 1 if end is None else end + 1


def _end_of_race(seen: Sequence[_Seen], at: int) -> int | None:
    """The place of the last of the events that changed the count at once with this one; None: there were none."""
    ahead, off_by, shown = 0, seen[at].off_by, False
    for place in range(at + 1, len(seen)):
        one = seen[place]
        if one.ns - seen[at].ns > RACE_NS:
            return None
        ahead += one.change
        off_by += one.off_by
        shown = shown or seen[at].off_by in (ahead, one.change)
        if off_by == 0 and shown:
            return place
    return None


def losses_of(intervals: Iterable[Interval]) -> list[Loss]:
    """Losses for contradictions in order of their ends: one for those that events missed at one time explain."""
    regions: list[list[int]] = []
    for start_ns, end_ns in intervals:
        if regions and start_ns <= regions[-1][1]:
            regions[-1][0] = max(regions[-1][0], start_ns)
            regions[-1][2] += 1
        else:
            regions.append([start_ns, end_ns, 1])
    return [Loss(UNSEEN_CHANGES, count, None, start_ns, end_ns) for start_ns, end_ns, count in regions]
