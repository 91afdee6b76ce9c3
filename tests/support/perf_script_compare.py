"""`perf script`'s text against our tables of the same perf.data: time, CPU, task, name, event and every field."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from tracereplay.parsers.perf_data.reader import PerfDataReader
from tracereplay.parsers.text.perf_script import PerfScriptReader

PERF = shutil.which("perf")
MAX_TOLD = 5
# Text has no such columns; the order of equal stamps is perf's own (ours: by CPU).
NOT_IN_TEXT = frozenset({"common_flags", "preempt_count", "seq"})


@dataclass(slots=True)
class Comparison:
    """Rows and values compared, and the first differences in words."""

    rows: int = 0
    values: int = 0
    differing: int = 0
    differences: list[str] = field(default_factory=list)

    def tell(self, text: str, count: int = 1) -> None:
        """Enter a difference."""
        self.differing += count
        if len(self.differences) < MAX_TOLD:
            self.differences.append(text)


def write_script(path: Path, out: Path) -> None:
    """What perf makes of the file, with all digits of time."""
    assert PERF is not None
    with out.open("wb") as file:
        command = [PERF, "script", "--ns", "--show-lost-events", "-G", "-i", str(path)]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)


def compare(data: Path, text: Path) -> Comparison:
    """Every event and field of the text against ours; stamps to the digits the text has."""
    ours, theirs = PerfDataReader(data), PerfScriptReader(text)
    result = Comparison()
    if ours.info.by_event != theirs.info.by_event:
        result.tell(f"events: theirs {theirs.info.by_event}, ours {ours.info.by_event}")
        return result
    have, said = ours.tables(), theirs.tables()
    for name, table in said.items():
        result.rows += table.num_rows
        _compare_table(name, table, have[name], result)
    return result


def _compare_table(name: str, said: pa.Table, have: pa.Table, result: Comparison) -> None:
    missing = set(have.column_names) - set(said.column_names)
    if missing:
        result.tell(f"{name}: columns {sorted(missing)} are not in the text")
    for column in said.column_names:
        if column in NOT_IN_TEXT:
            continue
        if column not in have.column_names:
            result.tell(f"{name}: we have no column {column}")
            continue
        theirs, ours = said.column(column), have.column(column)
        if column == "time_ns":
            digits = 1 if np.any(theirs.to_numpy() % 1000) else 1000
            ours = pa.chunked_array([pa.array(ours.to_numpy() // digits * digits)])
        result.values += len(theirs)
        pairs = zip(theirs.to_pylist(), ours.to_pylist(), strict=True)
        wrong = [(row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1]]
        if wrong:
            row, (their, our) = wrong[0]
            result.tell(f"{name}.{column}: {len(wrong)} differ, row {row}: theirs {their!r}, ours {our!r}", len(wrong))
