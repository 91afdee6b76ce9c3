"""The counters as one series of states for each area and zone, for charts of any kind."""

from __future__ import annotations

from dataclasses import dataclass

from tracereplay.model.result import Attempt, Counter, Result

# Names of counters, from the bottom of a stack to its top.
STATES = ("cma_alloc", "allocated", "free", "not_seen")


@dataclass(slots=True)
class Occupancy:
    """Pages by state in one area or zone: from times[i] to times[i + 1] there were pages[name][i]."""

    scope: str
    input_id: str | None
    times: list[int]
    pages: dict[str, list[int]]
    attempts: list[Attempt]  # those on this area; on a zone, those on no area

    @property
    def total(self) -> int:
        """Pages of the area or zone."""
        return sum(numbers[-1] for numbers in self.pages.values())

    @property
    def never_seen(self) -> int:
        """Pages that no event named until the end."""
        return self.pages.get("not_seen", [0])[-1]

    @property
    def top(self) -> int:
        """Where a chart may end: what was seen fills it, though little of a large area was."""
        return max(min(self.total, (self.total - self.never_seen) * 5 // 4), 1)


def occupancies(result: Result) -> list[Occupancy]:
    """One for each input and scope, in the order of the document; the last time is the end of the trace, if known."""
    series: dict[tuple[str | None, str], list[Counter]] = {}
    for counter in result.counters:
        series.setdefault((counter.input_id, counter.scope), []).append(counter)
    areas = {area.name for area in result.layout.cma_areas} if result.layout else set()
    ends = {source.id: source.end_ns for source in result.inputs}
    found = []
    for (input_id, scope), counters in series.items():
        end_ns = ends.get(input_id or "")
        times = sorted({counter.time_ns for counter in counters} | ({end_ns} if end_ns is not None else set()))
        attempts = [
            attempt
            for attempt in result.attempts
            if input_id in (None, attempt.input_id)
            and (attempt.area == scope or (scope not in areas and attempt.area not in areas))
        ]
        names = [name for name in STATES if any(counter.name == name for counter in counters)]
        pages = {name: _at(times, [c for c in counters if c.name == name]) for name in names}
        found.append(Occupancy(scope, input_id, times, pages, attempts))
    return found


def _at(times: list[int], counters: list[Counter]) -> list[int]:
    """The number at each time: that of the last counter up to it, 0 before the first."""
    changes = {counter.time_ns: counter.pages for counter in counters}
    pages, now = [], 0
    for time_ns in times:
        now = changes.get(time_ns, now)
        pages.append(now)
    return pages
