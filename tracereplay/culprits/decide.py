"""Attempts with their culprits: every suspect goes through the table of causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.find import tested_spans
from tracereplay.attempts.meetings import Meetings, last_call_ns
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.culprits.alike import Alike, group_alike
from tracereplay.culprits.attempt_causes import attempt_cause
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.fit import find_fit, pages_within
from tracereplay.culprits.landmarks import Landmarks
from tracereplay.culprits.logged import logged_suspects
from tracereplay.culprits.map_runs import attempt_map, count_pages, pages_in, spans_in, strip_of
from tracereplay.culprits.merge import PageFinding, merge, weakened_by
from tracereplay.culprits.not_shown import not_shown
from tracereplay.culprits.replayed import ReplayedSuspects
from tracereplay.culprits.secretmem import name_secret_files
from tracereplay.culprits.snapshot_suspects import join_snapshot_suspects, snapshot_suspects
from tracereplay.culprits.snapshot_uses import count_uses, use_runs
from tracereplay.culprits.suspect import Suspect
from tracereplay.culprits.table import RANK, Cause, Obstacle, decide
from tracereplay.layout.spans import Spans, merge_spans, overlap, without
from tracereplay.model.inventory import Hole
from tracereplay.model.result import Attempt, Culprit, Effect
from tracereplay.replay.engine import Engine
from tracereplay.replay.range_snapshots import RangeSnapshot
from tracereplay.replay.state import Reason, State
from tracereplay.units import NS_PER_S

UNEXPLAINED_WAIT_NS = NS_PER_S
SEEDED = (State.SEEDED_FREE, State.SEEDED_USED)


def judge(
    context: AnalysisContext, engine: Engine, events: AttemptEvents, drafts: Sequence[DetectedAttempt], input_id: str
) -> list[Attempt]:
    """The attempts, each with what stood in its way and the cause that decided it.

    Without a trace, `engine` and `events` are empty and the pages are those the kernel log dumped.
    """
    replayed = ReplayedSuspects(engine, context, drafts)
    failed = engine.table("failed_allocs")
    attempts = []
    for number, draft in enumerate(drafts):
        snapshots = engine.range_snapshots.taken.get(ProbeKey(number).encode())
        meetings = Meetings(events, draft)
        draft.last_call_ns = last_call_ns(events, draft)
        met = _gather(replayed, number, draft, snapshots[-1] if snapshots else None)
        rows = [row for alike in met for row in _rows(meetings, alike)]
        _name_waits(draft, rows)
        attempt = _attempt(context, draft, input_id, merge(draft.id, rows))
        attempt.weakened_by = weakened_by(rows)
        _decide_cause(attempt, draft, events, failed)
        if snapshots:
            seeded = context.has_trace and context.snapshot is not None
            _draw(attempt, draft, snapshots, context.layout.pageblock_pages, seeded)
            _draw_uses(attempt, context, draft, snapshots[-1])
        if draft.inventory and snapshots:
            attempt.not_shown = not_shown(context, events)
            attempt.uncounted = engine.uncounted.get(ProbeKey(number).encode()) if context.has_page_ref else None
            _answer(attempt, draft, snapshots[-1])
        attempts.append(attempt)
    return attempts


def _gather(
    replayed: ReplayedSuspects, number: int, draft: DetectedAttempt, snapshot: RangeSnapshot | None
) -> list[Alike]:
    """The suspects of an attempt, from replay, log and snapshot; those of equal facts together."""
    context = replayed.context
    rows = replayed.of_attempt(number)
    pfns = replayed.rows["pfn"][rows]
    listed = snapshot_suspects(context, draft, snapshot)
    own_facts = context.recorded_pfns(pfns.tolist()) | listed.keys()
    met = group_alike(replayed, rows, lambda: Landmarks.of(context, draft), own_facts)
    met += [Alike.alone(suspect) for suspect in logged_suspects(context, draft, set(pfns.tolist()))]
    met += [Alike.alone(suspect) for suspect in join_snapshot_suspects(draft, listed, [alike.first for alike in met])]
    _find_rivals(met)
    name_secret_files(met)
    return met


def _find_rivals(met: Sequence[Alike]) -> None:
    """Of pages that look locked in the same wait the task sleeps on one: folio_lock() takes them one by one."""
    locked = [alike for alike in met if alike.first.seen_in_wait and alike.first.reasons & Reason.LOCKED]
    for alike in locked:
        one = alike.first
        others = (other.first for other in locked if other is not alike or len(alike) > 1)
        one.locked_rivals = any(other.first_ns <= one.last_ns and one.first_ns <= other.last_ns for other in others)


def _draw(
    attempt: Attempt,
    draft: DetectedAttempt,
    snapshots: Sequence[RangeSnapshot],
    pageblock_pages: int | None,
    seeded: bool,
) -> None:
    """The map of each try with a snapshot, and what became of the pages of the last.

    seeded -- a copy of kpageflags tells of pages without events.
    """
    strips = [(snapshot.number, strip_of(snapshot)) for snapshot in snapshots]
    spans = _pictured(draft, snapshots[-1])
    attempt.pages = count_pages(strips[-1][1], spans)
    if seeded:
        attempt.pages.from_snapshot = pages_in(snapshots[-1], spans, *SEEDED)
    attempt.map = attempt_map(strips, attempt.tries, attempt.culprits, pageblock_pages)


def _pictured(draft: DetectedAttempt, snapshot: RangeSnapshot) -> Spans:
    """What the try tested that this snapshot is of; without tries, all of the attempt's range."""
    return tested_spans(draft, draft.tries[snapshot.number]) if draft.tries else draft.spans


