"""What the kernel log adds to attempts, by rows made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.attempt_tables import AREA, BLOCK, DRIVER, LAYOUT, MS, OTHER
from tests.support.log_rows import blank, dump, message
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.log import Log, apply_log
from tracereplay.attempts.log_offline import OFFLINE_REASONS
from tracereplay.model.result import Try

BLOCK_2 = ((2 * BLOCK, 3 * BLOCK),)


def applied(
    drafts: list[DetectedAttempt], *messages: dict[str, Any], dumps: tuple[Any, ...] = (), failed: tuple[Any, ...] = ()
) -> list[DetectedAttempt]:
    """The drafts after the log."""
    apply_log(drafts, Log(dumps, failed, messages), LAYOUT)
    return drafts


def offline(outcome: Any = "interrupted", tid: int = DRIVER) -> DetectedAttempt:
    """An offline of block 2 as the events tell it, 1 to 5 s."""
    return DetectedAttempt("memory_offline", tid, 1000 * MS, 5000 * MS, outcome, "inferred", spans=BLOCK_2)


@pytest.mark.parametrize(("reason", "errno", "cause"), [(r, e, c) for r, (e, c) in OFFLINE_REASONS.items()])
def test_the_log_says_why_an_offline_failed(reason: str, errno: str, cause: str | None) -> None:
    (draft,) = applied([offline()], message(5100, "offline_failed", reason=reason, start_pfn=2 * BLOCK, pages=BLOCK))
    assert (draft.errno, draft.cause, draft.basis) == (errno, cause, "log")
    assert draft.outcome == ("interrupted" if errno == "EINTR" else "failed")


@pytest.mark.parametrize(
    ("ms", "tid", "start_pfn"), [(9000, DRIVER, 2 * BLOCK), (5100, OTHER, 2 * BLOCK), (5100, DRIVER, 3 * BLOCK)]
)
def test_a_line_of_another_time_task_or_block_is_another_attempt(ms: float, tid: int, start_pfn: int) -> None:
    line = message(ms, "offline_failed", tid, reason="failure to isolate range", start_pfn=start_pfn, pages=BLOCK)
    known, other = applied([offline()], line)
    assert (known.errno, known.basis) == (None, "inferred")
    assert (other.operation, other.errno, other.basis, other.spans[0][0]) == (
        "memory_offline",
        "EBUSY",
        "log",
        start_pfn,
    )


def test_an_offline_that_only_the_log_knows() -> None:  # EINVAL of a block with holes: no event at all
    (draft,) = applied([], message(7, "offline_failed", reason="memory holes", start_pfn=3 * BLOCK, pages=BLOCK))
    assert (draft.outcome, draft.errno, draft.cause, draft.area) == ("failed", "EINVAL", "not_isolatable", "memory3")
    (unplaced,) = applied([], message(7, "offline_failed", reason="memory holes"))
    assert (unplaced.outcome, unplaced.errno, unplaced.area, unplaced.spans) == ("failed", "EINVAL", None, ())


def test_offlined_confirms_a_success() -> None:
    (good,) = applied([offline("succeeded")], message(5100, "offlined"))
    assert (good.outcome, good.basis) == ("succeeded", "log")
    (bad,) = applied([offline()], message(5100, "offlined"))
    assert (bad.outcome, bad.basis) == ("interrupted", "inferred")


def test_an_unmovable_page_found_while_isolating_is_an_offline_that_failed() -> None:
    (draft,) = applied([], dumps=(dump(7, 2 * BLOCK + 5, "unmovable page"),))
    assert (draft.operation, draft.errno, draft.log_pfn, draft.area) == (
        "memory_offline", "EBUSY", 2 * BLOCK + 5, "memory2",
    )  # fmt: skip
    (known,) = applied([offline("failed")], dumps=(dump(2000, 2 * BLOCK + 5, "unmovable page"),))
    assert known.log_pfn == 2 * BLOCK + 5
    assert applied([], dumps=(dump(7, 2 * BLOCK + 5, "page_owner"),)) == []


def test_the_errno_of_a_cma_allocation_whose_event_has_none() -> None:
    silent = DetectedAttempt("cma_alloc", DRIVER, 1000 * MS, 1001 * MS, "failed", "event", area=AREA.name)
    (draft,) = applied([silent], message(1002, "cma_failed", area=AREA.name, pages=64, errno=16))
    assert (draft.errno, draft.basis) == ("EBUSY", "event")
    telling = DetectedAttempt("cma_alloc", DRIVER, 1000 * MS, 1001 * MS, "failed", "event", errno="ENOMEM")
    assert applied([telling], message(1002, "cma_failed", pages=64, errno=16))[0].errno == "ENOMEM"


def bitmap(ms: float, runs: str, free: int, largest: int | None = None) -> dict[str, Any]:
    """The row of an area's bitmap."""
    return message(ms, "cma_bitmap", reason=runs, free_pages=free, pages=4096, largest_run=largest)


