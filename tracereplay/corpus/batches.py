"""The two pieces of work an executor runs, on this machine or another: identify some traces, analyse some.

A piece writes what it found to the store as Parquet and hands back a receipt: the driver gathers no rows of results.
Its files count only once the driver has committed the receipt, so a piece that is lost or done twice changes nothing.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracereplay.corpus.analyse_one import Analysis, Identity, analysis_version
from tracereplay.corpus.sandbox import Failure, Limits, Sandbox
from tracereplay.discovery.discover import file_system
from tracereplay.discovery.sources import Source
from tracereplay.errors import UsageError

PARTITION = "analysis"


@dataclass(frozen=True, slots=True)
class Order:
    """What every piece of work of a run needs to know; events_url -- where to keep events, None: nowhere."""

    store: str
    analysis: str
    limits: Limits
    events_url: str | None = None


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table, written and not yet committed; path -- within the table's folder."""

    table: str
    path: str
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a piece of work did: files written, and what became of each key."""

    files: Sequence[DataFile] = ()
    outcomes: Mapping[str, Mapping[str, Any] | Failure] = field(default_factory=dict)


def identify_some(order: Order, sources: Sequence[Source]) -> list[Identity | Failure]:
    """Each source's identity, or why it has none."""
    sandbox = _sandbox_of(order)
    return [sandbox.ask("identify", source) for source in sources]


def analyse_some(order: Order, jobs: Sequence[tuple[str, Source]]) -> Receipt:
    """Analyse each (key, source) in the child process; what was found goes to the store."""
    sandbox = _sandbox_of(order)
    outcomes: dict[str, Mapping[str, Any] | Failure] = {}
    found: dict[str, list[pa.Table]] = {}
    for key, source in jobs:
        answer: Analysis | Failure = sandbox.ask("analyse", source, key, sandbox.folder, order.events_url)
        if isinstance(answer, Failure):
            outcomes[key] = answer
            continue
        outcomes[key] = answer.facts
        for name, packed in answer.tables.items():
            found.setdefault(name, []).append(pa.ipc.open_stream(packed).read_all())
    return Receipt([write_rows(order, name, tables) for name, tables in found.items()], outcomes)


def write_rows(order: Order, name: str, tables: Sequence[pa.Table]) -> DataFile:
    """Rows of one table of the store as a file of it. Raises UsageError where it cannot be written."""
    table = pa.concat_tables(tables)
    path = f"{PARTITION}={order.analysis}/part-{uuid.uuid4()}.zstd.parquet"
    fs, root = file_system(f"{order.store}/{name}/{path}")
    try:
        fs.makedirs(root.rpartition("/")[0], exist_ok=True)
        with fs.open(root, "wb") as file:
            pq.write_table(table, file, compression="zstd")
            size = file.tell()
    except OSError as error:
        raise UsageError(f"{order.store}: cannot be written: {error.strerror or error}") from error
    return DataFile(name, path, size, table.num_rows)


# Each thread of an executor keeps a child process of its own, for all pieces it works on.
_sandboxes: dict[tuple[int, Limits], Sandbox] = {}
_lock = threading.Lock()


def _sandbox_of(order: Order) -> Sandbox:
    if order.analysis != analysis_version():
        raise UsageError(
            f"a worker has tracereplay {analysis_version()}, the run {order.analysis}; install the same everywhere"
        )
    mark = (threading.get_ident(), order.limits)
    with _lock:
        if mark not in _sandboxes:
            _sandboxes[mark] = Sandbox(order.limits)
        return _sandboxes[mark]


def stop_sandboxes() -> None:
    """End all child processes of this process at once; their requests fail."""
    with _lock:
        for sandbox in _sandboxes.values():
            sandbox.stop()


def close_sandboxes() -> None:
    """Release all child processes, when no thread asks them any more."""
    with _lock:
        for sandbox in _sandboxes.values():
            sandbox.close()
        _sandboxes.clear()
