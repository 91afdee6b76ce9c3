"""The result as the JSON document of the contract, and back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tracereplay.errors import InputError
from tracereplay.model.result import SCHEMA, Result
from tracereplay.model.summary import summarise
from tracereplay.reports.shared.style import Style, escape_unprintable_json


def render_json(document: msgspec.Struct, style: Style | None = None) -> str:  # noqa: ARG001
    """Two spaces of indentation, keys in the order of the contract, absent values null, a newline at the end.

    What does not print in names and paths is escaped: the document may be shown by a terminal.
    """
    return escape_unprintable_json(msgspec.json.format(msgspec.json.encode(document), indent=2).decode()) + "\n"


def read_json(path: str | Path) -> Result:
    """A stored result. Raises InputError where the file is no `tracereplay.blame/1` document."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    try:
        result = msgspec.json.decode(data, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"is not a result of `tracereplay blame --format json`: {error}", path=path, advice="make it anew"
        ) from error
    if result.schema != SCHEMA:
        raise InputError(
            f"holds schema {result.schema!r}, this version reads {SCHEMA!r}", path=path, advice="make it anew"
        )
    if not result.summary:  # of a version that wrote none
        result.summary = summarise(result.attempts)
    return result
