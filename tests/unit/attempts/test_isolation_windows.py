"""Tasks that isolate pages without an attempt of their own, and what the replay makes of their gets."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

import pytest

from tests.support.attempt_tables import (
    AREA,
    DRIVER,
    LAYOUT,
    MS,
    OTHER,
    Row,
    attempt_events,
    joined,
    migration,
    row,
    scanned,
)
from tests.support.replay_twin import ANON_MAPPING, Entry, entry, flags, run_both, stream
from tracereplay.attempts.detected_attempt import LONG_AGO_NS, REASON_LONGTERM_PIN, DetectedAttempt
from tracereplay.attempts.events import enabled_events
from tracereplay.attempts.find import plan_probes
from tracereplay.attempts.isolation import (
    LOOKED_UP,
    Window,
    isolation_actions,
    isolation_windows,
    merged,
)
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.state import Mark, RefKind
from tracereplay.schema import Op, PageStream
from tracereplay.tasks import isolates_in_background

USER = 77
PAGE = AREA.start_pfn
END_MS = 10_000
Tables = Mapping[str, Sequence[Row]]


def get(ms: float, pfn: int = PAGE, tid: int = USER, mt: int = 1, count: int = 2) -> Entry:
    """page_ref_mod_unless +1 on an anonymous page mapped once."""
    word = flags("uptodate", "swapbacked", "lru")
    return entry(
        int(ms * MS), tid, Op.REF_MOD_UNLESS, pfn, mt=mt, val=1, count=count, mapcount=0, mapping=ANON_MAPPING,
        flags=word, ret=1,
    )  # fmt: skip


def windows(
    tables: Tables, entries: Sequence[Entry] = (), drafts: Sequence[DetectedAttempt] = (),
    background: Collection[int] = (),
    recorded: Collection[str] | None = None,
) -> list[tuple[int, float, float]]:  # fmt: skip
    """(tid, start, end) in ms."""
    events = attempt_events(tables, entries, END_MS, recorded=recorded)
    return [(tid, a / MS, b / MS) for tid, a, b in isolation_windows(events, LAYOUT, drafts, background)]


def marks(begin: str, end: str, *times: tuple[float | None, float | None], tid: int = USER) -> Tables:
    """Rows of both events at these times, None where it is lost."""
    return {
        begin: [row(ms, tid) for ms, _ in times if ms is not None],
        end: [row(ms, tid) for _, ms in times if ms is not None],
    }


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("mm_compaction_begin", "mm_compaction_end"),
        ("mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end"),
        ("mm_vmscan_memcg_reclaim_begin", "mm_vmscan_memcg_reclaim_end"),
        ("mm_vmscan_node_reclaim_begin", "mm_vmscan_node_reclaim_end"),
    ],
)
def test_a_task_isolates_between_begin_and_end(begin: str, end: str) -> None:
    assert windows(marks(begin, end, (10, 20), (30, 40))) == [(USER, 10, 20), (USER, 30, 40)]
    assert windows(marks(begin, end, (10, 20)), background=[USER]) == []


def test_a_lost_begin_or_end_makes_the_window_longer() -> None:
    names = "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end"
    long_ago = LONG_AGO_NS / MS
    assert windows(marks(*names, (None, 20), (30, 40))) == [(USER, long_ago, 20), (USER, 30, 40)]
    assert windows(marks(*names, (10, 20), (None, 40))) == [(USER, 10, 40)]
    assert windows(marks(*names, (10, None), (30, 40))) == [(USER, 10, 40)]
    assert windows(marks(*names, (10, 20), (30, None))) == [(USER, 10, 20), (USER, 30, END_MS)]


@pytest.mark.parametrize("reason", range(10))
def test_a_task_isolates_while_it_migrates(reason: int) -> None:
    assert windows(migration(10, 20, reason=reason, tid=USER)) == [(USER, 10, 20)]
    assert windows(migration(10, None, reason=reason, tid=USER)) == [(USER, 10, END_MS)]
    starts_only = ("mm_migrate_pages_start",)
    assert windows(migration(10, None, reason=reason, tid=USER), recorded=starts_only) in ([], [(USER, 10, 10)])


def test_a_batch_begins_with_its_gets() -> None:
    isolated = [get(98, PAGE + 1), get(99, PAGE + 5)]
    scan = scanned(100, PAGE, PAGE + 64, USER)
    assert windows(scan, isolated) == [(USER, 99, 100)]  # nr_taken=1: the get before was not of this batch
    compacting = joined(scan, migration(101, 102, reason=0, tid=USER), scanned(110, PAGE + 64, PAGE + 128, USER))
    assert windows(compacting, isolated) == [(USER, 99, 110)]
    assert windows(compacting, isolated, background=[USER]) == []


@pytest.mark.parametrize(
    ("reason", "start"), [(0, 60), (1, 60), (8, 60), (3, 99.5), (4, 99.5), (5, 99.5), (9, 99.5), (7, 100)]
)
def test_gets_before_a_migration_are_isolation_as_its_caller_isolates(reason: int, start: float) -> None:
    """NUMA balancing migrates each page as it is touched: what the task pinned some milliseconds before stays a pin."""
    gets = [get(60, PAGE), get(99.5, PAGE + 1)]
    assert windows(migration(100, 101, reason=reason, tid=USER), gets) == [(USER, start, 101)]


def test_a_pin_long_before_a_batch_is_none_of_its_gets() -> None:
    assert windows(scanned(100, PAGE, PAGE + 64, USER), [get(20)]) == [(USER, 100, 100)]


def test_within_a_known_window_no_batch_is_looked_up() -> None:
    run = joined(marks("mm_compaction_begin", "mm_compaction_end", (90, 110)), scanned(100, PAGE, PAGE + 64, USER))
    assert windows(run, [get(85)]) == [(USER, 90, 110)]


def test_attempts_isolate_but_a_long_term_pin_only_while_it_migrates() -> None:
    cma = DetectedAttempt("cma_alloc", DRIVER, 5 * MS, 9 * MS, "failed", "event")
    running = DetectedAttempt("memory_offline", OTHER, 5 * MS, None, "unfinished", "inferred")
    pin = DetectedAttempt("longterm_pin", USER, 10 * MS, 40 * MS, "succeeded", "inferred")
    calls = joined(*(migration(ms, ms + 1, reason=REASON_LONGTERM_PIN, tid=USER) for ms in (10, 39)))
    assert windows(calls, drafts=[cma, running, pin]) == [
        (OTHER, 5, END_MS), (DRIVER, 5, 9), (USER, 10, 11), (USER, 39, 40),
    ]  # fmt: skip


def test_windows_of_one_task_are_merged() -> None:
    mine = [Window(1, 5, 9), Window(1, 0, 3), Window(1, 3, 4), Window(1, 6, 7), Window(2, 8, 9)]
    assert merged(mine) == [Window(1, 0, 4), Window(1, 5, 9), Window(2, 8, 9)]


@pytest.mark.parametrize("comm", ["kswapd0", "kcompactd12", "khugepaged"])
def test_kernel_threads_that_isolate_all_the_time(comm: str) -> None:
    assert isolates_in_background(comm)


@pytest.mark.parametrize("comm", ["kswapd", "kswapd0-test", "my-kswapd0", "kcompactd-tool", "khugepagedx", ""])
def test_user_tasks_with_such_names_are_no_kernel_threads(comm: str) -> None:
    assert not isolates_in_background(comm)


# -- what the replay makes of them ------------------------------------------------------------------------------------


def kinds_after(entries: Sequence[Entry], actions: Sequence[ReplayAction]) -> list[RefKind]:
    """Kinds of the references that are open on PAGE, youngest first; the plain replay agrees."""
    engine, plain = run_both([stream(entries)], actions)
    kinds = [RefKind(int(ref["kind"])) for ref in engine.open_refs(PAGE)]
    assert kinds == [ref.kind for ref in reversed(plain.pages[PAGE].refs)]
    return kinds


def test_gets_within_a_window_are_isolation_and_others_are_not() -> None:
    inside = isolation_actions([Window(USER, 10 * MS, 20 * MS)])
    for ms, kind in ((9, RefKind.GET), (10, RefKind.ISOLATION), (20, RefKind.ISOLATION), (21, RefKind.GET)):
        assert kinds_after([get(ms)], inside) == [kind]
    assert kinds_after([get(15, tid=OTHER)], inside) == [RefKind.GET]


def test_windows_may_overlap_with_attempts_of_the_same_task() -> None:
    actions = [
        *isolation_actions([Window(USER, 10 * MS, 20 * MS)]),
        ReplayAction(15 * MS, ActionKind.WATCH, 1, ((PAGE, PAGE + 1),), USER),
        ReplayAction(30 * MS, ActionKind.UNWATCH, 1, (), USER),
    ]
    assert [kinds_after([get(ms)], actions)[0] for ms in (12, 25, 35)] == [
        RefKind.ISOLATION, RefKind.ISOLATION, RefKind.GET,
    ]  # fmt: skip


def test_only_the_task_of_the_attempt_touches_its_pages() -> None:
    span = ((PAGE, PAGE + 1),)
    watch = [ReplayAction(5 * MS, ActionKind.WATCH, 1, span, DRIVER), *isolation_actions([Window(USER, MS, 30 * MS)])]
    for tid, touched in ((USER, False), (DRIVER, True)):
        engine, plain = run_both([stream([get(10, tid=tid)])], watch)
        assert bool(engine.pages(PAGE, PAGE + 1)[0]["marks"] & Mark.ISOLATED) == touched
        assert plain.pages[PAGE].is_(Mark.ISOLATED) == touched


def test_a_pin_between_the_migrations_of_a_long_term_pin_is_found() -> None:
    pin = DetectedAttempt("longterm_pin", USER, 10 * MS, 40 * MS, "failed", "inferred", spans=((PAGE, PAGE + 1),))
    calls = joined(*(migration(ms, ms + 1, reason=REASON_LONGTERM_PIN, tid=USER) for ms in (10, 39)))
    events = attempt_events(calls, end_ms=END_MS)
    actions = [
        *plan_probes(events, [pin], has_page_ref=True), *isolation_actions(isolation_windows(events, LAYOUT, [pin])),
    ]  # fmt: skip
    pinning = [get(20), entry(20 * MS + 1, USER, Op.REF_MOD, PAGE, val=1023, count=1025, mapping=ANON_MAPPING)]
    assert kinds_after(pinning, actions) == [RefKind.PIN]
    assert kinds_after([get(10.5)], actions) == [RefKind.ISOLATION]


def test_ten_thousand_windows_cost_little() -> None:
    many = [Window(USER + at % 3, 2 * at * MS, (2 * at + 1) * MS) for at in range(10_000)]
    chunk = stream([get(2 * at + 0.5, count=at + 2, tid=USER + at % 3) for at in range(10_000)])
    Engine(machine="x86_64").run([chunk])  # compiled
    engine = Engine(machine="x86_64", actions=isolation_actions(many))
    before = time.perf_counter()
    engine.run([chunk])
    assert time.perf_counter() - before < 20  # some tenths of a second, on a machine that does nothing else
    assert {RefKind(int(ref["kind"])) for ref in engine.open_refs(PAGE)} == {RefKind.ISOLATION}


# -- what was recorded ------------------------------------------------------------------------------------------------


def test_formats_of_all_events_show_nothing_about_what_was_enabled() -> None:
    seen, both = {"mm_page_alloc"}, {"mm_page_alloc", "cma_alloc_start"}
    assert enabled_events(seen, None, exact=False) == seen
    assert enabled_events(seen, both, exact=False) == both
    assert enabled_events(seen, {"cma_alloc_start", "sched_switch"}, exact=False) == seen
    assert enabled_events(seen, {"cma_alloc_start", "sched_switch"}, exact=True) > {"sched_switch", "cma_alloc_start"}


def test_looking_up_first_gets_has_a_limit() -> None:
    many = joined(*(migration(10 + ms, 10.1 + ms, reason=5, tid=USER) for ms in range(0, 9000, 20)))
    looks = []

    def count(tid: int, start_ns: int, end_ns: int) -> PageStream:
        looks.append((tid, start_ns, end_ns))
        return stream([])

    events = attempt_events(many, end_ms=END_MS)
    events.task_stream = count
    found = isolation_windows(events, LAYOUT, [])
    assert (len(found), len(looks)) == (450, LOOKED_UP)
    assert found[-1].start_ns == found[-1].end_ns - 1.1 * MS
