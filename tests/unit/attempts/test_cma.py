"""CMA allocations out of events made by hand, by kernel version and by what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.attempt_tables import (
    AREA,
    DRIVER,
    LAYOUT,
    MS,
    OTHER,
    Row,
    attempt_events,
    checked,
    joined,
    migration,
    row,
    scanned,
)
from tracereplay.attempt_events import ATTEMPT_EVENTS
from tracereplay.attempts.cma import find_cma
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.find import find_attempts, plan_probes, probed_tries
from tracereplay.attempts.log import Log
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.replay.engine import ActionKind
from tracereplay.session import Session

START = AREA.start_pfn
Tables = dict[str, list[Row]]


def start(ms: float, tid: int = DRIVER, count: int = 64, **more: object) -> Tables:
    """cma_alloc_start of 5.15 to 6.15."""
    return {"cma_alloc_start": [row(ms, tid, name="reserved", count=count, align=0, **more)]}


def finish(ms: float, pfn: int, page: int, tid: int = DRIVER, count: int = 64, **more: object) -> Tables:
    """cma_alloc_finish; `errorno` since 6.6."""
    return {"cma_alloc_finish": [row(ms, tid, name="reserved", pfn=pfn, page=page, count=count, align=0, **more)]}


def retry(ms: float, pfn: int, tid: int = DRIVER) -> Tables:
    """cma_alloc_busy_retry."""
    return {"cma_alloc_busy_retry": [row(ms, tid, name="reserved", pfn=pfn, page=1, count=64, align=0)]}


def found(*parts: Tables, **more: object) -> list[DetectedAttempt]:
    """The allocations."""
    return find_cma(attempt_events(joined(*parts), **more), LAYOUT)  # type: ignore[arg-type]


def only(*parts: Tables) -> DetectedAttempt:
    """The one allocation."""
    (draft,) = found(*parts)
    return draft


def test_success_of_6_12() -> None:
    draft = only(start(1), checked(2, START, START + 64), finish(3, START, 0xFF, errorno=0))
    assert (draft.outcome, draft.basis, draft.errno, draft.area) == ("succeeded", "event", None, "reserved")
    assert (draft.start_ns, draft.end_ns, draft.tid) == (1 * MS, 3 * MS, DRIVER)
    assert (draft.request.pages, draft.request.start_pfn, draft.request.end_pfn) == (64, START, START + 4096)
    assert [(t.start_pfn, t.end_pfn, t.result) for t in draft.tries] == [(START, START + 64, "succeeded")]


def test_failure_of_6_12_tells_its_errno() -> None:
    draft = only(start(1), checked(2, START, START + 64, START + 5), finish(3, START, 0, errorno=-16))
    assert (draft.outcome, draft.errno) == ("failed", "EBUSY")
    assert [(t.result, t.first_blocking_pfn) for t in draft.tries] == [("EBUSY", START + 5)]
    assert draft.spans == ((START, START + 64),)


def test_failure_of_5_15_has_no_errno_of_its_own() -> None:
    draft = only(start(1), checked(2, START, START + 64, START + 5), finish(3, START, 0))
    assert (draft.outcome, draft.errno) == ("failed", None)
    assert draft.tries[0].first_blocking_pfn == START + 5


def test_6_16_and_later_request_count_and_pfn_0() -> None:
    more = {"request_count": 96, "available_count": 4000, "total_count": 4096}
    draft = only(
        start(1, count=0, **more),
        scanned(2, START, START + 96),
        checked(2.5, START, START + 96, START + 7),
        finish(3, 0, 0, count=96, errorno=-16),
    )
    assert (draft.request.pages, draft.errno) == (96, "EBUSY")
    assert draft.spans == ((START, START + 96),)  # from the test: pfn 0 says nothing


def test_one_event_up_to_5_10() -> None:
    ends: Tables = {
        "cma_alloc": [row(5, pfn=START, page=0, count=64, align=0), row(9, pfn=START, page=7, count=64, align=0)]
    }
    busy, good = checked(4, START, START + 64, START + 3), checked(8, START + 64, START + 128)
    failed, succeeded = found(ends, busy, good)
    assert (failed.outcome, failed.errno, failed.start_ns, failed.end_ns) == ("failed", "EBUSY", 4 * MS, 5 * MS)
    assert [(t.result, t.first_blocking_pfn) for t in failed.tries] == [("EBUSY", START + 3)]
    assert (succeeded.outcome, succeeded.errno, succeeded.area) == ("succeeded", None, "reserved")
    assert [t.start_pfn for t in succeeded.tries] == [START + 64]


def test_nothing_tried_up_to_5_10() -> None:
    draft = only({"cma_alloc": [row(5, pfn=START, page=0, count=64, align=0)]})
    assert (draft.outcome, draft.errno, draft.tries) == ("failed", None, [])


def test_each_busy_range_is_a_try() -> None:
    draft = only(
        start(1),
        checked(2, START, START + 64, START + 1),
        retry(3, START),
        checked(4, START + 64, START + 128, START + 70),
        retry(5, START + 64),
        checked(6, START + 128, START + 192),
        finish(7, START + 128, 0xFF, errorno=0),
    )
    assert [(t.start_pfn, t.result, t.first_blocking_pfn) for t in draft.tries] == [
        (START, "EBUSY", START + 1),
        (START + 64, "EBUSY", START + 70),
        (START + 128, "succeeded", None),
    ]
    assert [((t.start_ns or 0) // MS, (t.end_ns or 0) // MS) for t in draft.tries] == [(1, 3), (3, 5), (5, 7)]
    assert draft.spans == ((START, START + 192),)
    assert [t.index for t in probed_tries(draft)] == [0, 1]


def test_the_start_was_lost() -> None:
    draft = only(scanned(2, START, START + 64), checked(3, START, START + 64, START), finish(4, START, 0, errorno=-16))
    assert (draft.start_ns, draft.end_ns, draft.outcome) == (2 * MS, 4 * MS, "failed")
    bare = only(finish(4, START, 0, errorno=-12))
    assert (bare.start_ns, bare.tries) == (4 * MS, [])


def test_signs_of_the_call_before_do_not_begin_this_one() -> None:
    first, second = found(
        scanned(1, START, START + 64), finish(2, START, 0, errorno=-16), scanned(3, START, START + 64),
        finish(4, START, 0, errorno=-16),
    )  # fmt: skip
    assert (first.start_ns, second.start_ns) == (1 * MS, 3 * MS)


def test_the_finish_was_lost() -> None:
    busy = only(start(1), checked(2, START, START + 64, START + 5), retry(3, START))
    assert (busy.outcome, busy.basis, busy.errno, busy.end_ns) == ("failed", "inferred", "EBUSY", 3 * MS)
    good = only(start(1), checked(2, START, START + 64))
    assert (good.outcome, good.basis) == ("succeeded", "inferred")


def test_a_start_without_finish_or_sign_is_unfinished() -> None:
    draft = only(start(1))
    assert (draft.outcome, draft.end_ns) == ("unfinished", None)


def test_a_second_start_of_the_task_ends_the_first() -> None:
    first, second = found(start(1), start(5), finish(6, START, 0xFF, errorno=0))
    assert (first.outcome, first.start_ns) == ("unfinished", 1 * MS)
    assert (second.outcome, second.start_ns) == ("succeeded", 5 * MS)


def test_two_tasks_at_once_are_kept_apart() -> None:
    theirs, mine = found(
        start(1),
        start(2, OTHER),
        checked(3, START, START + 64, START + 1),
        checked(3, START + 64, START + 128, tid=OTHER),
        finish(4, START, 0, errorno=-16),
        finish(5, START + 64, 0xFF, OTHER, errorno=0),
    )
    assert (mine.tid, mine.outcome, len(mine.tries)) == (DRIVER, "failed", 1)
    assert (theirs.tid, theirs.outcome, len(theirs.tries)) == (OTHER, "succeeded", 1)


@pytest.mark.parametrize(("errorno", "outcome", "errno"), [(-4, "interrupted", "EINTR"), (-12, "failed", "ENOMEM")])
def test_other_errnos(errorno: int, outcome: str, errno: str) -> None:
    draft = only(start(1), finish(2, 0xFFFFFFFFFFFFFFFF - (1 << 64), 0, errorno=errorno))
    assert (draft.outcome, draft.errno, draft.tries) == (outcome, errno, [])


def test_what_a_success_got_is_taken_in_the_model() -> None:
    events = attempt_events(joined(start(1), finish(3, START, 0xFF, errorno=0)))
    taken = [a for a in plan_probes(events, find_cma(events, LAYOUT), True) if a.kind == ActionKind.TAKE]
    assert [(a.time_ns, a.spans, a.attempt) for a in taken] == [(3 * MS, ((START, START + 64),), ProbeKey(0).encode())]
    failed = attempt_events(joined(start(1), checked(2, START, START + 64, START), finish(3, START, 0, errorno=-16)))
    assert not [a for a in plan_probes(failed, find_cma(failed, LAYOUT), True) if a.kind == ActionKind.TAKE]


# -- what was not recorded ------------------------------------------------------------------------------------------

SCANS = "mm_compaction_isolate_migratepages"


def unheard(*parts: Tables, without: tuple[str, ...]) -> DetectedAttempt:
    """The one allocation of a trace in which these kinds of events were not recorded."""
    kept = {name: rows for name, rows in joined(*parts).items() if name not in without}
    recorded = set(ATTEMPT_EVENTS) - set(without)
    (draft,) = find_cma(attempt_events(kept, recorded=recorded), LAYOUT)
    return draft


THREE_RANGES = joined(
    start(1), scanned(2, START, START + 32), scanned(2.2, START + 32, START + 64),
    checked(3, START, START + 64, START + 9), retry(3.1, START),
    scanned(4, START + 1, START + 65), checked(5, START + 1, START + 65, START + 9),
    retry(5.1, START + 1), scanned(6, START + 128, START + 192), checked(7, START + 128, START + 192),
    finish(8, START + 128, 0xFF, errorno=0),
)  # fmt: skip


@pytest.mark.parametrize(
    "without",
    [
        (),
        ("cma_alloc_busy_retry",),
        ("cma_alloc_busy_retry", "test_pages_isolated"),
        ("cma_alloc_busy_retry", SCANS),
        ("test_pages_isolated", SCANS),
    ],
)
def test_ranges_are_told_by_any_of_the_events_that_each_leaves(without: tuple[str, ...]) -> None:
    draft = unheard(THREE_RANGES, without=without)
    assert [(t.start_pfn, t.end_pfn, t.result) for t in draft.tries] == [
        (START, START + 64, "EBUSY"),
        (START + 1, START + 65, "EBUSY"),
        (START + 128, START + 192, "succeeded"),
    ]
    assert draft.outcome == "succeeded"


def test_scans_of_a_direct_compaction_within_the_attempt_are_no_tries() -> None:
    """A destination of a higher order may need compaction, by the same task."""
    run: Tables = {"mm_compaction_begin": [row(3)], "mm_compaction_end": [row(4)]}
    zone = scanned(3.5, START + 512, START + 600)
    parts = joined(start(1), scanned(2, START, START + 32), zone, scanned(5, START + 32, START + 64))
    end = finish(8, 0, 0, errorno=-12)
    draft = unheard(parts, run, end, without=("cma_alloc_busy_retry",))
    assert [(t.start_pfn, t.result) for t in draft.tries] == [(START, "ENOMEM")]
    assert draft.try_visited == [START + 64]
    # Neither its begin nor its end was recorded: outside the area, or further down, it is not of the next range.
    below = joined(start(1), scanned(2, START + 64, START + 96), scanned(3, START, START + 32), scanned(4, 1, 500), end)
    draft = unheard(below, without=("cma_alloc_busy_retry", "mm_compaction_begin", "mm_compaction_end"))
    assert [(t.start_pfn, t.result) for t in draft.tries] == [(START + 64, "ENOMEM")]


def test_a_range_that_was_migrated_was_tried() -> None:
    bare = joined(start(1), migration(2, 3, failed=1), finish(4, START, 0, errorno=-12))
    draft = unheard(bare, without=(SCANS,))
    assert [(t.start_pfn, t.result) for t in draft.tries] == [(START, "ENOMEM")]
    newer = joined(start(1), migration(2, 3, failed=1), finish(4, 0, 0, errorno=-12))
    assert [(t.start_pfn, t.result) for t in unheard(newer, without=(SCANS,)).tries] == [(None, "ENOMEM")]
    assert unheard(start(1), finish(4, START, 0, errorno=-12), without=()).tries == []


def test_a_finish_that_was_not_recorded_tells_no_outcome() -> None:
    busy = joined(start(1), checked(2, START, START + 64, START + 5), retry(3, START))
    draft = unheard(busy, without=("cma_alloc_finish",))
    assert (draft.outcome, draft.errno) == ("unknown", None)
    good = unheard(start(1), checked(2, START, START + 64), without=("cma_alloc_finish",))
    assert (good.outcome, good.basis) == ("succeeded", "inferred")


@pytest.mark.parametrize(
    ("parts", "nothing"),
    [
        ((start(1), finish(2, -1, 0, errorno=-12)), True),  # pfn ~0: up to 6.15
        ((start(1), finish(2, START, 0, errorno=-12)), False),
        ((start(1), finish(2, 0, 0, errorno=-16)), False),  # since 6.16 every failure prints 0
        ((start(1, request_count=65, available_count=64), finish(2, 0, 0, errorno=-16)), True),
        ((start(1, request_count=64, available_count=64), finish(2, 0, 0, errorno=-16)), False),
    ],
)
def test_an_end_that_shows_that_nothing_was_tried(parts: tuple[Tables, ...], nothing: bool) -> None:
    assert only(*parts).nothing_tried is nothing


def test_nothing_tried_as_up_to_5_10_prints_it() -> None:
    ends: Tables = {
        "cma_alloc": [row(5, pfn=-1, page=0, count=64, align=0), row(9, pfn=START, page=0, count=64, align=0)]
    }
    assert [draft.nothing_tried for draft in found(ends)] == [True, False]


# -- isolation that had succeeded -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "since_ms"),
    [
        ((), None),
        ((scanned(2, START, START + 64),), 2),
        ((migration(3, 4), checked(5, START, START + 64, START)), 3),
        ((checked(5, START, START + 64, START),), 5),
        ((migration(3, 4, reason=0),), None),
        ((scanned(2, START, START + 64, OTHER), checked(3, START, START + 64, tid=OTHER)), None),
    ],
)
def test_what_shows_that_isolating_the_range_had_succeeded(parts: tuple[Tables, ...], since_ms: float | None) -> None:
    events = attempt_events(joined(start(1), *parts, finish(9, START, 0, errorno=-16)))
    (draft,) = [
        one for one in find_attempts(events, LAYOUT, Log()) if one.tid == DRIVER and one.operation == "cma_alloc"
    ]
    assert draft.isolated_ns == (None if since_ms is None else since_ms * MS)
    assert draft.isolated is (since_ms is not None)


def test_payloads_without_times_are_calls_at_unknown_times(tmp_path: Path) -> None:
    """A finish belongs to the start before it, as the text shows them; no time is made up."""
    text = tmp_path / "trace.txt"
    text.write_text(
        "cma_alloc_start: name=reserved count=4 align=0\n"
        "cma_alloc_finish: name=reserved pfn=0x88000 page=0000000012345678 count=4 align=0 errorno=0\n"
        "cma_alloc_start: name=reserved count=8 align=0\n"
        "cma_alloc_finish: name=reserved pfn=0xffffffffffffffff page=0000000000000000 count=8 align=0 errorno=-12\n"
    )
    attempts = Session([text]).blame().attempts
    assert [(a.request.pages, a.outcome, a.start_ns, a.end_ns) for a in attempts] == [
        (4, "succeeded", None, None),
        (8, "failed", None, None),
    ]
    assert len({a.id for a in attempts}) == 2
    assert all(one.start_ns is None for a in attempts for one in a.tries)
