"""What became of the pages that an attempt tried to empty, at each of its failing tries, run by run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracereplay.layout.spans import Spans, merge_spans
from tracereplay.model.result import Culprit, MapRun, PageCounts, Try
from tracereplay.replay.range_snapshots import RangeSnapshot
from tracereplay.replay.state import Mark, State

# A map of more runs is summed up by pageblocks; those before the last together have as many again.
RUNS_KEPT = 4096
STATES = ("not_seen", "free", "moved", "held", "culprit", "mixed")
NOT_SEEN, FREE, MOVED, HELD, CULPRIT, MIXED = range(len(STATES))
NO_CULPRIT = -1


class Strip(NamedTuple):
    """Runs of pages in order, as columns: [start, end), the place in STATES, and the place of the culprit."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    state: npt.NDArray[np.uint8]
    culprit: npt.NDArray[np.int32]

    def rows(self, chosen: npt.NDArray[np.intp]) -> Strip:
        """Some of the runs."""
        return Strip(self.start[chosen], self.end[chosen], self.state[chosen], self.culprit[chosen])

    def within(self, start_pfn: int, end_pfn: int) -> tuple[int, int]:
        """The part of a span that is where the strip does: a damaged input may name any number. May be empty."""
        low, high = int(self.start[0]), int(self.end[-1])
        return min(max(start_pfn, low), high), max(min(end_pfn, high), low)

    def same(self, other: Strip) -> bool:
        """Whether both show the same."""
        return (
            np.array_equal(self.start, other.start)
            and np.array_equal(self.end, other.end)
            and np.array_equal(self.state, other.state)
            and np.array_equal(self.culprit, other.culprit)
        )


def strip_of(snapshot: RangeSnapshot) -> Strip:
    """The snapshot in the words of the map; a page is moved when it was in use and left while the attempt ran."""
    starts = [start + np.cumsum(runs["pages"]) - runs["pages"] for start, runs in snapshot.spans]
    start, rows = np.concatenate(starts), np.concatenate([runs for _, runs in snapshot.spans])
    state = np.full(len(rows), HELD, np.uint8)
    free = (rows["state"] == State.BUDDY) | (rows["state"] == State.PCP)
    state[free | (rows["state"] == State.SEEDED_FREE)] = FREE
    state[free & ((rows["marks"] & (Mark.ISOLATED | Mark.FROZEN | Mark.MIGRATION_ENTRY)) != 0)] = MOVED
    state[rows["state"] == State.UNSEEN] = NOT_SEEN
    return _joined(Strip(start, start + rows["pages"], state, np.full(len(rows), NO_CULPRIT, np.int32)))


def spans_in(snapshot: RangeSnapshot, *states: State) -> Spans:
    """The parts of the snapshot in these states, as runs of pages."""
    found: list[tuple[int, int]] = []
    for start, runs in snapshot.spans:
        ends = start + np.cumsum(runs["pages"])
        chosen = np.isin(runs["state"], states)
        found += zip((ends - runs["pages"])[chosen].tolist(), ends[chosen].tolist(), strict=True)
    return merge_spans(found)


def pages_in(snapshot: RangeSnapshot, spans: Spans, *states: State) -> int:
    """How many pages of the spans the snapshot shows in these states."""
    parts = [(max(low, start), min(high, end)) for low, high in spans_in(snapshot, *states) for start, end in spans]
    return sum(end - start for start, end in parts if start < end)


def count_pages(strip: Strip, spans: Spans) -> PageCounts:
    """How many pages of these spans were free, moved away, still held, or never seen."""
    pages = np.zeros(len(STATES), np.int64)
    for low, high in spans:
        first, end = strip.within(low, high)
        np.add.at(pages, strip.state, np.clip(np.minimum(strip.end, end) - np.maximum(strip.start, first), 0, None))
    return PageCounts(
        requested=int(pages.sum()),
        free=int(pages[FREE]),
        moved=int(pages[MOVED]),
        held=int(pages[HELD]),
        not_seen=int(pages[NOT_SEEN]),
    )


def attempt_map(
    strips: Sequence[tuple[int, Strip]], tries: Sequence[Try], culprits: Sequence[Culprit], pageblock_pages: int | None
) -> list[MapRun]:
    """Maps of the tries with a snapshot, in order of (try index, snapshot); `Try.map_try` says where each try is drawn.

    Tries that follow each other and look the same share the map of the last of them.
    """
    by_index = {one.index: one for one in tries}
    drawn = [
        (number, _with_culprits(strip, [_in_the_way(c, by_index.get(number)) for c in culprits], culprits))
        for number, strip in strips
    ]
    if pageblock_pages:
        drawn = [
            (number, strip if len(strip.start) <= RUNS_KEPT else _summed_up(strip, pageblock_pages))
            for number, strip in drawn
        ]
    shared = {number: number for number, _ in drawn}
    for (number, strip), (following, its) in reversed(list(itertools.pairwise(drawn))):
        if strip.same(its):
            shared[number] = shared[following]
    kept = _thinned([(number, strip) for number, strip in drawn if shared[number] == number])
    for number, shown in shared.items():
        if number in by_index and shown in kept:
            by_index[number].map_try = shown
    return [run for number, strip in kept.items() for run in _runs(strip, number, culprits)]


