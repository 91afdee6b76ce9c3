"""Causes that blame no page, each with a hit and a near miss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.attempt_tables import DRIVER, MS, OTHER, Row, attempt_events, checked, scanned
from tracereplay.attempts.draft import Draft
from tracereplay.culprits.attempt_causes import attempt_cause
from tracereplay.model.result import Try
from tracereplay.replay.state import FAILED_ALLOC

ONE_TRY = [Try(index=0, start_pfn=0, end_pfn=64, start_ns=MS, end_ns=2 * MS, result="EBUSY")]


def draft(**changes: Any) -> Draft:
    """A failed CMA allocation, 1 to 5 ms."""
    made = Draft("cma_alloc", DRIVER, 1 * MS, 5 * MS, "failed", "event", errno="ENOMEM")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def refused(ms: float = 3, tid: int = DRIVER, gfp: int = 8) -> npt.NDArray[np.void]:
    """One mm_page_alloc that got no page."""
    return np.array([(int(ms * MS), tid, 0, gfp)], FAILED_ALLOC)


NOBODY = np.empty(0, FAILED_ALLOC)


def cause(made: Draft, failed: npt.NDArray[np.void] = NOBODY, tables: dict[str, list[Row]] | None = None) -> str | None:
    """What decided it."""
    return attempt_cause(made, attempt_events(tables or {}), failed)


def test_no_destination_for_migration() -> None:  # [24]
    assert cause(draft(tries=ONE_TRY), refused()) == "destination_enomem"
    assert cause(draft(tries=ONE_TRY), refused(tid=OTHER)) is None
    assert cause(draft(tries=ONE_TRY), refused(ms=9)) is None
    assert cause(draft(tries=ONE_TRY), refused(gfp=0)) is None
    assert cause(draft(tries=ONE_TRY, errno="EBUSY"), refused()) is None


def test_a_full_bitmap() -> None:  # [24]
    assert cause(draft()) == "bitmap_full"
    assert cause(draft(errno="EBUSY")) == "bitmap_full"
    assert cause(draft(tries=ONE_TRY)) is None
    assert cause(draft(basis="log")) is None
    assert cause(draft(operation="contig_alloc")) is None


def test_ranges_that_could_not_be_isolated() -> None:
    elsewhere = checked(3, 0, 64, tid=OTHER)
    busy = draft(tries=ONE_TRY, errno="EBUSY")
    assert cause(busy, tables=elsewhere) == "isolation_conflict"
    assert cause(busy) is None  # tests were not recorded at all
    assert cause(busy, tables=checked(3, 0, 64)) is None
    assert cause(busy, tables={**elsewhere, **scanned(3, 0, 64)}) is None


def test_what_the_operation_itself_said() -> None:
    assert cause(draft(cause="notifier_veto"), refused()) == "notifier_veto"
    assert cause(draft(cause="notifier_veto", outcome="succeeded")) is None
