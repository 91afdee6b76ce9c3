"""Judges an answer on a short history by its want file: what may be said of which page, and how surely.

A want has `pages`, each with any of: `causes` (one of them must be named), `max_verdict` and `max_by_cause` (no row is
surer), `holders` (one must be named; null: none is), `never_holders` (none is proved), `max_holder_verdict`; and, for
the whole history, `operations` (no other is found) and `never_allocated_by`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]
RANK = {"unknown": 0, "suggested": 1, "proved": 2}
# Where the wants say `pin_short`, they mean both codes of a reference that a task took. They were written before a
# plain reference (vmsplice, splice, FOLL_GET) became `task_reference` and `pin_short` was kept for FOLL_PIN, and the
# scorer of captures demands the new code for vmsplice. So `pin_short` in `causes` is read as either code, and its limit
# in `max_by_cause` holds for both.
SAME_IN_WANTS = {"task_reference": "pin_short"}


def faults(want: Mapping[str, Any], attempts: Iterable[Row]) -> list[str]:
    """What is wrong in an answer; empty where all is as the want asks."""
    attempts = list(attempts)
    rows = [row for attempt in attempts for row in attempt["culprits"]]
    found = [fault for page in want["pages"] for fault in _page_faults(page, rows)]
    allocators = want.get("never_allocated_by", ())
    found += [
        f"{row['start_pfn']:#x}: {_name(row['allocated_by'])} is not its allocator"
        for row in rows
        if _name(row["allocated_by"]) in allocators and any(_covers(row, page) for page in want["pages"])
    ]
    if "operations" in want:
        found += [f"{a['operation']} was not made" for a in attempts if a["operation"] not in want["operations"]]
    return found


def _page_faults(page: Row, rows: Iterable[Row]) -> Iterator[str]:
    mine = [row for row in rows if _covers(row, page)]
    causes: set[str] = {row["cause"] for row in mine}
    named = causes | {SAME_IN_WANTS[cause] for cause in causes & SAME_IN_WANTS.keys()}
    if "causes" in page and named.isdisjoint(page["causes"]):
        yield f"{page['pfn']}: not called {' or '.join(page['causes'])}: {sorted(causes)}"
    if "holders" in page and not any(_name(row["holder"]) in page["holders"] for row in mine):
        yield f"{page['pfn']}: holder is none of {page['holders']}"
    for row in mine:
        holder = _name(row["holder"])
        said = f"{page['pfn']}: {row['cause']} {row['verdict']}, holder {holder} {row['holder_verdict']}"
        if RANK[row["verdict"]] > RANK[(most := _most(page, row["cause"]))]:
            yield f"{said}: at most {most}"
        most_holder = page.get("max_holder_verdict", "proved")
        if row["holder"] and RANK[row["holder_verdict"]] > RANK[most_holder]:
            yield f"{said}: holder at most {most_holder}"
        if holder in page.get("never_holders", ()) and row["holder_verdict"] == "proved":
            yield f"{said}: not the holder"


def _most(page: Row, cause: str) -> str:
    """The surest verdict that a row of this cause may have."""
    limits = page.get("max_by_cause", {})
    most: str = limits.get(cause, limits.get(SAME_IN_WANTS.get(cause), page.get("max_verdict", "proved")))
    return most


def _covers(row: Row, page: Row) -> bool:
    return int(page["pfn"], 16) in range(row["start_pfn"], row["start_pfn"] + row["pages"])


def _name(task: Row | None) -> str | None:
    name: str | None = task["comm"] if task else None
    return name
