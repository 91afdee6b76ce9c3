"""Who held pages when: culprits of one cause and holder as one lane of bars, for timelines of any kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tracereplay.model.derived.holding import has_holder, known_by_allocator, outlived, task_key
from tracereplay.model.result import Attempt, Culprit

LaneKey = tuple[object, ...]


@dataclass(slots=True)
class Bar:
    """A time in which pages were held; start_ns is None if the taking was not seen, end_ns if the release was not."""

    start_ns: int | None
    end_ns: int | None
    still_held: bool = False  # when the trace ends


@dataclass(slots=True)
class Lane:
    """What one holder kept for one reason, and how many attempts that blocked; culprits: at least one."""

    pages: int = 0
    blocked: int = 0
    culprits: list[Culprit] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    @property
    def first(self) -> Culprit:
        """Stands for all in cause and holder."""
        return self.culprits[0]


def lanes(attempts: Iterable[Attempt]) -> list[Lane]:
    """By attempts blocked, then by pages, as reports rank; bars that meet are one.

    Pages are those of the attempt that met the most of them.
    """
    found: dict[LaneKey, Lane] = {}
    for attempt in attempts:
        pages: dict[LaneKey, int] = {}
        blocked: set[LaneKey] = set()
        for culprit in attempt.culprits:
            key = _key(culprit)
            found.setdefault(key, Lane()).culprits.append(culprit)
            pages[key] = pages.get(key, 0) + culprit.pages
            if culprit.effect == "blocked":
                blocked.add(key)
        for key, number in pages.items():
            found[key].pages = max(found[key].pages, number)
            found[key].blocked += key in blocked
    for lane in found.values():
        lane.bars = _joined(_bar(culprit) for culprit in lane.culprits)
    return sorted(found.values(), key=lambda lane: (-lane.blocked, -lane.pages, lane.first.cause))


def hold_times(attempts: Iterable[Attempt]) -> Iterator[tuple[Culprit, int]]:
    """Culprits whose taking and release were both seen, with the ns between them."""
    for culprit in (c for attempt in attempts for c in attempt.culprits):
        since, until = culprit.held_since_ns, culprit.released_ns
        if since is not None and until is not None and culprit.release == "seen" and until > since:
            yield culprit, until - since


def _key(c: Culprit) -> LaneKey:
    """Cause and holder; without a holder who took the reference, else who allocated the page."""
    if has_holder(c):
        return (c.cause, "held", task_key(c.holder), c.holder_name, c.holder_verdict == "proved")
    if c.taken_by is not None and not known_by_allocator(c):
        return (c.cause, "taken", task_key(c.taken_by), outlived(c, c.taken_by))
    return (c.cause, "allocated", task_key(c.allocated_by), c.taken_by is not None)


def _bar(culprit: Culprit) -> Bar:
    end = culprit.released_ns if culprit.release == "seen" else None
    return Bar(culprit.held_since_ns, end, culprit.release == "held_at_end")


def _joined(bars: Iterable[Bar]) -> list[Bar]:
    """In order of their start, unknown starts first; what overlaps or touches is one bar."""
    joined: list[Bar] = []
    for bar in sorted(bars, key=lambda b: (b.start_ns is not None, b.start_ns or 0)):
        last = joined[-1] if joined else None
        if last is None or (last.end_ns is not None and bar.start_ns is not None and bar.start_ns > last.end_ns):
            joined.append(bar)
        elif last.end_ns is not None and (bar.end_ns is None or bar.end_ns > last.end_ns):
            last.end_ns, last.still_held = bar.end_ns, bar.still_held
        else:
            last.still_held |= bar.still_held
    return joined
