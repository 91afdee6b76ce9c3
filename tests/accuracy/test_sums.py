"""What a result says of pages adds up: rows, maps and counts of an attempt speak of the same pages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import capture_results
from tracereplay.culprits import alike

Row = Mapping[str, Any]


def pages_of(rows: Iterable[Row]) -> Counter[int]:
    """How many of the rows name each page."""
    return Counter(pfn for row in rows for pfn in range(row["start_pfn"], row["start_pfn"] + row["pages"]))


def obstacle(culprit: Row) -> tuple[object, ...]:
    """What stands in the way there: a page may be held by several tasks, and be under I/O too."""
    holder = culprit["holder"] or culprit["released_by"]
    return culprit["cause"], holder and holder["tid"], culprit["effect"]


def blocked(culprit: Row, number: int) -> bool:
    """Whether it blocked this try."""
    return culprit["effect"] == "blocked" and any(low <= number <= high for low, high in culprit["blocked_tries"])


def test_a_page_is_blamed_once_for_each_thing_in_its_way(judged_capture: Path) -> None:
    for attempt in capture_results.blame(judged_capture)["attempts"]:
        by_obstacle = defaultdict(list)
        for culprit in attempt["culprits"]:
            if culprit["start_pfn"] is not None:
                by_obstacle[obstacle(culprit)].append(culprit)
        for rows in by_obstacle.values():
            assert set(pages_of(rows).values()) == {1}


def test_pages_of_the_map_and_of_the_culprits_add_up(judged_capture: Path) -> None:
    for attempt in capture_results.blame(judged_capture)["attempts"]:
        tries = defaultdict(list)
        for part in attempt["map"]:
            tries[part["try"]].append(part)
        for number, parts in tries.items():
            drawn = pages_of(parts)
            assert set(drawn.values()) == {1}, "runs of a try overlap"
            in_the_way = pages_of(c for c in attempt["culprits"] if blocked(c, number))
            shown = pages_of(part for part in parts if part["state"] == "culprit")
            if not any(part["state"] == "mixed" for part in parts):  # else pageblocks are drawn whole
                assert drawn.keys() & in_the_way.keys() <= shown.keys() <= pages_of(attempt["culprits"]).keys()
        if attempt["pages"] is not None and tries:
            counts = attempt["pages"]
            assert sum(counts[name] for name in ("not_seen", "free", "moved", "held")) == counts["requested"]


def test_suspects_of_equal_facts_get_the_answers_they_would_get_alone(
    judged_capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same result, whether each suspect is decided for itself or two alike are one already."""
    results = []
    for fewest in (2, 1 << 40):
        monkeypatch.setattr(alike, "FEWEST_COMPARED", fewest)
        results.append(capture_results.blame.__wrapped__(judged_capture)["attempts"])
    assert results[0] == results[1]
