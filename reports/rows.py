"""Any table (the answer to an SQL query) as text, JSON or CSV."""

from __future__ import annotations

import json
from typing import IO

import pyarrow as pa

from tracereplay.model.tables_write import write_csv
from tracereplay.reports.sheets import Sheet
from tracereplay.reports.sheets_text import render_sheets_text
from tracereplay.reports.style import Style, clean
from tracereplay.reports.wording import count


def render_rows(table: pa.Table, style: Style) -> str:
    """A terminal's table; what does not print is shown as escapes."""
    numbers = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema]
    columns = [
        f"{clean(n)}{'#' if is_number else ''}" for n, is_number in zip(table.column_names, numbers, strict=True)
    ]
    rows = [
        ["" if value is None else clean(str(value)) for value in row.values()] for row in _unique(table).to_pylist()
    ]
    return render_sheets_text([Sheet(count(len(rows), "row"), (), columns, rows)], style)


def render_rows_json(table: pa.Table) -> str:
    """A list of objects; times and the like as text."""
    return json.dumps(_unique(table).to_pylist(), indent=2, default=str, ensure_ascii=False) + "\n"


def render_csv(table: pa.Table, out: IO[bytes]) -> None:
    """CSV with a header, as tables of a result are written."""
    write_csv(_unique(table), out)


def _unique(table: pa.Table) -> pa.Table:
    """Columns named twice are told apart by their place."""
    names = table.column_names
    return table.rename_columns([n if names.count(n) == 1 else f"{n}_{place}" for place, n in enumerate(names)])
