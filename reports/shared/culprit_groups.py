"""Many culprits -> few rows: those that differ only in place and time share one."""

from __future__ import annotations

from dataclasses import dataclass

from tracereplay.model.result import Attempt, Culprit, Result
from tracereplay.reports.shared.holder_wording import is_same_task, story
from tracereplay.reports.shared.premise_wording import why
from tracereplay.reports.shared.tracer_wording import is_tracer, tracer_note
from tracereplay.reports.shared.wording import clock_unit, count, file_name, join_runs, pfn_spans, task_name
from tracereplay.units import format_duration

_EFFECTS = ("blocked", "delayed", "would_block")


@dataclass(frozen=True, slots=True)
class Group:
    """Culprits of one cause, verdict, effect and holder; at least one."""

    culprits: list[Culprit]

    @property
    def first(self) -> Culprit:
        """Stands for all in what they share."""
        return self.culprits[0]

    @property
    def pages(self) -> int:
        """Pages of all, each counted once."""
        named = sum(pages for _, pages in join_runs(self.runs))
        return named + sum(c.pages for c in self.culprits if c.start_pfn is None)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(start_pfn, pages) of each whose page frames are known."""
        return [(c.start_pfn, c.pages) for c in self.culprits if c.start_pfn is not None]

    def where(self, limit: int | None) -> str:
        """Page frames, at most `limit` runs (None: all); addresses of struct pages where a log shows only these."""
        addresses = [c.page_address for c in self.culprits if c.start_pfn is None and c.page_address is not None]
        named = [pfn_spans(self.runs, limit)] if self.runs else []
        if addresses:
            more = f" and {count(len(addresses[limit:]), 'more')}" if limit is not None and addresses[limit:] else ""
            named.append("struct page " + ", ".join(addresses[:limit]) + more)
        return ", ".join(named) if named else "PFN not told"


def group_culprits(culprits: list[Culprit], *, each: bool = False) -> list[Group]:
    """The first blocking page first, then by effect and number of pages. `each`: no folding."""
    groups: dict[object, list[Culprit]] = {}
    for place, culprit in enumerate(culprits):
        groups.setdefault(place if each else _key(culprit), []).append(culprit)
    return sorted((Group(members) for members in groups.values()), key=_rank)


def _key(c: Culprit) -> object:
    allocator = (c.allocated_by.tid, c.allocated_by.comm) if c.allocated_by else None
    file = (c.file.dev, c.file.ino) if c.file else None
    holder = (c.holder, c.holder_verdict, c.holder_name, c.mechanism, c.taken_by, c.released_by)
    return (c.cause, c.verdict, tuple(c.premises_failed), c.effect, holder, allocator, file, c.release)


def _rank(group: Group) -> tuple[bool, int, int, int]:
    primary = any(c.primary for c in group.culprits)
    return (not primary, _EFFECTS.index(group.first.effect), -group.pages, group.first.start_pfn or 0)


def sentence(group: Group, attempt: Attempt, result: Result) -> str:
    """Who holds it, since when, until when; what it did to the attempt; why its verdict is not `proved`."""
    c, unit = group.first, clock_unit(result, attempt)
    parts = [_tracer(attempt)] if is_tracer(c) else []
    parts.append(story(group.culprits, unit))
    if c.file is not None and not c.holder_name:  # which names the file or its device already
        parts.append(file_name(c.file))
    said = c.cause == "unmovable_allocation" or any(is_same_task(c.allocated_by, t) for t in (c.holder, c.taken_by))
    if c.allocated_by is not None and not said:
        parts.append(f"allocated by {task_name(c.allocated_by)}")
    if c.effect == "delayed":
        waited = [member.delay_ns for member in group.culprits if member.delay_ns is not None]
        how_long = f" {format_duration(max(waited))}" if waited and unit == "ns" else ""
        parts.append(f"the attempt waited{how_long} for it")
    if c.effect == "would_block" and not attempt.inventory and not is_only_listed(c):
        parts.append("not reached: above the first blocking page")
    if c.cause in ("unknown", "extra_reference") and c.candidates:
        parts.append("not excluded: " + ", ".join(c.candidates))
    if (reason := why(group.culprits, result)) is not None:
        parts.append(reason)
    return "; ".join(parts)


def _tracer(attempt: Attempt) -> str:
    others = [g for g in group_culprits(attempt.culprits) if not is_tracer(g.first) and g.first.effect != "delayed"]
    return tracer_note(others[0].culprits if others else ())


def is_only_listed(c: Culprit) -> bool:
    """Whether nothing but page_owner shows it: in use then, not met by the attempt."""
    return bool(c.evidence) and all(row.event == "page_owner" for row in c.evidence)
