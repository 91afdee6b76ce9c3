"""What a report begins with: for each operation, what explains most of the attempts that failed or waited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracereplay.model.derived.holding import has_holder, task_key
from tracereplay.model.derived.judgement import cause_beside_culprits, has_acted
from tracereplay.model.page_runs import distinct_pages
from tracereplay.model.result import Attempt, Blocker, Culprit, Operation, Release, Summary, Task

_KINDS_LAST = ("compaction",)  # often only in the background
_WORST_FIRST: tuple[Release, ...] = ("held_at_end", "unknown", "seen")
_Key = tuple[object, ...]


def summarise(attempts: Iterable[Attempt]) -> list[Summary]:
    """One row for each operation, that with the most failed attempts first; inventories are no attempts."""
    by_operation: dict[Operation, list[Attempt]] = {}
    for attempt in attempts:
        if not attempt.inventory:
            by_operation.setdefault(attempt.operation, []).append(attempt)
    summaries = [_summary(operation, of) for operation, of in by_operation.items()]
    return sorted(summaries, key=lambda s: (s.operation in _KINDS_LAST, -s.failed, -s.delayed, -s.attempts))


def _summary(operation: Operation, attempts: Sequence[Attempt]) -> Summary:
    areas = {attempt.area for attempt in attempts}
    failed = [a for a in attempts if a.outcome != "succeeded"]
    blockers = [_blocker(culprits) for culprits in _alike(attempts).values()]
    blockers += _deciding_causes(failed)
    explained = {attempt_id for blocker in blockers for attempt_id in blocker.blocked if blocker.cause != "unknown"}
    return Summary(
        operation=operation,
        area=areas.pop() if len(areas) == 1 else None,
        attempts=len(attempts),
        failed=len(failed),
        delayed=sum(a.outcome == "succeeded" and any(map(has_acted, a.culprits)) for a in attempts),
        unexplained=[a.id for a in failed if a.id not in explained],
        blockers=sorted(blockers, key=_rank),
    )


def _rank(blocker: Blocker) -> tuple[int | str, ...]:
    known = blocker.cause != "unknown"
    return (-len(blocker.blocked), not known, -len(blocker.delayed), -blocker.proved, -blocker.pages, blocker.cause)


def _alike(attempts: Sequence[Attempt]) -> dict[_Key, list[tuple[Attempt, Culprit]]]:
    """Culprits of one cause and holder, each with its attempt."""
    groups: dict[_Key, list[tuple[Attempt, Culprit]]] = {}
    for attempt in attempts:
        for culprit in filter(has_acted, attempt.culprits):
            groups.setdefault(_identity(culprit), []).append((attempt, culprit))
    return groups


def _identity(c: Culprit) -> _Key:
    """Cause and holder; without a holder who took the reference, else who allocated the page."""
    if has_holder(c):
        return (c.cause, "held", task_key(c.holder), c.holder_name)
    return (c.cause, "met", task_key(_known_by(c)))


def _known_by(c: Culprit) -> Task | None:
    """The task that pages without a known holder are known by: who took the reference, else who allocated them."""
    if c.taken_by is not None:
        return c.taken_by
    by = c.allocated_by
    return None if by is None else Task(tid=by.tid, pid=by.pid, comm=by.comm, part_of=by.part_of)


def _deciding_causes(failed: Sequence[Attempt]) -> Iterator[Blocker]:
    """Causes of whole attempts that no culprit of theirs names."""
    by_cause: dict[str, list[str]] = {}
    for a in failed:
        if (cause := cause_beside_culprits(a)) is not None:
            by_cause.setdefault(cause, []).append(a.id)
    return (Blocker(cause=cause, blocked=ids) for cause, ids in by_cause.items())


def _blocker(found: Sequence[tuple[Attempt, Culprit]]) -> Blocker:
    """found -- of one identity; at least one."""
    culprits = [culprit for _, culprit in found]
    first = culprits[0]
    held = has_holder(first)
    files = {c.file and (c.file.dev, c.file.ino) for c in culprits}
    mechanisms = {c.mechanism for c in culprits}
    proved = {a.id for a, c in found if c.verdict == "proved"}
    delays: dict[str, int] = {}
    for a, c in found:
        delays[a.id] = max(delays.get(a.id, 0), c.delay_ns or 0)
    blocked = [a.id for a, c in found if a.outcome != "succeeded" and c.effect == "blocked"]
    since = [c.held_since_ns for c in culprits if c.held_since_ns is not None]
    until = [c.released_ns for c in culprits if c.released_ns is not None]
    starts = [c.start_pfn for c in culprits if c.start_pfn is not None]
    return Blocker(
        cause=first.cause,
        holder=first.holder,
        holder_name=first.holder_name,
        allocated_by=None if held else _known_by(first),
        mechanism=first.mechanism if len(mechanisms) == 1 else None,
        file=first.file if len(files) == 1 else None,
        blocked=list(dict.fromkeys(blocked)),
        delayed=list(dict.fromkeys(a.id for a, _ in found if a.id not in blocked)),
        proved=len(proved),
        delay_ns=sum(delays.values()),
        pages=distinct_pages(culprits),
        start_pfn=min(starts, default=None),
        held_since_ns=min(since, default=None),
        released_ns=max(until, default=None),
        release=_worst_release(culprits),
        culprit_ids=[c.id for c in culprits],
    )


def _worst_release(culprits: Sequence[Culprit]) -> Release:
    found = {c.release for c in culprits}
    return next(release for release in _WORST_FIRST if release in found)
