"""Causes that blame no page, each with a hit and a near miss."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.attempt_tables import DRIVER, MS, OTHER, Row, attempt_events, checked, scanned
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits.attempt_causes import attempt_cause
from tracereplay.model.result import Try
from tracereplay.replay.state import FAILED_ALLOC

ONE_TRY = [Try(index=0, start_pfn=0, end_pfn=64, start_ns=MS, end_ns=2 * MS, result="EBUSY")]


def draft(**changes: Any) -> DetectedAttempt:
    """A failed CMA allocation, 1 to 5 ms."""
    made = DetectedAttempt("cma_alloc", DRIVER, 1 * MS, 5 * MS, "failed", "event", errno="ENOMEM")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def refused(ms: float = 3, tid: int = DRIVER, gfp: int = 8) -> npt.NDArray[np.void]:
    """One mm_page_alloc that got no page."""
    return np.array([(int(ms * MS), tid, 0, gfp)], FAILED_ALLOC)


NO_CULPRIT = np.empty(0, FAILED_ALLOC)


def cause(
    made: DetectedAttempt,
    failed: npt.NDArray[np.void] = NO_CULPRIT,
    tables: dict[str, list[Row]] | None = None,
    recorded: Collection[str] | None = None,
    hidden_ms: Sequence[tuple[float, float]] = (),
) -> str | None:
    """What decided it."""
    events = attempt_events(tables or {}, recorded=recorded, hidden_ms=hidden_ms)
    return attempt_cause(made, events, failed)


def test_no_destination_for_migration() -> None:  # [24]
    assert cause(draft(tries=ONE_TRY), refused()) == "destination_enomem"
    assert cause(draft(tries=ONE_TRY), refused(tid=OTHER)) is None
    assert cause(draft(tries=ONE_TRY), refused(ms=9)) is None
    assert cause(draft(tries=ONE_TRY), refused(gfp=0)) is None
    assert cause(draft(tries=ONE_TRY, errno="EBUSY"), refused(), scanned(3, 0, 64)) is None


RETRIES, SCANS, TESTS = "cma_alloc_busy_retry", "mm_compaction_isolate_migratepages", "test_pages_isolated"


def test_a_full_bitmap() -> None:  # [24]
    assert cause(draft()) == "bitmap_full"
    assert cause(draft(errno="EBUSY")) == "bitmap_full"
    assert cause(draft(tries=ONE_TRY)) is None
    assert cause(draft(basis="log")) is None
    assert cause(draft(operation="contig_alloc")) is None
    assert cause(draft(errno="EINVAL")) is None


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ([RETRIES, SCANS], "bitmap_full"),
        ([RETRIES, "mm_migrate_pages_start"], "bitmap_full"),
        ([SCANS, TESTS, "mm_migrate_pages_start"], None),  # a range refused by isolation leaves a busy_retry only
        ([RETRIES, TESTS], None),  # a range without destination memory leaves a scan and a migration only
        (["cma_alloc_start", "cma_alloc_finish"], None),
    ],
)
def test_a_full_bitmap_needs_the_events_that_a_try_leaves(recorded: list[str], expected: str | None) -> None:
    assert cause(draft(), recorded=recorded) == expected
    assert cause(draft(nothing_tried=True), recorded=recorded) == "bitmap_full"  # pfn ~0, or more than is available


def test_lost_events_may_be_those_of_a_try() -> None:
    assert cause(draft(), hidden_ms=[(4, 6)]) is None
    assert cause(draft(), hidden_ms=[(6, 9)]) == "bitmap_full"
    assert cause(draft(tries=ONE_TRY, errno="EBUSY"), hidden_ms=[(4, 6)]) is None


def test_a_scan_shows_that_a_range_was_tried() -> None:
    assert cause(draft(), tables=scanned(3, 0, 64)) is None
    assert cause(draft(), tables=scanned(3, 0, 64, tid=OTHER)) == "bitmap_full"


def test_ranges_that_could_not_be_isolated() -> None:
    elsewhere = checked(3, 0, 64, tid=OTHER)
    busy = draft(tries=ONE_TRY, errno="EBUSY")
    assert cause(busy, tables=elsewhere) == "isolation_conflict"
    assert cause(busy, tables=checked(3, 0, 64)) is None
    assert cause(busy, tables={**elsewhere, **scanned(3, 0, 64)}) is None


@pytest.mark.parametrize("recorded", [[RETRIES], [RETRIES, TESTS], [RETRIES, SCANS]])
def test_a_conflict_needs_scans_and_tests(recorded: list[str]) -> None:
    busy = draft(tries=ONE_TRY, errno="EBUSY")
    assert cause(busy, recorded=recorded) is None
    assert cause(busy, recorded=[*recorded, SCANS, TESTS]) == "isolation_conflict"


def test_what_the_operation_itself_said() -> None:
    assert cause(draft(cause="notifier_veto"), refused()) == "notifier_veto"
    assert cause(draft(cause="notifier_veto", outcome="succeeded")) is None
