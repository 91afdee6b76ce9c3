"""The ranges an attempt tried where no event announces each: from its tests, else from its scans for migration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import NO_PFN, EventRows
from tracereplay.model.result import Try


class RangeTried(NamedTuple):
    """One range that alloc_contig_range() was called for. tested -- whether a test of it is in the trace."""

    start_ns: int
    end_ns: int
    start_pfn: int | None
    end_pfn: int | None
    tested: bool
    passed: bool = False


def ranges_tried(tests: EventRows, scans: EventRows, start_ns: int, end_ns: int, pages: int) -> list[RangeTried]:
    """Ranges of `pages` that were tested or scanned after start_ns, up to end_ns, in order of time.

    cma_alloc() goes on to a range further up only after -EBUSY. The scan of a range begins at its start and never goes
    back: a scan that does, or that passes the end, is that of the next range.
    """
    found = []
    begin = start_ns
    inside = tests.between(start_ns + 1, end_ns)
    for row, ns in enumerate(inside.time_ns.tolist()):
        end_pfn, fin_pfn = int(inside.ints("end_pfn")[row]), int(inside.ints("fin_pfn")[row])
        found.append(RangeTried(begin, ns, end_pfn - pages, end_pfn, True, fin_pfn >= end_pfn))
        begin = ns
    found += _scanned(scans.between(begin + 1, end_ns), begin, end_ns, pages)
    return found


def _scanned(scans: EventRows, start_ns: int, end_ns: int, pages: int) -> Iterator[RangeTried]:
    times, starts, ends = scans.time_ns.tolist(), scans.ints("start_pfn").tolist(), scans.ints("end_pfn").tolist()
    first = 0
    for row in range(1, len(times)):
        goes_on = ends[row - 1] <= starts[row] < starts[first] + pages
        if not goes_on and starts[row] > starts[first]:
            yield RangeTried(start_ns, times[row] - 1, starts[first], starts[first] + pages, False)
            start_ns, first = times[row] - 1, row
    if times:
        yield RangeTried(start_ns, end_ns, starts[first], starts[first] + pages, False)


def add_try(
    draft: DetectedAttempt,
    tests: EventRows,
    scans: EventRows,
    when: tuple[int, int],
    span: tuple[int | None, int | None],
    result: str,
) -> None:
    """Append a try of the range, with the page its test named and the end of what was scanned."""
    inside = tests.between(when[0], when[1])
    first_blocking = None
    for row in range(len(inside)):
        fin, end = int(inside.ints("fin_pfn")[row]), int(inside.ints("end_pfn")[row])
        first_blocking = fin if NO_PFN != fin < end else None
    scanned = scans.between(when[0], when[1])
    draft.tries.append(
        Try(
            index=len(draft.tries),
            start_pfn=span[0],
            end_pfn=span[1],
            start_ns=when[0],
            end_ns=when[1],
            result=result,
            first_blocking_pfn=first_blocking,
        )
    )
    draft.try_visited.append(int(scanned.ints("end_pfn")[-1]) if len(scanned) else 0)
