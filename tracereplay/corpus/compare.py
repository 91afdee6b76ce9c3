"""`corpus diff`: what is new, gone, more or less frequent in set B than in set A.

The unit is the trace, the count how many of each set's traces met a thing: two binomials. Fisher's exact test says
whether they differ, Wilson intervals what the shares are, the odds ratio by how much, and Benjamini and Hochberg's
correction keeps what is called significant honest over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tracereplay import __version__
from tracereplay.corpus.query import EXAMPLES, Selection
from tracereplay.corpus.significance import SIGNIFICANT, corrected
from tracereplay.errors import UsageError
from tracereplay.model.corpus import Change, CorpusDiff, Example, Kind, Side
from tracereplay.model.result import Tool

CONFIDENCE = 0.95
EXACT_TRACES = 5_000  # with more, the odds ratio's interval is the usual approximation

Thing = tuple[Any, ...]  # subject, cause, holder


def compare(a: Selection, b: Selection, argv: Sequence[str] = ()) -> CorpusDiff:
    """Every thing that either set has met. Raises UsageError where a set holds no analysed trace."""
    sides = _side(a), _side(b)
    for side in sides:
        if not side.traces:
            where = f" where {', '.join(side.where)}" if side.where else ""
            raise UsageError(f"{side.store}: no analysed trace{where}: nothing to compare")
    counts = _counts(a), _counts(b)
    things = sorted({*counts[0], *counts[1]}, key=lambda thing: [word or "" for word in thing])
    changes = [_change(thing, counts, sides) for thing in things]
    _correct(changes)
    for change in changes:
        if change.significant:
            change.examples = _examples(a if change.kind == "gone" else b, change)
    changes.sort(key=lambda c: (c.q_value, -abs(c.b_share[0] - c.a_share[0]), c.subject))
    return CorpusDiff(tool=Tool(version=__version__, argv=list(argv)), a=sides[0], b=sides[1], changes=changes)


def _side(selection: Selection) -> Side:
    ((traces, attempts, failed),) = selection.ask(
        "SELECT (SELECT count(*) FROM analyses), count(*), count(*) FILTER (failed) FROM tried"
    )
    return Side(
        store=selection.store.url,
        where=[str(one) for one in selection.where],
        traces=int(str(traces)),
        attempts=int(str(attempts)),
        failed=int(str(failed)),
    )


def _counts(selection: Selection) -> dict[Thing, int]:
    rows = selection.ask("SELECT subject, cause, holder, count(*) FROM met GROUP BY ALL")
    return {row[:3]: int(str(row[3])) for row in rows}


def _change(thing: Thing, counts: tuple[Mapping[Thing, int], Mapping[Thing, int]], sides: tuple[Side, Side]) -> Change:
    from scipy import stats  # noqa: PLC0415
    from scipy.stats import contingency  # noqa: PLC0415

    k_a, k_b = (of_set.get(thing, 0) for of_set in counts)
    n_a, n_b = (side.traces for side in sides)
    table = [[k_b, n_b - k_b], [k_a, n_a - k_a]]
    test: Any = stats.fisher_exact(table)
    has_odds = 0 < k_a + k_b < n_a + n_b  # else every trace of both sets is alike
    odds = contingency.odds_ratio(table, kind="conditional" if n_a + n_b <= EXACT_TRACES else "sample")
    interval = odds.confidence_interval(CONFIDENCE) if has_odds else None
    return Change(
        kind=_kind(k_a, k_b, n_a, n_b),
        significant=False,
        subject=thing[0],
        cause=thing[1],
        holder=thing[2],
        a_traces=k_a,
        b_traces=k_b,
        a_share=_share(k_a, n_a),
        b_share=_share(k_b, n_b),
        odds_ratio=_finite(odds.statistic) if has_odds else None,
        odds_low=_finite(interval.low) if interval is not None else None,
        odds_high=_finite(interval.high) if interval is not None else None,
        p_value=float(test.pvalue),
        q_value=1.0,
    )


def _kind(k_a: int, k_b: int, n_a: int, n_b: int) -> Kind:
    if not k_a or not k_b:
        return "new" if k_b else "gone"
    difference = k_b * n_a - k_a * n_b
    return "more" if difference > 0 else "less" if difference < 0 else "same"


def _share(traces: int, of: int) -> tuple[float, float, float]:
    """The share and its interval."""
    from scipy import stats  # noqa: PLC0415

    interval = stats.binomtest(traces, of).proportion_ci(CONFIDENCE, method="wilson")
    return traces / of, float(interval.low), float(interval.high)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _correct(changes: Sequence[Change]) -> None:
    for change, q_value in zip(changes, corrected([change.p_value for change in changes]), strict=True):
        change.q_value = q_value
        change.significant = q_value < SIGNIFICANT


def _examples(selection: Selection, change: Change) -> list[Example]:
    """Attempts to look at, of different traces."""
    if change.subject in ("failed", "unexplained"):
        table, wanted = "tried", {str(change.subject): "true"}
    else:
        holder = "fs" if change.subject == "file system" else "holder"
        wanted = {n: v for n, v in (("cause", change.cause), (holder, change.holder)) if v is not None}
        table = "incidents"
    condition, values = " AND ".join(f"CAST({name} AS VARCHAR) = ?" for name in wanted), list(wanted.values())
    rows = selection.ask(
        f"SELECT path, min(attempt_id) FROM {table} WHERE {condition} GROUP BY path ORDER BY path LIMIT {EXAMPLES}",
        values,
    )
    return [Example(path=str(path), attempt_id=str(attempt)) for path, attempt in rows]
