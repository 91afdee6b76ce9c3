"""What a layout is read into, whoever described it: a snapshot of a machine's files, or a file written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracereplay.losses import Loss
from tracereplay.schema import LAYOUT_TABLES, arrow_schema
from tracereplay.wall_clock import WallClock


@dataclass(slots=True)
class LayoutSnapshot:
    """The memory of one machine as its own files describe it. Unknown is None; an absent table is empty.

    tables -- one Arrow table per name in `schema.LAYOUT_TABLES`; source -- "snapshot" or "file" (written by hand);
    clocks -- by the name of a trace clock what ties it to the wall clock; has_cma -- whether the kernel was built with
    CONFIG_CMA; losses -- what was missing or not understood.
    """

    path: Path
    source: str
    tables: dict[str, pa.Table]
    page_size_bytes: int | None = None
    memory_block_bytes: int | None = None
    pageblock_order: int | None = None
    has_cma: bool | None = None
    kernel: str | None = None
    machine: str | None = None
    clocks: Mapping[str, WallClock] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def layout_tables(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """All `schema.LAYOUT_TABLES` as Arrow tables; columns a row lacks are null, tables not given are empty."""
    return {
        name: pa.Table.from_pylist([dict(row) for row in rows.get(name, ())], schema=arrow_schema(columns))
        for name, columns in LAYOUT_TABLES.items()
    }
