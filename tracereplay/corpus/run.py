"""Drives a run: finds what is new, has it identified, then analysed, and commits what comes back.

    discover -> identify (by pieces) -> keys not yet analysed -> analyse (by pieces) -> commit

The driver holds what is under way, and a few digests for each trace it knows; rows of results it commits, never holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pyarrow.compute as pc

from tracereplay.corpus.analyse_one import Identity
from tracereplay.corpus.batches import DataFile, Order, Receipt, analyse_some, identify_some
from tracereplay.corpus.executors import Workers
from tracereplay.corpus.sandbox import Failure
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import ANALYSED, CHANGED, FACTS, RETRIED, RUNS
from tracereplay.discovery.sources import Source
from tracereplay.errors import TraceReplayError
from tracereplay.units import to_valid_utf8

PIECE_TRACES = 16
PIECE_BYTES = 64 << 20  # a piece ends with the trace that reaches this
MAX_COLUMNS = 512  # of `runs`: metadata may name anything
COMMIT_S = 120.0  # deltalake keeps some 0.6 MB of each commit for as long as the process lives
COMMIT_ROWS = 4000
AHEAD = 2  # pieces under way for each one that can be worked on


@dataclass(slots=True)
class Summary:
    """What a run did: traces found, by what became of them; `before`: unchanged since an earlier run."""

    found: int = 0
    before: int = 0
    by_status: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Traces that are through."""
        return self.before + sum(self.by_status.values())


Progress = Callable[[Summary], None]  # called with the state of a run


def run(
    store: Store, sources: Iterable[Source], workers: Workers, order: Order, progress: Progress, *, retry: bool = False
) -> Summary:
    """Analyse what the store does not know yet; an interrupt commits what is done, and comes through.

    retry -- also what broke a limit or crashed in an earlier run.
    """
    with store.writing():
        store.remove_unfinished()
        driver = _Driver(store, workers, order, progress, retry)
        try:
            driver.go(sources)
        finally:
            driver.commit()
        store.compact()
    return driver.summary


