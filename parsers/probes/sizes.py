"""How large the large folios are, where no event fetched it: migrate_pages() counts pages, the probes count folios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from tracereplay.parsers.probes.folios import Folios
from tracereplay.parsers.probes.part import Part
from tracereplay.schema import PFN, Op, integers

CALLS = "mm_migrate_pages"
COLUMNS = ("failed", "thp_failed")


def large_folio_pages(parts: Sequence[Part], tables: Mapping[str, pa.Table], folios: Folios) -> int | None:
    """Pages of each large folio that was refused; None where the counts do not tell.

    Of a call, nr_failed = small folios refused + nr_thp_failed x their size.
    """
    table = tables.get(CALLS)
    if table is None or not set(COLUMNS) <= set(table.column_names) or not parts:
        return None
    whole = Part.joined(parts)
    ended, tids = integers(table.column("time_ns")), integers(table.column("tid"))
    failed, large_failed = (integers(table.column(name), 0) for name in COLUMNS)
    votes: Counter[int] = Counter()
    for tid in np.unique(tids[large_failed > 0]):
        mine = np.flatnonzero(tids == tid)
        own = whole.take(whole.tid == tid)
        place = np.searchsorted(ended[mine], own.time_ns)
        for call in np.flatnonzero(large_failed[mine] > 0):
            within = own.take(place == call)
            pages = _size(within, int(failed[mine][call]), int(large_failed[mine][call]), folios.extents)
            if pages:
                votes[pages] += 1
    return votes.most_common(1)[0][0] if votes else None


def _size(call: Part, failed: int, large_failed: int, extents: Collection[int]) -> int | None:
    moved = set(call.args[call.op == Op.PROBE_MOVED, PFN].tolist())
    refused = set(call.args[call.op == Op.PROBE_REFUSED, PFN].tolist()) - moved
    large = [pfn for pfn in refused if pfn in extents]
    if len(large) != large_failed:
        return None
    pages, rest = divmod(failed - (len(refused) - large_failed), large_failed)
    return pages if rest == 0 and pages > 1 and pages & (pages - 1) == 0 else None
