"""Holder, taker and releaser: each task is named once, in every report that says who."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.model.derived.culprit_groups import group_culprits
from tracereplay.model.derived.hold_timeline import lanes
from tracereplay.model.result import Allocation, Result, Task
from tracereplay.reports import FORMATS
from tracereplay.reports.html.data import report_data
from tracereplay.reports.shared.holder_wording import lane_label, story, whose
from tracereplay.reports.shared.style import Style

DEAD, KEEPER, OTHER = Task(tid=148, comm="pin-dead"), Task(tid=147, comm="pipe-keeper"), Task(tid=9, comm="third")
ENDED: dict[str, object] = {"held_since_ns": 6_344_000_000, "released_ns": 8_190_000_000, "allocated_by": None}


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ({"holder": DEAD}, "held by pin-dead (148) since 6.344 s, released at 8.190 s"),
        (
            {"holder": DEAD, "taken_by": DEAD, "released_by": DEAD},
            "held by pin-dead (148) since 6.344 s, released at 8.190 s",
        ),
        (
            {"holder": DEAD, "taken_by": DEAD, "released_by": KEEPER},
            "held by pin-dead (148) since 6.344 s; released by pipe-keeper (147) at 8.190 s",
        ),
        (
            {"holder": None, "taken_by": DEAD, "released_by": KEEPER},
            "taken by pin-dead (148) at 6.344 s; released by pipe-keeper (147) at 8.190 s",
        ),
        (
            {"holder": None, "taken_by": DEAD, "released_by": DEAD},
            "taken by pin-dead (148) at 6.344 s, released at 8.190 s",
        ),
        (
            {"holder": KEEPER, "taken_by": DEAD, "released_by": KEEPER},
            "taken by pin-dead (148) at 6.344 s; held by pipe-keeper (147), released at 8.190 s",
        ),
        (
            {"holder": KEEPER, "holder_verdict": "suggested", "taken_by": DEAD, "released_by": OTHER},
            "taken by pin-dead (148) at 6.344 s; probably held by pipe-keeper (147); released by third (9) at 8.190 s",
        ),
        (
            {"holder": None, "released_by": KEEPER},
            "holder not seen since 6.344 s; released by pipe-keeper (147) at 8.190 s",
        ),
        (
            {"holder": None, "taken_by": DEAD, "mechanism": "vmsplice", "release": "held_at_end"},
            "taken by pin-dead (148) through vmsplice at 6.344 s, still held when the trace ends",
        ),
        (
            {"holder": None, "taken_by": DEAD, "holder_name": "fuse", "release": "unknown"},
            "taken by pin-dead (148) at 6.344 s; held by fuse",
        ),
    ],
)
def test_each_task_is_named_once(tasks: dict[str, object], says: str) -> None:
    assert story([example.culprit(**(ENDED | tasks))], "ns") == says


def test_several_takings_and_no_times() -> None:
    taken = {"holder": None, "taken_by": DEAD, "release": "unknown"}
    rows = [example.culprit(**(ENDED | taken | {"held_since_ns": at * example.SECOND})) for at in (7, 6)]
    assert story(rows, "ns") == "taken by pin-dead (148) from 6.000 s on"
    assert story([example.culprit(**(ENDED | taken | {"held_since_ns": None}))], "ns") == "taken by pin-dead (148)"
    assert whose(example.culprit(holder=None)) is None


def passed_on() -> Result:
    row = example.culprit(**(ENDED | {"holder": None, "taken_by": DEAD, "released_by": KEEPER, "pages": 4}))
    return example.result(example.attempt(culprits=[row], cause="task_reference"))


@pytest.mark.parametrize("format_", ["text", "md", "html", "junit"])
def test_every_format_names_taker_and_releaser(format_: str) -> None:
    said = " ".join(FORMATS[format_](passed_on(), Style(width=200)).split("<script")[0].split())
    assert "taken by pin-dead (148) at 6.344 s; released by pipe-keeper (147) at 8.190 s" in said
    assert "holder not seen" not in said


def test_pictures_and_tables_name_them_too() -> None:
    (lane,) = lanes(passed_on().attempts)
    assert lane_label(lane, None) == "taken by pin-dead (148), 4 pages"
    data = report_data(passed_on())
    row = data["tables"]["culprits"]
    assert [data["texts"][row[name][0]] for name in ("taken_by", "released_by")] == [
        "pin-dead (148)",
        "pipe-keeper (147)",
    ]
    same = example.culprit(taken_by=example.culprit().holder)
    data = report_data(example.result(example.attempt(culprits=[same])))
    assert data["tables"]["culprits"]["taken_by"] == [None]


def test_rows_with_other_takers_are_not_folded() -> None:
    rows = [example.culprit(id=str(n), holder=None, taken_by=task) for n, task in enumerate((DEAD, DEAD, KEEPER))]
    assert [len(group.culprits) for group in group_culprits(rows)] == [2, 1]


def test_the_allocating_task_is_not_repeated() -> None:
    made = Allocation(tid=148, comm="pin-dead")
    row = example.culprit(**(ENDED | {"holder": None, "taken_by": DEAD, "allocated_by": made}))
    assert "allocated by" not in FORMATS["text"](example.result(example.attempt(culprits=[row])), Style())
