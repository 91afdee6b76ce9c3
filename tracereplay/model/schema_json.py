"""JSON Schemas of `blame` and `whatif`, generated from the structs: `python -m tracereplay.model.schema_json`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from tracereplay.model import whatif
from tracereplay.model.result import SCHEMA, Result

FOLDER = Path(__file__).parents[1] / "reports" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


DOCUMENTS: dict[str, type[msgspec.Struct]] = {SCHEMA: Result, whatif.SCHEMA: whatif.WhatIf}


def schema_text(name: str = SCHEMA) -> str:
    """The schema as committed. Every key is required: absent values are null."""
    document = DOCUMENTS[name]
    schema = _null_last(msgspec.json.schema(document))
    for title, definition in schema["$defs"].items():
        if "description" in definition:  # Python takes the indent out of docstrings since 3.13
            definition["description"] = inspect.cleandoc(definition["description"])
        properties = definition.get("properties")
        if properties is not None:
            definition["required"] = list(properties)
            definition["title"] = title
            for value in properties.values():
                value.pop("default", None)  # the writer leaves nothing out, so a reader never needs it
    schema["$defs"][document.__name__]["properties"]["schema"] = {"const": name}
    return json.dumps({"$schema": DIALECT, "$id": name, **schema}, indent=2) + "\n"


def _null_last(schema: Any) -> Any:
    """The same schema; null is the last of its alternatives, which msgspec before 0.20 puts in another order."""
    if isinstance(schema, list):
        return [_null_last(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _null_last(value) for key, value in schema.items()}
    if "anyOf" in found:
        found["anyOf"].sort(key=lambda one: one == {"type": "null"})
    return found


def schema_path(name: str = SCHEMA) -> Path:
    """Where it is kept: the number in the name rises when a meaning changes."""
    return FOLDER / f"{name.removeprefix('tracereplay.').replace('/', '-')}.schema.json"


def main() -> None:
    """Rewrite the committed schemas."""
    for name in DOCUMENTS:
        path = schema_path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(schema_text(name), encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
