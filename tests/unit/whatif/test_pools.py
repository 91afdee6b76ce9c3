"""A pool of large blocks: its peak, its limit, blocks that were free, splits of the direct map."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.replay_twin import entry, stream
from tracereplay.errors import UsageError
from tracereplay.schema import Op
from tracereplay.whatif.page_rows import ORDERS, TYPES, MigrateType
from tracereplay.whatif.pools import Pool, PoolNeed, pool_need
from tracereplay.whatif.question import parse_policy
from tracereplay.whatif.recorded import Recorded
from tracereplay.whatif.script import Script, script_of

FOREVER = 1 << 62


def script() -> Script:
    """Three pages of secretmem in two spans of 2 MiB, the first given back before the third is taken."""
    entries = [
        entry(10, 7, Op.ALLOC, 8), entry(20, 7, Op.ALLOC, 9), entry(30, 7, Op.FREE, 8), entry(40, 7, Op.ALLOC, 600),
    ]  # fmt: skip
    return script_of([stream(entries)], [], [(0, 2048)])


def recorded(made: Script, large: int, kind: MigrateType = MigrateType.MOVABLE) -> Recorded:
    blocks = np.zeros((len(made.count_ns), 1, ORDERS, TYPES), np.int64)
    blocks[:, 0, 10, kind] = large
    return Recorded(np.empty(0, np.int64), blocks, np.empty(0, np.int64))


def need(pool: Pool, large: int = 1, kind: MigrateType = MigrateType.MOVABLE) -> PoolNeed:
    made = script()
    chosen = np.isin(made.events["kind"], (1,))
    return pool_need(made, chosen, np.array([30, FOREVER, FOREVER]), recorded(made, large, kind), pool)


def test_the_peak_counts_what_is_in_use_at_once() -> None:
    assert need(Pool(9, 0, in_cma=False)) == PoolNeed(2, 0, 1, 0, 0, 2)


def test_a_limit_refuses_what_is_beyond() -> None:
    found = need(Pool(0, 1, in_cma=False))
    assert (found.peak_pages, found.refused_pages, found.blocks) == (2, 1, 1)


def test_without_free_blocks_single_pages_split_as_recorded() -> None:
    assert need(Pool(9, 0, in_cma=False), large=0) == PoolNeed(2, 0, 1, 1, 2, 2)


def test_a_pool_in_cma_takes_cma_blocks_only() -> None:
    assert need(Pool(9, 512, in_cma=True)).fallback_blocks == 1
    assert need(Pool(9, 512, in_cma=True), kind=MigrateType.CMA).fallback_blocks == 0


def test_blocks_smaller_than_a_pmd_split_it() -> None:
    assert need(Pool(3, 0, in_cma=False)).splits == 1


@pytest.mark.parametrize(
    "text", ["secretmem-pool:order=11", "secretmem-pool:cma", "secretmem-pool+secretmem-pool:order=3"]
)
def test_pools_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        parse_policy(text)
