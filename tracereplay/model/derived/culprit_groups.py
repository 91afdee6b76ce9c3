"""Many culprits -> few rows: those that differ only in place and time share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracereplay.model.page_runs import distinct_pages, runs_of
from tracereplay.model.result import Attempt, Culprit, Effect

EFFECTS: tuple[Effect, ...] = ("blocked", "delayed", "would_block")
RING_BUFFER = "ring_buffer"  # `mechanism` of pages of the trace's own buffer


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
        return distinct_pages(self.culprits)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(start_pfn, pages) of each whose page frames are known."""
        return runs_of(self.culprits)


def group_culprits(culprits: Sequence[Culprit], *, each: bool = False) -> list[Group]:
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
    return (not primary, EFFECTS.index(group.first.effect), -group.pages, group.first.start_pfn or 0)


def is_tracer(culprit: Culprit) -> bool:
    """Whether the page belongs to the ring buffer that the trace was recorded in."""
    return culprit.mechanism == RING_BUFFER


def next_without_tracer(attempt: Attempt) -> Group | None:
    """What would block first if the trace's own buffer were not there."""
    groups = group_culprits(attempt.culprits)
    return next((g for g in groups if not is_tracer(g.first) and g.first.effect != "delayed"), None)


def is_only_listed(c: Culprit) -> bool:
    """Whether nothing but page_owner shows it: in use then, not met by the attempt."""
    return bool(c.evidence) and all(row.event == "page_owner" for row in c.evidence)


def effects(attempt: Attempt) -> list[Group]:
    """The culprits of each effect that occurs, whatever their cause."""
    found = ([c for c in attempt.culprits if c.effect == effect] for effect in EFFECTS)
    return [Group(members) for members in found if members]
