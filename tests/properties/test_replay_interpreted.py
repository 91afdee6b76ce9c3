"""The replay's kernels run by Python itself: coverage and debuggers see them, and they do the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.captures import ROOT
from tracereplay.interpreted import interpreted
from tracereplay.replay.state import PAGE, Mark, blank_pages

SCENARIOS = """
from inspect import isfunction
from tests.support.replay_twin import assert_same, run_both
from tests.support.page_scenarios import FIRST, KSWAPD, PAGES, SEEDED, random_scenario
from tracereplay.replay.replay_kernels import replay

assert isfunction(replay), replay
for number in range(60):
    scenario = random_scenario(number)
    seeded = {FIRST + PAGES - 1: SEEDED} if scenario.seeded else {}
    assert_same(*run_both([scenario.chunk], scenario.actions, background=(KSWAPD,), seeded=seeded))
print("same")
"""


def test_kernels_that_are_not_compiled_agree_with_the_oracle() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCENARIOS],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr[-3000:]


def test_a_row_is_written_through_and_cuts_off_what_is_too_wide() -> None:
    pages = blank_pages(2)

    @interpreted
    def change(rows: object) -> int:
        row = rows[1]  # type: ignore[index]
        row.marks = 0xFFFF & ~int(Mark.FILE)
        row.marks &= ~int(Mark.ANON)
        row.count, row.page_flags, row.mapcount = 1 << 31, -1, 32768
        return int(row.count)

    assert change(pages) == -(1 << 31)
    assert pages.dtype == PAGE
    row = pages[1]
    assert (row["marks"], row["count"], row["page_flags"], row["mapcount"]) == (0xFFF9, -(1 << 31), 0xFFFFFFFF, -32768)
    assert pages[0] == blank_pages(1)[0]


def test_columns_are_arrays_and_other_names_are_none() -> None:
    pages = blank_pages(3)
    assert interpreted(lambda rows: rows.mapcount.tolist())(pages) == [-1, -1, -1]
    for wrong in (lambda rows: rows.nothing, lambda rows: rows[0].nothing):
        with pytest.raises(AttributeError, match="nothing"):
            interpreted(wrong)(pages)


def test_integers_wrap_around_as_compiled_ones_do() -> None:
    assert interpreted(lambda: np.int64((1 << 63) - 1) + np.int64(1))() == -(1 << 63)
