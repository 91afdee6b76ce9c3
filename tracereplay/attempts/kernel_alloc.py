"""Kernel allocations that found no page, or had a process killed for one, while memory was free that only movable
pages may use: ZONE_MOVABLE and CMA areas.

A failed allocation is mm_page_alloc without a page (pfn ~0, __alloc_pages); callers that ask with __GFP_NORETRY fall
back to less. One that goes on until the OOM killer has chosen a victim leaves mark_victim, by the allocating task,
after its direct reclaims. How much movable-only memory is free is known as a bound from below: pages whose frees the
trace has, or what the snapshot counted free less all that was allocated there since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.events import AttemptEvents, EventRows
from tracereplay.layout.layout import Layout, Span
from tracereplay.model.result import Request, Try
from tracereplay.replay.occupancy import StateCount
from tracereplay.units import NS_PER_S

GFP_MOVABLE = 0x08  # ___GFP_MOVABLE, the same bit from 4.19 to 7.2
ORDERS = 11
# Failures of one task, of one order and GFP mask, this close together are one attempt: callers that fall back go on.
GAP_NS = NS_PER_S
# Direct reclaims of one allocation follow each other: should_reclaim_retry() sleeps at most HZ / 50 (100 ms up to 6.x).
RECLAIM_GAP_NS = NS_PER_S
MOST_TRIES = 1000  # of an attempt, and attempts of a trace
# Where none of these is in a trace no allocation was in need.
NEED_EVENTS = frozenset({"mark_victim", "reclaim_retry_zone", "mm_vmscan_direct_reclaim_begin", "mm_compaction_begin"})


@dataclass(frozen=True, slots=True)
class MovableOnly:
    """Pages free in memory that only movable allocations may use, over time.

    times_ns -- ascending; free_pages -- at each, a bound from below; needed_pages -- what has to stay free there (the
    min watermarks of its zones, 0 where no snapshot tells).
    """

    times_ns: npt.NDArray[np.int64]
    free_pages: npt.NDArray[np.int64]
    needed_pages: int

    def at(self, time_ns: int) -> int | None:
        """The bound at this time: the smaller of the counts before and after it. None without a count."""
        if not len(self.times_ns):
            return None
        after = int(np.searchsorted(self.times_ns, time_ns))
        low, high = max(after - 1, 0), min(after, len(self.times_ns) - 1)
        return int(min(self.free_pages[low], self.free_pages[high]))


def movable_only(layout: Layout, ranges: Sequence[Span], counts: Iterable[StateCount]) -> MovableOnly:
    """The bound from the counts of these ranges (attempts/occupancy.py), and from what the snapshot counted."""
    by_time: dict[int, dict[int, StateCount]] = {}
    for row in counts:
        by_time.setdefault(row.time_ns, {})[row.key] = row
    whole = sorted(time_ns for time_ns, rows in by_time.items() if len(rows) == len(ranges))
    areas = range(len(layout.cma_areas))  # counted_ranges() has them first
    movable = range(len(areas), len(ranges))
    groups = ((movable, layout.free_movable_pages), (areas, layout.free_cma_pages))
    free = [sum(_bound([by_time[ns][n] for n in group], known) for group, known in groups) for ns in whole]
    return MovableOnly(np.array(whole, np.int64), np.array(free, np.int64), layout.movable_min_pages or 0)


def _bound(rows: Sequence[StateCount], known: int | None) -> int:
    seen = sum(row.free_pages for row in rows)
    if known is None:
        return seen
    return max(seen, known - sum(row.allocated_pages + row.taken_pages for row in rows))


def find_kernel_allocs(
    events: AttemptEvents, failed_allocs: npt.NDArray[np.void], movable: MovableOnly
) -> list[DetectedAttempt]:
    """The attempts, in order of time: only those for whose request there was room, had it been movable.

    failed_allocs -- `replay.state.FAILED_ALLOC` rows of the whole trace, in time order.
    """
    drafts = [*_failures(failed_allocs), *_kills(events)]
    found = []
    for draft in sorted(drafts, key=lambda one: (one.start_ns, one.tid or 0)):
        pages = movable.at(draft.end_ns if draft.end_ns is not None else draft.start_ns)
        if pages is not None and pages >= movable.needed_pages + (draft.request.pages or 1):
            draft.cause, draft.movable_free_pages = "movable_only_free", pages
            found.append(draft)
    _number(found)
    return found[:MOST_TRIES]


def _number(drafts: Sequence[DetectedAttempt]) -> None:
    """Give those of one task and time, which have one id, numbers."""
    seen: dict[str, int] = {}
    for draft in drafts:
        name = draft.id
        draft.number = seen.get(name, 0)
        seen[name] = draft.number + 1


def _failures(failed: npt.NDArray[np.void]) -> list[DetectedAttempt]:
    """mm_page_alloc without a page, for a request that is not movable."""
    kernel = failed[((failed["gfp"] & GFP_MOVABLE) == 0) & (failed["order"] >= 0) & (failed["order"] < ORDERS)]
    drafts: list[DetectedAttempt] = []
    latest: dict[tuple[int, int, int], DetectedAttempt] = {}
    for ns, tid, order, gfp in kernel.tolist():
        draft = latest.get((tid, order, gfp))
        if draft is None or draft.end_ns is None or ns - draft.end_ns > GAP_NS:
            draft = latest[tid, order, gfp] = _draft(tid, ns, ns, order, gfp, "ENOMEM")
            drafts.append(draft)
        draft.end_ns = ns
        if len(draft.tries) < MOST_TRIES:
            draft.tries.append(_try(len(draft.tries), ns, ns, "failed"))
    return drafts


def _kills(events: AttemptEvents) -> list[DetectedAttempt]:
    """mark_victim by a task that reclaims for an allocation; a movable one, or a memory cgroup's, is left out."""
    drafts = []
    for tid in events.tids("mark_victim"):
        reclaims = events.of("mm_vmscan_direct_reclaim_begin", tid)
        since = -1
        for ns in events.of("mark_victim", tid).time_ns.tolist():
            before = reclaims.between(since + 1, ns)
            since = ns
            draft = _kill(tid, before, ns)
            if draft is not None:
                drafts.append(draft)
    return drafts