def _draw_uses(attempt: Attempt, context: AnalysisContext, draft: DetectedAttempt, last: RangeSnapshot) -> None:
    """What a copy of kpageflags says of pages of the last map without events; without a trace, of all pages."""
    if context.snapshot is None:
        return
    spans: Spans = merge_spans(draft.spans)
    if context.has_trace:
        spans = spans_in(last, *SEEDED, State.UNSEEN)
    attempt.uses = use_runs(context.snapshot, spans, context.layout.pageblock_pages)
    if attempt.pages is not None and attempt.pages.from_snapshot is not None:
        copied = overlap(spans_in(last, *SEEDED), _pictured(draft, last))
        attempt.pages.uses = count_uses(context.snapshot, copied)


def _rows(meetings: Meetings, alike: Alike) -> list[PageFinding]:
    """The findings on these pages that are worth a row."""
    rows, draft, suspect = [], meetings.draft, alike.first
    found = decide(suspect)
    for at, (cause, finding) in enumerate(found):
        effect = _effect(draft, suspect, cause, finding)
        if effect is None:
            continue
        place = sum(cause is before for before, _ in found[:at])
        waits = suspect.waits if effect == "delayed" else ()
        one = PageFinding(alike, np.arange(len(alike)), cause, place, finding, effect, (), waits)
        rows += _by_tries(meetings, one) if effect == "blocked" else [one]
    return rows


def _by_tries(meetings: Meetings, one: PageFinding) -> list[PageFinding]:
    """The finding, for each set of tries that its pages blocked: those that came to a page while it was held."""
    suspect, finding = one.suspect, one.finding
    since = one.times_like(suspect.first_ns if finding.held_since_ns is None else finding.held_since_ns)
    until = one.times_like(suspect.context.end_ns if finding.released_ns is None else finding.released_ns)
    some_ended = bool(meetings.ended.tries)
    tries = meetings.ended if some_ended and one.cause.ends_attempt else meetings.failed
    found = meetings.blocked(tries, one.alike.pfns, suspect.pages, since, until)
    rows = [replace(one, members=np.array(members), tries=runs) for runs, members in found]
    if not some_ended or one.cause.ends_attempt:
        return rows
    # What only a try met that a signal or the want of a destination ended was not what ended it.
    effect = _untried_effect(meetings.draft, one.cause, finding)
    rest = [replace(row, effect=effect) for row in rows if not row.tries and effect is not None]
    return [row for row in rows if row.tries] + rest


def _effect(draft: DetectedAttempt, suspect: Suspect, cause: Cause, finding: Finding) -> Effect | None:
    """What the page did to the attempt; None: nothing that is worth a row."""
    reached = (
        suspect.touched or suspect.named or bool(suspect.reasons & (Reason.VISITED | Reason.RESTORED | Reason.LOGGED))
    )
    if draft.inventory or (suspect.logged is not None and not reached):  # requested, or listed and not met
        return "would_block"
    if suspect.snapshot_page is not None and not suspect.named:
        return "would_block" if cause.obstacle == Obstacle.NATURE else None
    if suspect.seen_in_wait:
        return "delayed" if reached else "would_block"
    if reached:
        return "blocked"
    return _untried_effect(draft, cause, finding)


