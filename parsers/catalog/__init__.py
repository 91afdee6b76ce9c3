"""The tracepoints tracereplay knows, one file per kernel subsystem. Others are decoded by their own format."""

from __future__ import annotations

from collections.abc import Collection

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
from tracereplay.schema import Op

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


def stream_events(ops: Collection[Op] | None = None) -> frozenset[str]:
    """Names of the events that have an entry in the page stream (restricted to `ops`)."""
    return frozenset(name for name, spec in SPECS.items() if spec.op is not Op.NONE and (ops is None or spec.op in ops))
