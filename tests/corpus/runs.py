"""Runs a corpus in a test, and reads its store as anyone would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracereplay.corpus.analyse_one import analysis_version
from tracereplay.corpus.batches import Order
from tracereplay.corpus.executors import local_workers
from tracereplay.corpus.run import Summary, run
from tracereplay.corpus.sandbox import Limits
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import FOUND
from tracereplay.discovery.discover import discover

# Columns that differ from run to run, or from place to place.
TIMES = ("analysed_at", "seconds", "cpu_seconds", "fingerprint")


def order_for(store: Store, limits: Limits | None = None, events_url: str | None = None) -> Order:
    """What a run tells its workers."""
    return Order(store.url, analysis_version(), limits or Limits(), events_url)


def run_local(
    place: Path, traces: Iterable[Path | str], jobs: int = 1, limits: Limits | None = None, *, retry: bool = False
) -> tuple[Store, Summary]:
    """A run on this machine, and the store it has written."""
    store = Store.create(str(place))
    sources = discover([str(trace) for trace in traces], lambda _path: {})
    with local_workers(jobs) as workers:
        return store, run(store, sources, workers, order_for(store, limits), lambda _summary: None, retry=retry)


def rows(store: Store, table: str = "runs") -> list[dict[str, Any]]:
    """All rows of a table."""
    found: list[dict[str, Any]] = store.rows(table).to_table().to_pylist()
    return found


def by_name(store: Store) -> Mapping[str, dict[str, Any]]:
    """Rows of `runs` by the trace's file name."""
    return {Path(row["path"]).name: row for row in rows(store)}


def contents(store: Store) -> dict[str, list[str]]:
    """Everything that must not depend on who worked, sorted: rows of every table but times."""
    return {
        name: sorted(repr({k: v for k, v in row.items() if k not in TIMES}) for row in rows(store, name))
        for name in ("runs", *FOUND)
    }
