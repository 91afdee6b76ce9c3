"""Rows of losses: what adds up, and what is one loss told twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracereplay.inputs import LossRegistry
from tracereplay.loss_index import LossIndex
from tracereplay.losses import Loss, added_up

TIMES = st.none() | st.integers(0, 12)
LOSSES = st.builds(
    lambda code, ends: Loss(code, 1, None, *(sorted(ends) if None not in ends else ends)),
    st.sampled_from(["lost_events", "comm_unresolved"]),  # the second hides no events
    st.lists(TIMES, min_size=2, max_size=2),
)


def told(*counts: int | None) -> list[Loss]:
    return [Loss("lost_events", count, 0, 10, 20) for count in counts]


def test_counts_of_one_place_add_up() -> None:
    assert added_up(told(1, 1)) == told(2)
    assert added_up(told(1, 1, 2)) == told(4)


def test_an_unknown_count_stays_beside_a_known_one() -> None:
    assert added_up(told(None, 3, None, 4)) == told(None, 7)


def test_other_places_and_details_stay_apart() -> None:
    apart = [Loss("lost_events", 1, 0), Loss("lost_events", 1, 1), Loss("lost_events", 1, 1, detail="in all")]
    assert added_up(apart) == apart


def test_the_book_adds_up_what_is_entered_together_and_knows_what_it_has() -> None:
    book = LossRegistry()
    for _ in range(2):
        book.add("trace-0", told(1, 1))
    assert [(row.id, row.count) for row in book.listed()] == [("loss-0", 2)]
    book.add("trace-1", told(1, 1))
    assert [(row.input_id, row.count) for row in book.listed()] == [("trace-0", 2), ("trace-1", 2)]


@given(st.lists(LOSSES, max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=8))
def test_the_index_finds_what_a_walk_over_all_losses_finds(losses: list[Loss], asked: list[tuple[int, int]]) -> None:
    named = [(f"loss-{number}", loss) for number, loss in enumerate(losses)]
    index = LossIndex(named)
    for start, length in asked * 2:
        touching = [name for name, loss in named if loss.kind.hides_events and loss.touches(start, start + length)]
        assert index.touching(start, start + length) == touching


def test_intervals_between_the_same_losses_share_their_answer() -> None:
    """900 pages that are judged within one loss do not keep 900 lists."""
    index = LossIndex([("a", Loss("lost_events", 1, 0, 10, 20)), ("b", Loss("overrun", 1, 1, None, 15))])
    assert index.touching(11, 12) is index.touching(13, 14)
    assert index.touching(11, 12) == ["a", "b"]
    assert index.touching(16, 17) == ["a"]
