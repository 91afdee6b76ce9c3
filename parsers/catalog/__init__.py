"""The tracepoints tracereplay knows, one file per kernel subsystem. Others are decoded by their own format."""

from __future__ import annotations

from tracereplay.parsers.catalog import (
    cma,
    compaction,
    dma,
    filemap,
    fuse,
    huge_memory,
    io_uring,
    iomap,
    iommu,
    kmem,
    migrate,
    oom,
    page_isolation,
    page_ref,
    pagemap,
    printk,
    vmscan,
    writeback,
)
from tracereplay.parsers.catalog.spec import EventSpec

SUBSYSTEMS = (
    kmem,
    cma,
    migrate,
    page_isolation,
    page_ref,
    compaction,
    filemap,
    writeback,
    printk,
    pagemap,
    huge_memory,
    vmscan,
    oom,
    iommu,
    dma,
    fuse,
    iomap,
    io_uring,
)
SPECS: dict[str, EventSpec] = {spec.name: spec for module in SUBSYSTEMS for spec in module.EVENTS}
