"""The committed JSON Schema is the code's, and documents keep it."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.support import result_examples as example
from tracereplay.model.schema_json import DOCUMENTS, schema_path, schema_text
from tracereplay.reports.json import render_json


@pytest.mark.parametrize("name", DOCUMENTS)
def test_committed_schema_is_current(name: str) -> None:
    current = schema_path(name).read_text(encoding="utf-8") == schema_text(name)
    assert current, (
        "the result model changed: python -m tracereplay.model.schema_json (and a new number if meaning did)"
    )


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_documents_keep_the_schema(name: str) -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(render_json(example.EXAMPLES[name]())), schema)


@pytest.mark.parametrize("key", ["attempts", "tool", "data_loss"])
def test_a_missing_key_breaks_it(key: str) -> None:
    document = json.loads(render_json(example.pinned()))
    del document[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(document, json.loads(schema_text()))


def test_another_schema_number_breaks_it() -> None:
    document = json.loads(render_json(example.pinned())) | {"schema": "tracereplay.blame/2"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json.loads(schema_text()))
