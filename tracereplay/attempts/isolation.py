"""Which tasks isolate pages, and when: their gets are no pins. Attempts, compaction, reclaim and other migrations."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from tracereplay.attempt_events import RECLAIM_WINDOWS
from tracereplay.attempts.detected_attempt import LONG_AGO_NS, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.inferred_start import inferred_start
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.units import NS_PER_MS

# Loops over batches (isolate_migratepages(), __alloc_contig_migrate_range(), do_migrate_range()) go on at once: gets
# between two of their events are of the next batch.
BATCH_GAP_NS = 20 * NS_PER_MS
# A batch ends after 32 pages or at the end of its pageblock: this long before its event, on a slow machine.
BATCH_NS = 5 * NS_PER_MS
# The first get of a loop is at most this long before its first event.
BATCH_LEAD_NS = 50 * NS_PER_MS
# Of that many loops of a kind the first get is looked up in the page stream; BATCH_NS is taken for the rest.
LOOKED_UP = 200
# enum migrate_reason: the callers that take pages off the LRU with folio_try_get() and keep that reference until the
# migration: compaction, soft offlining, memory hotplug, alloc_contig_range(), demotion by reclaim.
BATCH_REASONS = (0, 1, 2, 6, 8)
# The others look a page up, isolate it by folio_isolate_lru() (a plain page_ref_mod, which is never taken for a pin)
# and migrate it at once: syscalls, mbind, NUMA balancing, DAMON. A user's own pin comes as close only by chance.
LOOKUP_REASONS = (3, 4, 5, 9)
LOOKUP_NS = NS_PER_MS


class Window(NamedTuple):
    """The task isolates from start_ns to end_ns, both included."""

    tid: int
    start_ns: int
    end_ns: int


def isolation_windows(
    events: AttemptEvents, layout: Layout, drafts: Sequence[DetectedAttempt], background: Collection[int] = ()
) -> list[Window]:
    """Windows of all tasks but those of `background`, merged where they overlap, in order of task and time."""
    windows = [
        Window(draft.tid, draft.start_ns, events.end_ns if draft.end_ns is None else draft.end_ns)
        for draft in drafts
        # __gup_longterm_locked() pins between its migrations: only these isolate.
        if draft.tid is not None and draft.operation != "longterm_pin"
    ]
    for begin, end in (*RECLAIM_WINDOWS, ("mm_compaction_begin", "mm_compaction_end")):
        windows += _bracketed(events, begin, end)
    windows += _migrations(events)
    windows = merged(window for window in windows if window.tid not in background)
    windows += _batches(events, layout, windows, background)
    return merged(windows)


def isolation_actions(windows: Iterable[Window]) -> list[ReplayAction]:
    """What the replay does about them."""
    return [
        action
        for number, (tid, start_ns, end_ns) in enumerate(windows)
        for action in (
            ReplayAction(start_ns, ActionKind.ISOLATE, number, (), tid),
            ReplayAction(end_ns, ActionKind.ISOLATE_END, number, (), tid),
        )
    ]


def merged(windows: Iterable[Window]) -> list[Window]:
    """Windows of one task that overlap or touch become one."""
    out: list[Window] = []
    for window in sorted(windows):
        if out and out[-1].tid == window.tid and window.start_ns <= out[-1].end_ns:
            out[-1] = out[-1]._replace(end_ns=max(out[-1].end_ns, window.end_ns))
        else:
            out.append(window)
    return out


def _bracketed(events: AttemptEvents, begin: str, end: str) -> Iterator[Window]:
    """From each begin to its end. A lost one makes the window longer: to the event of that kind before, or after."""
    for tid in events.tids(begin, end):
        marks = [(ns, False) for ns in events.of(begin, tid).time_ns.tolist()]
        marks += [(ns, True) for ns in events.of(end, tid).time_ns.tolist()]
        since, running = LONG_AGO_NS, True  # it may have begun before the trace
        for ns, ends in sorted(marks):
            if ends:
                yield Window(tid, since, ns)
                since, running = ns, False
            elif not running or since == LONG_AGO_NS:
                since, running = ns, True
        if running and since != LONG_AGO_NS:
            yield Window(tid, since, events.end_ns)


def _migrations(events: AttemptEvents) -> Iterator[Window]:
    """migrate_pages() calls of every task."""
    for tid in events.tids("mm_migrate_pages", "mm_migrate_pages_start"):
        for reason in _reasons(events, tid):
            for start_ns, end_ns, _moved, _failed in events.migrations(tid, reason):
                if end_ns >= 0 or events.recorded("mm_migrate_pages"):
                    yield Window(tid, start_ns, end_ns if end_ns >= 0 else events.end_ns)


def _reasons(events: AttemptEvents, tid: int) -> list[int]:
    rows = (events.of(name, tid).ints("reason", -1) for name in ("mm_migrate_pages", "mm_migrate_pages_start"))
    return sorted({int(reason) for column in rows for reason in column})


class _Sign(NamedTuple):
    """An event of a batch: the gets of the batch came before it."""

    time_ns: int
    spans: Spans = ()
    taken: int | None = None


def _batches(
    events: AttemptEvents, layout: Layout, known: list[Window], background: Collection[int]
) -> Iterator[Window]:
    """Batches that no window covers: from the first get of the first to the last event of the last of a loop."""
    looked_up: Counter[int] = Counter()
    names = ("mm_compaction_isolate_migratepages", "mm_compaction_migratepages", "mm_migrate_pages")
    for tid in events.tids(*names, "mm_migrate_pages_start"):
        if tid in background:
            continue
        mine = [window for window in known if window.tid == tid]
        ends = [window.end_ns for window in mine]
        floor_ns = LONG_AGO_NS
        loops = [*_loops(_signs(events, tid)), *_lookups(events, tid)]
        for first, last_ns, lead_ns in sorted(loops, key=lambda loop: loop[0].time_ns):
            at = bisect_left(ends, last_ns)
            if at < len(mine) and mine[at].start_ns < first.time_ns:
                continue
            if looked_up[lead_ns] < LOOKED_UP:
                looked_up[lead_ns] += 1
                low = max(floor_ns, first.time_ns - lead_ns)
                start_ns = inferred_start(events, layout, tid, first.time_ns, first.spans, low, first.taken)
            else:
                start_ns = first.time_ns - min(BATCH_NS, lead_ns)
            yield Window(tid, start_ns, last_ns)
            floor_ns = max(floor_ns, last_ns + 1)


def _signs(events: AttemptEvents, tid: int) -> list[_Sign]:
    scans = events.of("mm_compaction_isolate_migratepages", tid)
    columns = (scans.time_ns, scans.ints("start_pfn"), scans.ints("end_pfn"), scans.ints("nr_taken", -1))
    signs = [
        _Sign(int(ns), ((int(start), int(end)),) if start < end else (), int(taken) if taken >= 0 else None)
        for ns, start, end, taken in zip(*columns, strict=True)
    ]
    signs += [_Sign(ns) for ns in events.of("mm_compaction_migratepages", tid).time_ns.tolist()]
    for reason in BATCH_REASONS:
        for start_ns, end_ns, _moved, _failed in events.migrations(tid, reason):
            signs += [_Sign(start_ns), _Sign(end_ns)] if end_ns >= 0 else [_Sign(start_ns)]
    return sorted(signs, key=lambda sign: sign.time_ns)


def _lookups(events: AttemptEvents, tid: int) -> Iterator[tuple[_Sign, int, int]]:
    """Migrations of pages that the task has just looked up."""
    for reason in LOOKUP_REASONS:
        for start_ns, end_ns, _moved, _failed in events.migrations(tid, reason):
            yield _Sign(start_ns), max(start_ns, end_ns), LOOKUP_NS


def _loops(signs: list[_Sign]) -> Iterator[tuple[_Sign, int, int]]:
    """Signs that follow each other at once: the first of them, the time of the last, and how early its gets may be."""
    first: _Sign | None = None
    last_ns = 0
    for sign in signs:
        if first is not None and sign.time_ns - last_ns > BATCH_GAP_NS:
            yield first, last_ns, BATCH_LEAD_NS
            first = None
        first = first or sign
        last_ns = sign.time_ns
    if first is not None:
        yield first, last_ns, BATCH_LEAD_NS
