"""Pages zeroed for the page cache of a kernel-internal file: secret memory looks so, and is never migrated.

Nothing on such a page shows that it stands in the way before an attempt has tried another page of its file; so all of
them are noted, and which of them mean something is decided later (culprits/secretmem.py).
"""

from __future__ import annotations

from tracereplay.compiled import inlined, njit
from tracereplay.dev_t import MINOR_BITS, is_bdev_inode
from tracereplay.replay.ledger_kernels import Memory, Row
from tracereplay.replay.page_kernels import ALLOC_SEEN, ALLOCATED, FILE, find_row
from tracereplay.replay.probe_kernels import fill_suspect
from tracereplay.replay.state import Reason, ReplayCounter

GFP_HIGHMEM_ZERO = 0x102  # ___GFP_HIGHMEM | ___GFP_ZERO: the same bits in every kernel that has memfd_secret (5.14 on)
BORN_FILE = ALLOC_SEEN | FILE
R_ZEROED = int(Reason.ZEROED)
T_SUSPECTS = int(ReplayCounter.SUSPECTS)
is_block_device = inlined(is_bdev_inode)


@njit
def is_zeroed_cache(mem: Memory, page: Row) -> bool:
    """Whether its allocation was zeroed, for a file of a super block without a device that is no block device's."""
    if page.state != ALLOCATED or page.order != 0 or page.marks & BORN_FILE != BORN_FILE or page.file < 0:
        return False
    if page.gfp & GFP_HIGHMEM_ZERO != GFP_HIGHMEM_ZERO:
        return False
    file = mem.files[page.file]
    return bool(file.dev >= 0 and file.dev >> MINOR_BITS == 0 and not is_block_device(file.dev, file.ino))


@njit
def probe_zeroed(mem: Memory, start_pfn: int, end_pfn: int, ns: int, attempt: int) -> int:
    """Note every such page of [start_pfn, end_pfn); returns the pfn it reached (tables full: less)."""
    pfn = start_pfn
    while pfn < end_pfn:
        row = find_row(mem, pfn)
        if row >= 0 and is_zeroed_cache(mem, mem.pages[row]):
            if mem.tally[T_SUSPECTS] + 1 >= len(mem.suspects):
                return pfn
            fill_suspect(mem, mem.pages[row], pfn, attempt, ns, R_ZEROED)
        pfn += 1
    return end_pfn
