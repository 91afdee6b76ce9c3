"""Reads a page_owner dump in a test: all its rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tracereplay.losses import Loss
from tracereplay.parsers.snapshots.page_owner import Stacks, page_owner_dump
from tracereplay.parsers.snapshots.record_dump import Row, Span


def owner_rows(
    path: Path, spans: Iterable[Span] | None = None, stacks: Stacks | None = None
) -> tuple[list[Row], list[Loss]]:
    """The allocations that touch the spans (None: all), and what is missing. Errors: InputError."""
    dump = page_owner_dump(path, spans, stacks)
    return [row for table in dump for row in table.to_pylist()], dump.counts.losses
