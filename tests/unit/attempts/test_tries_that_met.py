"""Which tries a page blocked: those that came to it while it was held, whenever it was let go afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
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
from tests.support.replay_twin import ANON_MAPPING, FLAG_BITS, Entry, entry, flags, stream
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.find import find_attempts, plan_probes
from tracereplay.attempts.isolation import isolation_actions, isolation_windows
from tracereplay.attempts.log import Log
from tracereplay.attempts.meetings import Meetings, TryRuns, given_up
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.decide import judge
from tracereplay.model.result import Attempt, Culprit, Try
from tracereplay.replay.engine import Engine
from tracereplay.schema import Op

START = AREA.start_pfn
MOVABLE = 0x140DCA & ~0x100
Rows = Mapping[str, Sequence[Row]]


def begun(ms: float) -> dict[str, list[Row]]:
    """cma_alloc_start of 128 pages."""
    return {"cma_alloc_start": [row(ms, name=AREA.name, count=128, align=0)]}


def retried(ms: float, pfn: int = START) -> dict[str, list[Row]]:
    """cma_alloc_busy_retry."""
    return {"cma_alloc_busy_retry": [row(ms, pfn=pfn, page=0, count=128, align=0)]}


def ended(ms: float) -> dict[str, list[Row]]:
    """cma_alloc_finish with EBUSY."""
    return {"cma_alloc_finish": [row(ms, name=AREA.name, pfn=START, page=0, count=128, align=0, errorno=-16)]}


def born(ms: float, pfn: int) -> Entry:
    """mm_page_alloc of a movable page."""
    return entry(int(ms * MS), OTHER, Op.ALLOC, pfn, flags=MOVABLE)


def freed(ms: float, pfn: int) -> Entry:
    """mm_page_free."""
    return entry(int(ms * MS), OTHER, Op.FREE, pfn)


def batch_given_up(ms: float, start: int, fin: int, step: int = 0) -> dict[str, list[Row]]:
    """A try: 32 pages scanned, one of them not migrated in two calls, then the test."""
    return joined(
        scanned(ms, start, start + 32),
        migration(ms + 1, ms + 2, moved=3, failed=1),
        migration(ms + 3, ms + 4, moved=0, failed=1),
        checked(ms + 8, START + step, START + 128 + step, fin),
    )


def attempts(rows: Rows, pages: Sequence[Entry], *, has_page_ref: bool = False) -> list[Attempt]:
    """All attempts of a trace, judged."""
    entries = sorted(pages)
    events = attempt_events(rows, entries)
    drafts = find_attempts(events, LAYOUT, Log())
    isolating = isolation_actions(isolation_windows(events, LAYOUT, drafts)) if has_page_ref else []
    engine = Engine(FLAG_BITS, actions=[*plan_probes(events, drafts, has_page_ref), *isolating])
    engine.run([stream(entries)])
    run = AnalysisContext(
        layout=LAYOUT, comm_of={OTHER: "app", DRIVER: "driver"}.get, has_page_ref=has_page_ref, flag_bits=FLAG_BITS,
        losses=(),
        dumps={}, migrate_failures={}, end_ns=events.end_ns,
    )  # fmt: skip
    return judge(run, engine, events, drafts, "trace-0")


def culprits(rows: Rows, pages: Sequence[Entry], *, has_page_ref: bool = False) -> dict[int, Culprit]:
    """Those of the only attempt, by their first page."""
    (attempt,) = attempts(rows, pages, has_page_ref=has_page_ref)
    return {culprit.start_pfn or 0: culprit for culprit in attempt.culprits}


def test_a_page_let_go_between_its_migration_and_the_test_blocked_that_try() -> None:
    given, named = START + 5, START + 9
    rows = joined(begun(10), batch_given_up(20, START, named), retried(30), batch_given_up(40, START, named), ended(50))
    found = culprits(rows, [born(1, given), born(2, named), freed(25, given)])
    assert found[given].blocked_tries == [(0, 0)]
    assert found[named].blocked_tries == [(0, 1)]
    assert {culprit.cause for culprit in found.values()} == {"extra_reference"}


def test_a_page_let_go_before_the_scan_came_to_it_blocked_only_the_try_before() -> None:
    given, named = START + 5, START + 9
    rows = joined(begun(10), batch_given_up(20, START, named), retried(30), batch_given_up(40, START, named), ended(50))
    found = culprits(rows, [born(1, given), born(2, named), freed(36, given)])
    assert found[given].blocked_tries == [(0, 0)]
    late = culprits(rows, [born(1, given), born(2, named), freed(46, given)])
    assert late[given].blocked_tries == [(0, 1)]


def test_a_page_above_the_batch_that_was_given_up_was_not_met() -> None:
    low, high = START + 5, START + 70
    first = batch_given_up(20, START, low)
    second = joined(scanned(38, START, START + 32), batch_given_up(40, START + 64, high))
    rows = joined(begun(10), first, retried(30), second, ended(50))
    found = culprits(rows, [born(1, low), born(2, high), freed(35, low)])
    assert found[low].blocked_tries == [(0, 0)]
    assert found[high].blocked_tries == [(1, 1)]


def counted(ms: float, tid: int, op: Op, val: int, count: int, mapcount: int = 0) -> Entry:
    """A page_ref event of the anonymous page that the test names."""
    mapping, known = ANON_MAPPING, flags("uptodate", "lru", "swapbacked")
    return entry(
        int(ms * MS), tid, op, START + 9, val=val, count=count, mapcount=mapcount, mapping=mapping, flags=known, ret=1
    )


def test_a_reference_given_back_before_the_test_is_known_from_when_the_batch_was_given_up() -> None:
    held = START + 9
    rows = joined(begun(10), batch_given_up(20, START, held), retried(30), batch_given_up(40, START, held), ended(50))
    story = [
        born(1, held),
        counted(2, OTHER, Op.REF_MOD, 1, 1),
        counted(5, OTHER, Op.REF_MOD_UNLESS, 1, 2),
        counted(19, DRIVER, Op.REF_MOD_UNLESS, 1, 3),
        counted(25, OTHER, Op.REF_MOD_AND_TEST, -1, 2),
        counted(26, DRIVER, Op.REF_MOD_AND_TEST, -1, 1),
        counted(33, OTHER, Op.REF_MOD, 1, 2, 1),
    ]
    found = culprits(rows, story, has_page_ref=True)[held]
    assert (found.cause, found.blocked_tries) == ("task_reference", [(0, 0)])
    assert found.holder is not None
    assert (found.holder.comm, found.released_ns) == ("app", 25 * MS)


def blocked(meetings: Meetings, start_pfn: int, end_pfn: int, until_ns: int) -> TryRuns:
    """The tries blocked by a page held from the beginning until then."""
    times = np.array([0]), np.array([until_ns])
    ((tries, _),) = meetings.blocked(meetings.failed, np.array([start_pfn]), end_pfn - start_pfn, *times)
    return tries


@pytest.mark.parametrize(
    ("pfns", "met"), [((START, START + 1), True), ((START + 31, START + 33), True), ((START + 32, START + 33), False)]
)
def test_a_try_reaches_what_it_scanned(pfns: tuple[int, int], met: bool) -> None:
    draft = DetectedAttempt("cma_alloc", DRIVER, 0, 50 * MS, "failed", "event", try_visited=[START + 32])
    one = Try(index=0, start_pfn=START, end_pfn=START + 128, start_ns=0, end_ns=50 * MS, result="EBUSY")
    draft.tries = [one]
    assert blocked(Meetings(attempt_events({}), draft), *pfns, 60 * MS) == (((0, 0),) if met else ())


def test_what_was_given_up_is_the_batch_of_the_last_call_only() -> None:
    draft = DetectedAttempt("contig_alloc", DRIVER, 0, 50 * MS, "failed", "event")
    one = Try(index=0, start_pfn=START, end_pfn=START + 128, start_ns=0, end_ns=50 * MS, result="EBUSY")
    last = given_up(attempt_events(batch_given_up(20, START, START)), draft, one)
    assert last is not None
    assert (last.start_ns, last.end_ns, last.start_pfn, last.end_pfn) == (23 * MS, 24 * MS, START, START + 32)
    moved = joined(batch_given_up(20, START, START), scanned(25, START + 32, START + 64), migration(26, 27))
    assert given_up(attempt_events(moved), draft, one) is None
    bare = joined(migration(1, 2, failed=1))
    assert given_up(attempt_events(bare), draft, one) is None


def test_a_pass_of_an_offline_meets_all_of_its_block_and_an_attempt_of_a_log_has_no_times() -> None:
    one = Try(index=0, start_pfn=0, end_pfn=64, start_ns=5 * MS, end_ns=9 * MS, result="EAGAIN")
    offline = DetectedAttempt(
        "memory_offline", DRIVER, 5 * MS, None, "unfinished", "inferred", tries=[one], try_visited=[64]
    )
    meetings = Meetings(attempt_events(migration(7, 9, failed=1, reason=2)), offline)
    assert [blocked(meetings, 63, 64, until) for until in (7 * MS - 1, 7 * MS)] == [(), ((0, 0),)]
    logged = DetectedAttempt("cma_alloc", None, 5 * MS, None, "failed", "log", tries=[one], try_visited=[0])
    met = Meetings(attempt_events({}), logged)
    assert [blocked(met, 3, 4, until) for until in (5 * MS - 1, 5 * MS)] == [(), ((0, 0),)]