def _in_the_way(culprit: Culprit, one: Try | None) -> bool:
    """Whether it is to be drawn at this try; without tries (an inventory) at any time."""
    if one is None:
        return True
    if culprit.effect == "blocked":
        return any(first <= one.index <= last for first, last in culprit.blocked_tries)
    since, until = culprit.held_since_ns, culprit.released_ns
    return (since is None or since <= (one.end_ns or 0)) and (until is None or (one.start_ns or 0) <= until)


def _with_culprits(strip: Strip, in_the_way: Sequence[bool], culprits: Sequence[Culprit]) -> Strip:
    """The culprits drawn over the states; where several lie on a page, the one that decided is on top."""
    places = [place for place, shown in enumerate(in_the_way) if shown and culprits[place].start_pfn is not None]
    places.sort(key=lambda place: (culprits[place].primary, culprits[place].effect == "blocked"))
    if not places:
        return strip
    spans = [(culprits[place].start_pfn, culprits[place].pages) for place in places]
    bounds = [strip.within(start, start + pages) for start, pages in spans if start is not None]
    strip = _cut(strip, np.array(bounds, np.int64).ravel())
    for place, (low, high) in zip(places, np.searchsorted(strip.start, bounds).tolist(), strict=True):
        strip.state[low:high], strip.culprit[low:high] = CULPRIT, place
    return _joined(strip)


def _cut(strip: Strip, pfns: npt.NDArray[np.int64]) -> Strip:
    """The same runs, none of which goes on across any of these PFNs."""
    run = np.searchsorted(strip.start, pfns, "right") - 1
    inside = (run >= 0) & (pfns < strip.end[run])
    start = np.union1d(strip.start, pfns[inside])
    run = np.searchsorted(strip.start, start, "right") - 1
    end = np.minimum(strip.end[run], np.append(start[1:], np.iinfo(np.int64).max))
    return Strip(start, end, strip.state[run], strip.culprit[run])


def _joined(strip: Strip) -> Strip:
    """Neighbours that show the same become one run."""
    differ = (
        (strip.start[1:] != strip.end[:-1])
        | (strip.state[1:] != strip.state[:-1])
        | (strip.culprit[1:] != strip.culprit[:-1])
    )
    first = np.flatnonzero(np.concatenate([[True], differ]))
    last = np.append(first[1:] - 1, len(strip.start) - 1)
    return strip.rows(first)._replace(end=strip.end[last])


def _summed_up(strip: Strip, pageblock_pages: int) -> Strip:
    """At most RUNS_KEPT runs, if pageblocks can do it: those of the most runs are drawn whole.

    Such a pageblock is its culprit's if it has one, else mixed.
    """
    blocks = strip.start // pageblock_pages
    several = np.unique(blocks[1:][blocks[1:] == (strip.end[:-1] - 1) // pageblock_pages])
    strip = _cut(strip, np.concatenate([several, several + 1]) * pageblock_pages)
    blocks = strip.start // pageblock_pages
    first = np.flatnonzero(np.concatenate([[True], (blocks[1:] != blocks[:-1]) | ~np.isin(blocks[1:], several)]))
    last = np.append(first[1:], len(strip.start))
    order = np.argsort(first - last, kind="stable")
    saved = np.cumsum((last - first)[order] - 1)
    chosen = order[: int(np.searchsorted(saved, len(strip.start) - RUNS_KEPT)) + 1]
    keep = np.ones(len(strip.start), bool)
    for low, high in zip(first[chosen].tolist(), last[chosen].tolist(), strict=True):
        keep[low + 1 : high] = False
        blamed = np.flatnonzero(strip.culprit[low:high] != NO_CULPRIT)
        strip.end[low] = strip.end[high - 1]
        if high - low > 1:
            strip.state[low] = CULPRIT if len(blamed) else MIXED
            strip.culprit[low] = strip.culprit[low + blamed[0]] if len(blamed) else NO_CULPRIT
    return _joined(strip.rows(np.flatnonzero(keep)))


def _thinned(maps: list[tuple[int, Strip]]) -> dict[int, Strip]:
    """The last map, and of those before it the first and every second, fourth ..., so that there is room for them."""
    *before, last = maps
    while sum(len(strip.start) for _, strip in before) > RUNS_KEPT:
        before = before[::2] if len(before) > 1 else []
    return dict([*before, last])


def _runs(strip: Strip, try_index: int, culprits: Sequence[Culprit]) -> list[MapRun]:
    return [
        MapRun(
            try_index=try_index,
            start_pfn=start,
            pages=end - start,
            state=STATES[state],
            culprit_id=culprits[owner].id if owner != NO_CULPRIT else None,
        )
        for start, end, state, owner in zip(*(column.tolist() for column in strip), strict=True)
    ]
