"""JSON out and in: nothing left out, nothing lost, and bad files refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support import result_examples as example
from tracereplay.errors import InputError
from tracereplay.model.result import Task
from tracereplay.reports.json import read_json, render_json
from tracereplay.reports.sql_output import render_rows_json


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    result = example.EXAMPLES[name]()
    path = tmp_path / "blame.json"
    path.write_text(render_json(result), encoding="utf-8")
    assert read_json(path) == result


@pytest.mark.parametrize("name", ["a\x9b31mb", "a\u202eb", "a\u2066b\u061c", "a\x7fb", "a\U000e0001b", "\x1b[1m\u2028"])
def test_what_does_not_print_is_escaped(name: str, tmp_path: Path) -> None:
    """C1 controls steer some terminals, bidi controls turn what is read; the document says the same."""
    result = example.result(example.attempt(culprits=[example.culprit(holder=Task(tid=7, comm=name))]))
    text = render_json(result)
    assert text.replace("\n", "").isprintable()
    assert json.loads(text)["attempts"][0]["culprits"][0]["holder"]["comm"] == name
    path = tmp_path / "blame.json"
    path.write_text(text, encoding="utf-8")
    assert read_json(path) == result
    rows = render_rows_json(pa.table({"holder": [name]}))
    assert rows.replace("\n", "").isprintable()
    assert json.loads(rows) == [{"holder": name}]


def test_letters_of_any_language_stay_as_they_are() -> None:
    result = example.result(example.attempt(culprits=[example.culprit(holder=Task(tid=7, comm="büro-日本-😀"))]))
    assert '"büro-日本-😀"' in render_json(result)


def test_absent_values_are_null_and_keys_keep_the_contracts_order() -> None:
    document = json.loads(render_json(example.pinned()))
    assert list(document) == [
        "schema", "tool", "inputs", "data_loss", "layout", "stacks", "attempts", "counters", "blame", "summary",
        "processes",
    ]  # fmt: skip
    assert document["attempts"][0]["parent_id"] is None
    assert document["attempts"][0]["culprits"][2]["allocated_by"] is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not a result"),
        (b"\xff\xfe", "is not a result"),
        (b"[]", "is not a result"),
        (b'{"schema": "tracereplay.blame/1"}', "tool"),
        (b'{"schema": "other/9", "tool": {"version": "1", "argv": []}, "inputs": []}', "other/9"),
    ],
)
def test_bad_files_are_refused(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "blame.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_json(tmp_path / "none.json")
