"""Tests of whole memory blocks by offline_pages(), and how they differ from those of alloc_contig_range()."""

from __future__ import annotations

from typing import NamedTuple

from tracereplay.attempts.contig_signs import contig_scans
from tracereplay.attempts.detected_attempt import (
    LONG_AGO_NS,
    REASON_CONTIG_RANGE,
    REASON_MEMORY_HOTPLUG,
    DetectedAttempt,
)
from tracereplay.attempts.events import AttemptEvents
from tracereplay.layout.layout import Layout

# Without a known block size, a tested range of this alignment (the smallest block size in use) is a memory block.
SMALLEST_BLOCK_PAGES = 1 << 15


class BlockTest(NamedTuple):
    """test_pages_isolated() over whole memory blocks. One that fails goes back to migrating: offline_pages() loops."""

    time_ns: int
    start_pfn: int
    end_pfn: int
    fin_pfn: int

    @property
    def passed(self) -> bool:
        """Whether all of it was free and isolated."""
        return self.fin_pfn >= self.end_pfn


def block_tests(events: AttemptEvents, layout: Layout, tid: int, busy: list[DetectedAttempt]) -> list[BlockTest]:
    """Tests of whole memory blocks that belong to no alloc_contig_range()."""
    rows = events.of("test_pages_isolated", tid)
    step = layout.memory_block_pages or SMALLEST_BLOCK_PAGES
    migrates = bool(events.migrations(tid, REASON_MEMORY_HOTPLUG))
    found = []
    before_ns = LONG_AGO_NS
    for row, ns in enumerate(rows.time_ns.tolist()):
        test = BlockTest(ns, *(int(rows.ints(name)[row]) for name in ("start_pfn", "end_pfn", "fin_pfn")))
        whole = test.start_pfn % step == 0 and test.end_pfn % step == 0 and test.end_pfn > test.start_pfn
        known = migrates or layout.memory_block_pages is not None
        free = not any(draft.covers(ns) for draft in busy)
        if whole and known and free and _is_offline(events, layout, tid, before_ns, test):
            found.append(test)
        before_ns = ns
    return found


def _is_offline(events: AttemptEvents, layout: Layout, tid: int, before_ns: int, test: BlockTest) -> bool:
    """Whether offline_pages() made this test, and not alloc_contig_range() over a range as large (a gigantic page).

    Only alloc_contig_range() scans with isolate_migratepages_range(), and for offlining a MIGRATE_CMA block counts as
    unmovable: its isolation fails before any test (has_unmovable_pages()).
    """
    if any(area.overlaps(test.start_pfn, test.end_pfn) for area in layout.cma_areas):
        return False
    if events.migrations(tid, REASON_MEMORY_HOTPLUG, before_ns + 1, test.time_ns):
        return True
    if events.migrations(tid, REASON_CONTIG_RANGE, before_ns + 1, test.time_ns):
        return False
    scans = contig_scans(events, tid, before_ns + 1, test.time_ns)
    inside = (scans.ints("start_pfn") >= test.start_pfn) & (scans.ints("end_pfn") <= test.end_pfn)
    return not inside.any()
