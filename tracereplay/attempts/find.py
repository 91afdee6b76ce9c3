"""All attempts of a trace, and the questions the replay is to answer about each."""

from __future__ import annotations

from tracereplay.attempts.cma import find_cma
from tracereplay.attempts.compaction import find_compaction
from tracereplay.attempts.contig import find_contig
from tracereplay.attempts.contig_signs import isolated_since
from tracereplay.attempts.detected_attempt import UNTIMED_NS, DetectedAttempt
from tracereplay.attempts.events import AttemptEvents
from tracereplay.attempts.inferred_start import inferred_end, inferred_start
from tracereplay.attempts.log import Log, apply_log
from tracereplay.attempts.longterm import find_longterm
from tracereplay.attempts.meetings import given_up
from tracereplay.attempts.moments import note_moments
from tracereplay.attempts.offline import find_offline
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.attempts.probed import apply_probed
from tracereplay.attempts.unplug import name_requests
from tracereplay.attempts.waits import add_waits
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import Spans, merge_spans, within
from tracereplay.model.result import Try
from tracereplay.replay.engine import ActionKind, ReplayAction

# An offline passes over its block thousands of times: the state is looked at in this many of its passes.
PASSES_PROBED = 16
# Of an attempt with more failing tries, evenly chosen ones get a snapshot.
TRIES_PICTURED = 64


def find_attempts(events: AttemptEvents, layout: Layout, log: Log) -> list[DetectedAttempt]:
    """Every attempt, in order of time."""
    drafts = find_cma(events, layout)
    drafts += find_offline(events, layout, drafts)
    drafts = apply_probed(events, layout, drafts)
    drafts += find_contig(events, layout, drafts)
    drafts += find_longterm(events)
    drafts += find_compaction(events)
    for draft in drafts:
        add_waits(events, draft)
        draft.isolated_ns = isolated_since(events, draft)
    untimed = [draft for draft in drafts if UNTIMED_NS in (draft.start_ns, draft.end_ns)]
    for number, draft in enumerate(untimed):
        _without_times(draft, number)
    seen = len(drafts)
    apply_log(drafts, log, layout)
    for draft in drafts[seen:]:
        _add_extent(events, layout, draft)
    for draft in drafts:
        if draft.tid is not None:
            note_moments(events, draft)
    name_requests(drafts, layout, events.comm_of)
    return sorted(drafts, key=lambda draft: (draft.start_ns, draft.id))


def _without_times(draft: DetectedAttempt, number: int) -> None:
    """An attempt of events whose times the text does not tell: unknown, never zero."""
    draft.timeless, draft.number = True, number
    for one in draft.tries:
        one.start_ns = one.end_ns = None


def _add_extent(events: AttemptEvents, layout: Layout, draft: DetectedAttempt) -> None:
    """Begin and end of an attempt that only lines of the kernel log show: it isolates before the first of them."""
    if draft.tid is None or not draft.spans:
        return
    if draft.end_ns is not None and draft.operation == "memory_offline":
        draft.end_ns = inferred_end(events, layout, draft.tid, draft.end_ns, draft.spans)
    draft.start_ns = inferred_start(events, layout, draft.tid, draft.start_ns, draft.spans)


def plan_probes(events: AttemptEvents, drafts: list[DetectedAttempt], has_page_ref: bool) -> list[ReplayAction]:
    """What to ask the replay: who blocks migration at the failing tries and in the middle of each wait."""
    actions: list[ReplayAction] = []
    for number, draft in enumerate(drafts):
        if not draft.spans and not draft.waits:
            continue
        end_ns = draft.end_ns if draft.end_ns is not None else events.end_ns
        # __gup_longterm_locked() pins between its migrations: those gets are no isolation.
        tid = None if draft.operation == "longterm_pin" else draft.tid
        actions.append(ReplayAction(draft.start_ns, ActionKind.WATCH, ProbeKey(number).encode(), draft.spans, tid))
        actions.append(ReplayAction(end_ns, ActionKind.UNWATCH, ProbeKey(number).encode(), (), tid))
        actions.extend(_try_begins(number, draft))
        actions.extend(_try_probes(events, number, draft))
        actions.extend(_try_pictures(events, number, draft))
        actions.extend(_wait_probes(events, number, draft, has_page_ref))
        if got := taken_spans(draft):
            actions.append(ReplayAction(end_ns, ActionKind.TAKE, ProbeKey(number).encode(), got, draft.tid))
        if draft.outcome in ("unfinished", "unknown") or draft.operation == "compaction":
            key = ProbeKey(number).encode()
            actions.append(ReplayAction(end_ns, ActionKind.PROBE, key, draft.spans, draft.tid, zeroed=True))
    return actions


def taken_spans(draft: DetectedAttempt) -> Spans:
    """The range that a cma_alloc() got; empty for all other attempts."""
    if draft.operation != "cma_alloc" or draft.outcome != "succeeded":
        return ()
    return tuple((t.start_pfn, t.end_pfn) for t in draft.tries[-1:] if t.start_pfn is not None and t.end_pfn)


def failed_tries(draft: DetectedAttempt) -> list[Try]:
    """The tries that did not get their range."""
    return [one for one in draft.tries if one.result != "succeeded"]


