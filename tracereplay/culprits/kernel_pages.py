"""Pages that no migration may move: kernel allocations, hugetlb, secretmem, AIO rings, offline and poisoned pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.suspect import Suspect
from tracereplay.model.result import Allocation
from tracereplay.replay.state import Mark, PageType, Reason, State
from tracereplay.schema import Op

RING_BUFFER_FUNCTIONS = ("ring_buffer_resize", "__rb_allocate_pages", "ring_buffer_alloc", "__ring_buffer_alloc")
TRACER = "the tracer's own ring buffer"
GFP_HIGHMEM, GFP_MOVABLE = 0x02, 0x08  # the same bits in every kernel seen (4.19 to 7.3)
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
    owner = suspect.owner
    unmovable = owner is not None and owner["migratetype"] not in (None, "Movable")
    if unmovable and suspect.named and not suspect.in_cma and not suspect.marks & (Mark.FILE | Mark.ANON):
        return [Finding(shown=False, released_ns=suspect.end_ns, evidence=evidence.logged(suspect))]
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
    owner = _owner(suspect)
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


def _special(row: Mapping[str, Any]) -> bool:
    kind = str(row["page_type"] or "")
    return "hugetlb" in kind or "offline" in kind or "hwpoison" in (row["flags"] or ())


def hugetlb(suspect: Suspect) -> list[Finding]:
    """A page type hugetlb, in its reference events or the kernel's dump; who uses it took it out of the pool."""
    row = suspect.dump
    dumped = row is not None and "hugetlb" in str(row["page_type"] or "")
    if not dumped and (suspect.page_type != PageType.HUGETLB or suspect.awaited):
        return []
    users = [ref for ref in suspect.refs if ref.op == Op.REF_UNFREEZE]
    return [
        Finding(
            shown=False,
            holder=suspect.run.task(users[0].tid) if users else None,
            held_since_ns=users[0].ns if users else None,
            released_ns=suspect.end_ns if not users else users[0].close_ns,
            allocated_by=_owner(suspect),
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)],
        )
    ]


def offline_or_hwpoison(suspect: Suspect) -> list[Finding]:
    """The kernel's dump says hwpoison, or a page type offline (balloon, virtio-mem)."""
    row = suspect.dump
    if suspect.page_type == PageType.OFFLINE and not suspect.awaited:
        return [Finding(shown=False, released_ns=suspect.end_ns, evidence=evidence.tried(suspect))]
    if row is None or not ("hwpoison" in (row["flags"] or ()) or "offline" in str(row["page_type"] or "")):
        return []
    return [Finding(shown=False, released_ns=suspect.end_ns, evidence=evidence.logged(suspect))]


def _by_aops(suspect: Suspect, *names: str) -> list[Finding]:
    row = suspect.dump
    if row is None or not any(name in str(row["aops"] or "") for name in names):
        return []
    return [
        Finding(
            shown=False,
            holder=suspect.run.task(suspect.alloc_tid),
            allocated_by=_owner(suspect),
            holder_name=str(row["aops"]),
            released_ns=suspect.end_ns,
            evidence=evidence.logged(suspect),
        )
    ]


def secretmem(suspect: Suspect) -> list[Finding]:
    """a_ops secretmem_aops: its migrate_folio always says -EBUSY. Without a dump: what else looks like it.

    A file page allocated without __GFP_MOVABLE and unevictable, tried and left with no reference too many. (ramfs
    allocates alike, but its pages migrate.)
    """
    dumped = _by_aops(suspect, "secretmem_aops")
    if dumped or suspect.awaited or not suspect.marks & Mark.FILE or not suspect.marks & Mark.BORN:
        return dumped
    tried = suspect.reasons & (Reason.LEFT | Reason.VISITED | Reason.RESTORED)
    told = "unevictable" in suspect.flags or not suspect.marks & Mark.COUNTED
    if suspect.gfp & GFP_MOVABLE or not tried or not told or suspect.reasons & Reason.EXCESS:
        return []
    if suspect.draft.failed_migrations == 0:
        return []
    return [
        Finding(
            shown=False,
            holder=suspect.run.task(suspect.alloc_tid),
            candidates=("no_migration_handler", "extra_reference"),
            held_since_ns=suspect.alloc_ns,
            released_ns=suspect.end_ns,
            since_ns=suspect.since_alloc_ns,
            evidence=[*evidence.allocated(suspect), *evidence.tried(suspect), *evidence.logged(suspect)],
        )
    ]


def aio_ring(suspect: Suspect) -> list[Finding]:
    """a_ops aio_ctx_aops: migratable only while ring_lock is free."""
    return _by_aops(suspect, "aio_ctx_aops")


def percpu_free(suspect: Suspect) -> list[Finding]:
    """Named as in the way although it was freed: it sat on a per-cpu list (drained later)."""
    if suspect.awaited or not suspect.named or suspect.state != State.PCP or suspect.marks & Mark.COUNTED:
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
