"""Any table (the answer to an SQL query) as text, JSON or CSV."""

from __future__ import annotations

import json
import math
from typing import IO, Any

import pyarrow as pa

from tracereplay.model.tables_write import write_csv
from tracereplay.reports.shared.sections import Column, Section
from tracereplay.reports.shared.style import Style, escape_unprintable, escape_unprintable_json
from tracereplay.reports.shared.wording import count
from tracereplay.reports.text.sections import render_sections_text


def render_rows(table: pa.Table, style: Style) -> str:
    """A terminal's table; what does not print is shown as escapes."""
    numbers = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema]
    names = zip(table.column_names, numbers, strict=True)
    columns = [Column(escape_unprintable(name), is_number) for name, is_number in names]
    rows = [
        ["" if value is None else escape_unprintable(str(value)) for value in row.values()]
        for row in _unique(table).to_pylist()
    ]
    return render_sections_text([Section(count(len(rows), "row"), (), columns, rows)], style)


def render_rows_json(table: pa.Table) -> str:
    """A list of objects; times and the like as text, null for what is no number."""
    rows = [_finite(row) for row in _unique(table).to_pylist()]
    return escape_unprintable_json(json.dumps(rows, indent=2, default=str, ensure_ascii=False, allow_nan=False)) + "\n"


def render_csv(table: pa.Table, out: IO[bytes]) -> None:
    """CSV with a header, as tables of a result are written."""
    write_csv(_unique(table), out)


def _unique(table: pa.Table) -> pa.Table:
    """Columns with the same name get their position as suffix."""
    names = table.column_names
    taken = {name for name in names if names.count(name) == 1}
    for place, name in enumerate(names):
        if name not in taken:
            names[place] = f"{name}_{place}"
            while names[place] in taken:
                names[place] += "_"
            taken.add(names[place])
    return table.rename_columns(names)


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
