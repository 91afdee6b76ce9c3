"""Offlining, contiguous ranges, long-term pins, compaction and waits, out of events made by hand."""

from __future__ import annotations

from tests.support.attempt_tables import (
    AREA,
    BLOCK,
    DRIVER,
    LAYOUT,
    MS,
    OTHER,
    attempt_events,
    checked,
    joined,
    migration,
    row,
    scanned,
)
from tests.support.replay_twin import Entry, entry, swap_pte
from tracereplay.attempts.compaction import find_compaction
from tracereplay.attempts.contig import find_contig
from tracereplay.attempts.detected_attempt import REASON_LONGTERM_PIN, REASON_MEMORY_HOTPLUG, DetectedAttempt
from tracereplay.attempts.longterm import find_longterm
from tracereplay.attempts.offline import find_offline
from tracereplay.attempts.waits import add_waits
from tracereplay.layout.layout import Layout, Span
from tracereplay.schema import Op

HOTPLUG = REASON_MEMORY_HOTPLUG


def isolation(ms: float, pfn: int, tid: int = DRIVER, mt: int = 5) -> Entry:
    """A get of a page in a pageblock of type `mt` (5: MIGRATE_ISOLATE)."""
    return entry(int(ms * MS), tid, Op.REF_MOD_UNLESS, pfn, mt=mt, val=1, count=2, ret=1)


# -- contiguous ranges ----------------------------------------------------------------------------------------------


def test_a_tested_range_of_no_cma_allocation_is_a_contiguous_one() -> None:
    events = attempt_events(joined(migration(1, 2), checked(3, 8192, 8704, 8196), scanned(1.5, 8192, 8296)))
    (draft,) = find_contig(events, LAYOUT, [])
    assert (draft.operation, draft.outcome, draft.errno, draft.basis) == ("contig_alloc", "failed", "EBUSY", "inferred")
    assert (draft.start_ns, draft.end_ns) == (1 * MS, 3 * MS)
    assert (draft.request.start_pfn, draft.request.end_pfn, draft.request.pages) == (8192, 8704, 512)
    assert (draft.tries[0].first_blocking_pfn, draft.try_visited) == (8196, [8296])


def test_tests_of_a_cma_allocation_are_not_taken_twice() -> None:
    cma = DetectedAttempt("cma_alloc", DRIVER, 0, 9 * MS, "failed", "event")
    assert find_contig(attempt_events(checked(3, 8192, 8704, 8196)), LAYOUT, [cma]) == []
    assert len(find_contig(attempt_events(checked(30, 8192, 8704, 8196)), LAYOUT, [cma])) == 1


def test_ranges_tried_one_after_the_other_are_one_attempt_until_one_succeeds() -> None:
    events = attempt_events(
        joined(
            checked(1, 8192, 8704, 8195),
            checked(2, 8704, 9216),
            checked(3, 9216, 9728),
            checked(300, 8192, 8704, 8201),
        )
    )
    first, second, third = find_contig(events, LAYOUT, [])
    assert [t.result for t in first.tries] == ["EBUSY", "succeeded"]
    assert (first.outcome, second.outcome, third.outcome) == ("succeeded", "succeeded", "failed")


def test_a_range_in_a_cma_area_was_tested_by_cma_alloc() -> None:
    start = AREA.start_pfn
    for low in (start, start - 8):  # a free page that reaches into the range is tested whole
        parts = joined(migration(1, 2), checked(3, low, start + 512, start + 7))
        (draft,) = find_contig(attempt_events(parts), LAYOUT, [])
        assert (draft.operation, draft.area, draft.outcome, draft.basis) == (
            "cma_alloc", AREA.name, "failed", "inferred",
        )  # fmt: skip
    both = joined(checked(1, start, start + 512, start + 7), checked(2, 8192, 8704, 8200))
    drafts = find_contig(attempt_events(both), LAYOUT, [])
    assert [d.operation for d in drafts] == ["cma_alloc", "contig_alloc"]


# -- offlining ------------------------------------------------------------------------------------------------------


def test_a_block_that_went_offline() -> None:
    events = attempt_events(
        joined(migration(10, 11, failed=0, reason=HOTPLUG), checked(12, 2 * BLOCK, 3 * BLOCK)),
        [isolation(9, 2 * BLOCK + 7), isolation(9.5, 2 * BLOCK + 8)],
    )
    (draft,) = find_offline(events, LAYOUT, [])
    assert (draft.operation, draft.outcome, draft.area) == ("memory_offline", "succeeded", "memory2")
    assert (draft.start_ns, draft.end_ns) == (9 * MS, 12 * MS)
    assert draft.spans == ((2 * BLOCK, 3 * BLOCK),)
    assert [t.result for t in draft.tries] == ["succeeded"]


