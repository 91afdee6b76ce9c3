"""Who held pages when: culprits of one cause and holder as one lane of bars, for timelines of any kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tracereplay.model.result import Attempt, Culprit
from tracereplay.reports.shared.holder_wording import NOT_SEEN, holder_name, likely, whose
from tracereplay.reports.shared.wording import count, task_name


@dataclass(slots=True)
class Bar:
    """A time in which pages were held; start_ns is None if the taking was not seen, end_ns if the release was not."""

    start_ns: int | None
    end_ns: int | None
    still_held: bool = False  # when the trace ends


@dataclass(slots=True)
class Lane:
    """What one holder kept for one reason."""

    cause: str
    holder: str
    pages: int = 0
    culprits: list[Culprit] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    @property
    def label(self) -> str:
        """`pin-vmsplice (145), 8 pages`."""
        return f"{self.holder}, {count(self.pages, 'page')}"


def lanes(attempts: Iterable[Attempt]) -> list[Lane]:
    """Most pages first; bars that meet are one. Pages are those of the attempt that met the most of them."""
    found: dict[tuple[str, str], Lane] = {}
    for attempt in attempts:
        pages: dict[tuple[str, str], int] = {}
        for culprit in attempt.culprits:
            key = (culprit.cause, _holder(culprit))
            lane = found.setdefault(key, Lane(*key))
            lane.culprits.append(culprit)
            pages[key] = pages.get(key, 0) + culprit.pages
        for key, number in pages.items():
            found[key].pages = max(found[key].pages, number)
    for lane in found.values():
        lane.bars = _joined(_bar(culprit) for culprit in lane.culprits)
    return sorted(found.values(), key=lambda lane: (-lane.pages, lane.cause, lane.holder))


def _holder(culprit: Culprit) -> str:
    if (name := holder_name(culprit)) is not None:
        return f"{likely(culprit)}{name}"
    if culprit.taken_by is not None and (taken := whose(culprit)) is not None:
        return taken
    allocated = f", allocated by {task_name(culprit.allocated_by)}" if culprit.allocated_by else ""
    return f"{NOT_SEEN}{allocated}"


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
