"""Memory blocks being offlined: offline_pages() (mm/memory_hotplug.c), which has no tracepoint of its own.

What shows: migrate_pages() with reason memory_hotplug, test_pages_isolated() over whole blocks at the end, the page
stream of the task (its isolating gets carry pageblock type MIGRATE_ISOLATE), and the kernel log.
"""

from __future__ import annotations

import numpy as np

from tracereplay.attempts.draft import REASON_MEMORY_HOTPLUG, Draft
from tracereplay.attempts.events import AttemptEvents, Migration
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.build import ISOLATE_WITH_CMA, ISOLATE_WITHOUT_CMA
from tracereplay.layout.layout import Layout
from tracereplay.model.result import Request, Try
from tracereplay.schema import MT, PFN, RET, Op, PageStream
from tracereplay.units import NS_PER_MS, NS_PER_S

# offline_pages() loops without sleeping: its task is silent this long only when it waits for a page or has left.
SILENCE_NS = 250 * NS_PER_MS
# How far before its first migrate_pages() an offline may have begun to isolate.
LEAD_NS = 5 * NS_PER_S
# Without a known block size, a tested range of this alignment (the smallest block size in use) is a memory block.
SMALLEST_BLOCK_PAGES = 1 << 15


def find_offline(events: AttemptEvents, layout: Layout, taken: list[Draft]) -> list[Draft]:
    """Every offlining that migrated or tested pages; `taken` are attempts whose tests are not offline's."""
    drafts: list[Draft] = []
    for tid in events.tids("mm_migrate_pages", "mm_migrate_pages_start", "test_pages_isolated"):
        busy = [draft for draft in taken if draft.tid == tid]
        migrations = events.migrations(tid, REASON_MEMORY_HOTPLUG)
        tests = _block_tests(events, layout, tid, busy, bool(migrations))
        for group, test in _group(events, tid, migrations, tests):
            drafts.append(_draft(events, layout, tid, group, test))
    return drafts


def _block_tests(
    events: AttemptEvents, layout: Layout, tid: int, busy: list[Draft], migrates: bool
) -> list[tuple[int, int, int]]:
    """Passed tests of whole memory blocks: (time_ns, start_pfn, end_pfn)."""
    rows = events.of("test_pages_isolated", tid)
    step = layout.memory_block_pages or SMALLEST_BLOCK_PAGES
    found = []
    for row, ns in enumerate(rows.time_ns):
        start, end, fin = (int(rows.ints(name)[row]) for name in ("start_pfn", "end_pfn", "fin_pfn"))
        aligned = start % step == 0 and end % step == 0 and end > start
        known = migrates or layout.memory_block_pages is not None
        if fin >= end and aligned and known and not any(draft.covers(int(ns)) for draft in busy):
            found.append((int(ns), start, end))
    return found


def _silent(events: AttemptEvents, tid: int, start_ns: int, end_ns: int) -> bool:
    """Whether the task recorded nothing for longer than a looping offline ever pauses, and nothing was lost."""
    if end_ns - start_ns <= SILENCE_NS or events.hides(start_ns, end_ns):
        return False
    times = np.concatenate([[start_ns], events.task_stream(tid, start_ns, end_ns).time_ns, [end_ns]])
    return bool(np.diff(times).max() > SILENCE_NS)


def _group(
    events: AttemptEvents, tid: int, migrations: list[Migration], tests: list[tuple[int, int, int]]
) -> list[tuple[list[Migration], tuple[int, int, int] | None]]:
    """Migrations that belong together, and the test that ended them: a passed test or a silence ends an attempt."""
    groups: list[tuple[list[Migration], tuple[int, int, int] | None]] = []
    current: list[Migration] = []
    waiting = sorted(tests)
    for migration in migrations:
        while waiting and waiting[0][0] < migration[0]:
            groups.append((current, waiting.pop(0)))
            current = []
        if current and current[-1][1] >= 0 and _silent(events, tid, current[-1][1], migration[0]):
            groups.append((current, None))
            current = []
        current.append(migration)
    if waiting:
        groups.append((current, waiting.pop(0)))
        current = []
        groups.extend(([], test) for test in waiting)
    if current:
        groups.append((current, None))
    return groups


def _draft(
    events: AttemptEvents, layout: Layout, tid: int, group: list[Migration], test: tuple[int, int, int] | None
) -> Draft:
    first_ns = group[0][0] if group else (test[0] if test else 0)
    last_ns = test[0] if test else (group[-1][1] if group[-1][1] >= 0 else events.end_ns)
    start_ns, end_ns, block = _extent(events, layout, tid, first_ns, last_ns, test)
    draft = Draft("memory_offline", tid, start_ns, end_ns, "succeeded", "inferred")
    if block is not None:
        draft.spans = (block,)
        draft.request = Request(pages=block[1] - block[0], start_pfn=block[0], end_pfn=block[1])
        span = layout.block_of(block[0])
        draft.area = span.name if span else None
    if test is None:
        if group[-1][1] < 0 or events.end_ns - end_ns < SILENCE_NS:
            draft.outcome, draft.end_ns = "unfinished", None
        else:
            # Only a signal ends the loop of an offline that cannot move its pages (signal_pending -> -EINTR).
            draft.outcome, draft.errno = "interrupted", "EINTR"
    _add_tries(draft, group, test)
    draft.failed_migrations = group[-1][3] if group else 0
    draft.phases = phases_between(events, tid, start_ns, end_ns, [start_ns])
    return draft


