"""Pages that only a kernel log or page_owner shows in an attempt's way: no event of a trace names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.log_pages import NO_PFN
from tracereplay.culprits.suspect import Suspect
from tracereplay.replay.state import Reason, State
from tracereplay.schema import IrqContext


def logged_suspects(context: AnalysisContext, draft: DetectedAttempt, known: set[int]) -> list[Suspect]:
    """Pages that only the kernel's dumps show in the attempt's way: not in the trace, or there is no trace."""
    found: list[Suspect] = []
    if draft.outcome == "succeeded" and len(draft.tries) <= 1:
        return found
    if draft.log_line is not None:  # no event shows the attempt
        dumped = [_logged(context, draft, row) for row in _distinct(draft.evidence) if row["pfn"] not in known]
        return [*dumped, *_recorded(context, draft, {suspect.pfn for suspect in dumped})]
    for pfn in context.dumps:
        row = context.dump_of(pfn, draft)
        inside = any(start <= pfn < end for start, end in draft.spans)
        if pfn in known or row is None or not (inside or pfn == draft.log_pfn):
            continue
        if row["reason"] not in ("migration failure", "unmovable page", "isolation failed"):
            continue
        found.append(_logged(context, draft, row))
    for pfn in context.migrate_failures:
        line = context.named_by_log(pfn, draft)
        if (
            line is None
            or pfn in known
            or pfn in context.dumps
            or not any(low <= pfn < high for low, high in draft.spans)
        ):
            continue
        found.append(_logged(context, draft, line))
    return found


def _distinct(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row for each page: its first dump, else the line that names it."""
    pages: dict[object, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: "refcount" not in row):
        pages.setdefault(row["pfn"] if row["pfn"] is not None else row.get("address"), row)
    return list(pages.values())


def _logged(context: AnalysisContext, draft: DetectedAttempt, row: Mapping[str, Any]) -> Suspect:
    """A page that a line of the attempt shows."""
    pfn = NO_PFN if row["pfn"] is None else row["pfn"]
    when = row["time_ns"] if row["time_ns"] is not None else draft.start_ns
    suspect = unreplayed(context, draft, pfn, row.get("order") or 0, when)
    suspect.logged = row
    suspect.reasons = Reason.LOGGED | (Reason.NAMED if pfn == draft.log_pfn else 0)
    if "refcount" in row:
        suspect.count, suspect.mapcount = row["refcount"] or 0, (row["mapcount"] or 0) - 1
        suspect.flags = frozenset(row["flags"] or ())
    return suspect


def _recorded(context: AnalysisContext, draft: DetectedAttempt, known: set[int]) -> list[Suspect]:
    """Pages in the ranges of a log's attempt that page_owner lists: in use at the dump, whether in the way or not."""
    if not context.owners:
        return []
    ranges = [(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn is not None]
    found = []
    for pfn, row in context.owners.items():
        if pfn not in known and any(low <= pfn < high for low, high in ranges):
            suspect = unreplayed(context, draft, pfn, row["order"] or 0, draft.start_ns)
            suspect.logged = {"pfn": pfn, "kind": "page_owner", "time_ns": row["time_ns"], "tid": row["tid"]}
            found.append(suspect)
    return found


def unreplayed(context: AnalysisContext, draft: DetectedAttempt, pfn: int, order: int, time_ns: int) -> Suspect:
    """A page in use of which no event tells."""
    return Suspect(
        context=context,
        draft=draft,
        seen_in_wait=False,
        pfn=pfn,
        pages=1 << order,
        first_ns=time_ns,
        last_ns=time_ns,
        reasons=0,
        marks=0,
        state=State.ALLOCATED,
        order=order,
        count=0,
        mapcount=-1,
        flags=frozenset(),
        post_flags=frozenset(),
        gfp=0,
        alloc_ns=None,
        alloc_tid=None,
        file=None,
        min_excess=0,
        confirmed=0,
        no_event_since_probe=False,
        isolation_refs=0,
        post_ns=None,
        clear_ns=None,
        clear_tid=None,
        clear_irq=IrqContext.TASK,
        unlock_ns=None,
        written_ns=None,
        end_ns=None,
        end_tid=None,
    )
