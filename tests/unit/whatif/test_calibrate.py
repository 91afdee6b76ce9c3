"""Hidden pages from the kernel's own choices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracereplay.whatif.calibrate import fitted


def wrong(balance: list[int], took_cma: list[bool], hidden: int) -> int:
    return sum((hidden > value) != took for value, took in zip(balance, took_cma, strict=True))


@given(st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=1, max_size=12))
def test_no_other_value_violates_fewer_choices(choices: list[tuple[int, bool]]) -> None:
    balance, took = [value for value, _ in choices], [cma for _, cma in choices]
    found = fitted(np.array(balance), np.array(took))
    fewest = min(wrong(balance, took, hidden) for hidden in range(-25, 26))
    assert found.violated == wrong(balance, took, found.pages) == fewest
    for bound in (found.low, found.high):
        assert bound is None or wrong(balance, took, bound) == fewest


def test_the_interval_is_open_where_no_choice_bounds_it() -> None:
    found = fitted(np.array([5, 9]), np.array([True, True]))
    assert (found.low, found.high, found.pages) == (10, None, 10)
    found = fitted(np.array([5, 9]), np.array([True, False]))
    assert (found.low, found.high, found.pages) == (6, 9, 7)
