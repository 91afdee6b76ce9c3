"""References beyond the expected ones: pins, gets, and those whose taker is not known."""

from __future__ import annotations

from tracereplay.culprits import evidence, probed_references
from tracereplay.culprits.finding import Finding, weaker
from tracereplay.culprits.mechanisms import mechanism_of
from tracereplay.culprits.suspect import Ref, Suspect, is_kernel_task
from tracereplay.model.result import Verdict
from tracereplay.replay.state import Mark, Reason, RefKind, State
from tracereplay.schema import Op

GUP_PIN_COUNTING_BIAS = 1024  # include/linux/mm.h, since 5.7
FRESH_NS = 100_000_000  # LRU batches are drained within this time on a busy CPU
GFP_MOVABLE = 0x08


def takers(suspect: Suspect) -> list[Ref]:
    """References by user tasks that can be the excess, pins first, then the youngest."""
    return sorted(
        (
            ref
            for ref in suspect.refs
            if ref.kind in (RefKind.GET, RefKind.PIN)
            and ref.ns <= suspect.last_ns
            and (ref.close_ns is None or ref.close_ns > suspect.first_ns)
            and not is_kernel_task(ref.tid, suspect.run.comm_of(ref.tid))
            # Of a file page nobody took up, a lone get may be a fault's, kept as the mapping (7.2).
            and (ref.confirmed or suspect.touched or not suspect.marks & Mark.FILE)
        ),
        key=lambda ref: (ref.kind != RefKind.PIN, -ref.ns),
    )


def _held(suspect: Suspect) -> bool:
    """Whether its excess is confirmed. A page nobody took up counts only when a later event agrees."""
    if not suspect.reasons & Reason.EXCESS or suspect.excess <= 0 or suspect.awaited:
        return False
    return suspect.touched or suspect.named or not suspect.pending or bool(suspect.marks & Mark.ANON)


def pins(suspect: Suspect) -> list[Finding]:
    """A user task took a reference, still open at the failing test, and the count agrees."""
    if probed_references.is_probed(suspect):
        return [one for op in (Op.PROBE_PIN, Op.PROBE_GET) for one in probed_references.holders(suspect, op)]
    if not _held(suspect):
        return []
    open_refs, left, chosen = takers(suspect), suspect.excess, []
    for ref in open_refs:
        if ref.val <= left:
            chosen.append(ref)
            left -= ref.val
    rivals = {ref.tid for ref in open_refs} != {ref.tid for ref in chosen}
    unsure = rivals or bool(suspect.marks & (Mark.AMBIGUOUS | Mark.CONFLICT)) or suspect.order > 0
    by_task: dict[int, list[Ref]] = {}
    for ref in chosen:
        by_task.setdefault(ref.tid, []).append(ref)
    return [_pin(suspect, refs, unsure and not _whole_folio(suspect, refs, rivals)) for refs in by_task.values()]


def _whole_folio(suspect: Suspect, refs: list[Ref], rivals: bool) -> bool:
    """Of a folio mapped as a whole the head's count tells as much as a small page's, where nobody else took any."""
    return (
        suspect.order > 0
        and not rivals
        and not suspect.marks & (Mark.AMBIGUOUS | Mark.CONFLICT)
        and suspect.excess == sum(ref.val for ref in refs)
    )


def _pin(suspect: Suspect, refs: list[Ref], unsure: bool) -> Finding:
    since = min(ref.ns for ref in refs)
    weakened = suspect.hiding(since)
    verdict: Verdict = "suggested" if unsure else weaker("proved", weakened)
    closes = [ref.close_ns for ref in refs]
    released = None if any(ns is None for ns in closes) else max(ns for ns in closes if ns is not None)
    pinned = any(ref.kind == RefKind.PIN for ref in refs)
    mechanism = mechanism_of(suspect.run.stack_of(refs[0].ns, refs[0].cpu, refs[0].tid))
    return Finding(
        verdict,
        holder=suspect.run.task(refs[0].tid),
        holder_verdict=verdict,
        mechanism=mechanism.name if mechanism else "FOLL_PIN" if pinned else None,
        candidates=("pin_longterm",) if pinned else (),
        held_since_ns=since,
        released_ns=released,
        weakened_by=weakened,
        evidence=[
            *evidence.allocated(suspect),
            *(row for ref in refs for row in evidence.taken(suspect, ref)),
            evidence.counted(suspect),
            *evidence.tried(suspect),
            *evidence.logged(suspect),
        ],
    )


def longterm_pins(suspect: Suspect) -> list[Finding]:
    """pin_longterm: a pin whose stack names a user of FOLL_LONGTERM. Duration alone does not tell."""
    return [finding for finding in pins(suspect) if _longterm(suspect, finding)]


def short_pins(suspect: Suspect) -> list[Finding]:
    """pin_short: any other."""
    return [finding for finding in pins(suspect) if not _longterm(suspect, finding)] or dumped_pins(suspect)


