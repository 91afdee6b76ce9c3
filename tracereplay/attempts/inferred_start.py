"""Attempts without a start or end event: they begin and end with the gets by which their task isolates pages.

isolate_migratepages_block() and do_migrate_range() take a reference on each page, in ascending order of page frames,
before any event of compaction, migration or page isolation. Those gets belong to the attempt: they are no pins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import LONG_AGO_NS
from tracereplay.attempts.events import AttemptEvents
from tracereplay.layout.build import ISOLATE_WITH_CMA, ISOLATE_WITHOUT_CMA
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans
from tracereplay.schema import MT, PFN, RET, VAL, Op, PageStream
from tracereplay.units import NS_PER_MS, NS_PER_S

# A task that isolates does not sleep: it is silent this long only when it waits for a page or has left.
SILENCE_NS = 250 * NS_PER_MS
# How far before its first event an attempt may have begun to isolate.
LEAD_NS = 5 * NS_PER_S
Times = npt.NDArray[np.int64]
Hides = Callable[[int, int], bool]


def inferred_start(
    events: AttemptEvents,
    layout: Layout,
    tid: int,
    sign_ns: int,
    spans: Spans,
    floor_ns: int = LONG_AGO_NS,
    taken: int | None = None,
) -> int:
    """When the attempt began whose first event is at `sign_ns`; never before `floor_ns`.

    spans -- the range it isolated, () where not known; taken -- pages it had isolated by `sign_ns`, where known.
    """
    low = max(floor_ns, sign_ns - LEAD_NS)
    if low >= sign_ns:
        return sign_ns
    stream = events.task_stream(tid, low, sign_ns)
    isolate = layout.isolate_migratetype
    if isolate is None:
        isolate = seen_isolate_migratetype(stream, cma_possible=True)
    return isolation_start(stream, sign_ns, spans, isolate, taken, events.hides)


def inferred_end(events: AttemptEvents, layout: Layout, tid: int, sign_ns: int, spans: Spans) -> int:
    """When an attempt ended that isolated at `sign_ns`: with its task's last page_ref event in isolated pageblocks."""
    isolate = layout.isolate_migratetype
    end_ns, more = sign_ns, True
    while isolate is not None and more and end_ns < events.end_ns:
        until_ns = min(end_ns + LEAD_NS, events.end_ns)
        stream = events.task_stream(tid, end_ns, until_ns)
        counted = (stream.op >= Op.REF_SET) & (stream.op <= Op.REF_UNFREEZE) & (stream.args[:, MT] == isolate)
        times = stream.time_ns[counted & _inside(stream.args[:, PFN], spans)]
        before_ns, end_ns = end_ns, run_end(times, end_ns, events.hides)
        more = end_ns > before_ns and until_ns - end_ns <= SILENCE_NS
    return end_ns


def isolation_start(
    stream: PageStream, sign_ns: int, spans: Spans, isolate: int | None, taken: int | None, hides: Hides
) -> int:
    """The first of the gets before `sign_ns` that isolated pages of `spans`; `sign_ns` where there is none.

    A get while the pageblock's type is MIGRATE_ISOLATE tells best. Where no get has it, those of the scan are the last
    ascending run of gets: the scan takes each page once, so a pin that the task took before is not among them.
    """
    gets = np.flatnonzero(
        (stream.op == Op.REF_MOD_UNLESS) & (stream.args[:, RET] == 1) & (stream.time_ns <= sign_ns)
        & _inside(stream.args[:, PFN], spans)
    )  # fmt: skip
    isolated = gets[stream.args[gets, MT] == isolate] if isolate is not None else gets[:0]
    if len(isolated):
        return run_start(stream.time_ns[isolated], sign_ns, hides)
    first = _last_scan(stream, gets, sign_ns, hides)
    if taken is not None:
        first = _at_most(stream, gets, first, taken)
    return int(stream.time_ns[gets[first]]) if first < len(gets) else sign_ns


def seen_isolate_migratetype(
    stream: PageStream, chosen: npt.NDArray[np.bool_] | None = None, cma_possible: bool = False
) -> int | None:
    """MIGRATE_ISOLATE where no layout has it: the highest pageblock type in (part of) the stream of an isolating task.

    It is the highest number: 5 with CONFIG_CMA, 4 without, above the types of pages that are allocated from. Where the
    pages may be those of a CMA area, 4 may be MIGRATE_CMA.
    """
    counted = (stream.op >= Op.REF_SET) & (stream.op <= Op.REF_UNFREEZE)
    if chosen is not None:
        counted &= chosen
    highest = int(stream.args[counted, MT].max(initial=0))
    known = (ISOLATE_WITH_CMA,) if cma_possible else (ISOLATE_WITHOUT_CMA, ISOLATE_WITH_CMA)
    return highest if highest in known else None


def run_start(times: Times, at: int, hides: Hides) -> int:
    """First of the run of times, without a silence in it, that reaches `at`."""
    before = np.concatenate([times[times <= at], [at]])
    first = len(before) - 1
    while first > 0 and not _silent(int(before[first - 1]), int(before[first]), hides):
        first -= 1
    return int(before[first])


def run_end(times: Times, at: int, hides: Hides) -> int:
    """Last of the run of times, without a silence in it, that begins at `at`."""
    after = np.concatenate([[at], times[times >= at]])
    last = 0
    while last < len(after) - 1 and not _silent(int(after[last]), int(after[last + 1]), hides):
        last += 1
    return int(after[last])


def _silent(start_ns: int, end_ns: int, hides: Hides) -> bool:
    return end_ns - start_ns > SILENCE_NS and not hides(start_ns, end_ns)


def _inside(pfns: npt.NDArray[np.int64], spans: Spans) -> npt.NDArray[np.bool_]:
    inside = np.full(len(pfns), not spans)
    for start_pfn, end_pfn in spans:
        inside |= (pfns >= start_pfn) & (pfns < end_pfn)
    return inside


def _last_scan(stream: PageStream, gets: npt.NDArray[np.int64], sign_ns: int, hides: Hides) -> int:
    """Where the last ascending run of gets begins, as an index into `gets`; their number where none precedes."""
    first = len(gets)
    next_ns, next_pfn = sign_ns, None
    while first > 0:
        at = gets[first - 1]
        ns, pfn = int(stream.time_ns[at]), int(stream.args[at, PFN])
        if (next_pfn is not None and pfn >= next_pfn) or _silent(ns, next_ns, hides):
            break
        first, next_ns, next_pfn = first - 1, ns, pfn
    return first


def _at_most(stream: PageStream, gets: npt.NDArray[np.int64], first: int, taken: int) -> int:
    """Leave out the earliest gets of the run: of its pages, no more than `taken` may still be held.

    Up to 5.10 the scan took no reference on an anonymous page that it skipped for its references.
    """
    held = [at for at in range(first, len(gets)) if not _put_back(stream, int(gets[at]))]
    return held[-taken - 1] + 1 if len(held) > taken else first


def _put_back(stream: PageStream, at: int) -> bool:
    """Whether the task put the page of this get back, within the stream."""
    later = slice(at + 1, None)
    puts = (stream.op[later] == Op.REF_MOD_AND_TEST) & (stream.args[later, PFN] == stream.args[at, PFN])
    return bool((puts & (stream.args[later, VAL] < 0)).any())