def test_a_cma_allocation_that_only_the_log_knows() -> None:
    failure = message(7, "cma_failed", area=AREA.name, pages=64, errno=12)
    (draft,) = applied([], failure, bitmap(8, "4@572+7@585", 11, 7))
    assert (draft.operation, draft.errno, draft.basis, draft.request.pages) == ("cma_alloc", "ENOMEM", "log", 64)
    assert draft.cause == "bitmap_full"
    (busy,) = applied([], message(7, "cma_failed", area=AREA.name, pages=64, errno=16))
    assert (busy.cause, busy.candidates[-1]) == ("unknown", "bitmap_full")


@pytest.mark.parametrize(
    ("row", "causes"),
    [
        (bitmap(8, "4@572+63@585", 67, 63), ("bitmap_full", "bitmap_full")),
        (bitmap(8, "", 0), ("bitmap_full", "bitmap_full")),
        (bitmap(8, "4096@0", 4096, 4096), ("destination_enomem", "unknown")),
        (bitmap(8, "4@572+64@585", 68, 64), ("bitmap_full", "unknown")),  # long enough, but not at its alignment
        (bitmap(8, "", 67), ("bitmap_full", "unknown")),
        (bitmap(8, "", 63), ("bitmap_full", "bitmap_full")),
        (bitmap(8, "4@572", 67, 4), ("bitmap_full", "unknown")),  # runs are missing
    ],
)
def test_a_bitmap_is_full_when_no_run_is_as_long_as_the_request(row: dict[str, Any], causes: tuple[str, str]) -> None:
    for errno, cause in zip((12, 16), causes, strict=True):
        (draft,) = applied([], message(7, "cma_failed", pages=64, errno=errno), row)
        assert draft.cause == cause


def test_the_bitmap_is_that_of_the_failure_before_it() -> None:
    def failure(start_ms: int) -> DetectedAttempt:
        draft = DetectedAttempt(
            "cma_alloc", DRIVER, start_ms * MS, (start_ms + 1) * MS, "failed", "event", errno="ENOMEM"
        )
        draft.request.pages = 64
        return draft

    row = bitmap(1010, "4@572", 4, 4)
    assert [draft.cause for draft in applied([failure(500), failure(1000)], row)] == [None, "bitmap_full"]
    tried = failure(1000)
    tried.tries = [Try(index=0, start_pfn=0, end_pfn=64, start_ns=0, end_ns=1, result="EBUSY")]
    assert [draft.cause for draft in applied([tried], row)] == [None]


def test_a_busy_range_that_only_the_log_knows() -> None:
    (draft,) = applied([], message(7, "contig_busy", start_pfn=4096, pages=512))
    assert (draft.operation, draft.outcome, draft.errno) == ("contig_alloc", "unknown", None)
    assert (draft.spans, draft.request.pages, draft.request.pages_at_most) == (((4096, 4608),), None, 512)
    cma = DetectedAttempt("cma_alloc", DRIVER, 1 * MS, 9 * MS, "failed", "event")
    assert applied([cma], message(7, "contig_busy", start_pfn=4096, pages=512)) == [cma]


def test_failed_migrations_without_any_event_are_an_offline() -> None:
    rows = tuple(
        blank("migrate_failures", ms, DRIVER, pfn=2 * BLOCK + ms, kind="migrate", failed_folios=3) for ms in (7, 8)
    )
    (draft,) = applied([], failed=rows)
    assert (draft.operation, draft.outcome, draft.area, draft.spans) == (
        "memory_offline",
        "unknown",
        "memory2",
        BLOCK_2,
    )
    soft = blank("migrate_failures", 7, DRIVER, pfn=2 * BLOCK, kind="soft_offline")
    assert applied([], failed=(soft,)) == []


def test_rows_that_the_trace_s_console_has_too_count_once() -> None:
    inside = Log((dump(7, 5, "migration failure", refcount=2, mapcount=0),), (), (message(7, "offlined"),))
    file = Log(
        (dump(900, 5, "migration failure", refcount=2, mapcount=0), dump(901, 6, "migration failure")),
        (),
        (message(900, "offlined"), message(901, "offlined")),
    )
    left = file.without(inside)
    assert [row["pfn"] for row in left.page_dumps] == [6]
    assert len(left.messages) == 1
    assert len(inside.joined(left).page_dumps) == 2


def test_the_wall_clock_of_a_line_goes_to_the_attempt_that_events_show() -> None:
    """`dmesg -T` beside a trace: lines without a time since boot are matched in order, one to an attempt."""
    failures = [DetectedAttempt("cma_alloc", DRIVER, n * MS, n * MS + 1, "failed", "event", AREA.name) for n in (1, 9)]
    walls = ["Fri Nov 20 12:00:00 2026", "Fri Nov 20 12:00:08 2026"]
    rows = [
        message(0, "cma_failed", None, area=AREA.name, pages=64, errno=12, wall=wall, wall_ns=at) | {"time_ns": None}
        for at, wall in enumerate(walls)
    ]
    for draft in failures:
        draft.request.pages = 64
    applied(failures, *rows)
    assert [draft.wall_clock for draft in failures] == walls
