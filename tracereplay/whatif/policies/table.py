"""All policies, by name."""

from __future__ import annotations

from tracereplay.whatif.policies import (
    buffer_heads,
    cma_anon_only,
    cma_off_pcp,
    cma_ratio,
    fuse_writeback,
    gcma,
    indeterminate_mappings,
    nomovable,
    none,
    pagecache_nomovable,
    pin_retries,
    readahead,
    retry,
    secretmem,
    secretmem_pool,
    size_cma,
    size_movable,
    split_dirty,
    step,
    superpageblock,
)
from tracereplay.whatif.policies.spec import Policy

MODULES = (
    retry, step, pin_retries, cma_ratio, cma_anon_only, cma_off_pcp, gcma, pagecache_nomovable, buffer_heads,
    indeterminate_mappings, fuse_writeback, readahead, split_dirty, secretmem, secretmem_pool, nomovable,
    size_cma, size_movable, superpageblock, none,
)  # fmt: skip
POLICIES: dict[str, Policy] = {module.POLICY.name: module.POLICY for module in MODULES}
