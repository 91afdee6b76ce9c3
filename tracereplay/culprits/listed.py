"""Pages of a snapshot (kpageflags, kpagecount, page_owner) that may stand in the way of a range asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tracereplay.attempts.draft import Draft
from tracereplay.culprits import at_rest
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.logged import unreplayed
from tracereplay.culprits.map_runs import spans_in
from tracereplay.culprits.suspect import Listed, Suspect
from tracereplay.layout.spans import Spans
from tracereplay.replay.kpage_flags import Bools, PageWords, folio_orders, has
from tracereplay.replay.pictures import Picture
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
    return at_rest.is_unmovable(row) or at_rest.allocated_in(row, at_rest.GETBLK, at_rest.SECRETMEM) is not None


def listed_suspects(context: AnalysisContext, draft: Draft, picture: Picture | None) -> dict[int, Suspect]:
    """The pages and folios of the attempt's range of which the snapshot tells something, by first PFN.

    A snapshot taken before the trace tells of pages without events only (`picture` shows which, at the last try or the
    time asked about).
    """
    if context.snapshot is None and not (draft.asked and context.owners):
        return {}
    earlier = context.has_trace
    spans = draft.spans if not earlier else _without_events(draft, picture)
    parts = context.snapshot.of(spans) if context.snapshot is not None else []
    found = {suspect.pfn: suspect for part in parts for suspect in _flagged(context, draft, part)}
    owners = context.owners.items() if draft.asked else ()
    for pfn, row in owners:
        inside = any(start <= pfn < end for start, end in spans)
        later = earlier and (row["time_ns"] or 0) > draft.start_ns
        if not inside or later or pfn != row["pfn"] or pfn in found or not telling_owner(row):
            continue
        listed = _said(parts, pfn)
        if not listed.flags & NOT_IN_USE:
            found[pfn] = unreplayed(context, draft, pfn, row["order"], draft.start_ns)
            found[pfn].listed = listed
    for suspect in found.values():
        if suspect.listed is not None and earlier:
            suspect.listed = replace(suspect.listed, earlier=True)
    return found


def join_listed(draft: Draft, listed: Mapping[int, Suspect], known: Iterable[Suspect]) -> list[Suspect]:
    """Give suspects that are known anyway what is listed of them; the others, where they may matter."""
    others = dict(listed)
    for suspect in known:
        one = others.pop(suspect.pfn, None)
        if one is not None and not suspect.awaited:
            suspect.listed = one.listed
    return [suspect for _, suspect in sorted(others.items())] if draft.outcome != "succeeded" else []


def _without_events(draft: Draft, picture: Picture | None) -> Spans:
    """Pages in use as far as the snapshot says, or not known at all, that no event had named by then."""
    if picture is None:
        return ()
    states = (State.SEEDED_USED, State.UNSEEN) if draft.asked else (State.SEEDED_USED,)
    return spans_in(picture, *states)


def unread_pages(snapshot: PageWords, spans: Spans) -> int:
    """How many pages of the spans the snapshot does not cover."""
    return sum(end - start for start, end in spans) - sum(len(part.words) for part in snapshot.of(spans))


def _flagged(context: AnalysisContext, draft: Draft, part: PageWords) -> Iterator[Suspect]:
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
        suspect.listed = _said([part], pfn, 1 << order)
        yield suspect


def _said(parts: list[PageWords], pfn: int, pages: int = 1) -> Listed:
    """What the snapshot says of a folio: flags of any of its pages, most mappings of one."""
    for part in parts:
        low = pfn - part.start_pfn
        if 0 <= low < len(part.words):
            word = int(np.bitwise_or.reduce(part.words[low : low + pages]))
            mapcount = None if part.mapcount is None else int(part.mapcount[low : low + pages].max())
            return Listed(frozenset(flag for flag in KPF if word >> flag & 1), mapcount)
    return Listed(frozenset())