def test_migrations_that_end_in_silence_were_interrupted() -> None:
    passes = [migration(10 + at, 10.5 + at, failed=11, reason=HOTPLUG) for at in range(4)]
    events = attempt_events(joined(*passes), [isolation(10 + at / 4, BLOCK + at) for at in range(14)])
    (draft,) = find_offline(events, LAYOUT, [])
    assert (draft.outcome, draft.errno, draft.basis) == ("interrupted", "EINTR", "inferred")
    assert draft.spans == ((BLOCK, 2 * BLOCK),)
    assert [t.result for t in draft.tries] == ["EAGAIN"] * 4
    assert draft.failed_migrations == 11


def test_several_offlines_of_one_task_are_told_apart_by_tests_and_silence() -> None:
    first = joined(migration(10, 11, reason=HOTPLUG), checked(12, BLOCK, 2 * BLOCK))
    second = migration(13, 14, failed=3, reason=HOTPLUG)
    third = joined(migration(1000, 1001, reason=HOTPLUG), checked(1002, 3 * BLOCK, 4 * BLOCK))
    entries = [isolation(13.5, 2 * BLOCK + 1)]
    drafts = find_offline(attempt_events(joined(first, second, third), entries), LAYOUT, [])
    assert [(d.outcome, d.spans) for d in drafts] == [
        ("succeeded", ((BLOCK, 2 * BLOCK),)),
        ("interrupted", ((2 * BLOCK, 3 * BLOCK),)),
        ("succeeded", ((3 * BLOCK, 4 * BLOCK),)),
    ]


def test_a_silence_in_which_events_may_be_lost_parts_nothing() -> None:
    parts = joined(migration(10, 11, failed=3, reason=HOTPLUG), migration(900, 901, failed=3, reason=HOTPLUG))
    assert len(find_offline(attempt_events(parts), LAYOUT, [])) == 2
    assert len(find_offline(attempt_events(parts, hidden_ms=[(500, 600)]), LAYOUT, [])) == 1


def test_success_without_a_migration() -> None:
    (draft,) = find_offline(attempt_events(checked(12, 2 * BLOCK, 3 * BLOCK)), LAYOUT, [])
    assert (draft.outcome, draft.start_ns) == ("succeeded", 12 * MS)


def test_a_tested_range_that_is_no_block_is_no_offline() -> None:
    assert find_offline(attempt_events(checked(12, 2 * BLOCK, 2 * BLOCK + 512)), LAYOUT, []) == []
    busy = DetectedAttempt("cma_alloc", DRIVER, 0, 20 * MS, "succeeded", "event")
    assert find_offline(attempt_events(checked(12, 2 * BLOCK, 3 * BLOCK)), LAYOUT, [busy]) == []


def test_a_block_that_alloc_contig_range_tested_is_no_offline() -> None:
    """A gigantic page may be as large as a block: its scan, or its migrations, tell."""
    for fin in (3 * BLOCK, 2 * BLOCK + 3):
        test = checked(12, 2 * BLOCK, 3 * BLOCK, fin)
        for sign in (scanned(11, 2 * BLOCK, 2 * BLOCK + 512), migration(11, 11.5)):
            events = attempt_events(joined(test, sign))
            assert find_offline(events, LAYOUT, []) == []
            assert [d.operation for d in find_contig(events, LAYOUT, [])] == ["contig_alloc"]
    compacted_elsewhere = joined(checked(12, 2 * BLOCK, 3 * BLOCK), scanned(11, 0, 512))
    assert len(find_offline(attempt_events(compacted_elsewhere), LAYOUT, [])) == 1


def test_a_block_of_a_cma_area_is_never_tested_for_offlining() -> None:
    area = Layout(source="test", cma_areas=(Span("big", 2 * BLOCK, BLOCK),), memory_block_pages=BLOCK)
    for start, end in ((2 * BLOCK, 3 * BLOCK), (BLOCK, 3 * BLOCK)):
        assert find_offline(attempt_events(checked(12, start, end)), area, []) == []


def test_a_failed_test_of_a_block_alone_is_an_offline_where_blocks_are_known() -> None:
    events = attempt_events(checked(12, 2 * BLOCK, 3 * BLOCK, 2 * BLOCK + 3))
    assert [d.outcome for d in find_offline(events, LAYOUT, [])] == ["interrupted"]
    assert find_offline(events, Layout(source="test"), []) == []


