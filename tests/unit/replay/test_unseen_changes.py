"""Which pages with contradicting counts are looked at again."""

from __future__ import annotations

import numpy as np

from tracereplay.replay.unseen_changes import FEWEST_PAGES, pages_looked_at


def test_few_are_all_looked_at() -> None:
    conflicted = np.array([3, 5, 9], np.int64)
    assert pages_looked_at(conflicted, np.array([5, 7], np.int64)).tolist() == [3, 5, 9]
    assert not len(pages_looked_at(conflicted[:0], np.array([5], np.int64)))


def test_of_many_those_that_attempts_met_are_all_there() -> None:
    conflicted = np.arange(0, 100_000, 2, dtype=np.int64)
    met = np.arange(10_000, 20_000, dtype=np.int64)
    chosen = pages_looked_at(conflicted, met)
    assert set(range(10_000, 20_000, 2)) <= set(chosen.tolist())
    assert FEWEST_PAGES <= len(chosen) - 5_000 <= 2 * FEWEST_PAGES
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] == 0
    assert chosen[-1] > 97_000
