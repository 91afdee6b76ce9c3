"""Just before each attempt that failed, `--at` names the page that blocked it first, or says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.captures import trace_of
from tracereplay.errors import InputError, UsageError
from tracereplay.model.result import Attempt, Culprit
from tracereplay.opening import find_copies
from tracereplay.session import Session

OPERATIONS = ("cma_alloc", "contig_alloc", "memory_offline")


def first_blocking_pfn(attempt: Attempt) -> int | None:
    """The page that the kernel named first; where it names none, the lowest that blocked migration."""
    named = next((one.first_blocking_pfn for one in attempt.tries if one.first_blocking_pfn is not None), None)
    blocking = [c.start_pfn for c in attempt.culprits if c.effect == "blocked" and c.start_pfn is not None]
    return named if named is not None else min(blocking, default=None)


def failed(attempts: list[Attempt]) -> Iterator[tuple[Attempt, int]]:
    """The attempts that failed for a page, and that page."""
    for attempt in attempts:
        pfn = first_blocking_pfn(attempt)
        if attempt.outcome in ("failed", "interrupted") and attempt.operation in OPERATIONS and pfn is not None:
            yield attempt, pfn


def before(session: Session, attempt: Attempt, pfn: int, block_pages: int | None) -> Attempt | None:
    """The inventory of its range 1 ns before it began; None where the trace or the layout does not reach there."""
    is_block = attempt.operation != "cma_alloc" and block_pages is not None
    block = pfn // block_pages if is_block and block_pages else None
    try:
        result = session.inventory(at=attempt.begin_ns - 1, area=None if is_block else attempt.area, block=block)
    except UsageError:  # not in the trace, or no area and no block of it is known
        return None
    return result.attempts[0]


def covers(culprit: Culprit, pfn: int) -> bool:
    return culprit.covers(pfn)


def has_reference_event(session: Session, pfn: int, until_ns: int) -> bool:
    """Whether a page_ref event named the page by then."""
    return any(
        event.event.startswith("page_ref") and event.time_ns <= until_ns
        for life in session.page(pfn).lives
        for event in life.events
    )


def excuse(session: Session, attempt: Attempt, inventory: Attempt, pfn: int) -> str | None:
    """Why an inventory cannot name the page, as it says itself; None where it should have."""
    if "references" in inventory.not_shown:
        return "no page_ref events"
    if any(covers(c, pfn) and (c.held_since_ns or 0) >= attempt.begin_ns for c in attempt.culprits):
        return "held since the attempt began"
    assert inventory.pages is not None
    silent = bool(inventory.uncounted) or inventory.pages.not_seen > 0
    return "no event by then" if silent and not has_reference_event(session, pfn, inventory.begin_ns) else None


def test_an_inventory_just_before_names_the_first_page(judged_capture: Path) -> None:
    layout = judged_capture / "layout_before"
    session = Session([trace_of(judged_capture)], layout=layout if layout.is_dir() else None)
    result = session.blame()
    block_pages = result.layout.memory_block_pages if result.layout else None
    missed = []
    for attempt, pfn in failed(result.attempts):
        inventory = before(session, attempt, pfn, block_pages)
        if inventory is None or any(covers(culprit, pfn) for culprit in inventory.culprits):
            continue
        if excuse(session, attempt, inventory, pfn) is None:
            missed.append((attempt.id, hex(pfn)))
    assert not missed


def test_a_snapshot_before_makes_nearly_all_of_an_area_known(judged_capture: Path) -> None:
    try:
        copy, _ = find_copies(trace_of(judged_capture))
    except InputError:
        pytest.skip("a copy that does not hold what its name says")
    if copy is None:
        pytest.skip("no copy of kpageflags")
    layout = judged_capture / "layout_before"
    plain, seeded = (
        Session([trace_of(judged_capture)], layout=layout if layout.is_dir() else None, kpageflags=flags).blame()
        for flags in (None, copy)
    )
    for without, known in zip(plain.attempts, seeded.attempts, strict=True):
        assert (without.id, without.outcome, without.cause) == (known.id, known.outcome, known.cause)
        if without.pages is None or known.pages is None:
            continue
        assert known.pages.requested == known.pages.free + known.pages.moved + known.pages.held + known.pages.not_seen
        assert known.pages.not_seen + (known.pages.from_snapshot or 0) == without.pages.not_seen
        blocking = [[c for c in one.culprits if c.effect != "would_block"] for one in (without, known)]
        assert [(c.start_pfn, c.pages, c.verdict) for c in blocking[0]] == [
            (c.start_pfn, c.pages, c.verdict) for c in blocking[1]
        ]
