"""Any answer of `corpus sql` as text, JSON and CSV: columns of any name, values of any kind."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest

from tracereplay.reports.shared.style import Style
from tracereplay.reports.sql_output import render_csv, render_rows, render_rows_json


@pytest.mark.parametrize("names", [["a", "a", "b"], ["a", "a", "a_1"], ["a_1", "a", "a"], ["a", "a", "a"]])
def test_columns_of_one_name_are_all_there(names: list[str]) -> None:
    table = pa.table([[7], [8], [9]], names=names)
    (row,) = json.loads(render_rows_json(table))
    assert list(row.values()) == [7, 8, 9]
    assert render_rows(table, Style()).split()[-3:] == ["7", "8", "9"]
    out = io.BytesIO()
    render_csv(table, out)
    assert len(set(out.getvalue().decode().splitlines()[0].split(","))) == 3


def test_what_is_no_number_is_null() -> None:
    maps = pa.array([[("k", float("inf"))], [], None], pa.map_(pa.string(), pa.float64()))
    table = pa.table({"x": [float("nan"), float("inf"), 0.5], "y": [[float("nan")], [], None], "z": maps})
    said = json.loads(render_rows_json(table), parse_constant=pytest.fail)
    assert [row["x"] for row in said] == [None, None, 0.5]
    assert [row["y"] for row in said] == [[None], [], None]
    assert [row["z"] for row in said] == [[["k", None]], [], None]
