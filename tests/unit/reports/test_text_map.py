"""The map in characters: it fits, it shows every culprit, and it folds what repeats."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.model.derived.area import (
    area_span,
    culprit_runs,
    main_state,
    mapped_tries,
    shown_map,
    spread,
    state_runs,
)
from tracereplay.model.result import Attempt, MapRun, Request, Try
from tracereplay.reports.text.map import map_lines


def mapped() -> Attempt:
    """Sixteen pageblocks: half of them not seen, then free, moved, and one page that blocks migration."""
    return example.attempt(
        tries=[],
        request=Request(pages=8192, start_pfn=0x10000, end_pfn=0x12000),
        map=[
            MapRun(try_index=0, start_pfn=0x10000, pages=4096, state="not_seen"),
            MapRun(try_index=0, start_pfn=0x11000, pages=2048, state="free"),
            MapRun(try_index=0, start_pfn=0x11800, pages=2048, state="moved"),
        ],
        culprits=[example.culprit(start_pfn=0x11C00, pages=1)],
    )


@pytest.mark.parametrize("width", [40, 60, 84, 200])
def test_one_line_fits_and_shows_one_page_of_thousands(width: int) -> None:
    line, words = map_lines(mapped(), width, full=False)
    assert len(line) <= width
    assert line.startswith("0x10000 [---")
    assert line.endswith("o] 0x11fff")
    assert line.count("#") == 1
    assert words == "# blocking  . free  o moved  - no event in the trace"


def test_rows_fold_what_repeats() -> None:
    lines = map_lines(mapped(), 84, full=True)
    assert lines[0] == "4 pages a character"
    assert lines[1] == "0x10000 " + "-" * 64
    assert lines[2] == "*"
    assert next(line for line in lines if "#" in line).startswith("0x11c00 #ooo")


def test_nothing_known_draws_nothing() -> None:
    assert map_lines(example.attempt(), 84, full=False) == []
    assert map_lines(example.attempt(tries=[], culprits=[example.culprit()], request=Request()), 84, full=False) != []


@pytest.mark.parametrize("cell_pages", [1, 3, 64, 8192])
def test_cells_keep_every_page(cell_pages: int) -> None:
    attempt = mapped()
    span = area_span(attempt)
    assert span == (0x10000, 0x12000)
    cells = -(-8192 // cell_pages)
    sums = spread(state_runs(attempt), 0x10000, cell_pages, cells)
    assert sum(sum(cell.values()) for cell in sums) == 8192
    assert sum(sum(cell.values()) for cell in spread(culprit_runs(attempt), 0x10000, cell_pages, cells)) == 1


def test_what_was_seen_goes_before_what_was_not() -> None:
    (cell,) = spread([(0, 90, "not_seen"), (90, 10, "free")], 0, 128, 1)
    assert main_state(cell) == "free"


def tried() -> Attempt:
    """Four tries: the blocking page comes at the second, the last got its range; the third was not looked at."""
    attempt = mapped()
    attempt.tries = [
        Try(index=at, start_pfn=0x10000, end_pfn=0x12000, start_ns=at, end_ns=at, result="EBUSY", map_try=shown)
        for at, shown in enumerate([0, 1, None, None])
    ]
    attempt.tries[-1].result = "succeeded"
    again = [MapRun(try_index=1, start_pfn=run.start_pfn, pages=run.pages, state=run.state) for run in attempt.map]
    again[2].state, again[2].culprit_id = "culprit", "c0"
    attempt.map += again
    return attempt


def test_in_full_a_line_for_each_try_that_looks_different() -> None:
    lines = map_lines(tried(), 60, full=True)
    at = lines.index("the same, at 2 of 3 failing tries")
    assert lines[at + 1].startswith("try 0      0x10000 [---")
    assert lines[at + 1].endswith("ooo] 0x11fff")
    assert lines[at + 2].startswith("try 1      0x10000 [---")
    assert lines[at + 2].endswith("###] 0x11fff")
    alike = tried()
    alike.tries[0].map_try = 1
    assert "tries 0-1  0x10000 [---" in "\n".join(map_lines(alike, 60, full=True))
    assert "the same" not in "\n".join(map_lines(tried(), 60, full=False))


def test_a_thousand_different_tries_are_told_in_few_lines() -> None:
    attempt = mapped()
    attempt.tries = [
        Try(index=at, start_pfn=0, end_pfn=1, start_ns=at, end_ns=at, result="EBUSY", map_try=at % 2)
        for at in range(1000)
    ]
    attempt.map += [MapRun(try_index=1, start_pfn=0x10000, pages=0x2000, state="held")]
    lines = map_lines(attempt, 80, full=True)
    assert len(lines) < 64
    assert "... 976 more lines" in lines


def test_a_try_without_a_map_is_shown_by_the_next_that_has_one() -> None:
    attempt = tried()
    assert mapped_tries(attempt) == [0, 1]
    assert [shown_map(one, mapped_tries(attempt)) for one in attempt.tries] == [0, 1, 1, 1]
    attempt.tries[0].map_try = None  # as in a document of an earlier version
    assert [shown_map(one, [1]) for one in attempt.tries] == [1, 1, 1, 1]
    assert shown_map(attempt.tries[0], []) is None