def _kill(tid: int, reclaims: EventRows, kill_ns: int) -> DetectedAttempt | None:
    """The allocation that went on reclaiming until a victim was chosen."""
    if not len(reclaims) or kill_ns - int(reclaims.time_ns[-1]) > RECLAIM_GAP_NS:
        return None
    orders, masks = reclaims.ints("order", -1).tolist(), reclaims.ints("gfp_flags", -1).tolist()
    order, gfp = orders[-1], masks[-1]
    if gfp < 0 or gfp & GFP_MOVABLE or not 0 <= order < ORDERS:
        return None
    times = reclaims.time_ns.tolist()
    first = len(times) - 1
    while first and (orders[first - 1], masks[first - 1]) == (order, gfp):
        if times[first] - times[first - 1] > RECLAIM_GAP_NS:
            break
        first -= 1
    draft = _draft(tid, times[first], kill_ns, order, gfp, None)
    ends = [*times[first + 1 :], kill_ns]
    rounds = list(zip(times[first:], ends, strict=True))[-MOST_TRIES:]
    draft.tries = [_try(number, begin, end, "failed") for number, (begin, end) in enumerate(rounds)]
    return draft


def _draft(tid: int, start_ns: int, end_ns: int, order: int, gfp: int, errno: str | None) -> DetectedAttempt:
    request = Request(pages=1 << order, align_order=order, gfp=gfp)
    return DetectedAttempt("kernel_alloc", tid, start_ns, end_ns, "failed", "event", errno=errno, request=request)


def _try(index: int, start_ns: int, end_ns: int, result: str) -> Try:
    return Try(index=index, start_pfn=None, end_pfn=None, start_ns=start_ns, end_ns=end_ns, result=result)


def may_be_any(by_event: Mapping[str, int]) -> bool:
    """Whether the trace can have such attempts: allocations were recorded, and one was in need."""
    return bool(by_event.get("mm_page_alloc") and any(by_event.get(name) for name in NEED_EVENTS))
