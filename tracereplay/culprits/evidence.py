"""The events that say so, in words with their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from tracereplay.attempts.detected_attempt import Moment
from tracereplay.culprits.exits import EXIT_EVENT
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.model.result import Evidence
from tracereplay.replay.state import Mark, Reason, RefEnd, RefKind
from tracereplay.schema import OP_INFO, Op
from tracereplay.units import format_pfn

ENDINGS = {
    RefEnd.PUT: "given back",
    RefEnd.LIFE: "ended with the page, which was freed, moved or allocated anew",
    RefEnd.MAPPING: "became a mapping of the page",
    RefEnd.COUNT: "had ended unseen: the count leaves no room for it",
}
UNMAPPED = -1  # _mapcount of a page that no task maps


def _event_of(op: int) -> str:
    """The tracepoint that showed a reference being taken."""
    event = OP_INFO[Op(op)].event
    assert event is not None
    return event


def state_of(text: str) -> Evidence:
    """What the events up to the failing test add up to: no event of its own, so it has no time."""
    return Evidence(event="page_ref", time_ns=None, tid=None, cpu=None, text=text)


def taken(suspect: Suspect, ref: Ref) -> list[Evidence]:
    """The reference was taken, and how it ended."""
    pfn = format_pfn(suspect.pfn)
    rows = [
        Evidence(
            event=_event_of(ref.op),
            time_ns=ref.ns,
            tid=ref.tid,
            cpu=ref.cpu,
            text=f"pfn {pfn}: +{ref.val} taken and not given back before the test",
            stack_id=suspect.context.stack_id_of(ref.ns, ref.cpu, ref.tid),
        )
    ]
    event = OP_INFO[Op(ref.close_op)].event
    if ref.close_ns is not None and event is not None:
        rows.append(
            Evidence(
                event=event,
                time_ns=ref.close_ns,
                tid=ref.close_tid,
                cpu=ref.close_cpu,
                text=f"pfn {pfn}: the reference of {ref.val} {ENDINGS.get(ref.end, 'ended')}",
            )
        )
    return rows


def exited(suspect: Suspect, refs: Iterable[Ref]) -> list[Evidence]:
    """Takers that had exited by the test: their references outlive them."""
    rows = []
    for tid, since_ns in {ref.tid: ref.ns for ref in refs}.items():
        exit_ = suspect.context.exit_of(tid, since_ns, suspect.last_ns)
        if exit_ is not None:
            text = "the task that took the reference exited; the reference outlived it"
            rows.append(Evidence(event=EXIT_EVENT, time_ns=exit_.ns, tid=tid, cpu=exit_.cpu, text=text))
    return rows


def counted(suspect: Suspect) -> Evidence:
    """Its count at the failing test."""
    unmapped = suspect.mapcount == UNMAPPED and suspect.order == 0
    return state_of(
        f"pfn {format_pfn(suspect.pfn)} at the test: count={suspect.count} mapcount={suspect.mapcount} "
        f"flags={'|'.join(sorted(suspect.flags)) or 'none'}; {suspect.excess} more than expected, "
        f"{suspect.isolation_refs} of the count held by the isolating task"
        + ("; no task maps the page any more" if unmapped and suspect.marks & Mark.ANON else "")
    )


def allocated(suspect: Suspect) -> list[Evidence]:
    """Its allocation, where seen."""
    if not suspect.marks & Mark.ALLOC_SEEN:
        return []
    return [
        Evidence(
            event="mm_page_alloc",
            time_ns=suspect.alloc_ns,
            tid=suspect.alloc_tid,
            cpu=None,
            text=f"pfn {format_pfn(suspect.pfn)} order={suspect.order} gfp_flags={suspect.gfp_words}, not freed since",
        )
    ]


def tried(suspect: Suspect) -> list[Evidence]:
    """What the isolating task did with it, and what the kernel named."""
    rows = _named_by_test(suspect)
    if suspect.marks & Mark.ISOLATED:
        rows.append(state_of(f"pfn {format_pfn(suspect.pfn)}: isolated or tried by the attempt, not migrated or freed"))
        rows += _isolated(suspect)
    if suspect.marks & Mark.RESTORED:
        rows.append(
            Evidence(
                event="remove_migration_pte",
                time_ns=None,
                tid=suspect.draft.tid,
                cpu=None,
                text="its migration entry became a mapping of the same pfn again: migration failed",
            )
        )
    return rows


def _named_by_test(suspect: Suspect) -> list[Evidence]:
    """The last test of the range that failed on this page."""
    if not suspect.reasons & Reason.NAMED or suspect.draft.log_pfn == suspect.pfn or suspect.seen_in_wait:
        return []
    pfns = range(suspect.pfn, suspect.pfn + suspect.pages)
    tests = [(pfn, moment) for pfn, moment in suspect.draft.failed_tests.items() if pfn in pfns]
    pfn, moment = max(tests, key=itemgetter(1), default=(suspect.pfn, None))
    return [
        Evidence(
            event="test_pages_isolated",
            time_ns=moment.ns if moment else None,
            tid=suspect.draft.tid,
            cpu=moment.cpu if moment else None,
            text=f"fin_pfn={format_pfn(pfn)}: the first page of the range that is not free",
        )
    ]


def _isolated(suspect: Suspect) -> list[Evidence]:
    """The reference that the attempt's task took last to isolate it, where it was open at the test."""
    draft = suspect.draft
    own = [ref for ref in suspect.refs if ref.kind == RefKind.ISOLATION and ref.tid == draft.tid]
    last = max((ref for ref in own if draft.covers(ref.ns)), key=lambda ref: ref.ns, default=None)
    if last is None:
        return []
    text = f"pfn {format_pfn(suspect.pfn)}: +{last.val} taken by the attempt to isolate it"
    return [Evidence(event=_event_of(last.op), time_ns=last.ns, tid=last.tid, cpu=last.cpu, text=text)]


