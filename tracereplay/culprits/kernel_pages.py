"""Pages that no migration may move: kernel allocations, hugetlb, secretmem, AIO rings, offline and poisoned pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding, weaker
from tracereplay.culprits.suspect import Suspect
from tracereplay.model.result import Allocation
from tracereplay.replay.state import Mark, Reason, State

RING_BUFFER_FUNCTIONS = ("ring_buffer_resize", "__rb_allocate_pages", "ring_buffer_alloc", "__ring_buffer_alloc")
TRACER = "the tracer's own ring buffer"
GFP_MOVABLE_NAMES = ("GFP_HIGHUSER_MOVABLE", "__GFP_MOVABLE", "GFP_TRANSHUGE")


def is_ring_buffer(row: Mapping[str, Any]) -> bool:
    """Whether page_owner's stack shows the allocation of the trace buffer itself."""
    return any(str(frame).split("+")[0] in RING_BUFFER_FUNCTIONS for frame in row["owner_stack"] or ())


def _owner(suspect: Suspect) -> Allocation | None:
    row = suspect.dump
    if row is None or row["owner_tid"] is None:
        return None
    return Allocation(
        tid=row["owner_tid"],
        pid=row["owner_pid"],
        comm=row["owner_comm"],
        gfp=row["owner_gfp"],
        order=row["owner_order"],
        time_ns=row["owner_time_ns"],
    )


def unmovable_allocation(suspect: Suspect) -> list[Finding]:
    """Allocated without __GFP_MOVABLE and not freed; or the page that has_unmovable_pages() found and dumped."""
    if suspect.awaited:
        return []
    row = suspect.dump
    if row is not None and row["reason"] == "unmovable page" and not _special(row):
        return [_dumped(suspect, row)]
    # CMA areas hold no such pages by the allocator's rules: there it would be the model that is wrong.
    if not suspect.reasons & Reason.UNMOVABLE or suspect.in_cma:
        return []
    weakened = suspect.hiding(suspect.alloc_ns)
    return [
        Finding(
            weaker("proved", weakened),
            held_since_ns=suspect.alloc_ns,
            released_ns=suspect.end_ns,
            weakened_by=weakened,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect)],
        )
    ]


def _dumped(suspect: Suspect, row: Mapping[str, Any]) -> Finding:
    owner = _owner(suspect)
    gfp = row["owner_gfp"] or ""
    unmovable = bool(gfp) and not any(name in gfp for name in GFP_MOVABLE_NAMES)
    tracer = is_ring_buffer(row)
    return Finding(
        "proved" if unmovable else "suggested",
        holder_name=TRACER if tracer else None,
        mechanism="ring_buffer" if tracer else None,
        allocated_by=owner,
        held_since_ns=suspect.alloc_ns,
        candidates=() if unmovable else ("hugetlb", "offline_or_hwpoison"),
        released_ns=suspect.end_ns,
        evidence=[*evidence.allocated(suspect), *evidence.logged(suspect)],
    )


def _special(row: Mapping[str, Any]) -> bool:
    kind = str(row["page_type"] or "")
    return "hugetlb" in kind or "offline" in kind or "hwpoison" in (row["flags"] or ())


def hugetlb(suspect: Suspect) -> list[Finding]:
    """The kernel's dump says hugetlb."""
    row = suspect.dump
    if row is None or "hugetlb" not in str(row["page_type"] or ""):
        return []
    return [
        Finding(
            "suggested", released_ns=suspect.end_ns, allocated_by=_owner(suspect), evidence=evidence.logged(suspect)
        )
    ]


def offline_or_hwpoison(suspect: Suspect) -> list[Finding]:
    """The kernel's dump says hwpoison, or a page type offline (balloon, virtio-mem)."""
    row = suspect.dump
    if row is None or not ("hwpoison" in (row["flags"] or ()) or "offline" in str(row["page_type"] or "")):
        return []
    return [Finding("suggested", released_ns=suspect.end_ns, evidence=evidence.logged(suspect))]


def _by_aops(suspect: Suspect, *names: str) -> list[Finding]:
    row = suspect.dump
    if row is None or not any(name in str(row["aops"] or "") for name in names):
        return []
    return [
        Finding(
            "suggested", holder_name=str(row["aops"]), released_ns=suspect.end_ns, evidence=evidence.logged(suspect)
        )
    ]


def secretmem(suspect: Suspect) -> list[Finding]:
    """a_ops secretmem_aops: its migrate_folio always says -EBUSY."""
    return _by_aops(suspect, "secretmem_aops")


def aio_ring(suspect: Suspect) -> list[Finding]:
    """a_ops aio_ctx_aops: migratable only while ring_lock is free."""
    return _by_aops(suspect, "aio_ctx_aops")


def percpu_free(suspect: Suspect) -> list[Finding]:
    """Named as in the way although it was freed: it sat on a per-cpu list (drained later)."""
    if suspect.awaited or not suspect.named or suspect.state != State.PCP or suspect.marks & Mark.COUNTED:
        return []
    return [
        Finding(
            "suggested",
            candidates=("unknown",),
            released_ns=suspect.end_ns,
            weakened_by=suspect.hiding(),
            evidence=evidence.tried(suspect),
        )
    ]
