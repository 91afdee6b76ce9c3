"""Stores of results built by hand, for questions that take more traces than a test can analyse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.corpus.runs import order_for
from tests.support import result_examples as example
from tracereplay.corpus.batches import write_rows
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import ANALYSED, RUN_SCHEMA, found_tables
from tracereplay.model.result import Attempt, Result, Task


@dataclass(frozen=True)
class Trace:
    """A trace of a made store: what `blame` said of it, or why there is nothing (status, reason)."""

    path: str
    said: Result | tuple[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  # equal for equal content; the path where nothing is said


def made(place: Path, traces: Iterable[Trace]) -> Store:
    """The store a run would have left."""
    store = Store.create(str(place))
    order = order_for(store)
    files: dict[str, list[Any]] = {}
    runs, keys = [], set()
    for trace in traces:
        key = trace.key or trace.path
        row = dict.fromkeys(RUN_SCHEMA.names) | dict(trace.metadata)
        row |= {"path": trace.path, "key": key, "analysis": order.analysis, "fingerprint": "", "size_bytes": 1}
        row |= {"analysed_at": datetime(2026, 1, 1, tzinfo=UTC), "status": ANALYSED, "events": 1000, "cpu_seconds": 0.5}
        if isinstance(trace.said, tuple):
            row |= {"status": trace.said[0], "reason": trace.said[1]}
        elif key not in keys:
            for name, table in found_tables(key, trace.said).items():
                files.setdefault(name, []).append(table)
        keys.add(key)
        runs.append(row)
    store.commit([write_rows(order, name, tables) for name, tables in files.items()], runs, ())
    return store


def blames(holder: str | None, cause: str = "task_reference", **changes: object) -> Result:
    """One failed attempt, one page in its way."""
    task = None if holder is None else Task(tid=7, comm=holder)
    one = example.culprit(cause=cause, holder=task, allocated_by=None, **changes)
    return example.result(example.attempt(cause=cause, culprits=[one]))


def fine() -> Result:
    """One attempt that went well."""
    return example.result(example.attempt(outcome="succeeded", errno=None, cause=None, tries=[]))


def unexplained() -> Result:
    """One failed attempt, nobody knows why."""
    return example.result(example.attempt(cause=None))


def with_attempts(*attempts: Attempt) -> Result:
    """These attempts."""
    return example.result(*attempts)