def test_a_failed_test_of_the_block_is_one_more_pass() -> None:
    """offline_pages() goes back to migrating (7): one attempt, and no alloc_contig_range()."""
    parts = joined(
        migration(10, 11, failed=2, reason=HOTPLUG), checked(12, BLOCK, 2 * BLOCK, BLOCK + 9),
        migration(13, 14, failed=1, reason=HOTPLUG), checked(15, BLOCK, 2 * BLOCK, BLOCK + 9),
    )  # fmt: skip
    events = attempt_events(parts)
    (draft,) = find_offline(events, LAYOUT, [])
    assert (draft.outcome, draft.errno, draft.spans) == ("interrupted", "EINTR", ((BLOCK, 2 * BLOCK),))
    assert [(t.result, t.first_blocking_pfn) for t in draft.tries] == [
        ("EAGAIN", None), ("EBUSY", BLOCK + 9), ("EAGAIN", None), ("EBUSY", BLOCK + 9),
    ]  # fmt: skip
    assert (draft.end_ns, find_contig(events, LAYOUT, [draft])) == (15 * MS, [])
    (fine,) = find_offline(attempt_events(joined(parts, checked(16, BLOCK, 2 * BLOCK))), LAYOUT, [])
    assert (fine.outcome, [t.result for t in fine.tries][-1]) == ("succeeded", "succeeded")


def test_an_outcome_that_was_not_recorded_is_not_known() -> None:
    passes = migration(10, 11, failed=3, reason=HOTPLUG)
    migrations = ("mm_migrate_pages", "mm_migrate_pages_start")
    (untested,) = find_offline(attempt_events(passes, recorded=migrations), LAYOUT, [])
    assert (untested.outcome, untested.errno, untested.end_ns) == ("unknown", None, 11 * MS)
    (lossy,) = find_offline(attempt_events(passes, hidden_ms=[(20, 30)]), LAYOUT, [])
    assert (lossy.outcome, lossy.errno) == ("unknown", None)
    starts = attempt_events(migration(10, None, reason=HOTPLUG), recorded=["mm_migrate_pages_start"])
    assert [d.outcome for d in find_offline(starts, LAYOUT, [])] == ["unknown"]


def test_an_offline_that_the_trace_cuts_off() -> None:
    running = attempt_events(migration(10, None, reason=HOTPLUG), end_ms=50)
    assert [(d.outcome, d.end_ns) for d in find_offline(running, LAYOUT, [])] == [("unfinished", None)]
    looping = attempt_events(migration(10, 11, failed=3, reason=HOTPLUG), end_ms=50)
    assert [d.outcome for d in find_offline(looping, LAYOUT, [])] == ["unfinished"]


def test_migrations_for_other_reasons_are_no_offline() -> None:
    assert find_offline(attempt_events(migration(10, 11, failed=3)), LAYOUT, []) == []


# -- long-term pins ---------------------------------------------------------------------------------------------------


def test_a_long_term_pin_that_could_not_move_its_page() -> None:
    calls = joined(
        migration(10, 11, moved=31, failed=1, reason=REASON_LONGTERM_PIN),
        migration(500, 501, reason=REASON_LONGTERM_PIN),
    )
    pages = [entry(int(10.5 * MS), DRIVER, Op.SET_MIGRATION_PTE, 77, mapping=swap_pte(77))]
    failed, fine = find_longterm(attempt_events(calls, pages))
    assert (failed.operation, failed.outcome, failed.errno) == ("longterm_pin", "failed", "ENOMEM")
    assert (failed.spans, failed.failed_migrations, failed.phases.migrate) == (((77, 78),), 1, MS)
    assert (fine.outcome, fine.errno) == ("succeeded", None)


def test_a_long_term_pin_that_went_well_after_all() -> None:
    calls = joined(
        migration(10, 11, moved=31, failed=1, reason=REASON_LONGTERM_PIN), migration(12, 13, reason=REASON_LONGTERM_PIN)
    )
    (draft,) = find_longterm(attempt_events(calls))
    assert (draft.outcome, draft.errno, [t.result for t in draft.tries]) == ("succeeded", None, ["ENOMEM", "succeeded"])


def pin(ms: float, moved: int, failed: int) -> dict[str, list[dict[str, object]]]:
    """A call of migrate_pages() for a long-term pin."""
    return migration(ms, ms + 1, moved=moved, failed=failed, reason=REASON_LONGTERM_PIN)


def test_retries_of_a_long_term_pin_are_its_tries_however_long_they_pause() -> None:
    calls = joined(pin(10, 23, 1), *(pin(10 + 500 * n, 0, 1) for n in range(1, 10)), pin(5010, 1, 0))
    (draft,) = find_longterm(attempt_events(calls))
    assert [t.result for t in draft.tries] == ["ENOMEM"] * 10 + ["succeeded"]
    assert (draft.outcome, draft.end_ns) == ("succeeded", 5011 * MS)


def test_pins_of_other_pages_after_a_pause_are_other_attempts() -> None:
    more = find_longterm(attempt_events(joined(pin(10, 23, 1), pin(400, 24, 0))))
    after_success = find_longterm(attempt_events(joined(pin(10, 24, 0), pin(400, 1, 0))))
    much_later = find_longterm(attempt_events(joined(pin(10, 23, 1), pin(9000, 0, 1))))
    nothing = find_longterm(attempt_events(joined(pin(10, 23, 1), pin(400, 0, 0))))
    assert [len(drafts) for drafts in (more, after_success, much_later, nothing)] == [2, 2, 2, 2]


