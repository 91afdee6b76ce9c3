"""Folios and single pages of culprits, each counted once, and their words."""

from __future__ import annotations

import pytest

from tests.support import captures
from tests.support import result_examples as example
from tracereplay.model.derived.folios import counts_by_order
from tracereplay.model.result import Culprit
from tracereplay.reports.shared.wording import size_words
from tracereplay.session import Session

KIB = 1024


def run(start_pfn: int | None, pages: int, order: int | None = None) -> Culprit:
    return example.culprit(start_pfn=start_pfn, pages=pages, order=order)


@pytest.mark.parametrize(
    ("culprits", "page_size", "says"),
    [
        ([run(0x1E000, 512, 9)], 4 * KIB, "1 folio of 2 MiB (order 9)"),
        ([run(0x1E000, 512, 9)], 64 * KIB, "1 folio of 32 MiB (order 9)"),
        ([run(0x1E000, 512, 9)], None, "1 folio of 512 pages (order 9)"),
        ([run(0x1E000, 32, 4), run(0x2000, 3)], 4 * KIB, "2 folios of 64 KiB (order 4) and 3 pages"),
        (
            [run(0x1E000, 512, 9), run(0x2000, 32, 4), run(0x2400, 8, 2), run(0x3000, 3)],
            4 * KIB,
            "5 folios of 16 KiB to 2 MiB (orders 2 to 9) and 3 pages",
        ),
        ([run(0x1E000, 512, 9), run(0x1E000, 512, 9)], 4 * KIB, "1 folio of 2 MiB (order 9)"),  # of two attempts
        ([run(0x1E000, 512, 9), run(0x1E003, 1)], 4 * KIB, "512 pages"),  # split meanwhile
        ([run(0x1E000, 24, 4)], 4 * KIB, "24 pages"),  # no whole folios
        ([run(None, 16, 4), run(None, 1)], 4 * KIB, "1 folio of 64 KiB (order 4) and 1 page"),
        ([run(7, 1)], 4 * KIB, "1 page"),
        ([], 4 * KIB, "0 pages"),
    ],
)
def test_sizes_in_words(culprits: list[Culprit], page_size: int | None, says: str) -> None:
    assert size_words(culprits, page_size) == says


def test_brief_words_leave_the_order_out() -> None:
    assert size_words([run(0, 512, 9)], 4096, brief=True) == "1 folio of 2 MiB"


def test_an_order_that_no_page_has_is_none() -> None:
    assert counts_by_order([run(0, 4, 60), run(8, 2, -1)]) == [(0, 6)]


def test_a_pinned_huge_page_is_one_folio_and_buffers_are_pages() -> None:
    folder = captures.capture("offline_thp_pin")
    result = Session([folder / "trace.dat"], layout=folder / "layout_before").blame()
    (pinned,) = [c for a in result.attempts for c in a.culprits if c.start_pfn == 0x101800]
    assert (pinned.pages, pinned.order) == (512, 9)
    folder = captures.capture("cma_bufferhead")
    result = Session([folder / "trace.dat"], layout=folder / "layout_before").blame()
    buffers = [c for a in result.attempts for c in a.culprits if c.cause == "buffer_head"]
    assert buffers
    assert all(c.order is None for c in buffers)
