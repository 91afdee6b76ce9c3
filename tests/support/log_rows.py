"""Rows of the tables of a kernel log, made by hand."""

from __future__ import annotations

from typing import Any

from tests.support.attempt_tables import DRIVER, MS
from tracereplay.schema import LOG_TABLES


def blank(table: str, ms: float, tid: int | None, **values: Any) -> dict[str, Any]:
    """A row of a log table."""
    row = dict.fromkeys(column.name for column in LOG_TABLES[table])
    assert values.keys() <= row.keys()
    return {**row, "time_ns": int(ms * MS), "line": 1, "tid": tid, **values}


def message(ms: float, kind: str, tid: int | None = DRIVER, **values: Any) -> dict[str, Any]:
    """A row of operation_messages."""
    return blank("operation_messages", ms, tid, kind=kind, text=kind, **values)


def dump(ms: float, pfn: int, reason: str, tid: int | None = DRIVER, **values: Any) -> dict[str, Any]:
    """A row of page_dumps."""
    return blank("page_dumps", ms, tid, pfn=pfn, reason=reason, **values)
