"""References beyond the expected ones: pins, gets, and those whose taker is not known."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.culprits import evidence, probed_references
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.mechanisms import mechanism_of
from tracereplay.culprits.secretmem import looks_like_aio_ring
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.replay.state import NO_EXCESS, Mark, Reason, RefKind, State
from tracereplay.schema import IrqContext, Op
from tracereplay.tasks import is_kernel_task

GUP_PIN_COUNTING_BIAS = 1024  # include/linux/mm.h, since 5.7
GFP_MOVABLE = 0x08
REFERENCE_CAUSES = ("task_reference", "pin_short", "pin_longterm", "lru_batch")


def takers(suspect: Suspect) -> list[Ref]:
    """References that can be the excess, of tasks that are not known to be the kernel's: pins first, then youngest.

    Left out are references taken while the page had an excess already, and those taken after the attempt came to it:
    they explain nothing.
    """
    return sorted(
        (
            ref
            for ref in suspect.refs
            if ref.kind in (RefKind.GET, RefKind.PIN)
            and ref.ns <= suspect.last_ns
            and (ref.close_ns is None or ref.close_ns > suspect.first_ns)
            and ref.irq != IrqContext.INTERRUPT
            and not is_kernel_task(ref.tid, suspect.context.name_of(ref.tid, ref.ns))
            and (ref.met_by(suspect.last_ns) or not suspect.touched)
            and (suspect.draft.last_call_ns is None or ref.ns <= suspect.draft.last_call_ns)
            and not 0 < ref.before < NO_EXCESS
            # Of a file page that no task isolated, a lone get may be a fault's, kept as the mapping (7.2).
            and (ref.confirmed or suspect.touched or not suspect.marks & Mark.FILE)
        ),
        key=lambda ref: (ref.kind != RefKind.PIN, -ref.ns),
    )


def _held(suspect: Suspect) -> bool:
    """Whether its excess is confirmed. A page that no task isolated counts only when a later event agrees."""
    if not suspect.reasons & Reason.EXCESS or suspect.excess <= 0 or suspect.seen_in_wait:
        return False
    return suspect.touched or suspect.named or not suspect.no_event_since_probe or bool(suspect.marks & Mark.ANON)


def held_groups(suspect: Suspect) -> Sequence[tuple[Ref, ...]]:
    """References that tasks took, still open at the failing test, and the count agrees: one group for each task."""
    if suspect.held_groups is None:
        suspect.held_groups = _group_by_task(suspect) if _held(suspect) else ()
    return suspect.held_groups


def _group_by_task(suspect: Suspect) -> Sequence[tuple[Ref, ...]]:
    left, chosen = suspect.excess, []
    for ref in takers(suspect):
        if ref.val <= left:
            chosen.append(ref)
            left -= ref.val
    suspect.blamed_refs = tuple(chosen)
    by_task: dict[int, list[Ref]] = {}
    for ref in chosen:
        by_task.setdefault(ref.tid, []).append(ref)
    return [tuple(refs) for refs in by_task.values()]


def _held_by(suspect: Suspect, refs: tuple[Ref, ...]) -> Finding:
    since = min(ref.ns for ref in refs)
    closes = [ref.close_ns for ref in refs]
    released = None if any(ns is None for ns in closes) else max(ns for ns in closes if ns is not None)
    pinned = any(ref.kind == RefKind.PIN for ref in refs)
    mechanism = mechanism_of(suspect.context.stack_of(refs[0].ns, refs[0].cpu, refs[0].tid))
    taker = suspect.context.task(refs[0].tid, refs[0].ns)
    return Finding(
        shown=True,
        since_ns=since,
        refs=refs,
        holder=taker,
        holder_shown=True,
        taken_by=taker,
        released_by=suspect.releaser(refs),
        mechanism=mechanism.name if mechanism else "FOLL_PIN" if pinned else None,
        candidates=("pin_longterm",) if pinned else ("pin_longterm", "lru_batch"),
        held_since_ns=since,
        released_ns=released,
        evidence=[
            *evidence.allocated(suspect),
            *(row for ref in refs for row in evidence.taken(suspect, ref)),
            *evidence.exited(suspect, refs),
            evidence.counted(suspect),
            *evidence.tried(suspect),
            *evidence.logged(suspect),
        ],
    )


def longterm_pins(suspect: Suspect) -> list[Finding]:
    """pin_longterm: a pin whose stack names a user of FOLL_LONGTERM. Duration alone does not show it."""
    if probed_references.is_probed(suspect):
        taken = probed_references.TAKEN_BY_PROBE
        return [one for op in taken for one in probed_references.holders(suspect, op, longterm=True)]
    found = [_held_by(suspect, refs) for refs in held_groups(suspect) if _is_longterm(suspect, refs)]
    for finding in found:
        finding.candidates = ()
    return found


def short_pins(suspect: Suspect) -> list[Finding]:
    """pin_short: FOLL_PIN of any other kind: counts in steps of 1024, or a stack of pin_user_pages()."""
    if probed_references.is_probed(suspect):
        return probed_references.holders(suspect, Op.PROBE_PIN)
    groups = [refs for refs in held_groups(suspect) if _is_pin(suspect, refs) and not _is_longterm(suspect, refs)]
    return [_held_by(suspect, refs) for refs in groups] or dumped_pins(suspect)


def task_references(suspect: Suspect) -> list[Finding]:
    """task_reference: a plain reference that a task took and keeps."""
    if probed_references.is_probed(suspect):
        return probed_references.holders(suspect, Op.PROBE_GET)
    groups = [refs for refs in held_groups(suspect) if not _is_pin(suspect, refs) and not _is_longterm(suspect, refs)]
    return [_held_by(suspect, refs) for refs in groups]


def _is_longterm(suspect: Suspect, refs: tuple[Ref, ...]) -> bool:
    stacks = (mechanism_of(suspect.context.stack_of(ref.ns, ref.cpu, ref.tid)) for ref in refs)
    return any(mechanism is not None and mechanism.longterm for mechanism in stacks)


def _is_pin(suspect: Suspect, refs: tuple[Ref, ...]) -> bool:
    def pinned(ref: Ref) -> bool:
        mechanism = mechanism_of(suspect.context.stack_of(ref.ns, ref.cpu, ref.tid))
        return ref.kind == RefKind.PIN or (mechanism is not None and mechanism.pins)

    return any(pinned(ref) for ref in refs)


def lru_batch(suspect: Suspect) -> list[Finding]:
    """A page just allocated, not on the LRU yet, whose only open references were taken by plain page_ref_mod.

    An attempt drains all batches before it tests its range (lru_cache_disable(), lru_add_drain_all()), so an inventory
    lists none.
    """
    if suspect.draft.inventory:
        return []
    if not _held(suspect) or takers(suspect) or suspect.touched or "lru" in suspect.flags:
        return []
    mods = [ref for ref in suspect.refs if ref.kind == RefKind.MOD]
    if not mods or not suspect.is_fresh:
        return []
    return [
        Finding(
            shown=True,
            since_ns=mods[0].ns,
            candidates=("extra_reference",),
            held_since_ns=mods[0].ns,
            released_ns=suspect.clear_ns,
            evidence=[*evidence.allocated(suspect), evidence.counted(suspect)],
        )
    ]


def extra_reference(suspect: Suspect) -> list[Finding]:
    """References above the expected count whose taker is not known."""
    if suspect.seen_in_wait:
        return []
    if probed_references.is_probed(suspect):
        if suspect.blamed_refs:
            return []
        return probed_references.unknown_holders(suspect) or _dumped_extra(suspect)
    if suspect.context.has_page_ref and suspect.marks & Mark.COUNT_KNOWN:
        return _counted_extra(suspect)
    return _dumped_extra(suspect) or _not_migrated(suspect)


def _counted_extra(suspect: Suspect) -> list[Finding]:
    met = suspect.touched or suspect.named or (suspect.draft.inventory and _is_unexplained(suspect))
    if not _held(suspect) or suspect.blamed_refs or not met:
        return []
    holder = None
    tid = suspect.clear_tid
    if tid is not None and tid != suspect.draft.tid and suspect.clear_irq != IrqContext.INTERRUPT:
        holder = suspect.context.task(tid, suspect.clear_ns) if suspect.context.is_user(tid, suspect.clear_ns) else None
    return [
        Finding(
            shown=True,
            since_ns=suspect.draft.start_ns,
            doubt=suspect.excess == 1 and looks_like_aio_ring(suspect),
            holder=holder,
            released_by=holder if suspect.clear_irq == IrqContext.TASK else None,
            candidates=REFERENCE_CAUSES,
            released_ns=suspect.clear_ns or suspect.end_ns,
            evidence=[
                *evidence.allocated(suspect),
                evidence.counted(suspect),
                *evidence.tried(suspect),
                *evidence.logged(suspect),
            ],
        )
    ]


def _is_unexplained(suspect: Suspect) -> bool:
    """Whether references that come and go with ordinary work leave some of the excess.

    Those are plain ones (page_ref_mod: LRU batches, fork before its rmap) and, on file pages, gets that no other task's
    event confirmed (7.2: a fault's, kept as the mapping).
    """
    ordinary = (
        ref.val
        for ref in suspect.refs
        if ref.kind == RefKind.MOD or (ref.kind == RefKind.GET and suspect.marks & Mark.FILE and not ref.confirmed)
    )
    return suspect.excess > sum(ordinary)


def dumped_excess(suspect: Suspect) -> int:
    """References beyond the expected ones in the kernel's dump of a page it could not migrate; 0 where unknown.

    The dump is made while the page is isolated: one reference is the isolation's own. PG_swapcache is an alias of
    PG_owner_priv_1, which is what older kernels print of an anonymous page in the swap cache.
    """
    row = suspect.dump
    if row is None or row["reason"] != "migration failure" or row["refcount"] is None or row["mapcount"] is None:
        return 0
    flags = set(row["flags"] or ())
    if row["order"] or "head" in flags:
        return 0
    file = bool(row["aops"]) or (not row["anon"] and bool(row["mapping"]))
    in_swap_cache = "swapcache" in flags or (not file and "owner_priv_1" in flags)
    expected = 1 + int(row["mapcount"]) + file + (file and "private" in flags) + in_swap_cache
    return max(int(row["refcount"]) - expected, 0)


def dumped_pins(suspect: Suspect) -> list[Finding]:
    """A dump whose refcount is higher by GUP_PIN_COUNTING_BIAS or more: pinned; who did is not in a log."""
    excess = 0 if suspect.marks & Mark.COUNT_KNOWN else dumped_excess(suspect)
    if excess < GUP_PIN_COUNTING_BIAS:
        return []
    return [
        Finding(
            shown=False,
            accounted=True,
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
            shown=True,
            accounted=True,
            candidates=REFERENCE_CAUSES,
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.logged(suspect), *evidence.tried(suspect)],
        )
    ]


def _not_migrated(suspect: Suspect) -> list[Finding]:
    """No page_ref events: a movable page that was there to be migrated, and stayed."""
    visited = suspect.reasons & (Reason.VISITED | Reason.RESTORED)
    if not visited and not (suspect.named and suspect.state == State.ALLOCATED and suspect.marks & Mark.ALLOC_SEEN):
        return []
    if suspect.marks & Mark.ALLOC_SEEN and not suspect.gfp & GFP_MOVABLE:
        return []
    return [
        Finding(
            shown=False,
            since_ns=suspect.alloc_ns if suspect.alloc_ns is not None else suspect.draft.start_ns,
            candidates=(*REFERENCE_CAUSES, "locked_folio"),
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)],
        )
    ]
