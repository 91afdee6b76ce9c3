"""The scorer itself: by hand on small documents, and compared with the reference tool where that is present."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.accuracy.reference import reference_scorer
from tests.accuracy.report import figures, table
from tests.support.captures import fixture_captures, shared_captures, truth_of
from tests.support.scorer import INNOCENT_MECHANISM, INNOCENT_ROLES, MECHANISMS, Score, held_pages, invented_pins, score

RANDOM_DOCUMENTS = 200
OPERATIONS = ("cma_alloc", "memory_offline", "cma_free", "virtio_mem_unplug")


def culprit(**said: Any) -> dict[str, Any]:
    made = {
        "mechanism": "vmsplice",
        "pid": 7,
        "comm": "pin",
        "pfns": [[10, 12]],
        "role": "culprit",
        "established": True,
    }
    return made | said


def truth_with(*culprits: dict[str, Any], **said: Any) -> dict[str, Any]:
    op = {"op": "cma_alloc", "pid": 9, "errno_name": "EBUSY"}
    return {"ops": [op], "culprits": list(culprits), "others": [], "first_blocking_pfns": [10]} | said


def row(
    start_pfn: int, pages: int, cause: str = "task_reference", verdict: str = "proved", tid: int | None = 7
) -> dict[str, Any]:
    holder = {"tid": tid, "comm": "x"} if tid else None
    return {
        "start_pfn": start_pfn, "pages": pages, "cause": cause, "verdict": verdict, "effect": "blocked",
        "candidates": [], "holder": holder, "holder_verdict": "proved" if holder else "unknown",
    }  # fmt: skip


def document(
    *rows: dict[str, Any], tid: int = 9, outcome: str = "failed", cause: str = "task_reference"
) -> dict[str, Any]:
    attempt = {
        "operation": "cma_alloc",
        "task": {"tid": tid},
        "outcome": outcome,
        "cause": cause,
        "culprits": list(rows),
    }
    return {"attempts": [attempt]}


HONEST = row(10, 2, cause="unknown", verdict="suggested", tid=None) | {"candidates": ["task_reference"]}
DISHONEST = HONEST | {"candidates": ["writeback"]}


def test_a_perfect_answer() -> None:
    result = score(truth_with(culprit()), document(row(10, 2)), has_page_ref=True)
    assert result == Score(
        ops=1, ops_right=1, first=1, first_found=1, share=1.0, counted=1, culprits=1, culprits_found=1,
        holders=1, holders_found=1, rows=1,
    )  # fmt: skip
    assert figures(result) == ("1/1", "0", "0/0", "1/1", "100%", "1/1", "1/1", "0", "0", "0")


@pytest.mark.parametrize(
    ("truth", "answer", "expected"),
    [
        (truth_with(culprit()), document(), {"ops_right": 1, "culprits_found": 0, "share": 0.0, "first_found": 0}),
        (truth_with(culprit()), document(row(10, 1)), {"share": 0.5, "culprits_found": 1}),
        (truth_with(culprit()), document(outcome="succeeded"), {"ops_right": 0}),
        (truth_with(culprit()), document(tid=8), {"ops_right": 0, "extra": 1}),
        (truth_with(culprit()), document(row(10, 2, cause="writeback")), {"wrong_proved": 0, "culprits_found": 0}),
        (truth_with(culprit()), document(row(10, 2, cause="secretmem")), {"wrong_proved": 2}),
        (truth_with(culprit()), document(row(10, 2, tid=3)), {"wrong_proved": 2, "holders_found": 0}),
        (truth_with(culprit(detail="taken by pid 3 which exited")), document(row(10, 2, tid=3)), {"wrong_proved": 0}),
        (truth_with(culprit()), document(row(50, 3)), {"false_pages": 0}),
        (truth_with(culprit(), exhaustive=True), document(row(50, 3)), {"false_pages": 3, "wrong_proved": 3}),
        (
            truth_with(culprit(), exhaustive=True),
            document(row(50, 3, cause="unknown", verdict="unknown")),
            {"false_pages": 0, "blanket": 3},
        ),
        (truth_with(culprit(taker_seen=False)), document(row(10, 2, cause="extra_reference")), {"culprits_found": 1}),
        (truth_with(culprit()), document(row(10, 2, cause="extra_reference")), {"culprits_found": 0}),
        (truth_with(culprit(judged=False)), document(), {"culprits": 0}),
        # A plain reference is no pin; I/O in flight is one.
        (truth_with(culprit()), document(row(10, 2, cause="pin_short")), {"culprits_found": 0, "wrong_proved": 2}),
        (
            truth_with(culprit(mechanism="odirect_aio_inflight")),
            document(row(10, 2, cause="pin_short")),
            {"culprits_found": 1, "wrong_proved": 0},
        ),
        # No reference holds a secretmem page.
        (
            truth_with(culprit(mechanism="secretmem", taker_seen=False)),
            document(row(10, 2, cause="extra_reference")),
            {"culprits_found": 0},
        ),
        # Where the taking was not seen, a row that does not exclude the truth is right; where it was, it is not.
        (truth_with(culprit(taker_seen=False)), document(HONEST), {"culprits_found": 1, "holders_found": 0}),
        (
            truth_with(culprit(taker_seen=False)),
            document(HONEST | {"candidates": ["writeback"]}),
            {"culprits_found": 0},
        ),
        (truth_with(culprit(taker_seen=False)), document(HONEST | {"verdict": "proved"}), {"culprits_found": 0}),
        (truth_with(culprit()), document(HONEST), {"culprits_found": 0}),
        # Pages that were held for a time are not innocent.
        (
            truth_with(culprit(), exhaustive=True, longterm_pins=[{"pid": 4, "ret": 0, "reference_pfn": 50}]),
            document(row(50, 2)),
            {"false_pages": 1, "ops": 2, "ops_right": 1},
        ),
        (
            truth_with(culprit(), exhaustive=True, episodes=[{"pfns": [50, 51]}]),
            document(row(50, 3)),
            {"false_pages": 1},
        ),
        (truth_with(culprit(mechanism="fs_metadata_buffers")), document(), {"counted": 0, "culprits": 1}),
    ],
)
def test_what_is_missing_or_made_up_shows(
    truth: dict[str, Any], answer: dict[str, Any], expected: dict[str, Any]
) -> None:
    result = asdict(score(truth, answer, has_page_ref=True))
    assert {name: result[name] for name in expected} == expected


def test_the_offline_of_an_unplugged_block_is_not_made_up() -> None:
    offline: dict[str, Any] = {
        "operation": "memory_offline",
        "task": {"tid": 3},
        "outcome": "succeeded",
        "culprits": [],
        "cause": None,
    }
    truth = truth_with(culprit())
    assert score(truth, {"attempts": [offline]}, has_page_ref=True).extra == 1
    truth["ops"].append({"op": "virtio_mem_unplug", "pid": 5})
    assert score(truth, {"attempts": [offline]}, has_page_ref=True).extra == 0
    assert score(truth, {"attempts": [offline | {"operation": "cma_alloc"}]}, has_page_ref=True).extra == 1


def test_a_pin_that_was_not_planted_shows() -> None:
    truth = truth_with(
        culprit(), others=[culprit(pfns=[[40, 41]], role="resident"), culprit(pfns=[[60, 61]], role="bystander")]
    )
    assert invented_pins(truth, document(row(10, 2), row(40, 1), row(50, 1, verdict="suggested"))) == []
    assert invented_pins(truth, document(row(50, 1, cause="buffer_head"))) == []
    assert invented_pins(truth | {"episodes": [{"pfns": [50]}]}, document(row(50, 1))) == []
    found = invented_pins(truth, {"attempts": [{"id": "a", "culprits": [row(11, 2), row(60, 1)]}]})
    assert found == ["a: 0xc task_reference blocked", "a: 0x3c task_reference blocked"]


def test_pages_that_moved_away_were_not_held() -> None:
    assert held_pages(culprit(pfns=[[10, 14]], pfns_after=[[12, 20]])) == {12, 13}
    assert held_pages(culprit(pfns=[[10, 11]], pfns_after=[[12, 13]])) == {12}


def test_the_table_adds_up() -> None:
    one = Score(ops=2, ops_right=1, share=1.5, counted=2)
    lines = list(table({("a", True): one, ("b", True): one, ("c", False): one}))
    assert [line.split()[0] for line in lines] == ["capture", "a", "b", "c", "with", "without"]
    assert "2/4" in lines[4]
    assert "75%" in lines[4]
    assert "1/2" in lines[5]


def random_ranges(dice: random.Random) -> list[list[int]]:
    starts = [dice.randrange(200) for _ in range(dice.randrange(3))]
    return [[start, start + dice.randrange(1, 12)] for start in starts]


def random_culprit(dice: random.Random) -> dict[str, Any]:
    made = culprit(
        mechanism=dice.choice([*MECHANISMS, INNOCENT_MECHANISM, "longterm_pin_gup_test", "other"])
        + dice.choice(["", " (x)"]),
        pid=dice.randrange(4),
        comm=dice.choice("abc"),
        pfns=random_ranges(dice),
        role=dice.choice(["culprit", "resident", *sorted(INNOCENT_ROLES)]),
        established=dice.random() < 0.8,
    )
    for key, value in (
        ("pfns_after", random_ranges(dice)),
        ("taker_seen", False),
        ("judged", False),
        ("detail", "by pid 2 now"),
    ):
        if dice.random() < 0.3:
            made[key] = value
    return made


def random_op(dice: random.Random) -> dict[str, Any]:
    op: dict[str, Any] = {"op": dice.choice(OPERATIONS), "pid": dice.randrange(4)}
    op["errno_name"] = dice.choice(["", "EBUSY"])
    if dice.random() < 0.3:
        op["expected_cause"] = "bitmap_full"
    if dice.random() < 0.3:
        op["visible"] = dice.random() < 0.5
    return op


def random_truth(dice: random.Random) -> dict[str, Any]:
    ops = [random_op(dice) for _ in range(4)]
    return {
        "ops": ops,
        "culprits": [random_culprit(dice) for _ in range(4)],
        "others": [random_culprit(dice) for _ in range(2)],
        "post_hoc_culprits": dice.choice([None, [], [random_culprit(dice)]]),
        "first_blocking_pfns": [dice.randrange(200) for _ in range(2)],
        "exhaustive": dice.random() < 0.5,
        "longterm_pins": dice.choice([None, [], [random_longterm_pin(dice)]]),
        "episodes": dice.choice([None, [{"pfns": [dice.randrange(200) for _ in range(5)]}, {"pfns": None}]]),
    }


def random_longterm_pin(dice: random.Random) -> dict[str, Any]:
    return {"pid": dice.randrange(4), "ret": dice.choice([0, -12]), "reference_pfn": dice.randrange(200)}


def random_row(dice: random.Random) -> dict[str, Any]:
    task = {"tid": dice.randrange(4), "comm": dice.choice("abc")}
    causes = [
        "pin_short",
        "task_reference",
        "extra_reference",
        "unknown",
        "preexisting",
        "writeback",
        "buffer_head",
        "unmovable_allocation",
    ]
    return {
        "start_pfn": dice.randrange(200), "pages": dice.randrange(1, 15), "cause": dice.choice(causes),
        "verdict": dice.choice(["proved", "suggested", "unknown"]), "effect": dice.choice(["blocked", "delayed"]),
        "holder": dice.choice([None, task]), "holder_verdict": dice.choice(["proved", "suggested"]),
        "holder_name": dice.choice([None, "ext4"]), "file": dice.choice([None, {"ino": 5}, {"ino": None}]),
        "allocated_by": dice.choice([None, task]), "candidates": dice.sample(causes, dice.randrange(3)),
    }  # fmt: skip


def random_document(dice: random.Random) -> dict[str, Any]:
    attempts = [
        {
            "operation": dice.choice(["cma_alloc", "memory_offline", "longterm_pin", "compaction"]),
            "task": dice.choice([None, {"tid": dice.randrange(4)}, {"tid": None}]),
            "outcome": dice.choice(["failed", "succeeded", "interrupted"]),
            "cause": dice.choice([None, "bitmap_full"]),
            "culprits": [random_row(dice) for _ in range(dice.randrange(6))],
        }
        for _ in range(4)
    ]
    return {"attempts": attempts}


def differences(reference: ModuleType, where: str, truth: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    """What the two scorers count differently, with and without page_ref events."""
    for with_page_ref in (True, False):
        theirs = reference.score(truth, answer, with_page_ref)
        ours = asdict(score(truth, answer, has_page_ref=with_page_ref))
        for name in ours.keys() | theirs.keys() - {"page_ref"}:
            if ours.get(name) != theirs.get(name):
                yield f"{where}, page_ref {with_page_ref}: {name} is {theirs.get(name)}, here {ours.get(name)}"


def made_answer(folder: Path) -> dict[str, Any]:
    """An answer made from the truth of a capture, part of it wrong."""
    truth, dice = truth_of(folder), random.Random(folder.name)
    rows = [
        row(
            start,
            end - start,
            cause=dice.choice(["pin_short", "task_reference", "buffer_head", "unknown"]),
            tid=dice.choice([None, task["pid"]]),
        )
        for task in [*truth["culprits"], *truth["others"]]
        for start, end in task["pfns"] or []
    ]
    return document(*rows, tid=truth["ops"][0]["pid"] if truth["ops"] else 9)


def test_same_as_the_reference_scorer() -> None:
    """On random documents and on the truth of real captures: lists every difference."""
    if (reference := reference_scorer()) is None:
        pytest.skip("the reference scorer is not on this machine")
    found = [
        f"right causes of {name}: {reference.CAUSES.get(name)}"
        for name in sorted(MECHANISMS.keys() | reference.CAUSES.keys())
        if name not in MECHANISMS or reference.CAUSES.get(name) != {MECHANISMS[name].cause}
    ]
    for seed in range(RANDOM_DOCUMENTS):
        dice = random.Random(seed)
        found += differences(reference, f"seed {seed}", random_truth(dice), random_document(dice))
    for folder in fixture_captures() + shared_captures():
        found += differences(reference, folder.name, truth_of(folder), made_answer(folder))
    assert found == []
