"""When a page blocks while an attempt goes on that failed in the record; pages that may block elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from tracereplay.layout.layout import Span
from tracereplay.model.named import Task
from tracereplay.model.result import Attempt, Request, Try
from tracereplay.whatif.obstacles import FOREVER, Obstacle
from tracereplay.whatif.suspects import PagesInRun, count_tested, drawn

DRIVER, PINNER = 7, 8


def asking() -> Attempt:
    return Attempt(
        id="a", input_id="i", operation="cma_alloc", area=None, task=Task(tid=DRIVER), start_ns=10, end_ns=20,
        request=Request(pages=4), outcome="failed", outcome_basis="event",
    )  # fmt: skip


def obstacle(**changes: int | bool | str) -> Obstacle:
    one = Obstacle(5, 1, "task_reference", -1, 0, 0, 20, 50, None, "pinner", PINNER)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (20, 50)),
        ({"released_by": PINNER}, (20, 50)),
        ({"released_by": DRIVER}, (FOREVER, FOREVER)),  # it waits in the kernel, and drops nothing
        ({"by_attempt": True}, (20, FOREVER)),
        ({"owner": DRIVER}, (20, FOREVER)),
        ({"owner": DRIVER, "released_by": PINNER}, (20, 50)),
    ],
)
def test_what_the_asking_task_causes_does_not_happen_while_it_waits(
    changes: dict[str, int | bool], expected: tuple[int, int]
) -> None:
    assert obstacle(**changes).while_waiting(asking()) == expected


def pages(recorded: list[int]) -> PagesInRun:
    many = np.array(recorded, np.int64)
    return PagesInRun(many + 100, many, np.zeros(len(many), np.int64), np.full(len(many), FOREVER))


def test_of_the_pages_tested_those_that_blocked_are_counted() -> None:
    attempt = asking()
    assert count_tested(pages([1, 2, 3]), [attempt], []) == (0, 0)
    attempt.tries = [Try(index=0, start_ns=10, end_ns=20, result="EBUSY", start_pfn=2, end_pfn=9)]
    one = obstacle(cause="buffer_head")
    one.ids["a"] = "a/0"
    assert count_tested(pages([1, 2, 5, 6]), [attempt], [one]) == (2, 1)  # 6 is above the page that blocked


def test_pages_that_always_blocked_block_and_those_that_never_did_do_not() -> None:
    many = pages(list(range(200)))
    assert len(drawn(many, 10_000, 10_000, 1).pfn) > 190
    assert len(drawn(many, 10_000, 0, 1).pfn) < 10
    assert drawn(many, 1, 1, 3).pfn.tolist() == drawn(many, 1, 1, 3).pfn.tolist()


def test_pages_that_the_record_has_in_the_range_it_got_are_no_suspects() -> None:
    assert pages([1, 5]).at(1, 2, Span("got", 4, 4)) == [101]
