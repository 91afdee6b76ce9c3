"""memfd_secret(2): which pages look like its own, which of its files an attempt tried in vain, what a dump settles.

secretmem_fault() (mm/secretmem.c, 5.14 to 7.2) allocates single pages with __GFP_ZERO and puts them into the page cache
of an inode on a kernel-internal file system. Of page cache only the AIO ring is allocated zeroed too, and it migrates;
since 6.3 it is without __GFP_HIGHMEM.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tracereplay.culprits import evidence
from tracereplay.culprits.alike import Alike
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.snapshot_predicates import SECRETMEM, allocated_in
from tracereplay.culprits.suspect import SecretFile, Suspect
from tracereplay.dev_t import MINOR_BITS
from tracereplay.model.result import Evidence
from tracereplay.replay.state import Mark, Reason
from tracereplay.units import format_pfn

GFP_HIGHMEM, GFP_ZERO = 0x02, 0x100  # the same bits in every kernel that has memfd_secret
AOPS = "secretmem_aops"
TRIED = Reason.LEFT | Reason.VISITED | Reason.RESTORED | Reason.LOGGED
# Of other unevictable memory: shmem and anonymous memory are swap-backed, mlock() leaves a mark, buffers are private.
OTHERS = frozenset({"swapbacked", "mlocked", "private"})


def looks_secret(suspect: Suspect) -> bool:
    """Whether the page was allocated and cached as secretmem_fault() does, or is unevictable as its pages are."""
    # A page taken out of the cache while the attempt had it isolated is of that file until it is freed.
    cached = suspect.marks & Mark.FILE or (suspect.marks & Mark.ALLOC_SEEN and suspect.file is not None)
    if suspect.order or not cached or not _on_internal_file(suspect):
        return False
    unevictable = "unevictable" in suspect.flags and not suspect.flags & OTHERS
    if not suspect.marks & Mark.ALLOC_SEEN:
        return unevictable
    return bool(suspect.gfp & GFP_ZERO) and (bool(suspect.gfp & GFP_HIGHMEM) or unevictable)


def looks_like_aio_ring(suspect: Suspect) -> bool:
    """Whether it was allocated and cached as aio_setup_ring() does, which keeps a reference and knows how to migrate.

    Zeroed is beside it only secret memory, on which no task can take a reference, and shmem, which is swap-backed.
    """
    born = bool(suspect.marks & Mark.ALLOC_SEEN and suspect.gfp & GFP_ZERO)
    return born and suspect.file_known and _on_internal_file(suspect) and "swapbacked" not in suspect.flags


def _on_internal_file(suspect: Suspect) -> bool:
    """Whether its file is on an anonymous super block that is not mounted, as far as is known."""
    file = suspect.file
    if file is None or file.dev is None:
        return not suspect.marks & Mark.ALLOC_SEEN
    return file.dev >> MINOR_BITS == 0 and not suspect.on_block_device and file.fs is None


def _tried(suspect: Suspect) -> bool:
    """Whether the attempt tried to migrate it in vain, and not for a reference: no task can take one on its pages."""
    held = bool(suspect.reasons & Reason.EXCESS) and suspect.excess > 0
    draft = suspect.draft
    failed = draft.failed_migrations > 0 or any(one.result == "EAGAIN" for one in draft.tries)
    return bool(suspect.reasons & TRIED) and not held and failed


def is_dumped(suspect: Suspect) -> bool:
    """Whether the kernel's dump names secretmem: its operations, or page_owner's stack of this very allocation."""
    row = suspect.dump
    if row is None:
        return False
    return AOPS in str(row["aops"] or "") or allocated_in({"stack": row["owner_stack"]}, SECRETMEM) is not None


def name_secret_files(met: Iterable[Alike]) -> None:
    """Tell each page of secret memory what the attempt showed of its file: all pages of a file are alike."""
    files: dict[tuple[int | None, int | None], list[Alike]] = {}
    for alike in met:
        file = alike.first.file
        if file is not None and alike.first.snapshot_page is None and looks_secret(alike.first):
            files.setdefault((file.dev, file.ino), []).append(alike)
    for pages in files.values():
        known = _file_of(pages)
        for alike in pages:
            alike.first.secret_file = known


def _file_of(pages: Sequence[Alike]) -> SecretFile:
    tried = sum(len(alike) for alike in pages if _tried(alike.first) and not alike.first.seen_in_wait)
    dumped = [alike.first.pfn for alike in pages if is_dumped(alike.first)]
    return SecretFile(tried=tried, dumped_pfn=min(dumped, default=None))


def secretmem(suspect: Suspect) -> list[Finding]:
    """Of a dump that names it, or of a file that does and of which a page was tried in vain; its other pages too."""
    if is_dumped(suspect):
        return [_finding(suspect, shown=True, rows=evidence.logged(suspect))]
    if suspect.seen_in_wait or not looks_secret(suspect):
        return []
    file = suspect.secret_file or _file_of([Alike.alone(suspect)])
    if file.dumped_pfn is not None:
        finding = _finding(suspect, shown=True, rows=[_same_file(suspect, file.dumped_pfn), *evidence.tried(suspect)])
        return [replace(finding, since_ns=suspect.since_alloc_ns)]
    if not file.tried and not (suspect.draft.inventory and suspect.gfp & GFP_HIGHMEM):
        return []
    if suspect.reasons & Reason.EXCESS and suspect.excess > 0:
        return []
    rows = [*_looks(suspect), *evidence.tried(suspect), *evidence.logged(suspect)]
    finding = _finding(suspect, shown=False, rows=rows)
    candidates = ("no_migration_handler", "extra_reference") if file.tried else ("aio_ring", "no_migration_handler")
    return [replace(finding, since_ns=suspect.since_alloc_ns, candidates=candidates)]


def _finding(suspect: Suspect, *, shown: bool, rows: list[Evidence]) -> Finding:
    owner = suspect.dumped_owner
    tid = suspect.alloc_tid if suspect.alloc_tid is not None else owner.tid if owner else None
    return Finding(
        shown=shown,
        holder=suspect.context.task(tid, suspect.alloc_ns),
        holder_name="memfd_secret" if tid is None else None,
        allocated_by=None if suspect.marks & Mark.ALLOC_SEEN else owner,
        held_since_ns=suspect.alloc_ns,
        released_ns=suspect.end_ns,
        evidence=[*evidence.allocated(suspect), *rows],
    )


def _looks(suspect: Suspect) -> list[Evidence]:
    file = suspect.file
    if file is None or not suspect.marks & Mark.ALLOC_SEEN:
        return [evidence.counted(suspect)] if suspect.marks & Mark.COUNT_KNOWN else []
    text = f"pfn {format_pfn(suspect.pfn)}: zeroed, into the page cache of a file on a kernel-internal file system"
    return [Evidence(event="mm_filemap_add_to_page_cache", time_ns=None, tid=suspect.alloc_tid, cpu=None, text=text)]


def _same_file(suspect: Suspect, dumped_pfn: int) -> Evidence:
    text = f"pfn {format_pfn(suspect.pfn)}: of the same file as pfn {format_pfn(dumped_pfn)}, which the kernel dumped"
    return Evidence(event="mm_filemap_add_to_page_cache", time_ns=None, tid=suspect.alloc_tid, cpu=None, text=text)
