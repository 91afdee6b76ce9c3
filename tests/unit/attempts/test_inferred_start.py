"""Attempts whose start event is not in the trace begin at the first get with which their task isolated a page."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.attempt_tables import (
    AREA,
    BLOCK,
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
from tests.support.replay_twin import Entry, entry
from tracereplay.attempts.cma import find_cma
from tracereplay.attempts.contig import find_contig
from tracereplay.attempts.detected_attempt import REASON_MEMORY_HOTPLUG
from tracereplay.attempts.find import find_attempts
from tracereplay.attempts.inferred_start import inferred_end, inferred_start
from tracereplay.attempts.log import Log
from tracereplay.attempts.offline import find_offline
from tracereplay.layout.layout import Layout
from tracereplay.schema import LOG_TABLES, Op

CMA, ISOLATE = 4, 5
START = AREA.start_pfn
RANGE = ((START, START + 64),)
BARE = Layout(source="test")


def get(ms: float, pfn: int, mt: int = CMA, tid: int = DRIVER, ret: int = 1) -> Entry:
    """page_ref_mod_unless +1."""
    return entry(int(ms * MS), tid, Op.REF_MOD_UNLESS, pfn, mt=mt, val=1, count=2, ret=ret)


def put(ms: float, pfn: int, mt: int = CMA, tid: int = DRIVER) -> Entry:
    """page_ref_mod_and_test -1."""
    return entry(int(ms * MS), tid, Op.REF_MOD_AND_TEST, pfn, mt=mt, val=-1, count=1)


def started(
    entries: Sequence[Entry], layout: Layout = LAYOUT, sign_ms: float = 1000, floor_ms: float = 0,
    taken: int | None = None, hidden_ms: Sequence[tuple[float, float]] = (),
) -> float:  # fmt: skip
    """When it began, in ms; its first event is at `sign_ms`, and its range is RANGE."""
    events = attempt_events({}, entries, hidden_ms=hidden_ms)
    start_ns = inferred_start(events, layout, DRIVER, int(sign_ms * MS), RANGE, int(floor_ms * MS), taken)
    return start_ns / MS


def test_the_first_get_in_an_isolated_pageblock_begins_it() -> None:
    pinned, isolated = get(900, START + 1), [get(950, START + 3, ISOLATE), get(960, START + 9, ISOLATE)]
    assert started([pinned, *isolated]) == 950
    assert started([pinned, *isolated], BARE) == 950  # 5 is no other type, with CMA or without


def test_gets_elsewhere_or_refused_or_of_others_are_not_its_own() -> None:
    assert started([get(950, START + 64, ISOLATE)]) == 1000
    assert started([get(950, START, ISOLATE, ret=0)]) == 1000
    assert started([get(950, START, ISOLATE, OTHER)]) == 1000


def test_the_scan_is_the_last_ascending_run_where_no_get_shows_isolation() -> None:
    scan = [get(950, START + 1), get(951, START + 5), get(952, START + 9)]
    assert started(scan) == 950
    assert started([get(940, START + 5), *scan]) == 950  # the task pinned a page that its scan then met
    assert started([get(940, START + 1), *scan]) == 950  # the lowest one, too
    assert started(scan, BARE) == 950  # 4 may be MIGRATE_CMA


def test_a_silence_ends_the_run() -> None:
    assert started([get(600, START + 1), get(950, START + 5)]) == 950
    assert started([get(600, START + 1)]) == 1000
    assert started([get(600, START + 1, ISOLATE), get(950, START + 5, ISOLATE)]) == 950


def test_a_silence_in_which_events_may_be_lost_does_not() -> None:
    assert started([get(600, START + 1), get(950, START + 5)], hidden_ms=[(700, 800)]) == 600
    assert started([get(600, START + 1, ISOLATE), get(950, START + 5, ISOLATE)], hidden_ms=[(700, 800)]) == 600


def test_an_attempt_before_it_is_the_floor() -> None:
    assert started([get(900, START + 1, ISOLATE), get(950, START + 5, ISOLATE)], floor_ms=920) == 950
    assert started([get(900, START + 1)], floor_ms=1000) == 1000


def test_more_pages_held_than_the_scan_had_taken_are_no_isolation() -> None:
    # Up to 5.10 an anonymous page with more references than mappings is skipped without a get.
    pin, scan = get(940, START + 1), [get(950, START + 5), get(952, START + 9)]
    assert started([pin, *scan], taken=3) == 940
    assert started([pin, *scan], taken=2) == 950
    assert started([pin], taken=0) == 1000
    assert started([get(950, START + 5), put(951, START + 5)], taken=0) == 950  # looked at and put back


# -- by operation ---------------------------------------------------------------------------------------------------

SCAN_OF_THREE = [get(1.5, START + 1), get(1.6, START + 2), get(1.7, START + 9)]
SIGNS = joined(scanned(2, START, START + 64), migration(2.5, 3, failed=1), checked(4, START, START + 64, START + 9))


def finish(ms: float, pfn: int = START, name: str = "reserved") -> dict[str, list[Row]]:
    """cma_alloc_finish of 6.6 and later: a failure."""
    return {"cma_alloc_finish": [row(ms, name=name, pfn=pfn, page=0, count=64, align=0, errorno=-16)]}


def scan_of(entries: Sequence[Entry], taken: int) -> dict[str, list[Row]]:
    """The scan that `entries` belong to."""
    fields = {"start_pfn": START, "end_pfn": START + 64, "nr_scanned": 64, "nr_taken": taken}
    return {"mm_compaction_isolate_migratepages": [row(entries[-1][0] / MS + 0.1, **fields)]}


def test_cma_alloc_without_its_start() -> None:
    parts = joined(scan_of(SCAN_OF_THREE, 3), migration(2.5, 3), checked(4, START, START + 64, START + 9), finish(5))
    (draft,) = find_cma(attempt_events(parts, SCAN_OF_THREE), LAYOUT)
    assert (draft.start_ns, draft.end_ns, draft.errno) == (1.5 * MS, 5 * MS, "EBUSY")


@pytest.mark.parametrize("layout", [LAYOUT, BARE])
def test_cma_alloc_of_which_only_the_end_was_recorded(layout: Layout) -> None:
    """The range that the end event names, or the area, tells which of the task's gets are its isolation."""
    foreign = get(1.8, START + 5000)
    (draft,) = find_cma(attempt_events(finish(5), [*SCAN_OF_THREE, foreign]), layout)
    assert (draft.start_ns, draft.end_ns) == (1.5 * MS, 5 * MS)
    (nowhere,) = find_cma(attempt_events(finish(5, 0, "other"), SCAN_OF_THREE), layout)
    assert nowhere.start_ns == 5 * MS


