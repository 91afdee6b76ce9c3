"""Short histories that are legal kernel behaviour and easy to get wrong, where they are beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tracereplay
from tests.accuracy.histories import faults
from tests.support.captures import SHARED

FOLDER = SHARED / "cases" / "histories"


def test_every_history_is_judged_right() -> None:
    """Lists all that is wrong, history by history."""
    wants = sorted(FOLDER.glob("*.want.json"))
    if not wants:
        pytest.skip("../shared/cases/histories is not on this machine")
    found = []
    for path in wants:
        name = path.name.removesuffix(".want.json")
        found += [f"{name}: {fault}" for fault in faults(json.loads(path.read_text()), attempts_of(FOLDER / name))]
    assert found == []


def attempts_of(history: Path) -> list[dict[str, Any]]:
    """The attempts of a result: of a trace with its layout, or of a kernel log alone."""
    log = history.with_name(f"{history.name}.log")
    session = (
        tracereplay.open(kernel_log=log)
        if log.exists()
        else tracereplay.open(history.with_name(f"{history.name}.txt"), layout=history.with_name("layout.toml"))
    )
    attempts: list[dict[str, Any]] = msgspec.to_builtins(session.blame())["attempts"]
    return attempts


def row(cause: str = "task_reference", verdict: str = "proved", **said: Any) -> dict[str, Any]:
    made = {
        "start_pfn": 16, "pages": 2, "cause": cause, "verdict": verdict, "holder": {"comm": "a"},
        "holder_verdict": "proved", "allocated_by": None,
    }  # fmt: skip
    return made | said


@pytest.mark.parametrize(
    ("page", "answer", "expected"),
    [
        ({"causes": ["pin_short"]}, [row()], []),
        ({"causes": ["pin_short"]}, [row("writeback")], ["0x11: not called pin_short: ['writeback']"]),
        ({"causes": ["pin_short"]}, [row(start_pfn=18)], ["0x11: not called pin_short: []"]),
        (
            {"max_by_cause": {"pin_short": "suggested"}},
            [row(), row("writeback")],
            ["0x11: task_reference proved, holder a proved: at most suggested"],
        ),
        (
            {"max_by_cause": {"pin_short": "suggested", "task_reference": "proved"}, "max_verdict": "unknown"},
            [row(), row("writeback", "suggested")],
            ["0x11: writeback suggested, holder a proved: at most unknown"],
        ),
        ({"holders": ["b", None]}, [row()], ["0x11: holder is none of ['b', None]"]),
        ({"holders": ["b", None]}, [row(), row(holder=None)], []),
        (
            {"never_holders": ["a"], "max_holder_verdict": "suggested"},
            [row(), row(holder_verdict="suggested")],
            [
                "0x11: task_reference proved, holder a proved: holder at most suggested",
                "0x11: task_reference proved, holder a proved: not the holder",
            ],
        ),
    ],
)
def test_what_a_want_says_of_a_page(page: dict[str, Any], answer: list[dict[str, Any]], expected: list[str]) -> None:
    attempts = [{"operation": "cma_alloc", "culprits": answer}]
    assert faults({"pages": [{"pfn": "0x11"} | page]}, attempts) == expected


def test_what_a_want_says_of_the_whole_history() -> None:
    want = {"pages": [{"pfn": "0x11"}], "operations": ["memory_offline"], "never_allocated_by": ["b"]}
    allocated = row(allocated_by={"comm": "b"})
    attempts = [{"operation": "cma_alloc", "culprits": [allocated, allocated | {"start_pfn": 30}]}]
    assert faults(want, attempts) == ["0x10: b is not its allocator", "cma_alloc was not made"]
