"""How many folios and single pages culprits are."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.model.page_runs import distinct_pages, join_runs
from tracereplay.model.result import Culprit


def counts_by_order(culprits: Iterable[Culprit]) -> list[tuple[int, int]]:
    """(order, how many), largest first; order 0: single pages. Each page is counted once.

    A page that was in a folio at one time and alone at another: all are counted as single pages.
    """
    by_order: dict[int, list[Culprit]] = {}
    culprits = list(culprits)
    for culprit in culprits:
        by_order.setdefault(_order(culprit), []).append(culprit)
    pages = {order: distinct_pages(of) for order, of in by_order.items()}
    whole = all(
        run_pages % (1 << order) == 0
        for order, of in by_order.items()
        for _, run_pages in join_runs((c.start_pfn, c.pages) for c in of if c.start_pfn is not None)
    )
    if not whole or sum(pages.values()) != distinct_pages(culprits):
        return [(0, distinct_pages(culprits))] if culprits else []
    return [(order, pages[order] >> order) for order in sorted(pages, reverse=True)]


def _order(culprit: Culprit) -> int:
    """The order of its folios, where it is made up of whole ones."""
    order = culprit.order or 0
    return order if 0 < order < 40 and culprit.pages % (1 << order) == 0 else 0