def test_a_tested_range_bounds_the_scan_of_an_area_that_is_not_known() -> None:
    pin = get(1.4, START - 500)
    parts = joined(checked(4, START, START + 64, START + 9), finish(5, 0, "other"))
    (draft,) = find_cma(attempt_events(parts, [pin, *SCAN_OF_THREE]), BARE)
    assert draft.start_ns == 1.5 * MS


def test_cma_alloc_up_to_5_10() -> None:
    end: dict[str, list[Row]] = {"cma_alloc": [row(5, pfn=START, page=0, count=64, align=0)]}
    parts = joined(scan_of(SCAN_OF_THREE, 3), checked(4, START, START + 64, START + 9), end)
    (draft,) = find_cma(attempt_events(parts, SCAN_OF_THREE), LAYOUT)
    assert (draft.start_ns, draft.tries[0].start_ns) == (1.5 * MS, 1.5 * MS)
    (no_scan,) = find_cma(attempt_events(joined(checked(4, START, START + 64), end), SCAN_OF_THREE), LAYOUT)
    assert no_scan.start_ns == 1.5 * MS


def test_direct_compaction_before_is_no_sign_of_it() -> None:
    compaction = scanned(100, START, START + 64)
    parts = joined(compaction, migration(900, 901), checked(902, START, START + 64, START + 9), finish(903))
    (draft,) = find_cma(attempt_events(parts), LAYOUT)
    assert draft.start_ns == 900 * MS


def test_alloc_contig_range_without_cma_events() -> None:
    base = 1 << 20
    entries = [get(1.5, base + 7), get(1.6, base + 9)]
    scan = {"mm_compaction_isolate_migratepages": [row(2, start_pfn=base, end_pfn=base + 512, nr_taken=2)]}
    parts = joined(scan, migration(2.5, 3, failed=1), checked(4, base, base + 512, base + 7))
    (draft,) = find_contig(attempt_events(parts, entries), BARE, [])
    assert (draft.operation, draft.start_ns, draft.end_ns) == ("contig_alloc", 1.5 * MS, 4 * MS)


@pytest.mark.parametrize("mt", [1, 4, 5])
def test_an_offline_begins_with_its_gets(mt: int) -> None:
    entries = [get(9, BLOCK + 7, mt), get(9.5, BLOCK + 8, mt)]
    passes = joined(migration(10, 11, failed=3, reason=REASON_MEMORY_HOTPLUG), checked(12, BLOCK, 2 * BLOCK, BLOCK + 7))
    (draft,) = find_offline(attempt_events(passes, entries), Layout(source="test", memory_block_pages=BLOCK), [])
    assert (draft.start_ns, draft.spans) == (9 * MS, ((BLOCK, 2 * BLOCK),))


def test_an_offline_that_only_the_log_shows_isolates_before_and_after_its_lines() -> None:
    row_ = dict.fromkeys(column.name for column in LOG_TABLES["migrate_failures"])
    line = {**row_, "time_ns": 100 * MS, "line": 1, "tid": DRIVER, "pfn": BLOCK + 7, "kind": "migrate"}
    passes = [get(50 + 5 * at, BLOCK + at % 9, ISOLATE) for at in range(200)]  # until 1,045 ms
    (draft,) = find_attempts(attempt_events({}, passes), LAYOUT, Log(migrate_failures=(line,)))
    assert (draft.operation, draft.basis, draft.start_ns, draft.end_ns) == ("memory_offline", "log", 50 * MS, 1045 * MS)
    (nameless,) = find_attempts(attempt_events({}, passes), LAYOUT, Log(migrate_failures=({**line, "tid": None},)))
    assert (nameless.start_ns, nameless.end_ns) == (100 * MS, 100 * MS)


def test_it_ends_with_the_last_event_in_an_isolated_pageblock() -> None:
    span = ((BLOCK, 2 * BLOCK),)

    def end(*entries: Entry) -> float:
        return inferred_end(attempt_events({}, entries), LAYOUT, DRIVER, 100 * MS, span) / MS

    assert end() == 100
    assert end(get(150, BLOCK, ISOLATE), put(300, BLOCK, ISOLATE)) == 300
    assert end(get(150, BLOCK, ISOLATE), put(900, BLOCK, ISOLATE)) == 150
    assert end(get(150, BLOCK, CMA), get(150, 2 * BLOCK, ISOLATE), get(150, BLOCK, ISOLATE, OTHER)) == 100
    assert end(*(get(100 + 200 * at, BLOCK, ISOLATE) for at in range(40))) == 7900  # longer than one look