def test_a_long_term_pin_that_the_trace_cuts_off() -> None:
    (draft,) = find_longterm(attempt_events(migration(10, None, reason=REASON_LONGTERM_PIN)))
    assert (draft.outcome, draft.end_ns) == ("unfinished", None)


def test_a_migration_whose_end_was_not_recorded_tells_no_outcome() -> None:
    starts = attempt_events(migration(10, None, reason=REASON_LONGTERM_PIN), recorded=["mm_migrate_pages_start"])
    assert [d.outcome for d in find_longterm(starts)] == ["unknown"]


# -- compaction -------------------------------------------------------------------------------------------------------


def run(
    ms: float, status: int, tid: int = OTHER, zone: tuple[int, int] = (0, 4096)
) -> dict[str, list[dict[str, object]]]:
    """One zone's run."""
    return {
        "mm_compaction_begin": [row(ms, tid, zone_start=zone[0], zone_end=zone[1], migrate_pfn=0, free_pfn=0, mode=0)],
        "mm_compaction_end": [row(ms + 1, tid, zone_start=zone[0], zone_end=zone[1], status=status)],
    }


def test_zones_of_one_compaction_are_one_attempt() -> None:
    events = attempt_events(joined(run(1, 5), run(3, 5, zone=(4096, 8192)), scanned(1.5, 100, 200, OTHER), run(500, 5)))
    first, second = find_compaction(events)
    assert (len(first.tries), first.outcome, first.spans) == (2, "succeeded", ((100, 200),))
    assert (second.start_ns, second.spans) == (500 * MS, ())


def test_a_direct_compaction_succeeds_only_with_a_page_of_its_order() -> None:
    wanted = {"mm_compaction_try_to_compact_pages": [row(0.5, OTHER, order=9, gfp_mask=0, prio=1)]}
    assert [d.outcome for d in find_compaction(attempt_events(joined(wanted, run(1, 5))))] == ["failed"]
    assert [d.outcome for d in find_compaction(attempt_events(joined(wanted, run(1, 8))))] == ["succeeded"]
    assert [d.outcome for d in find_compaction(attempt_events(run(1, 7)))] == ["failed"]


def test_kcompactd_fails_nobody() -> None:
    assert find_compaction(attempt_events(run(1, 5), comms={OTHER: "kcompactd0"})) == []
    assert len(find_compaction(attempt_events(run(1, 5), comms={OTHER: "sh"}))) == 1


def test_a_compaction_that_the_trace_cuts_off() -> None:
    cut = {"mm_compaction_begin": run(1, 5)["mm_compaction_begin"]}
    assert [(d.outcome, d.end_ns) for d in find_compaction(attempt_events(cut))] == [("unfinished", None)]


# -- waits ------------------------------------------------------------------------------------------------------------


def waits_of(parts: dict[str, list[dict[str, object]]], entries: list[Entry]) -> list[tuple[str, int, int]]:
    draft = DetectedAttempt("cma_alloc", DRIVER, 0, 9000 * MS, "failed", "event")
    add_waits(attempt_events(parts, entries), draft)
    return [(wait.kind, wait.start_ns // MS, wait.end_ns // MS) for wait in draft.waits]


def test_a_silence_within_a_migration_is_a_wait() -> None:
    busy = [isolation(ms, 5) for ms in range(10, 1000, 50)]
    assert waits_of(migration(10, 1000), busy[:3]) == [("other", 110, 1000)]
    assert waits_of(migration(10, 1000), busy) == []
    assert waits_of(migration(10, 60), []) == []
    assert waits_of(migration(10, 1000, reason=HOTPLUG), busy[:3]) == []


def test_a_wait_for_writeback_is_told_by_its_event() -> None:
    told = {"folio_wait_writeback": [row(11, DRIVER, ino=12, index=3)]}
    assert waits_of(joined(migration(10, 1000), told), [isolation(11, 5)]) == [("writeback", 11, 1000)]
    early = {"folio_wait_writeback": [row(1, DRIVER, ino=12, index=3)]}
    assert waits_of(joined(migration(10, 1000), early), [isolation(11, 5)]) == [("other", 11, 1000)]
    stranger = {"folio_wait_writeback": [row(11, OTHER, ino=12, index=3)]}
    assert waits_of(joined(migration(10, 1000), stranger), [isolation(11, 5)]) == [("other", 11, 1000)]


def test_a_migration_without_end_waits_until_the_trace_ends() -> None:
    assert waits_of(migration(10, None), [isolation(11, 5)]) == [("other", 11, 10000)]
