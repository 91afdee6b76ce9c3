"""Why a page of a kernel log could not be moved, by what its dump shows; at most one cause for each page.

Where the dump shows a page in the middle of something, or all references accounted for, the cause is `unknown`, with
what is possible: a log has no history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracereplay.culprits import evidence
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.log_pages import (
    DRIVER_AOPS,
    ISOLATION,
    NOT_MOVABLE,
    excess_of,
    is_kernel_page,
    is_movable,
    owner_of,
    page_name,
)
from tracereplay.model.result import Allocation, Evidence, Verdict
from tracereplay.replay.state import PageType

if TYPE_CHECKING:
    from tracereplay.culprits.suspect import Suspect

Row = Mapping[str, Any]
Verdicts = list[tuple[str, Finding]]

GUP_PIN_COUNTING_BIAS = 1024  # include/linux/mm.h, since 5.7
HELD = ("extra_reference", "pin_short", "pin_longterm", "lru_batch")
ANY_CAUSE = (*HELD, "buffer_head", "locked_folio", "unmovable_allocation", "hugetlb")
FILE_KEEPS_IT = ("buffer_head", "no_migration_handler", "extra_reference", "locked_folio")
# Stacks of page_owner that read file system metadata through the block device: buffer heads keep such pages.
BUFFER_FUNCTIONS = ("getblk", "_bread", "grow_dev_page", "grow_buffers", "grow_dev_folio", "sb_find_get_block")
RING_BUFFER_FUNCTIONS = ("ring_buffer_resize", "__rb_allocate_pages", "ring_buffer_alloc", "__ring_buffer_alloc")


def findings(suspect: Suspect, cause_of_type: Mapping[PageType, str]) -> Verdicts:
    """(cause, finding) of a page that a line of the log shows."""
    row = suspect.logged
    assert row is not None
    if row.get("kind") == "page_owner":
        return _owned(suspect, row) or [("unknown", _finding(suspect, "unknown", HELD))]
    if "refcount" not in row:
        return _owned(suspect, row) or [("unknown", _finding(suspect, "unknown", ANY_CAUSE))]
    found = _by_nature(suspect, row, cause_of_type)
    if found:
        return found
    if row["reason"] in NOT_MOVABLE:
        return _unmovable(suspect, row)
    if row["reason"] in ISOLATION:
        return _not_isolated(suspect, row)
    return _not_migrated(suspect, row)


def _finding(suspect: Suspect, verdict: Verdict, candidates: tuple[str, ...] = (), **more: Any) -> Finding:
    shown = {"proved": True, "suggested": False, "unknown": None}[verdict]
    return Finding(
        shown,
        accounted=True,
        candidates=candidates,
        allocated_by=_allocation(suspect),
        evidence=[*_shown(suspect), *evidence.recorded(suspect)],
        **more,
    )


def _by_nature(suspect: Suspect, row: Row, cause_of_type: Mapping[PageType, str]) -> Verdicts:
    """Pages of a kind that is not moved, whatever they are doing."""
    kind, aops = str(row["page_type"] or ""), str(row["aops"] or "")
    typed = next((code for page_type, code in cause_of_type.items() if page_type.word in kind), None)
    if typed is not None:
        return [(typed, _finding(suspect, "suggested"))]
    if "hugetlbfs_aops" in aops:
        return [("hugetlb", _finding(suspect, "suggested"))]
    if "hwpoison" in (row["flags"] or ()):
        return [("offline_or_hwpoison", _finding(suspect, "suggested"))]
    if "secretmem_aops" in aops:
        return [("secretmem", _finding(suspect, "suggested", holder_name=aops))]
    if "aio_ctx_aops" in aops:
        return [("aio_ring", _finding(suspect, "suggested", holder_name=aops))]
    if any(name in aops for name in DRIVER_AOPS):
        return [("no_migration_handler", _finding(suspect, "suggested", ("unmovable_allocation",), holder_name=aops))]
    return []


def _unmovable(suspect: Suspect, row: Row) -> Verdicts:
    """has_unmovable_pages() met it: a kernel allocation, or a page off the LRU for a moment."""
    if is_kernel_page(row):
        return [("unmovable_allocation", _kernel_page(suspect, row))]
    owned = _owned(suspect, row)
    if owned:
        return owned
    transient = ("locked_folio", "lru_batch") if "locked" in (row["flags"] or ()) else ("lru_batch", "extra_reference")
    return [("unknown", _finding(suspect, "unknown", transient))]


def _kernel_page(suspect: Suspect, row: Row) -> Finding:
    owner = owner_of(row)
    sure = owner is not None and not is_movable(owner["gfp"])
    tracer = any(str(frame).split("+")[0] in RING_BUFFER_FUNCTIONS for frame in row["owner_stack"] or ())
    return _finding(
        suspect,
        "proved" if sure else "suggested",
        () if sure else ("hugetlb", "offline_or_hwpoison"),
        holder_name="the tracer's own ring buffer" if tracer else None,
        mechanism="ring_buffer" if tracer else None,
    )


def _not_isolated(suspect: Suspect, row: Row) -> Verdicts:
    """do_migrate_range() could not take it off the LRU: it was not on it."""
    owner = owner_of(row)
    kernels = {"reserved", "slab"} & set(row["flags"] or ()) or (owner is not None and not is_movable(owner["gfp"]))
    if kernels:
        return [("unmovable_allocation", _kernel_page(suspect, row))]
    return _owned(suspect, row) or [
        ("unknown", _finding(suspect, "unknown", ("lru_batch", "extra_reference", "locked_folio")))
    ]


def _not_migrated(suspect: Suspect, row: Row) -> Verdicts:
    """migrate_pages() gave it back. One reference is the isolation's."""
    flags, aops = set(row["flags"] or ()), str(row["aops"] or "")
    excess = excess_of(row)
    if "writeback" in flags:
        return [("writeback", _finding(suspect, "suggested", ("extra_reference",)))]
    if (row["pincount"] or 0) > 0 or excess >= GUP_PIN_COUNTING_BIAS:
        return [
            ("pin_short", _finding(suspect, "suggested", ("pin_longterm", "extra_reference"), mechanism="FOLL_PIN"))
        ]
    if "def_blk_aops" in aops and "private" in flags:
        finding = _finding(suspect, "suggested", ("extra_reference",), holder_name="file system metadata")
        return [("buffer_head", finding)]
    if excess:
        return [
            (
                "extra_reference",
                _finding(suspect, "proved", ("pin_short", "pin_longterm", "task_reference", "lru_batch")),
            )
        ]
    if "locked" in flags:
        return [("locked_folio", _finding(suspect, "suggested", ("extra_reference", "writeback")))]
    owned = _owned(suspect, row)
    if owned:
        return owned
    if row["order"] or "head" in flags:
        return [
            (
                "unknown",
                _finding(suspect, "unknown", ("extra_reference", "pin_short", "pin_longterm", "unsplittable_folio")),
            )
        ]
    file = aops and not row["anon"] and aops != "swap_aops"
    return [("unknown", _finding(suspect, "unknown", FILE_KEEPS_IT if file else HELD))]