class _Driver:
    """The state of one run."""

    def __init__(self, store: Store, workers: Workers, order: Order, progress: Progress, retry: bool) -> None:
        self.store, self.workers, self.order, self.progress = store, workers, order, progress
        self.summary = Summary()
        self.known = _Known(store, order.analysis, retry)
        self.under_way: dict[Future[Any], list[Any]] = {}
        self.to_identify: list[Source] = []
        self.to_analyse: list[tuple[str, Source]] = []
        self.waiting: dict[str, list[tuple[Source, Identity]]] = {}  # for an analysis that is under way
        self.files: list[DataFile] = []
        self.rows: list[dict[str, Any]] = []
        self.replaced: dict[str, dict[str, Any]] = {}  # rows of paths that hold something else now, by key
        self.columns = {field.name for field in store.rows(RUNS).schema}
        self.shared: list[tuple[Source, Identity]] = []  # of analyses made earlier
        self.committed_s = time.monotonic()

    def go(self, sources: Iterable[Source]) -> None:
        """Until nothing is left to do."""
        new = self._new(sources)
        while True:
            self._fill(new)
            if not self.under_way:
                return
            done, _ = wait(self.under_way, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(future, self.under_way.pop(future))
            self.progress(self.summary)
            if time.monotonic() - self.committed_s > COMMIT_S or len(self.rows) + len(self.shared) >= COMMIT_ROWS:
                self.commit()

    def _new(self, sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            self.summary.found += 1
            if self.known.is_unchanged(source):
                self.summary.before += 1
            elif source.refused:
                self._row(source, None, Failure("unreadable", source.refused))
            else:
                yield source

    def _fill(self, new: Iterator[Source]) -> None:
        """Give the workers something to do: analyses first, so that what is identified does not pile up."""
        width = AHEAD * self.workers.width()
        while len(self.under_way) < width:
            if piece := _piece(self.to_analyse, lambda job: job[1].size_bytes, whole=True):
                self._submit(analyse_some, piece)
            elif (source := next(new, None)) is not None:
                self.to_identify.append(source)
                if piece := _piece(self.to_identify, lambda s: s.size_bytes, whole=True):
                    self._submit(identify_some, piece)
            elif self.to_identify:
                self._submit(identify_some, _piece(self.to_identify, lambda s: s.size_bytes, whole=False))
            elif self.to_analyse:
                self._submit(analyse_some, _piece(self.to_analyse, lambda job: job[1].size_bytes, whole=False))
            else:
                return

    def _submit(self, work: Any, piece: list[Any]) -> None:
        self.under_way[self.workers.executor.submit(work, self.order, piece)] = piece

    def _take(self, future: Future[Any], piece: list[Any]) -> None:
        try:
            answer = future.result()
        except (TraceReplayError, CancelledError):
            raise
        except Exception as error:
            # The worker failed, not the trace: dask gives up on a piece that was with several workers as they died.
            failure = Failure("crashed", f"the worker failed ({type(error).__name__}: {error})")
            sources = isinstance(piece[0], Source)
            answer = [failure] * len(piece) if sources else Receipt((), {key: failure for key, _ in piece})
        if isinstance(answer, Receipt):
            self.files += answer.files
            for key, outcome in answer.outcomes.items():
                self._analysed(key, outcome)
        else:
            for source, identity in zip(piece, answer, strict=True):
                self._identified(source, identity)

    def _analysed(self, key: str, outcome: Mapping[str, Any] | Failure) -> None:
        waiting = self.waiting.pop(key)
        if isinstance(outcome, Failure) and outcome.status == CHANGED:
            # Nothing is known of this content. The first that waits was read; the next has it still, or will say so.
            self._row(waiting[0][0], None, Failure("unreadable", outcome.reason))
            if rest := waiting[1:]:
                self.waiting[key] = rest
                self.to_analyse.append((key, rest[0][0]))
            return
        self.known.keys.add(bytes.fromhex(key))
        for source, identity in waiting:
            self._row(source, identity, outcome)

    def _identified(self, source: Source, identity: Identity | Failure) -> None:
        if isinstance(identity, Failure):
            self._row(source, None, identity)
        elif identity.key in self.waiting:
            self.waiting[identity.key].append((source, identity))
        elif bytes.fromhex(identity.key) in self.known.keys:
            self.shared.append((source, identity))
        else:
            self.waiting[identity.key] = [(source, identity)]
            self.to_analyse.append((identity.key, source))

    def _row(self, source: Source, identity: Identity | None, outcome: Mapping[str, Any] | Failure) -> None:
        failure = outcome if isinstance(outcome, Failure) else None
        status = failure.status if failure is not None else ANALYSED
        self.summary.by_status[status] = self.summary.by_status.get(status, 0) + 1
        metadata, notes = self._bounded(identity.metadata if identity is not None else source.metadata)
        if identity is not None and identity.notes is not None:
            notes = identity.notes
        row = (
            metadata
            | {
                "path": source.path,
                "key": identity.key if identity is not None else None,
                "analysis": self.order.analysis,
                "status": status,
                "reason": failure.reason.removeprefix(f"{source.path}: ") if failure is not None else None,
                "notes": notes,
                "fingerprint": source.fingerprint,
                "size_bytes": source.size_bytes,
                "analysed_at": datetime.now(UTC),
            }
            | {role: path for role, path in source.inputs().items() if role != "trace"}
            | ({} if isinstance(outcome, Failure) else dict(outcome))
        )
        self.rows.append(
            {name: to_valid_utf8(value) if isinstance(value, str) else value for name, value in row.items()}
        )

    def _bounded(self, metadata: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
        """The metadata, without names that would make `runs` too wide; and a note where there were such."""
        kept: dict[str, str] = {}
        for name, value in metadata.items():
            if name in self.columns or len(self.columns) < MAX_COLUMNS:
                self.columns.add(name)
                kept[name] = value
        left = [name for name in metadata if name not in kept]
        note = f"metadata left out, since the corpus has {MAX_COLUMNS} columns: {', '.join(left)}"
        return kept, note if left else None

    def commit(self) -> None:
        """Put into the store what is done."""
        self._share()
        if self.files or self.rows:
            stale = {row["path"] for row in self.rows if self.known.is_known(row["path"])}
            if stale:  # what they held may turn up under another path
                self.replaced |= self._known_rows("path", stale)
            self.store.commit(self.files, self.rows, stale)
        self.files, self.rows = [], []
        self.committed_s = time.monotonic()

    def _known_rows(self, column: str, values: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What `runs` says of the analyses of rows with these values, by key."""
        wanted = pc.field(column).isin(sorted(values))
        rows = self.store.rows(RUNS).to_table(["key", "status", "reason", *FACTS], filter=wanted)
        return {row["key"]: row for row in rows.to_pylist() if row["key"] is not None}

    def _share(self) -> None:
        """Rows for paths whose content was analysed before, with what `runs` says of that analysis."""
        if not self.shared:
            return
        mine = self.replaced | {row["key"]: row for row in self.rows if row["key"] is not None}
        wanted = {identity.key for _, identity in self.shared} - mine.keys()
        if wanted:
            mine |= self._known_rows("key", wanted)
        for source, identity in self.shared:
            row = mine[identity.key]
            failed = row["status"] != ANALYSED
            facts = {name: row[name] for name in FACTS if name in row}
            self._row(source, identity, Failure(row["status"], row["reason"]) if failed else facts)
        self.shared = []


class _Known:
    """What a store has: 16 bytes for each path, for each unchanged file, and for each analysis."""

    def __init__(self, store: Store, analysis: str, retry: bool) -> None:
        self.paths: set[bytes] = set()
        self.unchanged: set[bytes] = set()
        self.keys: set[bytes] = set()
        columns = ["path", "fingerprint", "analysis", "status", "key"]
        for batch in store.rows(RUNS).to_batches(columns=columns):
            for row in batch.to_pylist():
                self.paths.add(_mark(row["path"]))
                if row["analysis"] != analysis or (retry and row["status"] in RETRIED):
                    continue
                self.unchanged.add(_mark(row["path"], row["fingerprint"]))
                if row["key"] is not None:
                    self.keys.add(bytes.fromhex(row["key"]))

    def is_known(self, path: str) -> bool:
        """Whether the path has a row."""
        return _mark(path) in self.paths

    def is_unchanged(self, source: Source) -> bool:
        """Whether the path was analysed, by this version, with what is there now."""
        return _mark(to_valid_utf8(source.path), source.fingerprint) in self.unchanged


def _mark(*texts: str) -> bytes:
    return blake2b("\0".join(texts).encode(), digest_size=16).digest()


def _piece(queue: list[Any], size_of: Any, *, whole: bool) -> list[Any]:
    """Take a piece of work from the queue's head; whole -- only if it is a full one."""
    total = 0
    for place, item in enumerate(queue[:PIECE_TRACES], 1):
        total += size_of(item)
        if total >= PIECE_BYTES or place == PIECE_TRACES:
            piece = queue[:place]
            del queue[:place]
            return piece
    if whole:
        return []
    piece, queue[:] = queue[:], []
    return piece
