"""The JSON Schema of `blame`, generated from the structs; `python -m tracereplay.model.schema_json` rewrites it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from tracereplay.model.result import SCHEMA, Result

FOLDER = Path(__file__).parents[1] / "reports" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The schema as committed. Every key is required: absent values are null."""
    schema = msgspec.json.schema(Result)
    for name, definition in schema["$defs"].items():
        properties = definition.get("properties")
        if properties is not None:
            definition["required"] = list(properties)
            definition["title"] = name
            for value in properties.values():
                value.pop("default", None)  # the writer leaves nothing out, so a reader never needs it
    schema["$defs"]["Result"]["properties"]["schema"] = {"const": SCHEMA}
    return json.dumps({"$schema": DIALECT, "$id": SCHEMA, **schema}, indent=2) + "\n"


def schema_path() -> Path:
    """Where it is kept: the number in the name rises when a meaning changes."""
    return FOLDER / f"{SCHEMA.removeprefix('tracereplay.').replace('/', '-')}.schema.json"


def main() -> None:
    """Rewrite the committed schema."""
    path = schema_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")
    print(path.name)


if __name__ == "__main__":
    main()
