"""The tables of a store and their columns, declared once.

`runs` has one row per path; the others hold what an analysis found, under `key`: the digest of the trace, its side
inputs and the version of the analysis. Several paths of the same content share one analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from tracereplay.model.corpus import STATUSES
from tracereplay.model.result import Result, Tool
from tracereplay.model.tables import SPECS

RUNS = "runs"
ANALYSED = "analysed"
CHANGED = "changed"  # between two pieces of work; a row says `unreadable`, since the next run looks at the file anew
# Worth another try with other limits or on another machine; what cannot be read stays so.
RETRIED = ("timed_out", "out_of_memory", "crashed")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `runs`."""

    name: str
    type: pa.DataType
    words: str


_TEXT, _INT = pa.string(), pa.int64()
RUN_COLUMNS: tuple[Column, ...] = (
    Column("path", _TEXT, "the trace, a path from the root or a URL; one row per path"),
    Column("key", _TEXT, "the analysis it has, shared by paths of equal content; null where nothing could be read"),
    Column("analysis", _TEXT, "version of the analysis; the tables are partitioned by it"),
    Column("status", _TEXT, f"what became of it: {', '.join(STATUSES)}"),
    Column("reason", _TEXT, "why it is not analysed, in a sentence"),
    Column("notes", _TEXT, "what was odd beside it, such as metadata that cannot be read"),
    Column("fingerprint", _TEXT, "of sizes, times and tags of its files: equal, the path is not opened again"),
    Column("size_bytes", _INT, "size of the trace"),
    Column("analysed_at", pa.timestamp("us", "UTC"), "when this row was written"),
    Column("seconds", pa.float64(), "wall time of the analysis, seconds"),
    Column("cpu_seconds", pa.float64(), "processor time of the analysis, seconds"),
    Column("layout", _TEXT, "the layout found beside it"),
    Column("kernel_log", _TEXT, "the kernel log found beside it"),
    Column("page_owner", _TEXT, "the page_owner dump found beside it"),
    Column("page_pinner", _TEXT, "the page_pinner dump found beside it"),
    Column("format", _TEXT, "container of the trace"),
    Column("kernel_release", _TEXT, "kernel release, as the trace says"),
    Column("boot_id", _TEXT, "boot or trace id, as the trace says"),
    Column("capture_level", _INT, "0 production tracepoints, 1 plus log or stacks, 2 plus page_ref"),
    Column("events", _INT, "events in the trace"),
    Column("start_ns", _INT, "first event, ns on the trace's clock"),
    Column("end_ns", _INT, "last event, ns on the trace's clock"),
)
# Those that tell of the analysis and not of the path: equal for all paths of one key.
FACTS = ("seconds", "cpu_seconds", "format", "kernel_release", "boot_id", "capture_level", "events", "start_ns",
         "end_ns")  # fmt: skip
RUN_SCHEMA = pa.schema([(column.name, column.type) for column in RUN_COLUMNS])

# Name in the store -> name among the tables of a result.
FOUND: Mapping[str, str] = {
    "attempts": "attempts",
    "tries": "tries",
    "culprits": "culprits",
    "blame": "blame",
    "losses": "data_loss",
}
TABLES = (RUNS, *FOUND)


def found_schemas() -> dict[str, pa.Schema]:
    """The schemas of the tables of FOUND: those of a result's tables, with `key`, and for culprits `stack`."""
    nothing = Result(tool=Tool(version="", argv=[]), inputs=[])
    return {name: table.schema for name, table in found_tables("", nothing).items()}


def found_tables(key: str, result: Result) -> dict[str, pa.Table]:
    """What an analysis found, as rows of the store."""
    stacks = {stack.id: stack.frames for stack in result.stacks}
    of_culprits = [
        next((stacks.get(e.stack_id) for e in culprit.evidence if e.stack_id is not None), None)
        for attempt in result.attempts
        for culprit in attempt.culprits
    ]
    found: dict[str, pa.Table] = {}
    for name, source in FOUND.items():
        table = SPECS[source].table(result)
        if name == "culprits":
            table = table.append_column("stack", pa.array(of_culprits, pa.list_(pa.string())))
        table = table.add_column(0, "key", pa.repeat(pa.scalar(key, pa.string()), table.num_rows))
        found[name] = table.cast(pa.schema([(column.name, _plain(column.type)) for column in table.schema]))
    return found


def _plain(type_: pa.DataType) -> pa.DataType:
    """The type as every reader of Parquet knows it: no lists of fixed size."""
    if pa.types.is_fixed_size_list(type_) or pa.types.is_list(type_):
        return pa.list_(_plain(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([(f.name, _plain(f.type)) for f in type_])
    return type_
