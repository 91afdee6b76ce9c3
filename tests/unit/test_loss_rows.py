"""Rows of losses: what adds up, and what is one loss told twice."""

from __future__ import annotations

from tracereplay.inputs import LossBook
from tracereplay.losses import Loss, added_up


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
    book = LossBook()
    for _ in range(2):
        book.add("trace-0", told(1, 1))
    assert [(row.id, row.count) for row in book.listed()] == [("loss-0", 2)]
    book.add("trace-1", told(1, 1))
    assert [(row.input_id, row.count) for row in book.listed()] == [("trace-0", 2), ("trace-1", 2)]
