"""Pages that no migration may move: kernel allocations, hugetlb, AIO rings, offline and poisoned pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.snapshot_predicates import TRACER, in_ring_buffer
from tracereplay.culprits.suspect import Suspect
from tracereplay.replay.state import Mark, Reason, State
from tracereplay.schema import Op

GFP_HIGHMEM = 0x02  # the same bit in every kernel seen (4.19 to 7.3)
GFP_MOVABLE_NAMES = ("GFP_HIGHUSER_MOVABLE", "__GFP_MOVABLE", "GFP_TRANSHUGE")


def is_ring_buffer(row: Mapping[str, Any]) -> bool:
    """Whether page_owner's stack shows the allocation of the trace buffer itself."""
    return in_ring_buffer(row["owner_stack"])


def unmovable_allocation(suspect: Suspect) -> list[Finding]:
    """Allocated without __GFP_MOVABLE and not freed; or the page that has_unmovable_pages() found and dumped."""
    if suspect.seen_in_wait:
        return []
    row = suspect.dump
    if row is not None and row["reason"] == "unmovable page":
        return [_dumped(suspect, row)]
    owner = suspect.owner
    unmovable = owner is not None and owner["migratetype"] not in (None, "Movable")
    if unmovable and suspect.named and not suspect.in_cma and not suspect.marks & (Mark.FILE | Mark.ANON):
        tracer = in_ring_buffer(owner["stack"]) if owner is not None else False
        return [
            Finding(
                shown=False,
                holder_name=TRACER if tracer else None,
                mechanism="ring_buffer" if tracer else None,
                released_ns=suspect.end_ns,
                evidence=evidence.logged(suspect),
            )
        ]
    # CMA areas hold no such pages by the allocator's rules: there it would be the model that is wrong.
    if not suspect.reasons & Reason.UNMOVABLE or suspect.in_cma:
        return []
    return [
        Finding(
            shown=True,
            since_ns=suspect.since_alloc_ns,
            # User memory may be on the LRU whatever it was allocated for (shmem objects of GPU drivers): then it moves.
            doubt=suspect.draft_isolated or bool(suspect.gfp & GFP_HIGHMEM),
            held_since_ns=suspect.alloc_ns,
            released_ns=suspect.end_ns,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect)],
        )
    ]


def _dumped(suspect: Suspect, row: Mapping[str, Any]) -> Finding:
    owner = suspect.dumped_owner
    gfp = row["owner_gfp"] or ""
    unmovable = bool(gfp) and not any(name in gfp for name in GFP_MOVABLE_NAMES)
    tracer = is_ring_buffer(row)
    return Finding(
        shown=unmovable,
        holder_name=TRACER if tracer else None,
        mechanism="ring_buffer" if tracer else None,
        allocated_by=owner,
        held_since_ns=suspect.alloc_ns,
        candidates=() if unmovable else ("hugetlb", "offline_or_hwpoison"),
        released_ns=suspect.end_ns,
        evidence=[*evidence.allocated(suspect), *evidence.logged(suspect)],
    )


def of_type(suspect: Suspect) -> list[Finding]:
    """A page of a type that a cause names, in its reference events or the kernel's dump.

    Who uses a hugetlb page took it out of the pool, which sets its count.
    """
    users = [ref for ref in suspect.refs if ref.op == Op.REF_UNFREEZE]
    return [
        Finding(
            shown=False,
            holder=suspect.context.task(users[0].tid, users[0].ns) if users else None,
            held_since_ns=users[0].ns if users else None,
            released_ns=suspect.end_ns if not users else users[0].close_ns,
            allocated_by=suspect.dumped_owner,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)],
        )
    ]


def hwpoison(suspect: Suspect) -> list[Finding]:
    """Its flags or the kernel's dump say hwpoison.

    memory_failure() keeps the reference that it took, in whose task it ever ran: that is no task's.
    """
    if "hwpoison" in suspect.flags and not suspect.seen_in_wait:
        return [Finding(shown=False, released_ns=suspect.end_ns, evidence=evidence.tried(suspect))]
    row = suspect.dump
    if row is None or "hwpoison" not in (row["flags"] or ()):
        return []
    return [Finding(shown=False, released_ns=suspect.end_ns, evidence=evidence.logged(suspect))]


def _by_aops(suspect: Suspect, *names: str) -> list[Finding]:
    row = suspect.dump
    if row is None or not any(name in str(row["aops"] or "") for name in names):
        return []
    return [
        Finding(
            shown=False,
            holder=suspect.context.task(suspect.alloc_tid, suspect.alloc_ns),
            allocated_by=suspect.dumped_owner,
            holder_name=str(row["aops"]),
            released_ns=suspect.end_ns,
            evidence=evidence.logged(suspect),
        )
    ]


def aio_ring(suspect: Suspect) -> list[Finding]:
    """a_ops aio_ctx_aops: migratable only while ring_lock is free."""
    return _by_aops(suspect, "aio_ctx_aops")


def percpu_free(suspect: Suspect) -> list[Finding]:
    """Named as in the way although it was freed: it sat on a per-cpu list (drained later)."""
    if suspect.seen_in_wait or not suspect.named or suspect.state != State.PCP or suspect.marks & Mark.COUNT_KNOWN:
        return []
    return [
        Finding(
            shown=False,
            candidates=("unknown",),
            released_ns=suspect.end_ns,
            since_ns=suspect.draft.start_ns,
            evidence=evidence.tried(suspect),
        )
    ]
