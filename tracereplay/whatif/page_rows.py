"""What the modelled page allocator keeps: one row a page frame, one a free list, counters of zones, one event a row.

Page frames are numbered by `frames.Frames`, not by PFN: only sections that matter have rows. A section holds whole
blocks of the highest order, so that buddies are found by the same arithmetic as in the kernel.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ORDERS = 11  # 0 .. MAX_PAGE_ORDER (mm.h; 10 unless CONFIG_ARCH_FORCE_MAX_ORDER says otherwise)
TYPES = 6
SECTION_BITS = 11


class MigrateType(IntEnum):
    """enum migratetype of kernels with CONFIG_CMA and CONFIG_MEMORY_ISOLATION (include/linux/mmzone.h)."""

    UNMOVABLE = 0
    MOVABLE = 1
    RECLAIMABLE = 2
    HIGHATOMIC = 3
    CMA = 4
    ISOLATE = 5


class Frame(IntEnum):
    """Where a page frame is."""

    ABSENT = 0  # no memory, or memory the buddy allocator does not manage
    FREE = 1  # first page of a free block
    TAIL = 2  # a further page of a free block
    PCP = 3  # on a per-cpu list
    USED = 4


class Step(IntEnum):
    """Kinds of rows of a script."""

    ALLOC = 1
    FREE = 2
    DRAIN = 3  # per-cpu list -> buddy
    TAKE = 4  # buddy -> per-cpu list or user
    FALLBACK = 5  # taken from a block of another type, no TAKE of its own
    CLAIM = 6  # the pageblock changed its type; pages are taken by the TAKE beside it
    ISOLATE = 7  # pageblocks of [page, page + pages) become MIGRATE_ISOLATE
    RESTORE = 8  # ... and get their type back
    CONTIG = 9  # the free pages of [page, page + pages) were taken as a range
    COUNT = 10  # write the counters of all zones into the next row of `counts`
    SKIP = 11  # a row that a policy makes void


PAGE = np.dtype(
    [
        ("next", np.int32),
        ("prev", np.int32),
        ("state", np.uint8),  # Frame
        ("order", np.uint8),  # of the free block it begins, or of the allocation
        ("movable", np.uint8),  # allocated as movable (or assumed so)
        ("zone", np.int8),  # row of the zone table, -1 = none
    ]
)

LIST = np.dtype([("head", np.int32), ("tail", np.int32), ("blocks", np.int64)])

BLOCK = np.dtype([("type", np.uint8), ("saved", np.uint8)])  # a pageblock; saved: its type before isolation

EVENT = np.dtype(
    [
        ("time_ns", np.int64),
        ("page", np.int32),  # number of the frame, -1 = none
        ("pages", np.int32),
        ("tid", np.int32),
        ("gfp", np.uint32),
        ("cpu", np.uint16),
        ("kind", np.uint8),  # Step
        ("order", np.uint8),
        ("type", np.uint8),  # migratetype of the event
        ("other", np.uint8),  # FALLBACK, CLAIM: type of the block before; FREE: 1 = to the buddy
    ]
)


class ZoneColumn(IntEnum):
    """Counters of a zone, in pages."""

    FREE = 0  # NR_FREE_PAGES: isolated ones left out
    FREE_CMA = 1  # NR_FREE_CMA_PAGES
    HIDDEN = 2  # pages that left the free lists unseen, see calibrate.py: the model's FREE is larger by these
    NO_FRAGMENT = 3  # ALLOC_NOFRAGMENT applies (alloc_flags_nofragment)


class Count(IntEnum):
    """What a replay met."""

    TAKEN = 0  # pages taken from free lists by recorded events
    TAKEN_NOT_FREE = 1  # ... that were not free in the model
    DRAINED_FREE = 2  # pages drained that were free already
    FREED_FREE = 3  # pages freed while free in the model: they had left the lists without an event
    RANGE = 4  # pages of ranges taken whole
    RANGE_NOT_FREE = 5  # ... that were not free in the model
    TAKES = 6  # blocks taken
    TAKES_CMA = 7  # ... from CMA lists
    DRAINS = 8
    LATE = 9  # guided: allocated without a take of the model
    NO_PAGE = 10  # guided: no free block for a take
    MOVED = 11  # guided: pages the model's own evacuation of a range moved
    LEFT = 12  # guided: pages of a range that were not movable or found no destination
    DIRECT = 13  # pages freed to the buddy where a per-cpu list takes that order
    FALLBACKS = 16  # + 3 * type wanted + type of the block: mm_page_alloc_extfrag


COUNTS = Count.FALLBACKS + 9


class Rule(IntEnum):
    """What a policy changes in `__rmqueue` and the per-cpu lists."""

    CMA_MODE = 0  # 0: CMA while NR_FREE_CMA * DEN > NR_FREE * NUM; 1: never
    NUM = 1
    DEN = 2
    OFF_PCP = 3  # 1: CMA pages bypass the per-cpu lists; CMA or not is decided at each allocation
    PAGEBLOCK_ORDER = 4
    WHOLE_FREES = 5  # 1: free_contig_range() frees aligned blocks (7.x): FREE of a page of a range goes to the buddy
    NEW_CLASSES = 6  # 1: some allocations ask for another type than in the record: no page is reused across types


class Buddy(NamedTuple):
    """The tables of one modelled allocator, as kernels get them."""

    pages: npt.NDArray[Any]  # PAGE
    lists: npt.NDArray[Any]  # LIST, (zone * ORDERS + order) * TYPES + migratetype
    blocks: npt.NDArray[Any]  # BLOCK
    zones: npt.NDArray[np.int64]  # [zones, len(ZoneColumn)]
    rules: npt.NDArray[np.int64]  # [len(Rule)]
    counts: npt.NDArray[np.int64]  # [COUNTS]