def _untried_effect(draft: DetectedAttempt, cause: Cause, finding: Finding) -> Effect | None:
    """Out of the kernel's reach so far: only what a task is known to hold, or what is unmovable by its nature."""
    sure = finding.holder is not None or cause.certain_untried
    return "would_block" if sure and draft.operation != "compaction" else None


def _name_waits(draft: DetectedAttempt, rows: Sequence[PageFinding]) -> None:
    """What each wait was for, by what blocked migration in its middle."""
    for row in rows:
        for wait in row.waits:
            if wait.start_pfn is None or row.suspect.named:
                wait.start_pfn, wait.pages = row.suspect.pfn, row.suspect.pages
            if wait.kind == "other" and row.cause.code == "locked_folio":
                wait.kind = "folio_lock"
            elif wait.kind == "other" and row.cause.code == "writeback":
                wait.kind = "writeback"
    # A slow machine may just have had no CPU for the task: a short silence that no page explains is no wait.
    draft.waits = [w for w in draft.waits if w.start_pfn is not None or w.end_ns - w.start_ns >= UNEXPLAINED_WAIT_NS]


def _attempt(context: AnalysisContext, draft: DetectedAttempt, input_id: str, culprits: list[Culprit]) -> Attempt:
    return Attempt(
        id=draft.id,
        input_id=input_id,
        parent_id=draft.parent_id,
        operation=draft.operation,
        area=draft.area,
        task=context.task(draft.tid),
        start_ns=None if draft.timeless else draft.start_ns,
        end_ns=None if draft.timeless else draft.end_ns,
        wall_clock=draft.wall_clock,
        log_line=draft.log_line,
        request=draft.request,
        outcome=draft.outcome,
        outcome_basis=draft.basis,
        errno=draft.errno,
        candidates=list(draft.candidates),
        bitmap=draft.bitmap,
        movable_free_pages=draft.movable_free_pages,
        capture_next=[] if culprits and all(c.verdict == "proved" for c in culprits) else list(draft.capture_next),
        tries=draft.tries,
        phases_ns=draft.phases,
        waits=draft.waits,
        culprits=culprits,
        inventory=draft.inventory,
    )


def _answer(attempt: Attempt, draft: DetectedAttempt, snapshot: RangeSnapshot) -> None:
    """What an inventory says beyond its culprits."""
    attempt.holes = [Hole(start_pfn=start, pages=end - start) for start, end in draft.holes]
    free = spans_in(snapshot, State.BUDDY, State.PCP, State.SEEDED_FREE)
    draft.given_out = without(draft.given_out, free)
    if draft.operation == "cma_alloc":
        attempt.given_out = pages_within(draft.given_out, draft.spans)
    if draft.wanted is not None:
        attempt.fit = find_fit(draft.wanted, strip_of(snapshot), draft, attempt.culprits)


def _decide_cause(
    attempt: Attempt, draft: DetectedAttempt, events: AttemptEvents, failed: npt.NDArray[np.void]
) -> None:
    """The cause of the attempt: its own, else that of the page that stood first in the way."""
    if draft.inventory:
        attempt.cause = draft.cause
        return
    primary = _primary(attempt)
    own = attempt_cause(draft, events, failed)
    if own is not None:
        attempt.cause = own
        return
    if primary is not None:
        primary.primary = True
    if attempt.outcome == "succeeded":
        return
    if primary is not None:
        attempt.cause = primary.cause
    else:
        attempt.cause = {"interrupted": "interrupted", "unfinished": "unfinished"}.get(attempt.outcome, "unknown")


def _primary(attempt: Attempt) -> Culprit | None:
    """The culprit the kernel met first: the one it named in the last failing try, else the lowest that blocked."""
    blocking = [culprit for culprit in attempt.culprits if culprit.effect in ("blocked", "delayed")]
    named = next((t.first_blocking_pfn for t in reversed(attempt.tries) if t.first_blocking_pfn is not None), None)
    starts = [(c, c.start_pfn or 0) for c in blocking]
    holding = [c for c, start in starts if named is not None and start <= named < start + c.pages]
    chosen = holding or blocking
    return max(chosen, key=lambda c: (c.effect == "blocked", RANK[c.verdict], -(c.start_pfn or 0)), default=None)
