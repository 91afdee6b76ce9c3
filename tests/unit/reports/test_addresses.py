"""Physical addresses beside page frames, where the size of a page is known."""

from __future__ import annotations

import msgspec
import pytest

from tests.support import result_examples as example
from tracereplay.model.result import Result
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.style import Style
from tracereplay.reports.shared.wording import address_words

FORMATS_OF_PAGES = ("text", "md", "github", "mail", "junit", "html")


@pytest.mark.parametrize(
    ("runs", "page_size", "says"),
    [
        ([(0x1E403, 1)], 4096, "[mem 0x1e403000-0x1e403fff]"),
        ([(0x1E403, 2)], 65536, "[mem 0x1e4030000-0x1e404ffff]"),
        ([(0x1E405, 7), (0x1E403, 2)], 4096, "[mem 0x1e403000-0x1e40bfff]"),
        ([(0x1E405, 7), (0x1E403, 1)], 4096, "within [mem 0x1e403000-0x1e40bfff]"),
        ([], 4096, ""),
        ([(0x1E403, 1)], None, ""),
    ],
)
def test_addresses_of_runs(runs: list[tuple[int, int]], page_size: int | None, says: str) -> None:
    assert address_words(runs, page_size) == says


def pinned(*, known: bool) -> Result:
    result = example.result(example.attempt(culprits=[example.culprit(start_pfn=0x1E403, pages=1)]))
    assert result.layout is not None
    result.layout = msgspec.structs.replace(result.layout, page_size=16384, page_size_known=known)
    return result


@pytest.mark.parametrize("format_", FORMATS_OF_PAGES)
def test_every_report_of_pages_has_them(format_: str) -> None:
    address = "[mem 0x7900c000-0x7900ffff]"
    said = " ".join(FORMATS[format_](pinned(known=True), Style(width=200)).split())
    assert address in said
    assert address not in " ".join(FORMATS[format_](pinned(known=False), Style(width=200)).split())
