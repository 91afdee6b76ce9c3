"""Pages of a snapshot (kpageflags, kpagecount, page_owner) that may block migration of a range requested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits import snapshot_predicates
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.logged import unreplayed
from tracereplay.culprits.map_runs import spans_in
from tracereplay.culprits.suspect import SnapshotPage, Suspect
from tracereplay.layout.spans import Spans
from tracereplay.replay.kpage_flags import Bools, PageWords, folio_orders, has
from tracereplay.replay.range_snapshots import RangeSnapshot
from tracereplay.replay.state import State
from tracereplay.schema import KPF

NATURE = (KPF.HUGE, KPF.HWPOISON, KPF.OFFLINE, KPF.SLAB, KPF.PGTABLE, KPF.RESERVED)
NOT_IN_USE = frozenset({KPF.BUDDY, KPF.NOPAGE})


def telling_pages(snapshot: PageWords) -> Bools:
    """bool[n]: pages whose flags some cause asks for."""
    words = snapshot.words
    read = has(words, KPF.LOCKED) & ~has(words, KPF.UPTODATE)
    buffers = has(words, KPF.PRIVATE) & ~has(words, KPF.UPTODATE)
    unmapped = has(words, KPF.ANON) & ~has(words, KPF.MMAP, KPF.SWAPCACHE)
    return (has(words, *NATURE, KPF.WRITEBACK) | read | buffers | unmapped) & ~has(words, *NOT_IN_USE)


def telling_owner(row: Mapping[str, Any]) -> bool:
    """Whether a page_owner record alone gives a reason to look at its page."""
    return (
        snapshot_predicates.is_unmovable(row)
        or snapshot_predicates.allocated_in(row, snapshot_predicates.GETBLK, snapshot_predicates.SECRETMEM) is not None
    )


def snapshot_suspects(
    context: AnalysisContext, draft: DetectedAttempt, snapshot: RangeSnapshot | None
) -> dict[int, Suspect]:
    """The pages and folios of the attempt's range of which the snapshot tells something, by first PFN.

    A snapshot taken before the trace tells of pages without events only (`snapshot` shows which, at the last try or the
    time requested).
    """
    if context.snapshot is None and not (draft.inventory and context.owners):
        return {}
    earlier = context.has_trace
    spans = draft.spans if not earlier else _without_events(draft, snapshot)
    parts = context.snapshot.of(spans) if context.snapshot is not None else []
    found = {suspect.pfn: suspect for part in parts for suspect in _flagged(context, draft, part)}
    owners = context.owners.items() if draft.inventory else ()
    for pfn, row in owners:
        inside = any(start <= pfn < end for start, end in spans)
        later = earlier and (row["time_ns"] or 0) > draft.start_ns
        if not inside or later or pfn != row["pfn"] or pfn in found or not telling_owner(row):
            continue
        snapshot_page = _said(parts, pfn)
        if not snapshot_page.flags & NOT_IN_USE:
            found[pfn] = unreplayed(context, draft, pfn, row["order"], draft.start_ns)
            found[pfn].snapshot_page = snapshot_page
    for suspect in found.values():
        if suspect.snapshot_page is not None and earlier:
            suspect.snapshot_page = replace(suspect.snapshot_page, earlier=True)
    return found


def join_snapshot_suspects(
    draft: DetectedAttempt, suspects: Mapping[int, Suspect], known: Iterable[Suspect]
) -> list[Suspect]:
    """Give suspects that are known anyway what is listed of them; the others, where they may matter."""
    others = dict(suspects)
    for suspect in known:
        one = others.pop(suspect.pfn, None)
        if one is not None and not suspect.seen_in_wait:
            suspect.snapshot_page = one.snapshot_page
    return [suspect for _, suspect in sorted(others.items())] if draft.outcome != "succeeded" else []


def _without_events(draft: DetectedAttempt, snapshot: RangeSnapshot | None) -> Spans:
    """Pages in use as far as the snapshot says, or not known at all, that no event had named by then."""
    if snapshot is None:
        return ()
    states = (State.SEEDED_USED, State.UNSEEN) if draft.inventory else (State.SEEDED_USED,)
    return spans_in(snapshot, *states)


def unread_pages(snapshot: PageWords, spans: Spans) -> int:
    """How many pages of the spans the snapshot does not cover."""
    return sum(end - start for start, end in spans) - sum(len(part.words) for part in snapshot.of(spans))


def _flagged(context: AnalysisContext, draft: DetectedAttempt, part: PageWords) -> Iterator[Suspect]:
    orders = folio_orders(part.words)
    done = 0
    for at in np.flatnonzero(telling_pages(part)).tolist():
        pfn = part.start_pfn + at
        if pfn < done:
            continue
        order = max(int(orders[at]), 0)
        pfn &= -1 << order  # a folio begins at a multiple of its size
        done = pfn + (1 << order)
        suspect = unreplayed(context, draft, pfn, order, draft.start_ns)
        suspect.snapshot_page = _said([part], pfn, 1 << order)
        yield suspect


def _said(parts: list[PageWords], pfn: int, pages: int = 1) -> SnapshotPage:
    """What the snapshot says of a folio: flags of any of its pages, most mappings of one."""
    for part in parts:
        low = pfn - part.start_pfn
        if 0 <= low < len(part.words):
            word = int(np.bitwise_or.reduce(part.words[low : low + pages]))
            mapcount = None if part.mapcount is None else int(part.mapcount[low : low + pages].max())
            return SnapshotPage(frozenset(flag for flag in KPF if word >> flag & 1), mapcount)
    return SnapshotPage(frozenset())
