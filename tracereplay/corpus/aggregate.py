"""`corpus report`: rankings, groups and the trend of the traces of a store, computed by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tracereplay import __version__
from tracereplay.corpus.query import EXAMPLES, Condition, Selection
from tracereplay.corpus.run_summary import BROKEN_ROWS, outcome_of
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import ANALYSED
from tracereplay.corpus.trend import series_of
from tracereplay.model.corpus import Broken, CorpusReport, Group, Outcome, Rank, Ranking, Totals, Trend
from tracereplay.model.result import Tool

# What a ranking is by -> the column of `incidents`, and whether rows without a value say something.
RANKINGS = {
    "cause": ("cause", True),
    "holder": ("holder", True),
    "cause and holder": ("cause || ': ' || coalesce(holder, 'holder not seen')", True),
    "file system": ("fs", False),
    "stack": ("stack", False),
}
ROWS = 50
# Columns a trend goes along where none is named, the first that the corpus has.
TREND_COLUMNS = ("date", "build")
_RUNS_OF_DIGITS = re.compile(r"(\d+)")


def report(
    store: Store,
    where: Sequence[Condition] = (),
    *,
    by: str | None = None,
    over: str | None = None,
    argv: Sequence[str] = (),
) -> CorpusReport:
    """Sum up the traces that meet all conditions; by -- a column to group by, over -- one to follow a trend along.

    Raises UsageError where a column is unknown.
    """
    selection = Selection(store, where)
    over = over or next((name for name in TREND_COLUMNS if name in selection.columns), None)
    return CorpusReport(
        tool=Tool(version=__version__, argv=list(argv)),
        store=store.url,
        where=[str(one) for one in where],
        outcome=outcome(selection),
        totals=_totals(selection),
        rankings=[_ranking(selection, name) for name in RANKINGS],
        by=by,
        groups=sorted(_groups(selection, by), key=lambda g: (-g.failed, -g.attempts, g.value or "")) if by else [],
        trend=_trend(selection, over) if over else None,
    )


def outcome(selection: Selection) -> Outcome:
    """What became of the chosen traces."""
    counts = selection.ask("SELECT status, count(*) FROM chosen GROUP BY status")
    broken = _rows(
        selection,
        f"SELECT path, status, reason FROM chosen WHERE status <> '{ANALYSED}' ORDER BY path LIMIT {BROKEN_ROWS}",
    )
    return outcome_of(((str(status), int(str(n))) for status, n in counts), (Broken(**row) for row in broken))


def _totals(selection: Selection) -> Totals:
    row = _one(
        selection,
        f"""
        WITH once AS (SELECT any_value(events) AS n, any_value(cpu_seconds) AS s FROM chosen GROUP BY key)
        SELECT (SELECT count(*) - count(DISTINCT key) FROM chosen WHERE status = '{ANALYSED}') AS copies,
               count(*) AS attempts, count(*) FILTER (failed) AS failed, count(*) FILTER (unexplained) AS unexplained,
               (SELECT coalesce(sum(n), 0)::BIGINT FROM once) AS events,
               (SELECT coalesce(sum(s), 0) FROM once) AS cpu_seconds
        FROM tried
        """,
    )
    return msgspec.convert(row, Totals)


def _ranking(selection: Selection, by: str) -> Ranking:
    value, has_unknown = RANKINGS[by]
    rows = _rows(
        selection,
        f"""
        WITH per_attempt AS (
            SELECT {value} AS value, key, path, attempt_id, any_value(failed) AS failed, sum(pages) AS pages,
                   max(held_ns) AS held_ns, max(delay_ns) AS delay_ns, bool_or(verdict = 'proved') AS proved,
                   bool_or(verdict = 'suggested') AS suggested
            FROM incidents WHERE {has_unknown} OR {value} IS NOT NULL GROUP BY ALL
        ), per_trace AS (
            SELECT value, count(*) AS attempts, count(*) FILTER (failed) AS failed, sum(pages) AS pages,
                   max(held_ns) AS held_ns_max, sum(delay_ns) AS delay_ns, count(*) FILTER (proved) AS proved,
                   count(*) FILTER (suggested AND NOT proved) AS suggested,
                   min({{'fine': NOT failed, 'unsure': NOT proved, 'path': path, 'attempt_id': attempt_id}}) AS example
            FROM per_attempt GROUP BY value, key
        )
        SELECT value, count(*) AS traces, sum(attempts)::BIGINT AS attempts, sum(failed)::BIGINT AS failed,
               sum(pages)::BIGINT AS pages, max(held_ns_max)::BIGINT AS held_ns_max, sum(delay_ns)::BIGINT AS delay_ns,
               sum(proved)::BIGINT AS proved, sum(suggested)::BIGINT AS suggested,
               min(example, {EXAMPLES}) AS examples,
               count(*) OVER () AS values
        FROM per_trace GROUP BY value ORDER BY attempts DESC, traces DESC, value LIMIT {ROWS}
        """,
    )
    number = int(rows[0]["values"]) if rows else 0
    return Ranking(by=by, values=number, rows=[msgspec.convert(row, Rank) for row in rows])


def _groups(selection: Selection, by: str) -> list[Group]:
    """A group for each value of the column; what is met most stands in `top`."""
    column = selection.column(by)
    rows = _rows(
        selection,
        f"""
        WITH place AS (SELECT DISTINCT CAST({column} AS VARCHAR) AS value, key FROM chosen WHERE status = '{ANALYSED}'),
        many AS (
            SELECT value, count(DISTINCT key) AS traces, count(attempt_id) AS attempts,
                   count(*) FILTER (failed) AS failed, count(*) FILTER (unexplained) AS unexplained
            FROM place LEFT JOIN tried USING (key) GROUP BY value),
        broken AS (
            SELECT CAST({column} AS VARCHAR) AS value, count(*) AS broken
            FROM chosen WHERE status <> '{ANALYSED}' GROUP BY ALL),
        pairs AS (
            SELECT value, cause, holder, count(DISTINCT (key, attempt_id)) AS attempts
            FROM place JOIN incidents USING (key) GROUP BY ALL),
        best AS (
            SELECT value, cause, holder, attempts FROM pairs
            QUALIFY row_number() OVER (PARTITION BY value ORDER BY attempts DESC, cause, holder) = 1)
        SELECT v.value, coalesce(m.traces, 0) AS traces, coalesce(b.broken, 0) AS broken,
               coalesce(m.attempts, 0) AS attempts, coalesce(m.failed, 0) AS failed,
               coalesce(m.unexplained, 0) AS unexplained,
               CASE WHEN t.cause IS NOT NULL
                    THEN {{'cause': t.cause, 'holder': t.holder, 'attempts': t.attempts}} END AS top
        FROM (SELECT value FROM many UNION SELECT value FROM broken) v
        LEFT JOIN many m ON m.value IS NOT DISTINCT FROM v.value
        LEFT JOIN broken b ON b.value IS NOT DISTINCT FROM v.value
        LEFT JOIN best t ON t.value IS NOT DISTINCT FROM v.value
        """,
    )
    return [msgspec.convert(row, Group) for row in rows]


def _trend(selection: Selection, over: str) -> Trend:
    """Along the values of a column, in the order people give them; traces without a value are left out."""
    groups = sorted((g for g in _groups(selection, over) if g.value is not None), key=lambda g: in_order(g.value))
    column = selection.column(over)
    places = {group.value: place for place, group in enumerate(groups)}
    counts: dict[tuple[Any, ...], list[int]] = {}
    for subject, cause, holder, value, traces in selection.ask(
        f"""
        WITH place AS (SELECT DISTINCT CAST({column} AS VARCHAR) AS value, key FROM chosen WHERE status = '{ANALYSED}')
        SELECT subject, cause, holder, value, count(*) FROM met JOIN place USING (key)
        WHERE value IS NOT NULL GROUP BY ALL
        """
    ):
        counts.setdefault((subject, cause, holder), [0] * len(groups))[places[str(value)]] = int(str(traces))
    return Trend(over=over, groups=groups, series=series_of(counts, groups))


def in_order(value: str | None) -> list[tuple[int, int, str]]:
    """Sorts 9 before 10, within names too: `build-9`, `build-10`."""
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in _RUNS_OF_DIGITS.split(value or "")]


def _rows(selection: Selection, text: str) -> list[dict[str, Any]]:
    answer = selection.database.execute(text)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _one(selection: Selection, text: str) -> dict[str, Any]:
    return _rows(selection, text)[0]
