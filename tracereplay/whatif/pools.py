"""A pool of large blocks for secretmem: how many blocks it takes, whether they are free, what it splits.

Every page of secretmem leaves the kernel's direct map; with single pages each 2 MiB of memory that holds one is split
there (vmstat direct_map_level2_splits; split_large_page, arch/x86/mm/pat). A pool takes whole blocks instead. Pages in
use at one time are those of the record: the pool is as large as its peak, never larger than its limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.page_rows import ORDERS, MigrateType
from tracereplay.whatif.recorded import Recorded
from tracereplay.whatif.script import Script

PMD_PAGES = 512  # of 4 KiB that one entry of the direct map spans (PMD_SIZE on x86_64, arm64 with 4 KiB pages)


@dataclass(frozen=True, slots=True)
class Pool:
    """order -- of the blocks taken at once; limit_pages -- of the pool, 0: none; in_cma -- taken from a CMA area."""

    order: int
    limit_pages: int
    in_cma: bool


@dataclass(frozen=True, slots=True)
class PoolNeed:
    """What a pool comes to.

    peak_pages -- of secretmem in use at once; refused_pages -- of these beyond the limit; blocks -- taken;
    fallback_blocks -- of these for which no free block of the order was seen, so that single pages are taken;
    splits -- of the direct map with the pool; splits_recorded -- as recorded, a bound from above: one for each 2 MiB.
    """

    peak_pages: int
    refused_pages: int
    blocks: int
    fallback_blocks: int
    splits: int
    splits_recorded: int


def pool_need(
    script: Script, chosen: npt.NDArray[np.bool_], freed_ns: npt.NDArray[np.int64], recorded: Recorded, pool: Pool
) -> PoolNeed:
    """chosen -- the allocations that go to the pool; freed_ns -- when each of these is freed."""
    events = script.events
    rows = np.flatnonzero(chosen)
    pages = events["pages"][rows].astype(np.int64)
    times = np.concatenate([events["time_ns"][rows], freed_ns])
    changes = np.concatenate([pages, -pages])
    order = np.argsort(times, kind="stable")
    use = np.cumsum(changes[order])
    peak = int(use.max(initial=0))
    wanted = min(peak, pool.limit_pages) if pool.limit_pages else peak
    size = 1 << pool.order
    blocks = -(-wanted // size)
    free = _blocks_free(script, recorded, pool, int(events["time_ns"][rows[0]])) if len(rows) else 0
    fallback = max(blocks - free, 0)
    frames = events["page"][rows].astype(np.int64)
    alone = len(np.unique(script.frames.pfns(frames) // PMD_PAGES)) if len(rows) else 0
    # Blocks of a PMD and more change its entry, smaller ones split it; so does each single page taken in their stead.
    together = 0 if pool.order >= 9 else -(-blocks * size // PMD_PAGES)
    splits = together + min(fallback * size, alone)
    return PoolNeed(peak, peak - wanted, blocks, fallback, splits, alone)


def _blocks_free(script: Script, recorded: Recorded, pool: Pool, time_ns: int) -> int:
    """Blocks of the pool's order that the largest zone had free when the pool was first needed."""
    if not len(script.count_ns) or not recorded.blocks.size:
        return 0
    row = max(int(np.searchsorted(script.count_ns, time_ns, side="right")) - 1, 0)
    kinds = [MigrateType.CMA] if pool.in_cma else [MigrateType.UNMOVABLE, MigrateType.MOVABLE, MigrateType.RECLAIMABLE]
    per_zone = recorded.blocks[row][:, :, [int(kind) for kind in kinds]].sum(axis=2)
    parts = 1 << (np.arange(ORDERS) - pool.order).clip(0)
    fitting = per_zone * np.where(np.arange(ORDERS) >= pool.order, parts, 0)
    return int(fitting.sum(axis=1).max(initial=0))
