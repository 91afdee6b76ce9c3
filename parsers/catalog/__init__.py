"""The tracepoints tracereplay knows, one file per kernel subsystem. Others are decoded by their own format."""

from __future__ import annotations

from tracereplay.parsers.catalog import (
    cma,
    compaction,
    filemap,
    kmem,
    migrate,
    page_isolation,
    page_ref,
    printk,
    writeback,
)
from tracereplay.parsers.catalog.spec import EventSpec

SPECS: dict[str, EventSpec] = {
    spec.name: spec
    for module in (kmem, cma, migrate, page_isolation, page_ref, compaction, filemap, writeback, printk)
    for spec in module.EVENTS
}