def _extent(
    events: AttemptEvents, layout: Layout, tid: int, first_ns: int, last_ns: int, test: tuple[int, int, int] | None
) -> tuple[int, int, tuple[int, int] | None]:
    """Start, end and block of an attempt, from what its task did to pages around its migrations."""
    stream = events.task_stream(tid, first_ns - LEAD_NS, min(last_ns + LEAD_NS, events.end_ns))
    isolate = layout.isolate_migratetype
    if isolate is None:
        isolate = _isolate_migratetype(stream, first_ns, last_ns)
    gets = (stream.op == Op.REF_MOD_UNLESS) | (stream.op == Op.REF_MOD_AND_TEST) | (stream.op == Op.REF_MOD)
    isolating = gets & (stream.args[:, MT] == isolate) if isolate is not None else np.zeros(len(stream), bool)
    start_ns, end_ns = first_ns, last_ns
    if isolating.any():
        times = stream.time_ns[isolating]
        start_ns = min(_contiguous_start(times, first_ns), first_ns)
        if test is None:
            end_ns = max(_contiguous_end(times, last_ns), last_ns)
    if test is not None:
        return start_ns, end_ns, (test[1], test[2])
    window = (stream.time_ns >= start_ns) & (stream.time_ns <= end_ns)
    taken = isolating & window & (stream.args[:, RET] == 1) & (stream.op == Op.REF_MOD_UNLESS)
    pfns = stream.args[taken, PFN]
    if not len(pfns):
        entries = (stream.op == Op.SET_MIGRATION_PTE) & window
        pfns = stream.args[entries, PFN]
        pfns = pfns[pfns > 0]
    return start_ns, end_ns, _block_around(layout, pfns)


def _isolate_migratetype(stream: PageStream, first_ns: int, last_ns: int) -> int | None:
    """MIGRATE_ISOLATE where no layout tells: the pages a task migrates away lie in isolated pageblocks.

    It is the highest number: 5 with CONFIG_CMA, 4 without, above the types of pages that are allocated from.
    """
    counted = (stream.op >= Op.REF_SET) & (stream.op <= Op.REF_UNFREEZE)
    during = counted & (stream.time_ns >= first_ns) & (stream.time_ns <= last_ns)
    highest = int(stream.args[during, MT].max(initial=0))
    return highest if highest in (ISOLATE_WITHOUT_CMA, ISOLATE_WITH_CMA) else None


def _contiguous_start(times: np.ndarray, at: int) -> int:
    """First of the run of times, without a silence in it, that reaches `at`."""
    before = times[times <= at]
    if not len(before):
        return at
    breaks = np.flatnonzero(np.diff(before) > SILENCE_NS)
    return int(before[breaks[-1] + 1]) if len(breaks) else int(before[0])


def _contiguous_end(times: np.ndarray, at: int) -> int:
    """Last of the run of times, without a silence in it, that begins at `at`."""
    after = np.concatenate([[at], times[times >= at]])
    breaks = np.flatnonzero(np.diff(after) > SILENCE_NS)
    return int(after[breaks[0]]) if len(breaks) else int(after[-1])


def _block_around(layout: Layout, pfns: np.ndarray) -> tuple[int, int] | None:
    """The memory block most of these pages lie in; without a block size, the smallest block that may be meant."""
    if not len(pfns):
        return None
    size = layout.memory_block_pages or SMALLEST_BLOCK_PAGES
    blocks, counts = np.unique(pfns // size, return_counts=True)
    if layout.memory_block_pages is None:
        return int(blocks[0]) * size, (int(blocks[-1]) + 1) * size
    number = int(blocks[np.argmax(counts)])
    return number * size, (number + 1) * size


def _add_tries(draft: Draft, group: list[Migration], test: tuple[int, int, int] | None) -> None:
    """Each pass of the loop that could not move everything is a try; the passed test is the last one."""
    start, end = draft.request.start_pfn, draft.request.end_pfn
    begin = draft.start_ns
    passes = [(end_ns, failed) for _, end_ns, _, failed in group if end_ns >= 0 and failed]
    for end_ns, _ in passes:
        draft.tries.append(
            Try(index=len(draft.tries), start_pfn=start, end_pfn=end, start_ns=begin, end_ns=end_ns, result="EAGAIN")
        )
        begin = end_ns
    if test is not None:
        draft.tries.append(
            Try(
                index=len(draft.tries), start_pfn=start, end_pfn=end, start_ns=begin, end_ns=test[0], result="succeeded"
            )
        )
    draft.try_visited = [end or 0] * len(draft.tries)