def _owned(suspect: Suspect, row: Row) -> Verdicts:
    """What a page_owner record beside the log says, where the dump does not tell."""
    record = suspect.owner
    if record is None or row.get("owner_gfp"):
        return []
    stack = [str(frame).split("+")[0] for frame in record["stack"] or ()]
    if any(frame in RING_BUFFER_FUNCTIONS for frame in stack):
        ours = {"holder_name": "the tracer's own ring buffer", "mechanism": "ring_buffer"}
        return [("unmovable_allocation", _finding(suspect, "suggested", (), **ours))]
    if record["migratetype"] not in (None, "Movable"):
        return [("unmovable_allocation", _finding(suspect, "suggested", ("hugetlb",)))]
    if any(name in frame for frame in stack for name in BUFFER_FUNCTIONS):
        ours = {"holder_name": "file system metadata"}
        return [("buffer_head", _finding(suspect, "suggested", ("extra_reference",), **ours))]
    return []


def _allocation(suspect: Suspect) -> Allocation | None:
    row = suspect.logged
    assert row is not None
    owner = owner_of(row)
    if owner is not None:
        return Allocation(**owner)
    return suspect.recorded_owner


def _shown(suspect: Suspect) -> list[Evidence]:
    """The line or the dump, in words."""
    row = suspect.logged
    assert row is not None
    if row.get("kind") == "page_owner":  # `recorded` tells of it
        return []
    if "refcount" not in row:
        what = "could not be isolated" if row["kind"] == "isolate" else "did not migrate"
        event, text = "kernel log", f"{page_name(suspect)} {what}; the log has no dump of it"
    else:
        event = "dump_page"
        flags = "|".join(row["flags"] or ())
        text = f"{page_name(suspect)} refcount:{row['refcount']} mapcount:{row['mapcount']} flags:{flags}"
        text += f" aops:{row['aops']}" if row["aops"] else ""
        text += f" page_type:{row['page_type']}" if row["page_type"] else ""
        text += f"; page dumped because: {row['reason']}" if row["reason"] else ""
    return [Evidence(event=event, time_ns=row["time_ns"], tid=row["tid"], cpu=None, text=text)]
