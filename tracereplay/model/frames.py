"""Arrow tables as frames of polars and pandas, which are loaded when used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from tracereplay.errors import UsageError

if TYPE_CHECKING:
    import pandas
    import polars


def polars_frames(tables: Mapping[str, pa.Table]) -> dict[str, polars.DataFrame]:
    """The tables by name as polars frames. Raises UsageError where polars is not installed."""
    try:
        import polars  # noqa: PLC0415
    except ImportError:
        raise UsageError("polars is not installed: pip install 'tracereplay[polars]'") from None
    frames: dict[str, polars.DataFrame] = {}
    for name, table in tables.items():
        frame = polars.from_arrow(table)
        assert isinstance(frame, polars.DataFrame)
        frames[name] = frame
    return frames


def pandas_frames(tables: Mapping[str, pa.Table]) -> dict[str, pandas.DataFrame]:
    """The tables by name as pandas frames of Arrow types: an absent PFN stays null, integers stay integers.

    Raises UsageError where pandas is not installed.
    """
    try:
        import pandas  # noqa: PLC0415
    except ImportError:
        raise UsageError("pandas is not installed: pip install 'tracereplay[pandas]'") from None
    return {name: table.to_pandas(types_mapper=pandas.ArrowDtype) for name, table in tables.items()}
