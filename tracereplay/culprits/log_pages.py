"""Pages known from a kernel log: what dump_page() shows of them, and what it does not.

A dump shows flags, counts and operations at one moment; who took a reference is not in a log. For `unmovable page` the
page was never isolated; for `migration failure` it still is, which is one reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracereplay.culprits.suspect import Suspect

Row = Mapping[str, Any]

# A suspect whose page frame no line tells.
NO_PFN = -(1 << 62)
LOWEST_KERNEL_ADDRESS = 1 << 47  # of 64-bit machines; hashed pointers are smaller
UNMOVABLE, MIGRATION = "unmovable page", "migration failure"
ISOLATION = frozenset({"isolation failed", "failed to remove from LRU"})
NOT_MOVABLE = frozenset({UNMOVABLE, "has_unmovable_pages"})  # the latter in linux-next before 5.0
# Operations of pages off the LRU that a driver moves itself (movable_operations; `mapping->a_ops` up to 6.0).
DRIVER_AOPS = ("z3fold", "zsmalloc", "balloon", "cmm_balloon")
KERNEL_TYPES = ("slab", "table", "guard", "kmalloc", "vmalloc")  # page_type, where it is printed with names (6.9)
GFP_MOVABLE_NAMES = ("GFP_HIGHUSER_MOVABLE", "__GFP_MOVABLE", "GFP_TRANSHUGE")


def address_of(suspect: Suspect) -> str | None:
    """The address of its struct page as the log prints it, where that is all that names it."""
    row = suspect.logged
    address = row.get("address") if row is not None and suspect.pfn < 0 else None
    return None if address is None else f"{address:016x}"


def page_name(suspect: Suspect) -> str:
    """`pfn 0x1f46d`, or the struct page's address."""
    if suspect.pfn >= 0:
        return f"pfn {suspect.pfn:#x}"
    address = address_of(suspect)
    return f"the page at {address}" if address else "a page that is not named"


def is_anon(row: Row) -> bool:
    """Whether the page is anonymous: a word of the dump says so since 5.0, before the lowest bit of a raw mapping."""
    mapping = row["mapping"] or 0
    return bool(row["anon"]) or (mapping >= LOWEST_KERNEL_ADDRESS and mapping & 3 == 1)


def in_swap_cache(row: Row) -> bool:
    """PG_swapcache: an alias of PG_owner_priv_1 since 4.10, with its own name before; of swap-backed pages only."""
    flags = row["flags"] or ()
    return "swapcache" in flags or ("owner_priv_1" in flags and "swapbacked" in flags) or row["aops"] == "swap_aops"


def excess_of(row: Row) -> int:
    """References beyond the expected ones in a dump of a page that did not migrate; 0 where unknown.

    Expected: the isolation's own, one per mapping, the page cache's or swap cache's, that of private data.
    """
    if row["reason"] != MIGRATION or row["refcount"] is None or row["mapcount"] is None:
        return 0
    flags = row["flags"]
    if row["order"] or flags is None or "head" in flags:  # without flags, a page of the swap cache looks like a file's
        return 0
    swap = in_swap_cache(row)
    file = not swap and not is_anon(row) and (bool(row["aops"]) or bool(row["mapping"]))
    expected = 1 + int(row["mapcount"]) + swap + file + (file and "private" in flags)
    return max(int(row["refcount"]) - expected, 0)


def is_movable(gfp: str | None) -> bool:
    """Whether the mask, as page_owner prints it, allows the page to be moved."""
    return any(name in (gfp or "") for name in GFP_MOVABLE_NAMES)


def owner_of(row: Row) -> dict[str, Any] | None:
    """Who allocated it, by page_owner's lines in the dump, as the fields of `Allocation`."""
    if row.get("owner_gfp") is None:
        return None
    return {name: row[f"owner_{name}"] for name in ("tid", "pid", "comm", "gfp", "order", "time_ns")}


def is_kernel_page(row: Row) -> bool:
    """Whether an `unmovable page` is a kernel allocation, by its flags, its type or its owner.

    Not one that belongs to a process or a file, or is locked: has_unmovable_pages() meets such pages off the LRU, in
    the middle of something, and calls them unmovable too.
    """
    flags = frozenset(row["flags"] or ())
    if row["owner_gfp"]:
        return not is_movable(row["owner_gfp"])
    if flags & {"reserved", "slab"}:
        return True
    kind = str(row["page_type"] or "")
    if any(word in kind for word in KERNEL_TYPES):
        return True
    movable = is_anon(row) or bool(row["aops"]) or flags & {"lru", "locked", "writeback", "swapbacked", "isolated"}
    return not movable and row["refcount"] != 0
