"""What the model keeps: one row per page frame in sparse sections, one row per reference, one per suspect.

The layout of each row is declared once here; kernels and the tests' oracle use the same names. Sections are those of
the kernel's SPARSEMEM, but of 2^11 pages: present only where the trace touches memory, 96 KiB each.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tracereplay.schema import State as State  # noqa: PLC0414 (as part of these tables)

SECTION_BITS = 11
SECTION_PAGES = 1 << SECTION_BITS
END_PFN = 1 << 35  # 128 TiB of 4 KiB pages: from here on a pfn is damage (loss `pfn_out_of_range`)
MAX_SECTIONS = END_PFN >> SECTION_BITS


class PageType(IntEnum):
    """Page types (include/linux/page-flags.h), by the low digit of the top byte since 6.12 (0xf0 buddy ...).

    Up to 6.11 the word has a bit cleared for each: 0x80 buddy, 0x100 offline, 0x200 table, 0x400 guard, 0x800 hugetlb.
    """

    BUDDY = 0
    OFFLINE = 1
    TABLE = 2
    GUARD = 3
    HUGETLB = 4
    SLAB = 5
    ZSMALLOC = 6
    UNACCEPTED = 7
    LARGE_KMALLOC = 8
    OTHER = 15

    @property
    def word(self) -> str:
        """As dump_page() prints it since 6.9 (DEF_PAGETYPE_NAME, include/trace/events/mmflags.h)."""
        return self.name.lower()


class Mark(IntEnum):
    """Facts about a page frame, each a bit; those above WINDOW hold since the last watch of its range began."""

    COUNT_KNOWN = 1  # a page_ref event showed its count in this life
    ANON = 2  # mapping says anonymous
    FILE = 4  # mapping or page cache says file
    ALLOC_SEEN = 8  # its allocation was seen (alloc_ns, alloc_tid, gfp are valid)
    CONFLICT = 16  # the last count contradicts the one before
    GUESSED = 32  # anonymous or file is inferred, not printed: the mapping pointer is hashed
    TYPED = 64  # _mapcount holds a page type: not an LRU page
    MIGRATION_ENTRY = 128  # a migration entry holds its pfn
    HASHED = 256  # mapping is a hashed pointer (kernel text): anonymous or file is not known
    MAPPING_KNOWN = 512  # the file its mapping pointer stands for is known
    # since the watch began
    ISOLATED = 1024  # the task of a watched attempt took a reference to isolate it
    FROZEN = 2048  # its count was frozen: it was migrated or split
    RESTORED = 4096  # a migration entry was turned back into a mapping of the same pfn: migration failed
    TAKEN_OFF_LRU = 8192  # the task of a watched attempt took it off the LRU
    ALLOCATED_SINCE_WATCH = 16384  # allocated since
    ON_LRU = 32768  # an event showed PG_lru: no task had isolated the page then


WINDOW_MARKS = (
    Mark.ISOLATED | Mark.FROZEN | Mark.RESTORED | Mark.TAKEN_OFF_LRU | Mark.ALLOCATED_SINCE_WATCH | Mark.ON_LRU
)
# Of these, what an attempt did to the page at any of its tries.
VISIT_MARKS = int(Mark.ISOLATED | Mark.RESTORED | Mark.TAKEN_OFF_LRU)
LIFE_MARKS = 0xFFFF & ~int(WINDOW_MARKS)

# A _mapcount that holds a page type is kept as TYPED_MAPCOUNT + PageType.
TYPED_MAPCOUNT = -32768
NO_EXCESS = 32767  # nothing known yet
MOST_MAPPINGS = 32766  # a _mapcount is kept up to here: of a page that has more the excess is not known

# 48 bytes a page.
PAGE = np.dtype(
    [
        ("alloc_ns", np.int64),
        ("alloc_tid", np.int32),
        ("gfp", np.uint32),
        ("count", np.int32),
        ("page_flags", np.uint32),  # low 32 bits of page->flags
        ("file", np.int32),  # row of the file table, -1 = none
        ("index", np.int32),  # page index in the file, -1 = unknown
        ("refs", np.int32),  # youngest open reference (row of the reference table), -1 = none
        ("suspect", np.int32),  # youngest unsettled suspect row, -1 = none
        ("mapcount", np.int16),  # raw _mapcount, clamped; TYPED_MAPCOUNT for page types
        ("min_excess", np.int16),  # smallest excess since the watch began, NO_EXCESS = unknown
        ("marks", np.uint16),  # Mark
        ("state", np.uint8),  # State
        ("order", np.uint8),  # order of the allocation or free block it belongs to
    ]
)


class RefKind(IntEnum):
    """How a reference was taken."""

    MOD = 0  # page_ref_mod: page cache, LRU batch, fork ...
    GET = 1  # page_ref_mod_unless: gup, lookup, isolation
    PIN = 2  # multiples of GUP_PIN_COUNTING_BIAS (1024): FOLL_PIN
    ISOLATION = 3  # a GET by a task that isolates pages just then
    UNSURE = 4  # seen by a probe; a later count does not include it: it was dropped unseen, or a mapping went


class RefEnd(IntEnum):
    """How a reference ended."""

    OPEN = 0
    PUT = 1  # a put was matched to it
    LIFE = 2  # the page was freed, allocated anew or frozen for good
    MAPPING = 3  # it became a mapping of the page
    COUNT = 4  # a later count leaves no room for it: its put was not seen, or stamped before it


REF = np.dtype(
    [
        ("ns", np.int64),
        ("close_ns", np.int64),  # -1 = open
        ("met_ns", np.int64),  # first time that the task of an attempt came to the page while it was open, -1 = never
        ("shared_ns", np.int64),  # first time that a put may have meant this one or another taker's, -1 = never
        ("unmap_ns", np.int64),  # first time that a mapping's put may have been this one's, -1 = never
        ("pfn", np.int64),
        ("tid", np.int32),
        ("close_tid", np.int32),  # task of the event that ended it
        ("val", np.int32),
        ("next", np.int32),  # older open reference of the page
        ("cpu", np.uint16),
        ("close_cpu", np.uint16),
        ("op", np.uint8),
        ("kind", np.uint8),
        ("kept", np.uint8),  # claimed by a suspect: the row is not reused
        ("confirmed", np.uint8),  # a later event of another task found the page still in excess
        ("close_op", np.uint8),
        ("end", np.uint8),  # RefEnd
        ("before", np.int16),  # excess just before it was taken that no known reference explains, NO_EXCESS = unknown
        ("on_lru", np.uint8),  # not isolation: the page was off the LRU when it was taken, or on it afterwards
        ("irq", np.uint8),  # IrqContext of the take
        ("close_irq", np.uint8),  # IrqContext of what closed it; UNKNOWN while it is open
    ]
)


class Reason(IntEnum):
    """Why a probe took a page for a suspect, each a bit; causes are decided from these, the state and the ledger."""

    EXCESS = 1  # references beyond the expected ones
    LEFT = 2  # the isolating task took it up and left it: neither migrated nor freed
    LOCKED = 4  # PG_locked without PG_uptodate on a file page: a read has not ended
    WRITEBACK = 8  # PG_writeback
    UNMOVABLE = 16  # allocated without __GFP_MOVABLE
    VISITED = 32  # no page_ref events: allocated before, not freed, within the part already scanned
    RESTORED = 64  # its migration entry was restored: migration failed
    NAMED = 128  # the kernel named it (fin_pfn)
    TYPED = 256  # a page type that some cause names: it is not migrated like others
    LOGGED = 512  # the kernel log dumped it
    ZEROED = 1024  # zeroed for the page cache of a kernel-internal file, as secret memory is
    CACHED = 2048  # an inventory: a page-cache page that may be of a kind that is not migrated
    HELD = 4096  # probes saw references taken that are open


# A page in the way at a probe: its state then, and what became of it.
SUSPECT = np.dtype(
    [
        ("pfn", np.int64),
        ("first_ns", np.int64),  # first probe that met it
        ("last_ns", np.int64),  # last probe that met it
        ("alloc_ns", np.int64),
        ("post_ns", np.int64),  # first reference event after the last probe, -1 = none
        ("clear_ns", np.int64),  # first event after the first probe without excess, -1 = never
        ("unlock_ns", np.int64),  # likewise without PG_locked
        ("written_ns", np.int64),  # likewise without PG_writeback
        ("end_ns", np.int64),  # end of its life (free, new allocation) or its migration, -1 = never
        ("attempt", np.int32),
        ("alloc_tid", np.int32),
        ("gfp", np.uint32),
        ("count", np.int32),
        ("page_flags", np.uint32),
        ("post_flags", np.uint32),
        ("file", np.int32),
        ("index", np.int32),
        ("next", np.int32),  # older suspect row of this page
        ("clear_tid", np.int32),
        ("end_tid", np.int32),
        ("mapcount", np.int16),
        ("min_excess", np.int16),  # at the last probe, own isolation left out
        ("confirmed", np.int16),  # largest, over the probes, of the smallest excess before, within and after
        ("isolation_refs", np.int16),  # references of isolating tasks open at the last probe
        ("marks", np.uint16),
        ("reasons", np.uint16),  # Reason, of all its probes
        ("order", np.uint8),
        ("state", np.uint8),
        ("no_event_since_probe", np.uint8),  # no event since the last probe
        ("clear_irq", np.uint8),  # IrqContext of the event at clear_ns; UNKNOWN where there is none
    ]
)

CLAIM = np.dtype([("suspect", np.int32), ("ref", np.int32)])  # reference `ref` was open when `suspect` was met

FILE = np.dtype([("dev", np.int64), ("ino", np.int64)])  # -1 = unknown (known by its mapping pointer only)

RUN = np.dtype([("pages", np.int64), ("state", np.uint8), ("marks", np.uint16)])  # pages of equal state and marks

FAILED_ALLOC = np.dtype([("ns", np.int64), ("tid", np.int32), ("order", np.int32), ("gfp", np.uint32)])


class ReplayCounter(IntEnum):
    """Counters of what the replay met: quality of the trace, not results."""

    REFS = 0  # rows used in the reference table
    FREE_REF = 1  # head of the list of reusable rows (row + 1, 0 = none)
    SUSPECTS = 2
    CLAIMS = 3
    FILES = 4
    FAILED_ALLOCS = 5
    FREE_WITHOUT_ALLOC = 6
    ALLOC_OVER_LIVE = 7
    RESYNCS = 8
    OUT_OF_RANGE = 9
    SECTIONS = 10
    EVENTS = 11
    FILE_SLOTS = 12  # used slots of the table of file keys


TABLE_DTYPES = {"refs": REF, "suspects": SUSPECT, "claims": CLAIM, "files": FILE, "failed_allocs": FAILED_ALLOC}
TABLE_COUNTS = {
    "refs": ReplayCounter.REFS,
    "suspects": ReplayCounter.SUSPECTS,
    "claims": ReplayCounter.CLAIMS,
    "files": ReplayCounter.FILES,
    "failed_allocs": ReplayCounter.FAILED_ALLOCS,
}


def blank_pages(pages: int) -> npt.NDArray[np.void]:
    """Rows of page frames no event has named."""
    rows = np.zeros(pages, PAGE)
    for column in ("file", "index", "refs", "suspect", "mapcount"):
        rows[column] = -1
    rows["min_excess"] = NO_EXCESS
    return rows
