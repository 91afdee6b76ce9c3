"""How large movable-only memory may be: bounds against a plain count, and verdicts at their edges."""

from __future__ import annotations

import random

import pytest

from tests.support.replay_twin import entry, stream
from tracereplay.layout.layout import Layout, Span
from tracereplay.model.result import Attempt, Request
from tracereplay.schema import Op
from tracereplay.whatif.machine import ZoneCounts
from tracereplay.whatif.ranges_held import HeldRange
from tracereplay.whatif.script import Script, script_of
from tracereplay.whatif.sizing import BATCHED_PAGES, KernelNeed, held_at_once, kernel_need, requested_row, size_rows

NORMAL = ZoneCounts(name="Normal", managed=10_000, free=6_000, lru=1_000, min=100, cached=50)
LAYOUT = Layout("file", zones=(Span("Normal", 0, 8192), Span("Movable", 8192, 500)))
NEED = KernelNeed(
    least_pages=300, most_pages=400, least_ns=7, most_ns=8, total_pages=1_000, reserve_pages=50, censored=False
)
CENSORED = KernelNeed(
    least_pages=300, most_pages=400, least_ns=7, most_ns=8, total_pages=1_000, reserve_pages=50, censored=True
)


def made(entries: list[object]) -> Script:
    return script_of([stream(entries)], [], [(0, 4096)])  # type: ignore[arg-type]


def attempt(operation: str, start_ns: int, pages: int) -> Attempt:
    return Attempt(
        id=f"{operation}-{start_ns}", input_id="trace-0", operation=operation, area=None, task=None,  # type: ignore[arg-type]
        start_ns=start_ns, end_ns=None, request=Request(pages=pages), outcome="failed", outcome_basis="event",
    )  # fmt: skip


def plain_peaks(entries: list[tuple[str, int, int]]) -> tuple[int, int]:
    """Peaks of what the kernel gained at least and at most, page by page."""
    kind: dict[int, int] = {}
    least = most = low = high = 0
    for what, page, mt in entries:
        if what == "alloc":
            kind[page] = mt
            if mt != 1:
                least, most = least + 1, most + 1
        elif page in kind:
            if kind.pop(page) != 1:
                least, most = least - 1, most - 1
        else:
            least -= 1
        low, high = max(low, least), max(high, most)
    return low, high


@pytest.mark.parametrize("seed", range(20))
def test_bounds_are_those_of_a_plain_count(seed: int) -> None:
    dice = random.Random(seed)
    used = {page: dice.random() < 0.5 for page in range(64)}
    plain: list[tuple[str, int, int]] = []
    for _ in range(300):
        page = dice.randrange(64)
        plain.append(("free" if used[page] else "alloc", page, dice.choice([0, 1, 1, 2])))
        used[page] = not used[page]
    ops = {"alloc": Op.ALLOC, "free": Op.FREE}
    script = made([entry(ns, 7, ops[what], page, mt=mt) for ns, (what, page, mt) in enumerate(plain, 1)])
    need = kernel_need(script, (NORMAL,), [])
    assert need is not None
    low, high = plain_peaks(plain)
    assert need.least_pages == max(low + 4_000 - 1_000 - 50 - BATCHED_PAGES, 0)
    assert need.most_pages == 3_000 + high
    assert (need.total_pages, need.reserve_pages) == (10_000, 100)


def test_without_counts_nothing_is_said() -> None:
    assert kernel_need(made([entry(1, 7, Op.ALLOC, 8)]), (), []) is None
    assert kernel_need(made([entry(1, 7, Op.FREE, 8)]), (NORMAL,), []) is None
    (fits, starves) = size_rows("trace-0", "movable", None, (0, None), LAYOUT)
    assert (fits.pages, fits.verdict, starves.pages, starves.verdict) == (None, "unknown", None, "unknown")


@pytest.mark.parametrize(
    ("pages", "verdict"), [(0, "fits"), (550, "fits"), (551, "unknown"), (700, "unknown"), (701, "starves")]
)
def test_verdicts_at_their_edges(pages: int, verdict: str) -> None:
    assert requested_row("trace-0", "movable", pages, NEED, LAYOUT).verdict == verdict


def test_where_kernel_allocations_failed_no_size_surely_fits() -> None:
    assert requested_row("trace-0", "movable", 10, CENSORED, LAYOUT).verdict == "unknown"
    assert requested_row("trace-0", "movable", 500, CENSORED, LAYOUT).verdict == "starves"  # the size it had
    assert size_rows("trace-0", "movable", CENSORED, (0, None), LAYOUT)[0].pages is None


def test_the_smallest_area_holds_all_that_was_wanted_at_once() -> None:
    ranges = [HeldRange("cma_alloc-10", 0, 100, 10, 30), HeldRange("b", 100, 150, 15, 40)]
    attempts = [attempt("cma_alloc", 10, 100), attempt("cma_alloc", 20, 60), attempt("cma_alloc", 35, 90)]
    assert held_at_once(ranges, attempts) == (210, 20)
    assert held_at_once([], [attempt("memory_offline", 10, 100)]) == (0, None)
