"""Memory blocks with holes: offline_pages() refuses them with EINVAL, whatever their pages are (mm/memory_hotplug.c).

It counts the pages of System RAM in the block (walk_system_ram_range()). /proc/iomem tells them; without it, what is
in no zone is no memory either.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans, merge_spans


def holes_of(layout: Layout, start_pfn: int, end_pfn: int) -> Spans:
    """The parts of the range that are known to be no memory; empty where the layout does not tell."""
    known = layout.ram or merge_spans((zone.start_pfn, zone.end_pfn) for zone in layout.zones)
    if not known:
        return ()
    gaps = tuple(_gaps(known, start_pfn, end_pfn))
    # A block of which nothing is known, as one plugged later or in a layout that was cut: not a hole.
    return () if gaps == ((start_pfn, end_pfn),) else gaps


def _gaps(known: Spans, start_pfn: int, end_pfn: int) -> Iterator[tuple[int, int]]:
    at = start_pfn
    for low, high in known:
        if high <= at:
            continue
        if low >= end_pfn:
            break
        if at < low:
            yield at, low
        at = high
    if at < end_pfn:
        yield at, end_pfn
