"""What would block migration of a range, from copies of kpageflags, kpagecount and page_owner: no trace needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tracereplay.analysis import Row, Trace, no_events, owners_by_pfn
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.inventory import Question, inventory_attempts, plan_inventory_probes, refuse_outside
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.decide import judge
from tracereplay.culprits.snapshot_suspects import telling_owner, telling_pages, unread_pages
from tracereplay.culprits.table import BLOCKING_TYPES
from tracereplay.errors import UsageError
from tracereplay.inputs import LossRegistry
from tracereplay.layout.layout import Layout
from tracereplay.layout.spans import merge_spans
from tracereplay.losses import Loss
from tracereplay.model.result import Attempt
from tracereplay.replay.engine import RANGE_PAGES_LIMIT, Engine
from tracereplay.replay.kpage_flags import PageWords, has
from tracereplay.replay.seed import seed, seed_cma
from tracereplay.replay.state import State
from tracereplay.schema import KPF

# page_owner records of these spans.
OwnersIn = Callable[[Sequence[tuple[int, int]]], Iterable[Row]]


def inventory_of_snapshot(
    snapshot: PageWords | None,
    layout: Layout,
    question: Question,
    owners_in: OwnersIn,
    input_id: str,
    book: LossRegistry,
) -> list[Attempt]:
    """An attempt that no task made for each range requested, with what would block its migration.

    snapshot -- None: only page_owner records are known; input_id -- the snapshot's. Raises UsageError where the
    snapshot has no page of a range.
    """
    drafts = inventory_attempts(question, None, layout)
    probes = plan_inventory_probes(drafts, [ProbeKey(number).encode() for number in range(len(drafts))])
    engine = Engine(actions=probes, blocking_types=BLOCKING_TYPES)
    owners: dict[int, Row] = {}
    for draft in drafts:
        pages = sum(end - start for start, end in draft.spans)
        if pages > RANGE_PAGES_LIMIT:
            raise UsageError(
                f"{draft.area} has {pages} pages, an inventory takes {RANGE_PAGES_LIMIT}: check the layout"
            )
        flagged = [] if snapshot is None else _seed(engine, snapshot, draft)
        missing = 0 if snapshot is None else unread_pages(snapshot, draft.spans)
        if missing:
            book.add(input_id, [Loss("snapshot_incomplete", missing, detail=f"of {draft.area}")])
        _seed_taken(engine, draft, layout)
        for row in owners_in(draft.spans):
            owners |= owners_by_pfn([row], flagged)
            if telling_owner(row):
                owners[row["pfn"]] = row
    engine.finish()
    book.add(input_id, [Loss("page_ref_missing")])  # a pin of a mapped page shows in no snapshot
    context = AnalysisContext(
        layout=layout,
        comm_of=layout.comms.get,
        has_page_ref=False,
        flag_bits={},
        losses=book.of(input_id),
        dumps={},
        migrate_failures={},
        end_ns=0,
        owners=owners,
        snapshot=snapshot or PageWords(0, np.empty(0, np.uint64)),
    )
    return judge(context, engine, no_events(layout), drafts, input_id)


def inventory_of_traces(traces: Sequence[Trace], times_ns: Sequence[int], question: Question) -> list[Attempt]:
    """The same of the traces that cover these times. Raises UsageError for a time that none covers."""
    covered = [(trace.reader.info.path.name, trace.reader.info.start_ns, trace.reader.info.end_ns) for trace in traces]
    for time_ns in times_ns:
        refuse_outside(time_ns, covered)
    return [
        attempt
        for trace in traces
        if (within := [time_ns for time_ns in times_ns if trace.covers(time_ns)])
        for attempt in trace.inventory(within, question)
    ]


def _seed(engine: Engine, snapshot: PageWords, draft: DetectedAttempt) -> list[int]:
    """Tell the model of a range what its pages' flags tell; returns the pages whose flags some cause asks for."""
    parts = snapshot.of(draft.spans)
    if not parts:
        start, end = draft.spans[0]
        raise UsageError(f"the snapshot has no page of {draft.area}, which is PFN {start:#x}-{end - 1:#x}")
    if all(bool(has(part.words, KPF.NOPAGE).all()) for part in parts):
        raise UsageError(f"{draft.area} is offline in the snapshot: kpageflags says that there is no page")
    flagged: list[int] = []
    for part in parts:
        seed(engine, part.start_pfn, part.words, part.mapcount)
        flagged += (part.start_pfn + np.flatnonzero(telling_pages(part))).tolist()
    return flagged


def _seed_taken(engine: Engine, draft: DetectedAttempt, layout: Layout) -> None:
    """Tell it what cma_alloc() has given out: pages of the bitmap of which kpageflags say nothing else."""
    (span,) = draft.spans
    taken = [(max(low, span[0]), min(high, span[1])) for low, high in layout.cma_taken]
    taken = [(low, high) for low, high in taken if low < high] if draft.operation == "cma_alloc" else []
    if taken == [span]:
        draft.cause = "bitmap_full"
    for low, high in taken:
        unseen = np.flatnonzero(engine.pages(low, high)["state"] == State.UNSEEN) + low
        seed_cma(engine, low, np.ones(high - low, np.bool_), 0)
        draft.given_out = merge_spans([*draft.given_out, *((pfn, pfn + 1) for pfn in unseen.tolist())])
