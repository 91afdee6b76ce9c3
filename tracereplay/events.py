"""Events of a trace as Arrow tables, read when first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from tracereplay.model.frames import pandas_frames, polars_frames
from tracereplay.parsers.base import TraceReader
from tracereplay.schema import Window

if TYPE_CHECKING:
    import pandas
    import polars


class Events(Mapping[str, pa.Table]):
    """Tables by event name; events without rows are absent. One pass over the trace reads all of them, at first use.

    Columns: time_ns, cpu, tid, comm, seq (the order of the rows of all these tables), then the fields of the event.
    """

    def __init__(self, reader: TraceReader, names: Sequence[str] | None = None, window: Window | None = None) -> None:
        self._reader, self._names, self._window = reader, names, window

    @cached_property
    def _tables(self) -> dict[str, pa.Table]:
        return self._reader.tables(self._names, self._window)

    def __getitem__(self, name: str) -> pa.Table:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def to_polars(self) -> dict[str, polars.DataFrame]:
        """As polars frames. Raises UsageError where polars is not installed."""
        return polars_frames(self)

    def to_pandas(self) -> dict[str, pandas.DataFrame]:
        """As pandas frames of Arrow types. Raises UsageError where pandas is not installed."""
        return pandas_frames(self)

    def __repr__(self) -> str:
        of = self._reader.info.path.name
        if "_tables" not in self.__dict__:
            wanted = "all events" if self._names is None else ", ".join(self._names)
            return f"<tracereplay.Events of {of}: {wanted}; not read yet>"
        rows = ", ".join(f"{name} {len(table):,}" for name, table in self._tables.items())
        return f"<tracereplay.Events of {of}: {rows or 'none'}>"
