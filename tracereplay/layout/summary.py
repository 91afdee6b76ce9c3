"""`Layout` -> the summary that every result carries."""

from __future__ import annotations

from tracereplay.layout.layout import Layout
from tracereplay.model.result import CmaArea, LayoutSummary, Zone


def summarise_layout(layout: Layout) -> LayoutSummary:
    """The result's view of the layout; sizes in pages, page_size in bytes."""
    return LayoutSummary(
        page_size=layout.page_size_bytes,
        source=layout.source,
        zones=[
            Zone(node=zone.node, name=zone.name, start_pfn=zone.start_pfn, pages=zone.pages) for zone in layout.zones
        ],
        memory_block_pages=layout.memory_block_pages,
        pageblock_pages=layout.pageblock_pages,
        page_size_known=layout.page_size_known,
        cma_areas=[CmaArea(name=area.name, start_pfn=area.start_pfn, pages=area.pages) for area in layout.cma_areas],
    )
