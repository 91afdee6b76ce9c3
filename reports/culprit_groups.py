"""Many culprits -> few rows: those that differ only in place and time are told together."""

from __future__ import annotations

from dataclasses import dataclass

from tracereplay.model.result import Allocation, Culprit, Task
from tracereplay.reports.wording import count, file_name, join_runs, listing, moment, pfn_spans, task_name
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
    """First in the way first, then by effect and number of pages. `each`: no folding."""
    groups: dict[object, list[Culprit]] = {}
    for place, culprit in enumerate(culprits):
        groups.setdefault(place if each else _key(culprit), []).append(culprit)
    return sorted((Group(members) for members in groups.values()), key=_rank)


def _key(c: Culprit) -> object:
    allocator = (c.allocated_by.tid, c.allocated_by.comm) if c.allocated_by else None
    file = (c.file.dev, c.file.ino) if c.file else None
    holder = (c.holder, c.holder_verdict, c.holder_name, c.mechanism)
    return (c.cause, c.verdict, c.effect, holder, allocator, file, c.release)


def _rank(group: Group) -> tuple[bool, int, int, int]:
    primary = any(c.primary for c in group.culprits)
    return (not primary, _EFFECTS.index(group.first.effect), -group.pages, group.first.start_pfn or 0)


def sentence(group: Group, clock_unit: str = "ns", *, inventory: bool = False) -> str:
    """Who holds it, since when, until when; what it did to the attempt (nothing, where nobody made it)."""
    c = group.first
    parts = [f"{_holder(c)}{_time(group, clock_unit)}"]
    if c.file is not None and not c.holder_name:  # which names the file or its device already
        parts.append(file_name(c.file))
    if c.allocated_by is not None and not _same_task(c.allocated_by, c.holder) and c.cause != "unmovable_allocation":
        parts.append(f"allocated by {task_name(c.allocated_by)}")
    if c.effect == "delayed":
        waited = [member.delay_ns for member in group.culprits if member.delay_ns is not None]
        how_long = f" {format_duration(max(waited))}" if waited and clock_unit == "ns" else ""
        parts.append(f"the attempt waited{how_long} for it")
    if c.effect == "would_block" and not inventory and not _only_listed(c):
        parts.append("behind a lower page")
    if c.cause in ("unknown", "extra_reference") and c.candidates:
        parts.append("not excluded: " + ", ".join(c.candidates))
    if any(member.weakened_by for member in group.culprits):
        parts.append("less sure because of lost events")
    return "; ".join(parts)


def _only_listed(c: Culprit) -> bool:
    """Whether nothing but page_owner tells of it: in use then, not met by the attempt."""
    return bool(c.evidence) and all(row.event == "page_owner" for row in c.evidence)


def holder_name(c: Culprit) -> str | None:
    """The task, the driver or file, or both."""
    names = ([task_name(c.holder)] if c.holder else []) + ([c.holder_name] if c.holder_name else [])
    return listing(names) if names else None


def likely(c: Culprit) -> str:
    """`probably ` where a task is named that is not proved to be the holder."""
    return "" if c.holder_verdict == "proved" or c.holder is None else "probably "


def _holder(c: Culprit) -> str:
    if c.cause == "unmovable_allocation" and c.allocated_by is not None:
        return f"allocated by {task_name(c.allocated_by)}"
    via = f" through {c.mechanism}" if c.mechanism else ""
    holder = holder_name(c)
    return f"{likely(c)}held by {holder}{via}" if holder else f"holder not seen{via}"


def _time(group: Group, unit: str) -> str:
    since = [c.held_since_ns for c in group.culprits if c.held_since_ns is not None]
    until = [c.released_ns for c in group.culprits if c.released_ns is not None]
    text = f" since {moment(min(since), unit)}" if since else ""
    match group.first.release:
        case "seen" if until:
            return f"{text}, let go at {moment(max(until), unit)}"
        case "held_at_end":
            return f"{text}, still held when the trace ends"
    return text


def _same_task(allocation: Allocation, holder: Task | None) -> bool:
    return holder is not None and (allocation.tid, allocation.comm) == (holder.tid, holder.comm)
