"""What became of traces, summed up: of a run's whole corpus (`Store.outcome`), of chosen traces (`aggregate`)."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.corpus.tables import ANALYSED
from tracereplay.model.corpus import Broken, Outcome

BROKEN_ROWS = 1000  # listed; a query finds the rest


def outcome_of(counts: Iterable[tuple[str, int]], broken: Iterable[Broken]) -> Outcome:
    """counts -- traces by status; broken -- those without an analysis, at most BROKEN_ROWS, by path."""
    by_status = dict(sorted(counts))
    return Outcome(
        traces=sum(by_status.values()),
        analysed=by_status.get(ANALYSED, 0),
        by_status=by_status,
        broken=list(broken),
    )
