"""A store through DuckDB: its tables as views, read in place; nothing else can be read, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import FOUND, RUNS, TABLES
from tracereplay.errors import UsageError, did_you_mean

EXAMPLES = 3  # attempts to look at, named with each thing that a report or a difference tells of
_CONDITION = re.compile(r"(?P<column>\w+)\s*=\s*(?P<pattern>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """`COLUMN=GLOB` on the rows of `runs`."""

    column: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.column}={self.pattern}"


def conditions(texts: Sequence[str]) -> list[Condition]:
    """Parsed conditions. Raises UsageError where one is none."""
    found = []
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no condition: write COLUMN=GLOB, like build=7.*")
        found.append(Condition(match["column"], match["pattern"]))
    return found


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """A database in memory with a view for each table of the store; files, network and extensions are closed to it.

    What was found in a trace shows once its row of `runs` is committed, the last of a run's commits: `runs` is read
    first, so that all of what it names is there.
    """
    database = duckdb.connect(config={"python_enable_replacements": "false"})
    database.execute("SET enable_external_access = false")
    database.execute("SET preserve_insertion_order = false")
    database.register(RUNS, store.rows(RUNS))
    for name in FOUND:
        database.register(f"{name} as stored", store.rows(name))
        database.execute(f'CREATE TEMP VIEW {name} AS SELECT * FROM "{name} as stored" SEMI JOIN {RUNS} USING (key)')
    database.execute("SET lock_configuration = true")
    return database


def query(store: Store, text: str) -> pa.Table:
    """The answer to one SELECT. Raises UsageError where it is none or cannot be answered."""
    with_it = connect(store)
    try:
        statements = with_it.extract_statements(text)
        kinds = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
        if len(statements) != 1 or statements[0].type not in kinds:
            raise UsageError(f"one SELECT at a time; the tables are {', '.join(TABLES)}")
        answer: pa.Table = with_it.sql(text).to_arrow_table()
    except duckdb.Error as error:
        raise UsageError(f"the query fails: {str(error).splitlines()[0]}") from error
    return answer


class Selection:
    """Some rows of `runs`, and what was found in them: the temporary tables that reports ask.

    chosen     -- the rows of `runs`
    analyses   -- key, path: one row for each analysis among them, its first path
    tried      -- attempts of these analyses
    incidents  -- what blocked migration of them: one row for each culprit that blocked or delayed an attempt, and for
                  each cause of an attempt that blames no page
    """

    def __init__(self, store: Store, where: Sequence[Condition] = ()) -> None:
        """Raises UsageError where a condition names no column."""
        self.store, self.where = store, list(where)
        self.database = connect(store)
        self.columns = [str(row[0]) for row in self.ask("SELECT name FROM pragma_table_info('runs')")]
        clauses = [f"CAST({self.column(one.column)} AS VARCHAR) GLOB ?" for one in where]
        picked = f"SELECT * FROM runs WHERE {' AND '.join(clauses) or 'true'}"
        self.database.execute(f"CREATE TEMP TABLE chosen AS {picked}", [one.pattern for one in where])
        for statement in _TABLES:
            self.database.execute(statement)

    def ask(self, text: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of an answer."""
        return self.database.execute(text, list(values)).fetchall()

    def column(self, name: str) -> str:
        """A column of `runs` as SQL writes it. Raises UsageError where there is none of that name."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns))
            raise UsageError(f"the corpus has no column {name!r}{did_you_mean(name, self.columns)}; it has {known}")
        return f'"{name}"'


FAILED = "outcome IN ('failed', 'interrupted')"
UNEXPLAINED = f"{FAILED} AND coalesce(cause, 'unknown') IN ('unknown', 'preexisting')"
_TABLES = (
    "CREATE TEMP TABLE analyses AS SELECT key, min(path) AS path FROM chosen WHERE status = 'analysed' GROUP BY key",
    f"""
    CREATE TEMP TABLE tried AS
    SELECT key, path, attempt_id, operation, outcome, cause, {FAILED} AS failed, {UNEXPLAINED} AS unexplained
    FROM attempts JOIN analyses USING (key) WHERE NOT inventory
    """,
    # Offsets within functions differ between builds of a kernel: stacks are compared without.
    r"""
    CREATE TEMP TABLE incidents AS
    SELECT key, path, attempt_id, failed, c.cause, c.verdict, c.pages,
           CASE WHEN c.file.block_dev IS NOT NULL
                THEN 'block device ' || (c.file.block_dev >> 20) || ':' || (c.file.block_dev & 1048575)
                ELSE coalesce(c.file.fs, 'on device ' || (c.file.dev >> 20) || ':' || (c.file.dev & 1048575)) END AS fs,
           coalesce(c.holder.comm, 'tid ' || c.holder.tid, c.holder_name) AS holder,
           regexp_replace(list_aggregate(c.stack, 'string_agg', ' < '), '\+0x[0-9a-f]+', '', 'g') AS stack,
           c.released_ns - c.held_since_ns AS held_ns, coalesce(c.delay_ns, 0) AS delay_ns
    FROM culprits c JOIN tried t USING (key, attempt_id) WHERE c.effect <> 'would_block'
    """,
    """
    INSERT INTO incidents
    SELECT key, path, attempt_id, failed, cause, 'unknown', 0, NULL, NULL, NULL, NULL, 0
    FROM tried t WHERE cause IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM incidents i WHERE i.key = t.key AND i.attempt_id = t.attempt_id AND i.cause = t.cause)
    """,
    # One row for each trace in which a thing was met: what trends and differences count.
    """
    CREATE TEMP TABLE met AS
    SELECT DISTINCT 'failed' AS subject, NULL::VARCHAR AS cause, NULL::VARCHAR AS holder, key FROM tried WHERE failed
    UNION ALL SELECT DISTINCT 'unexplained', NULL, NULL, key FROM tried WHERE unexplained
    UNION ALL SELECT DISTINCT 'cause', cause, NULL, key FROM incidents
    UNION ALL SELECT DISTINCT 'cause and holder', cause, holder, key FROM incidents WHERE holder IS NOT NULL
    UNION ALL SELECT DISTINCT 'file system', NULL, fs, key FROM incidents WHERE fs IS NOT NULL
    """,
)
