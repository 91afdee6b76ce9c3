"""Memory blocks being offlined: offline_pages() (mm/memory_hotplug.c), which has no tracepoint of its own.

What shows: migrate_pages() with reason memory_hotplug, test_pages_isolated() over whole blocks at the end, the page
stream of the task (its isolating gets carry pageblock type MIGRATE_ISOLATE), and the kernel log.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tracereplay.attempts.block_tests import SMALLEST_BLOCK_PAGES, BlockTest, block_tests
from tracereplay.attempts.detected_attempt import LONG_AGO_NS, REASON_MEMORY_HOTPLUG, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents, Migration
from tracereplay.attempts.inferred_start import (
    LEAD_NS,
    SILENCE_NS,
    isolation_start,
    run_end,
    seen_isolate_migratetype,
)
from tracereplay.attempts.phases import phases_between
from tracereplay.layout.layout import Layout
from tracereplay.model.result import Request, Try
from tracereplay.schema import MT, PFN, RET, Op


@dataclass(slots=True)
class _Loop:
    """What one offline_pages() recorded."""

    migrations: list[Migration] = field(default_factory=list)
    tests: list[BlockTest] = field(default_factory=list)  # only the last may have passed

    @property
    def first_ns(self) -> int:
        return min([call[0] for call in self.migrations[:1]] + [test.time_ns for test in self.tests[:1]])

    @property
    def last_ns(self) -> int:
        """End of its last event; the begin of a migration whose end is not in the trace."""
        ends = [call[1] if call[1] >= 0 else call[0] for call in self.migrations[-1:]]
        return max(ends + [test.time_ns for test in self.tests[-1:]])

    @property
    def open(self) -> bool:
        """Whether its last migration has no end."""
        return bool(self.migrations) and self.migrations[-1][1] < 0

    @property
    def passed(self) -> BlockTest | None:
        return self.tests[-1] if self.tests and self.tests[-1].passed else None


def find_offline(events: AttemptEvents, layout: Layout, taken: list[DetectedAttempt]) -> list[DetectedAttempt]:
    """Every offlining that migrated or tested pages; `taken` are attempts whose tests are not offline's."""
    drafts: list[DetectedAttempt] = []
    for tid in events.tids("mm_migrate_pages", "mm_migrate_pages_start", "test_pages_isolated"):
        busy = [draft for draft in taken if draft.tid == tid]
        floor_ns = LONG_AGO_NS
        for loop in _loops(events, tid, block_tests(events, layout, tid, busy)):
            drafts.append(_draft(events, layout, tid, loop, floor_ns))
            floor_ns = loop.last_ns + 1
    return drafts


def _silent(events: AttemptEvents, tid: int, start_ns: int, end_ns: int) -> bool:
    """Whether the task recorded nothing for longer than a looping offline ever pauses, and nothing was lost."""
    if end_ns - start_ns <= SILENCE_NS or events.hides(start_ns, end_ns):
        return False
    times = np.concatenate([[start_ns], events.task_stream(tid, start_ns, end_ns).time_ns, [end_ns]])
    return bool(np.diff(times).max() > SILENCE_NS)


def _loops(events: AttemptEvents, tid: int, tests: list[BlockTest]) -> list[_Loop]:
    """Migrations and tests that belong together: a passed test or a silence ends an attempt."""
    signs: list[tuple[int, Migration | BlockTest]] = [(test.time_ns, test) for test in tests]
    signs += [(call[0], call) for call in events.migrations(tid, REASON_MEMORY_HOTPLUG)]
    loops: list[_Loop] = []
    current: _Loop | None = None
    for ns, sign in sorted(signs, key=lambda one: one[0]):
        if current is None or current.passed or (not current.open and _silent(events, tid, current.last_ns, ns)):
            current = _Loop()
            loops.append(current)
        if isinstance(sign, BlockTest):
            current.tests.append(sign)
        else:
            current.migrations.append(sign)
    return loops


