"""Lost events weaken verdicts; they never make one stronger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import capture_results
from tests.support.captures import capture
from tests.support.lossy import Hole, LossyReader, random_holes
from tracereplay.parsers.base import TraceInfo

Document = dict[str, Any]
Claim = tuple[int, str]  # page, cause
RANK = {"unknown": 0, "suggested": 1, "proved": 2}
# What a proof shrinks to when the taking of the reference is lost: the excess alone, the same fact with less detail.
SHRINKS_TO = {
    "extra_reference": ("extra_reference", "task_reference", "pin_short", "pin_longterm", "aio_ring", "buffer_head")
}

# Small captures of every operation, with and without page_ref events.
CAPTURES = (
    "cma_bufferhead",
    "cma_pin_shm",
    "cma_longterm_fail",
    "mixed_nopageref",
    "offline_thp_pin",
    "offline_unmovable",
)


def claims(attempt: dict[str, Any]) -> dict[Claim, int]:
    """Strongest verdict by page and cause in one attempt."""
    strongest: dict[Claim, int] = defaultdict(int)
    for row in attempt["culprits"]:
        for pfn in range(row["start_pfn"], row["start_pfn"] + row["pages"]):
            claim = (pfn, row["cause"])
            strongest[claim] = max(strongest[claim], RANK[row["verdict"]])
    return dict(strongest)


def proved_holders(attempt: dict[str, Any]) -> set[tuple[int, int | None]]:
    """(page, tid) where a holder is proved."""
    return {
        (pfn, row["holder"]["tid"])
        for row in attempt["culprits"]
        if row["holder"] and row["holder_verdict"] == "proved"
        for pfn in range(row["start_pfn"], row["start_pfn"] + row["pages"])
    }


def same_attempts(attempt: dict[str, Any], document: Document) -> list[dict[str, Any]]:
    """The full run's attempts that this one may be: same operation and task, overlapping in time.

    Its id may differ: with its first event lost an attempt begins later; and with its console lines lost it is told by
    the log alone, without task, by the log's clock: then its area decides.
    """

    def tid(attempt: dict[str, Any]) -> int | None:
        return attempt["task"]["tid"] if attempt["task"] else None

    def ends(attempt: dict[str, Any]) -> float:
        return float("inf") if attempt["end_ns"] is None else attempt["end_ns"]

    return [
        other
        for other in document["attempts"]
        if other["operation"] == attempt["operation"]
        and (tid(attempt) is None or tid(other) in (tid(attempt), None))
        and (
            other["area"] == attempt["area"]
            if tid(attempt) is None
            else other["start_ns"] <= ends(attempt) and attempt["start_ns"] <= ends(other)
        )
    ]


def stronger_claims(lossy: Document, full: Document) -> list[str]:
    """What the lossy run claims more strongly than the full one."""
    found = []
    for attempt in lossy["attempts"]:
        twins = same_attempts(attempt, full)
        known: dict[Claim, int] = {}
        for twin in twins:
            for claim, rank in claims(twin).items():
                known[claim] = max(rank, known.get(claim, 0))
        for (pfn, cause), rank in claims(attempt).items():
            before = max((known.get((pfn, other), -1) for other in SHRINKS_TO.get(cause, (cause,))), default=-1)
            if rank == RANK["proved"] > before or rank > before >= 0:
                found.append(f"{attempt['id']}: {pfn:#x} {cause} was {before}, is {rank}")
        known_holders = set[tuple[int, int | None]]().union(*(proved_holders(twin) for twin in twins))
        found += [f"{attempt['id']}: holder of {pfn:#x} {tid}" for pfn, tid in proved_holders(attempt) - known_holders]
    return found


def scattered(info: TraceInfo, seed: int) -> list[Hole]:
    """A tenth of the time in many holes, or more of it in fewer."""
    count, share = ((30, 0.1), (8, 0.3), (3, 0.5))[seed]
    return random_holes(info, seed, count, share)


def first_half(info: TraceInfo, seed: int) -> list[Hole]:
    """Recording began later, on one CPU or on both."""
    start_ns, end_ns = info.start_ns or 0, info.end_ns or 0
    return [Hole(start_ns, (start_ns + end_ns) // 2, seed if seed < (info.cpus or 1) else None)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make_holes", [scattered, first_half])
@pytest.mark.parametrize("name", CAPTURES)
def test_no_verdict_grows_stronger_by_loss(
    name: str, make_holes: Callable[[TraceInfo, int], list[Hole]], seed: int
) -> None:
    folder = capture(name)
    lossy = capture_results.blame_wrapped(folder, lambda reader: LossyReader(reader, make_holes(reader.info, seed)))
    assert any(loss["code"] == "lost_events" for loss in lossy["data_loss"])
    assert stronger_claims(lossy, capture_results.blame(folder)) == []
