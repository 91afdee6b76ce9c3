"""page_pinner dumps of Android kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.snapshots.page_pinner import read_page_pinner

STACK = " __set_page_pinner+0x1/0x2\n try_grab_page+0x3/0x4\n\n"
PAGE = "PFN 0x1083e9 Block 2113 count 2 mapcount 1 mapping {} Flags 0x80014(uptodate|lru)\n"
COMMON: dict[str, Any] = {
    "pfn": 0x1083E9,
    "pageblock": 2113,
    "count": 2,
    "mapcount": 1,
    "page_flags": 0x80014,
    "page_flag_names": "uptodate|lru",
    "stack": ["__set_page_pinner+0x1/0x2", "try_grab_page+0x3/0x4"],
}
FORMS: dict[str, dict[str, Any]] = {
    "At least, pinned for 376500 us\n" + PAGE.format("0x0"): {"state": "put", "pinned_ns": 376_500_000},
    "Page pinned for 12 us\n" + PAGE.format("ffffff8012345678"): {
        "state": "put",
        "pinned_ns": 12_000,
        "mapping": "ffffff8012345678",
    },
    "Page pinned ts [   12.000034]\n" + PAGE.format("0"): {"state": "put", "time_ns": 12_000_034_000},
    "Freed at [12345.678901]\n" + PAGE.format("(null)"): {"state": "freed", "time_ns": 12_345_678_901_000},
    "Failure detected at [    5.000001]\n" + PAGE.format("f2fs_dblock_aops+0x8/0x10 [f2fs]"): {
        "state": "failure_detected",
        "time_ns": 5_000_001_000,
        "mapping": "f2fs_dblock_aops+0x8/0x10 [f2fs]",
    },
    "Page pinned ts 812 us count 0\nPFN 1082345 Block 2113 type CMA Flags 0x80014(uptodate|lru)\n": {
        "state": "pinned",
        "stamp_ns": 812_000,
        "pageblock_migratetype": "CMA",
        "count": 0,
        "mapcount": None,
    },
}


@pytest.fixture
def dump(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "buffer"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("form", FORMS)
def test_forms(dump: Any, form: str) -> None:
    table, losses = read_page_pinner(dump(form + STACK))
    (row,) = table.to_pylist()
    expected = COMMON | FORMS[form]
    assert {name: value for name, value in row.items() if value is not None} == {
        name: value for name, value in expected.items() if value is not None
    }
    assert losses == []


def test_several_and_spans(dump: Any) -> None:
    path = dump("".join(form + STACK for form in FORMS) + "Freed at [x\nPFN 0x1\n\n")
    table, losses = read_page_pinner(path)
    assert table["state"].to_pylist() == [expected["state"] for expected in FORMS.values()]
    assert [(loss.code, loss.count) for loss in losses] == [("unparsed_line", 1)]
    assert read_page_pinner(path, [(0x1083E9, 0x1083EA)])[0].num_rows == len(FORMS)
    assert read_page_pinner(path, [(0, 0x1083E9)])[0].num_rows == 0


def test_cut_anywhere(dump: Any) -> None:
    whole = "".join(form + STACK for form in FORMS)
    for cut in range(1, len(whole), 3):
        try:
            _, losses = read_page_pinner(dump(whole[:cut]))
        except InputError:
            continue
        assert losses or whole[:cut].endswith("\n\n")
        assert Loss("truncated", detail="the dump ends within its last record") in losses or not losses


@pytest.mark.parametrize("content", ["", "hello\n", "Freed at [no\n", "Page allocated via order 0, mask 0x0()\n"])
def test_refusals(dump: Any, content: str) -> None:
    with pytest.raises(InputError, match="no page_pinner record"):
        read_page_pinner(dump(content))