def _longterm(suspect: Suspect, finding: Finding) -> bool:
    refs = [ref for ref in takers(suspect) if finding.holder and ref.tid == finding.holder.tid]
    stacks = (mechanism_of(suspect.run.stack_of(ref.ns, ref.cpu, ref.tid)) for ref in refs)
    return any(mechanism is not None and mechanism.longterm for mechanism in stacks)


def lru_batch(suspect: Suspect) -> list[Finding]:
    """A page just allocated, not on the LRU yet, whose only open references were taken by plain page_ref_mod."""
    if not _held(suspect) or takers(suspect) or suspect.touched or "lru" in suspect.flags:
        return []
    mods = [ref for ref in suspect.refs if ref.kind == RefKind.MOD]
    if not mods or suspect.alloc_ns is None or suspect.last_ns - suspect.alloc_ns > FRESH_NS:
        return []
    return [
        Finding(
            "suggested",
            candidates=("extra_reference",),
            held_since_ns=mods[0].ns,
            released_ns=suspect.clear_ns,
            evidence=[*evidence.allocated(suspect), evidence.counted(suspect)],
        )
    ]


def extra_reference(suspect: Suspect) -> list[Finding]:
    """References above the expected count whose taker is not known."""
    if suspect.awaited:
        return []
    if probed_references.is_probed(suspect):
        return probed_references.unknown_holders(suspect) or _dumped_extra(suspect)
    if suspect.run.has_page_ref and suspect.marks & Mark.COUNTED:
        return _counted_extra(suspect)
    return _dumped_extra(suspect) or _left_behind(suspect)


def _counted_extra(suspect: Suspect) -> list[Finding]:
    if not _held(suspect) or takers(suspect) or not (suspect.touched or suspect.named):
        return []
    weakened = suspect.hiding()
    sure = suspect.order == 0 and not suspect.marks & Mark.CONFLICT and suspect.excess > 0
    holder, holder_verdict = None, "unknown"
    releaser = suspect.clear_tid
    attempt_tid = suspect.draft.tid
    if releaser is not None and releaser != attempt_tid and not is_kernel_task(releaser, suspect.run.comm_of(releaser)):
        holder, holder_verdict = suspect.run.task(releaser), "suggested"
    return [
        Finding(
            weaker("proved", weakened) if sure else "suggested",
            holder=holder,
            holder_verdict="suggested" if holder_verdict == "suggested" else "unknown",
            candidates=("pin_short", "pin_longterm", "lru_batch"),
            released_ns=suspect.clear_ns or suspect.end_ns,
            weakened_by=weakened,
            evidence=[
                *evidence.allocated(suspect),
                evidence.counted(suspect),
                *evidence.tried(suspect),
                *evidence.logged(suspect),
            ],
        )
    ]


def dumped_excess(suspect: Suspect) -> int:
    """References beyond the expected ones in the kernel's dump of a page it could not migrate; 0 where unknown.

    The dump is made while the page is isolated: one reference is the isolation's own.
    """
    row = suspect.dump
    if row is None or row["reason"] != "migration failure" or row["refcount"] is None or row["mapcount"] is None:
        return 0
    flags = set(row["flags"] or ())
    if row["order"] or "head" in flags:
        return 0
    file = bool(row["aops"]) or (not row["anon"] and bool(row["mapping"]))
    expected = 1 + int(row["mapcount"]) + file + (file and "private" in flags) + ("swapcache" in flags)
    return max(int(row["refcount"]) - expected, 0)


def dumped_pins(suspect: Suspect) -> list[Finding]:
    """A dump whose refcount is higher by GUP_PIN_COUNTING_BIAS or more: pinned; who did is not in a log."""
    excess = 0 if suspect.marks & Mark.COUNTED else dumped_excess(suspect)
    if excess < GUP_PIN_COUNTING_BIAS:
        return []
    return [
        Finding(
            "suggested",
            candidates=("pin_longterm", "extra_reference"),
            mechanism="FOLL_PIN",
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.logged(suspect), *evidence.tried(suspect)],
        )
    ]


def _dumped_extra(suspect: Suspect) -> list[Finding]:
    if not dumped_excess(suspect):
        return []
    return [
        Finding(
            "proved",
            candidates=("pin_short", "pin_longterm", "lru_batch"),
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.logged(suspect), *evidence.tried(suspect)],
        )
    ]


def _left_behind(suspect: Suspect) -> list[Finding]:
    """No page_ref events: a movable page that was there to be migrated, and stayed."""
    visited = suspect.reasons & (Reason.VISITED | Reason.RESTORED)
    if not visited and not (suspect.named and suspect.state == State.ALLOCATED and suspect.marks & Mark.BORN):
        return []
    if suspect.marks & Mark.BORN and not suspect.gfp & GFP_MOVABLE:
        return []
    weakened = suspect.hiding(suspect.alloc_ns)
    return [
        Finding(
            "suggested",
            candidates=("pin_short", "pin_longterm", "lru_batch", "locked_folio"),
            released_ns=suspect.end_ns,
            weakened_by=weakened,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)],
        )
    ]
