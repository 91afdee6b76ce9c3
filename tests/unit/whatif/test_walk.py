"""cma_alloc's walk, against trying every start."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracereplay.whatif.walk import Walk, first_fit, gaps_between


def plain(blockers: list[int], gaps: list[tuple[int, int]], pages: int, align: int) -> Walk:
    """One start after the other."""
    tries, first = 0, None
    for low, high in gaps:
        for start in range(-(-low // align) * align, high - pages + 1, align):
            tries += 1
            inside = [pfn for pfn in blockers if start <= pfn < start + pages]
            if not inside:
                return Walk(start, tries, first)
            first = inside[0] if first is None else first
    return Walk(None, tries, first)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a loaded machine draws slowly
@given(
    st.lists(st.integers(0, 60), max_size=6).map(lambda pfns: sorted(set(pfns))),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=3),
    st.integers(1, 20),
    st.sampled_from([1, 2, 4]),
)
def test_the_walk_is_every_start_tried(
    blockers: list[int], taken: list[tuple[int, int]], pages: int, align: int
) -> None:
    gaps = gaps_between(3, 57, [(low, low + size) for low, size in taken])
    assert first_fit(blockers, gaps, pages, align) == plain(blockers, gaps, pages, align)


def test_stepping_past_the_blocker_tries_each_blocker_once() -> None:
    assert first_fit([10, 20], [(0, 40)], 12, past_blocker=True) == Walk(21, 3, 10)
    assert first_fit([10, 20], [(0, 40)], 12) == Walk(21, 22, 10)


def test_a_request_larger_than_every_gap_is_not_tried() -> None:
    assert first_fit([], [(0, 4), (8, 12)], 5) == Walk(None, 0, None)


def test_gaps_lie_between_what_is_held() -> None:
    assert gaps_between(0, 10, [(8, 20), (2, 4), (3, 5)]) == [(0, 2), (5, 8)]
