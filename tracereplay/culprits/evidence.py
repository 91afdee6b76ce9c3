"""The events that say so, in words with their numbers."""

from __future__ import annotations

from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.model.result import Evidence
from tracereplay.replay.state import Mark, Reason, RefEnd
from tracereplay.schema import Op
from tracereplay.units import format_pfn

OP_EVENTS = {
    Op.ALLOC: "mm_page_alloc",
    Op.FREE: "mm_page_free",
    Op.PCP_DRAIN: "mm_page_pcpu_drain",
    Op.BUDDY_TAKE: "mm_page_alloc_zone_locked",
    Op.REF_SET: "page_ref_set",
    Op.REF_MOD: "page_ref_mod",
    Op.REF_MOD_AND_TEST: "page_ref_mod_and_test",
    Op.REF_MOD_AND_RETURN: "page_ref_mod_and_return",
    Op.REF_MOD_UNLESS: "page_ref_mod_unless",
    Op.REF_FREEZE: "page_ref_freeze",
    Op.REF_UNFREEZE: "page_ref_unfreeze",
}
ENDINGS = {
    RefEnd.PUT: "given back",
    RefEnd.LIFE: "ended with the page: it was freed or allocated anew",
    RefEnd.MAPPING: "became a mapping of the page",
    RefEnd.COUNT: "had ended by then: the count leaves no room for it",
}


def state_of(text: str) -> Evidence:
    """What the events up to the failing test add up to: no event of its own, so it has no time."""
    return Evidence(event="page_ref", time_ns=None, tid=None, cpu=None, text=text)


def taken(suspect: Suspect, ref: Ref) -> list[Evidence]:
    """The reference was taken, and how it ended."""
    pfn = format_pfn(suspect.pfn)
    rows = [
        Evidence(
            event=OP_EVENTS[Op(ref.op)],
            time_ns=ref.ns,
            tid=ref.tid,
            cpu=ref.cpu,
            text=f"pfn {pfn}: +{ref.val} taken and not given back before the test",
            stack_id=suspect.run.stack_id_of(ref.ns, ref.cpu, ref.tid),
        )
    ]
    event = OP_EVENTS.get(Op(ref.close_op))
    if ref.close_ns is not None and event is not None:
        rows.append(
            Evidence(
                event=event,
                time_ns=ref.close_ns,
                tid=ref.close_tid,
                cpu=None,
                text=f"pfn {pfn}: the reference of {ref.val} {ENDINGS.get(ref.end, 'ended')}",
            )
        )
    return rows


def counted(suspect: Suspect) -> Evidence:
    """Its count at the failing test."""
    return state_of(
        (
            f"pfn {format_pfn(suspect.pfn)} at the test: count={suspect.count} mapcount={suspect.mapcount} "
            f"flags={'|'.join(sorted(suspect.flags)) or 'none'}; {suspect.excess} more than expected, "
            f"{suspect.own} of the count held by the isolating task"
        ),
    )


def allocated(suspect: Suspect) -> list[Evidence]:
    """Its allocation, where seen."""
    if not suspect.marks & Mark.BORN:
        return []
    return [
        Evidence(
            event="mm_page_alloc",
            time_ns=suspect.alloc_ns,
            tid=suspect.alloc_tid,
            cpu=None,
            text=f"pfn {format_pfn(suspect.pfn)} order={suspect.order} gfp_flags={suspect.gfp:#x}, not freed since",
        )
    ]


def tried(suspect: Suspect) -> list[Evidence]:
    """What the isolating task did with it, and what the kernel named."""
    rows = []
    if suspect.reasons & Reason.NAMED and suspect.draft.log_pfn != suspect.pfn and not suspect.awaited:
        rows.append(
            Evidence(
                event="test_pages_isolated",
                time_ns=None,
                tid=suspect.draft.tid,
                cpu=None,
                text=f"fin_pfn={format_pfn(suspect.pfn)}: the first page of the range that is not free",
            )
        )
    if suspect.marks & Mark.TOUCHED:
        rows.append(state_of(f"pfn {format_pfn(suspect.pfn)}: isolated or tried by the attempt, not migrated or freed"))
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
        for row in suspect.run.pinners.get(suspect.pfn, ())[:2]
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
    row = suspect.run.named_by_log(suspect.pfn, suspect.draft) if suspect.reasons & Reason.LOGGED else None
    if row is None:
        return []
    what = "could not be isolated" if row["kind"] == "isolate" else "did not migrate"
    text = f"pfn {format_pfn(suspect.pfn)} {what}; the log has no dump of it"
    return [Evidence(event="kernel log", time_ns=row["time_ns"], tid=row["tid"], cpu=None, text=text)]