def _draft(events: AttemptEvents, layout: Layout, tid: int, loop: _Loop, floor_ns: int) -> DetectedAttempt:
    start_ns, end_ns, block = _extent(events, layout, tid, loop, floor_ns)
    draft = DetectedAttempt("memory_offline", tid, start_ns, end_ns, "succeeded", "inferred")
    if block is not None:
        draft.spans = (block,)
        draft.request = Request(pages=block[1] - block[0], start_pfn=block[0], end_pfn=block[1])
        span = layout.block_of(block[0])
        draft.area = span.name if span else None
    if loop.passed is None:
        _set_outcome(events, draft, loop, end_ns)
    _add_tries(draft, loop)
    draft.failed_migrations = loop.migrations[-1][3] if loop.migrations else 0
    draft.phases = phases_between(events, tid, start_ns, end_ns, [start_ns])
    return draft


def _set_outcome(events: AttemptEvents, draft: DetectedAttempt, loop: _Loop, end_ns: int) -> None:
    """No test passed. That shows nothing where tests were not recorded, or may be lost."""
    if loop.open or events.end_ns - end_ns < SILENCE_NS:
        draft.outcome, draft.end_ns = "unfinished", None
        if loop.open and not events.recorded("mm_migrate_pages"):
            draft.outcome = "unknown"
    elif not events.recorded("test_pages_isolated") or events.hides(end_ns, end_ns + SILENCE_NS):
        draft.outcome = "unknown"
    elif loop.migrations and loop.migrations[-1][3] == 0:
        # All that was found had moved: a signal, or hugetlb pages that cannot be dissolved, ended it before the test.
        draft.outcome = "failed"
    else:
        # Only a signal ends the loop of an offline that cannot move its pages (signal_pending -> -EINTR).
        draft.outcome, draft.errno = "interrupted", "EINTR"


def _extent(
    events: AttemptEvents, layout: Layout, tid: int, loop: _Loop, floor_ns: int
) -> tuple[int, int, tuple[int, int] | None]:
    """Start, end and block of an attempt, from what its task did to pages around its migrations."""
    last_ns = events.end_ns if loop.open else loop.last_ns
    stream = events.task_stream(tid, max(floor_ns, loop.first_ns - LEAD_NS), min(last_ns + LEAD_NS, events.end_ns))
    during = (stream.time_ns >= loop.first_ns) & (stream.time_ns <= last_ns)
    isolate = layout.isolate_migratetype
    if isolate is None:
        isolate = seen_isolate_migratetype(stream, during)
    block = (loop.tests[-1].start_pfn, loop.tests[-1].end_pfn) if loop.tests else None
    start_ns = isolation_start(stream, loop.first_ns, (block,) if block else (), isolate, None, events.hides)
    gets = (stream.op == Op.REF_MOD_UNLESS) | (stream.op == Op.REF_MOD_AND_TEST) | (stream.op == Op.REF_MOD)
    isolating = gets & (stream.args[:, MT] == isolate) if isolate is not None else np.zeros(len(stream), bool)
    end_ns = last_ns
    if loop.passed is None and isolating.any():
        end_ns = run_end(stream.time_ns[isolating], last_ns, events.hides)
    if block is not None:
        return start_ns, end_ns, block
    window = (stream.time_ns >= start_ns) & (stream.time_ns <= end_ns)
    taken = isolating & window & (stream.args[:, RET] == 1) & (stream.op == Op.REF_MOD_UNLESS)
    pfns = stream.args[taken, PFN]
    if not len(pfns):
        entries = (stream.op == Op.SET_MIGRATION_PTE) & window
        pfns = stream.args[entries, PFN]
        pfns = pfns[pfns > 0]
    return start_ns, end_ns, _block_around(layout, pfns)


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


def _add_tries(draft: DetectedAttempt, loop: _Loop) -> None:
    """Each pass that could not move everything is a try, and each test; the test that passed is the last one."""
    start, end = draft.request.start_pfn, draft.request.end_pfn
    begin = draft.start_ns
    passes: list[tuple[int, str, int | None]] = [
        (end_ns, "EAGAIN", None) for _, end_ns, _, failed in loop.migrations if end_ns >= 0 and failed
    ]
    passes += [
        (test.time_ns, "succeeded", None) if test.passed else (test.time_ns, "EBUSY", test.fin_pfn)
        for test in loop.tests
    ]
    for end_ns, result, first_blocking in sorted(passes, key=lambda one: one[0]):
        draft.tries.append(
            Try(
                index=len(draft.tries),
                start_pfn=start,
                end_pfn=end,
                start_ns=begin,
                end_ns=end_ns,
                result=result,
                first_blocking_pfn=first_blocking,
            )
        )
        begin = end_ns
    draft.try_visited = [end or 0] * len(draft.tries)