def probed_tries(draft: DetectedAttempt) -> list[Try]:
    """Failed tries worth asking about: the first, the last, and each with another first blocking page."""
    failed = failed_tries(draft)
    if draft.operation == "memory_offline":
        step = max(1, len(failed) // PASSES_PROBED)
        return failed[::step] + ([failed[-1]] if failed and (len(failed) - 1) % step else [])
    chosen = []
    for at, one in enumerate(failed):
        edge = at in (0, len(failed) - 1)
        if edge or one.first_blocking_pfn not in (None, failed[at - 1].first_blocking_pfn):
            chosen.append(one)
    return chosen


def tested_spans(draft: DetectedAttempt, one: Try) -> Spans:
    """What this try wanted to empty, and the page that was named to be in its way, wherever it is."""
    spans = draft.spans
    if draft.operation in ("cma_alloc", "contig_alloc") and one.start_pfn is not None and one.end_pfn is not None:
        spans = ((one.start_pfn, one.end_pfn),)
    named = _named(draft, one)
    return spans if named is None else merge_spans([*spans, (named, named + 1)])


def _named(draft: DetectedAttempt, one: Try) -> int | None:
    return one.first_blocking_pfn if one.first_blocking_pfn is not None else draft.log_pfn


def _try_begins(number: int, draft: DetectedAttempt) -> list[ReplayAction]:
    """Each try comes to its pages anew: what was taken after an earlier one may block this one."""
    key = ProbeKey(number).encode()
    return [
        ReplayAction(one.start_ns + 1, ActionKind.WATCH, key, tested_spans(draft, one))
        for one in probed_tries(draft)
        if one.start_ns is not None and one.start_ns > draft.start_ns
    ]


def _try_probes(events: AttemptEvents, number: int, draft: DetectedAttempt) -> list[ReplayAction]:
    """At each failing test, and before it where the try gave a batch up: its pages may be let go before the test."""
    actions = []
    for one in probed_tries(draft):
        named = _named(draft, one)
        last = given_up(events, draft, one)
        if last is not None:
            spans = within(tested_spans(draft, one), last.start_pfn, last.end_pfn)
            actions.append(
                ReplayAction(
                    last.end_ns,
                    ActionKind.PROBE,
                    ProbeKey(number).encode(),
                    spans,
                    draft.tid,
                    visited_end_pfn=last.end_pfn,
                )
            )
        actions.append(
            ReplayAction(
                _test_time(events, draft, one),
                ActionKind.PROBE,
                ProbeKey(number).encode(),
                tested_spans(draft, one),
                draft.tid,
                visited_end_pfn=draft.try_visited[one.index],
                named_pfn=-1 if named is None else named,
                zeroed=True,
            )
        )
    return actions


def _try_pictures(events: AttemptEvents, number: int, draft: DetectedAttempt) -> list[ReplayAction]:
    """Of all that the attempt tried, at each failing try: tries of other ranges can then be laid side by side."""
    failed = failed_tries(draft)
    many, last = len(failed) > TRIES_PICTURED, len(failed) - 1
    chosen = [failed[last * step // (TRIES_PICTURED - 1)] for step in range(TRIES_PICTURED)] if many else failed
    actions = []
    for one in chosen:
        spans = merge_spans([*draft.spans, *tested_spans(draft, one)])
        time_ns, is_last = _test_time(events, draft, one), one is failed[-1]
        actions.append(
            ReplayAction(
                time_ns, ActionKind.SNAPSHOT, ProbeKey(number).encode(), spans, number=one.index, ignore_budget=is_last
            )
        )
    return actions


def _test_time(events: AttemptEvents, draft: DetectedAttempt, one: Try) -> int:
    """The state is requested when the range was tested, not when the retry was announced."""
    if draft.tid is None:
        return one.end_ns or 0
    tests = events.of("test_pages_isolated", draft.tid).between(one.start_ns or 0, one.end_ns or 0)
    return int(tests.time_ns[-1]) if len(tests) else one.end_ns or 0


def _wait_probes(events: AttemptEvents, number: int, draft: DetectedAttempt, has_page_ref: bool) -> list[ReplayAction]:
    actions = []
    for wait in draft.waits:
        assert draft.tid is not None
        scans = events.of("mm_compaction_isolate_migratepages", draft.tid).between(draft.start_ns, wait.start_ns)
        visited, spans = 0, draft.spans
        if len(scans):
            visited = int(scans.ints("end_pfn")[-1])
            if not has_page_ref:  # then all that is known: it is among the last batch that was isolated
                spans = ((int(scans.ints("start_pfn")[-1]), visited),)
        awaited = _awaited_file(events, draft.tid, wait.start_ns)
        if awaited is not None:
            spans = draft.spans
        actions.append(
            ReplayAction(
                wait.middle_ns,
                ActionKind.PROBE,
                ProbeKey(number, in_wait=True).encode(),
                spans,
                draft.tid,
                visited_end_pfn=visited,
                named_file=awaited,
            )
        )
    return actions


def _awaited_file(events: AttemptEvents, tid: int, sleep_ns: int) -> tuple[int, int] | None:
    """(ino, page index) of the last folio_wait_writeback before the sleep."""
    for name in ("folio_wait_writeback", "wait_on_page_writeback"):
        rows = events.of(name, tid).between(sleep_ns - 5_000_000, sleep_ns + 5_000_000)
        if len(rows):
            return int(rows.ints("ino")[-1]), int(rows.ints("index")[-1])
    return None