def slept_for_writeback(suspect: Suspect) -> Evidence:
    """The event of the attempt's task that names the folio for which it sleeps."""
    moment = _writeback_sleep(suspect)
    return Evidence(
        event=moment.event if moment else "folio_wait_writeback",
        time_ns=moment.ns if moment else None,
        tid=suspect.draft.tid,
        cpu=moment.cpu if moment else None,
        text=f"the attempt's task sleeps for this part of the file, pfn {format_pfn(suspect.pfn)}",
    )


def _writeback_sleep(suspect: Suspect) -> Moment | None:
    file = suspect.file
    if file is None or file.ino is None or file.index is None:
        return None
    folios = ((file.ino, file.index + page) for page in range(suspect.pages))
    found = (suspect.draft.writeback_sleeps.get(folio) for folio in folios)
    return next((moment for moment in found if moment is not None), None)


def recorded(suspect: Suspect) -> list[Evidence]:
    """What page_owner and page_pinner say of it."""
    rows = []
    owner = suspect.owner
    if owner is not None:
        rows.append(
            Evidence(
                event="page_owner",
                time_ns=owner["time_ns"],
                tid=owner["tid"],
                cpu=None,
                text=f"pfn {format_pfn(suspect.pfn)} order={owner['order']} {owner['gfp_flags']}, allocated at "
                + (" <- ".join(owner["stack"][:8]) if owner["stack"] else "an unknown place"),
            )
        )
    rows += [
        Evidence(
            event="page_pinner",
            time_ns=row["time_ns"],
            tid=None,
            cpu=None,
            text=f"pfn {format_pfn(suspect.pfn)} {row['state']} at " + " <- ".join((row["stack"] or ())[:8]),
        )
        for row in suspect.context.pinners.get(suspect.pfn, ())[:2]
    ]
    return rows


def logged(suspect: Suspect) -> list[Evidence]:
    """What the kernel log, page_owner and page_pinner say of it."""
    return [*_dumped(suspect), *recorded(suspect)]


def _dumped(suspect: Suspect) -> list[Evidence]:
    row = suspect.dump
    if row is None:
        return _named(suspect)
    flags = "|".join(row["flags"] or ())
    return [
        Evidence(
            event="dump_page",
            time_ns=row["time_ns"],
            tid=row["tid"],
            cpu=None,
            text=(
                f"pfn {format_pfn(suspect.pfn)} refcount:{row['refcount']} mapcount:{row['mapcount']} flags:{flags}"
                + (f" aops:{row['aops']}" if row["aops"] else "")
                + (f"; page dumped because: {row['reason']}" if row["reason"] else "")
            ),
        )
    ]


def _named(suspect: Suspect) -> list[Evidence]:
    """The line of a log that names a page without dumping it: printk's rate limit keeps most dumps away."""
    row = suspect.context.named_by_log(suspect.pfn, suspect.draft) if suspect.reasons & Reason.LOGGED else None
    if row is None:
        return []
    what = "could not be isolated" if row["kind"] == "isolate" else "did not migrate"
    text = f"pfn {format_pfn(suspect.pfn)} {what}; the log has no dump of it"
    return [Evidence(event="kernel log", time_ns=row["time_ns"], tid=row["tid"], cpu=None, text=text)]
