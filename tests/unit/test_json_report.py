"""JSON out and in: nothing left out, nothing lost, and bad files refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit import result_examples as example
from tracereplay.errors import InputError
from tracereplay.reports.json import read_json, render_json


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    result = example.EXAMPLES[name]()
    path = tmp_path / "blame.json"
    path.write_text(render_json(result), encoding="utf-8")
    assert read_json(path) == result


def test_absent_values_are_null_and_keys_keep_the_contracts_order() -> None:
    document = json.loads(render_json(example.pinned()))
    assert list(document) == [
        "schema", "tool", "inputs", "data_loss", "layout", "stacks", "attempts", "counters", "blame",
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
