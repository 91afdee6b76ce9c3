"""Unplug of a device's memory: the driver's ranges and memory blocks are parts of one request."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tests.support.attempt_tables import BLOCK, DRIVER, LAYOUT, MS, OTHER, attempt_events, checked, joined, migration
from tracereplay.attempts.contig import find_contig
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.find import find_attempts
from tracereplay.attempts.log import Log
from tracereplay.attempts.unplug import name_requests
from tracereplay.layout.spans import within
from tracereplay.model.derived.requests import requests_of
from tracereplay.model.result import Attempt, Request, Task
from tracereplay.reports.html.report import render_html
from tracereplay.reports.markdown import render_markdown
from tracereplay.reports.shared.request_wording import request_ending, request_headline
from tracereplay.reports.shared.style import Style
from tracereplay.reports.text.report import render_text

WORKER = {DRIVER: "kworker/0:1", OTHER: "sh"}
SUB = 512


def part(operation: str, start: int, end: int, ms: float, tid: int = DRIVER) -> DetectedAttempt:
    """An attempt of 1 ms."""
    draft = DetectedAttempt(operation, tid, int(ms * MS), int((ms + 1) * MS), "failed", "inferred")  # type: ignore[arg-type]
    draft.spans = ((start, end),)
    return draft


def parents(*drafts: DetectedAttempt) -> list[str | None]:
    """The requests that they were put into."""
    name_requests(drafts, LAYOUT, WORKER.get)
    return [draft.parent_id for draft in drafts]


def test_ranges_downwards_and_the_offline_of_their_block_are_one_request() -> None:
    assert (
        parents(
            part("contig_alloc", 3 * BLOCK - SUB, 3 * BLOCK, 10),
            part("contig_alloc", 3 * BLOCK - 2 * SUB, 3 * BLOCK - SUB, 12),
            part("memory_offline", 2 * BLOCK, 3 * BLOCK, 20),
            part("contig_alloc", 2 * BLOCK - SUB, 2 * BLOCK, 500),
        )
        == [f"unplug-{DRIVER}-{10 * MS}"] * 4
    )


def test_blocks_of_a_dimm_are_one_request() -> None:
    blocks = [part("memory_offline", number * BLOCK, (number + 1) * BLOCK, 10 * number) for number in (1, 2, 3)]
    assert set(parents(*blocks)) == {f"unplug-{DRIVER}-{10 * MS}"}


def test_what_is_of_no_request() -> None:
    far = 100 * BLOCK
    later = [part("contig_alloc", 0, SUB, 10), part("contig_alloc", SUB, 2 * SUB, 60_000)]
    apart = [part("contig_alloc", 0, SUB, 10), part("contig_alloc", far, far + SUB, 12)]
    users = [part("memory_offline", 0, BLOCK, 10, OTHER), part("memory_offline", BLOCK, 2 * BLOCK, 12, OTHER)]
    others = [part("cma_alloc", 0, SUB, 10), part("cma_alloc", SUB, 2 * SUB, 12)]
    for drafts in (later, apart, users, others, [part("contig_alloc", 0, SUB, 10)]):
        assert set(parents(*drafts)) == {None}


def test_a_retry_long_after_is_a_request_of_its_own() -> None:
    first = [part("contig_alloc", SUB * n, SUB * (n + 1), 10 + 2 * n) for n in (1, 0)]
    again = [part("contig_alloc", SUB * n, SUB * (n + 1), 50_000 + 2 * n) for n in (0, 1)]
    assert len(set(parents(*first, *again))) == 2


def test_a_driver_that_needs_this_very_range_makes_an_attempt_for_each() -> None:
    rows = joined(
        migration(1, 2, failed=1), checked(3, 8192, 8704, 8200), checked(4, 8192, 8704, 8200), checked(5, 8704, 9216)
    )
    failed, good = find_contig(attempt_events(rows, comms=WORKER), LAYOUT, [])
    assert [t.result for t in failed.tries] == ["EBUSY", "EBUSY"]
    assert (failed.outcome, good.outcome, len(good.tries)) == ("failed", "succeeded", 1)
    (moved_on,) = find_contig(attempt_events(rows, comms={DRIVER: "hugetlb-admin"}), LAYOUT, [])
    assert [t.result for t in moved_on.tries] == ["EBUSY", "EBUSY", "succeeded"]
    drafts = find_attempts(attempt_events(rows, comms=WORKER), LAYOUT, Log())
    assert [draft.parent_id for draft in drafts] == [f"unplug-{DRIVER}-{1 * MS}"] * 2


def of_request(start: int, pages: int, outcome: str = "succeeded", operation: str = "contig_alloc") -> Attempt:
    """A part of one request, named by its place."""
    return example.attempt(
        id=f"{operation}-{start}-{pages}", parent_id="unplug-9-10", operation=operation, outcome=outcome, area=None,
        task=Task(tid=9, comm="kworker/0:1"), request=Request(pages=pages, start_pfn=start, end_pfn=start + pages),
        errno=None if outcome == "succeeded" else "EBUSY",
        culprits=[] if outcome == "succeeded" else [example.culprit(start_pfn=start, pages=1)],
    )  # fmt: skip


def test_the_report_tells_the_request_once_and_its_failures_below_it() -> None:
    parts = [
        of_request(0, BLOCK, "failed"),
        of_request(BLOCK - SUB, SUB),
        of_request(BLOCK - 2 * SUB, SUB, "failed"),
        of_request(BLOCK, BLOCK, operation="memory_offline"),
    ]
    result = example.result(attempts=parts)
    (request,) = requests_of(result).values()
    headline = "virtio-mem unplug by kworker/0:1 (9): 3 ranges and 1 memory block, 1 range not given back"
    assert request_headline(request) == headline
    assert "2 of 4 attempts failed, 512 pages (2.0 MiB) stay" in request_ending(request, 4096, "ns")
    text = " ".join(render_text(result, Style()).split())
    assert text.count("UNPLUG") == 1
    assert text.index("UNPLUG") < text.index("FAILED")
    assert "more attempts succeeded" not in text


def test_a_request_of_which_all_went_well_is_told_too() -> None:
    result = example.result(attempts=[of_request(BLOCK * n, BLOCK, operation="memory_offline") for n in (1, 2)])
    text = " ".join(render_text(result, Style()).split())
    assert "memory unplug by kworker/0:1 (9): 2 memory blocks, all given back" in text


def test_parts_of_spans() -> None:
    assert within(((0, 10), (20, 30)), 5, 25) == ((5, 10), (20, 25))
    assert within(((0, 10),), 10, 25) == ()


@pytest.mark.parametrize("name", ["html", "md"])
def test_other_reports_tell_it_too(name: str) -> None:
    result = example.result(attempts=[of_request(0, SUB, "failed"), of_request(SUB, SUB)])
    said = (render_html(result) if name == "html" else render_markdown(result, Style())).replace("&#34;", '"')
    assert "virtio-mem unplug by kworker/0:1 (9): 2 ranges, 1 range not given back" in said
