"""Metadata of a trace (build, device, test ...): from a file beside it, or from its path by a pattern.

Values become text, and names columns of the table `runs`; both come from whoever wrote the file, so they are bounded.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from tracereplay.errors import InputError, UsageError
from tracereplay.units import to_valid_utf8

MAX_SIDECAR_BYTES = 1 << 20
MAX_COLUMNS = 64
MAX_VALUE = 1024
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PART = re.compile(r"\{(?P<name>\w+)\}|(?P<deep>\*\*/?)|(?P<any>\*)|(?P<text>[^{}*]+)|(?P<wrong>.)")


def parse_sidecar(data: bytes, path: str) -> dict[str, str]:
    """The columns of a TOML or JSON file. Raises InputError where it is neither, or no table."""
    if len(data) > MAX_SIDECAR_BYTES:
        raise InputError("is too large for metadata", path=path)
    try:
        text = data.decode("utf-8")
        found = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
        values = list(islice(_flat(found, ""), MAX_COLUMNS + 1)) if isinstance(found, dict) else None
    except (ValueError, RecursionError) as error:  # both libraries raise ValueErrors, and so does str()
        raise InputError(f"is no metadata: {error}", path=path) from None
    if values is None:
        raise InputError("is no table of names and values", path=path)
    if len(values) > MAX_COLUMNS:
        raise InputError(f"has more than {MAX_COLUMNS} values", path=path)
    return {column_name(name): to_valid_utf8(value[:MAX_VALUE]) for name, value in values}


def column_name(name: str) -> str:
    """The name as a column: small letters, digits, `_`; those of the table's own columns get `meta_` before."""
    from tracereplay.corpus.tables import RUN_COLUMNS  # noqa: PLC0415

    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:48] or "unnamed"
    own = {column.name for column in RUN_COLUMNS}
    return plain if _NAME.fullmatch(plain) and plain not in own else f"meta_{plain}"


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ",".join(map(str, value))
        elif isinstance(value, bool):
            yield f"{prefix}{name}", str(value).lower()
        elif value is not None:
            yield f"{prefix}{name}", str(value)


def path_pattern(pattern: str | None) -> Callable[[str], Mapping[str, str]]:
    """A function that reads columns out of a path: `{build}/{device}/*.dat`, matched against the path's end.

    `{name}` and `*` match within one folder or file name, `**` any number of them. A path that does not match has no
    columns. Raises UsageError where the pattern names nothing.
    """
    if pattern is None:
        return lambda _path: {}
    names: list[str] = []
    parts: list[str] = []
    for part in _PART.finditer(pattern.strip("/")):
        if part["wrong"]:
            raise UsageError(f"the path pattern {pattern!r} has a lone {part['wrong']!r}; columns are {{name}}")
        if part["name"]:
            names.append(part["name"])
            parts.append("([^/]+?)")
        elif part["deep"]:
            parts.append("(?:.*/)?" if part["deep"].endswith("/") else ".*")
        else:
            parts.append("[^/]*" if part["any"] else re.escape(part["text"]))
    if not names:
        raise UsageError(f"the path pattern {pattern!r} names no column: write {{build}} where the build stands")
    compiled = re.compile(f"(?:^|/){''.join(parts)}$")
    columns = [column_name(name) for name in names]

    def columns_of(path: str) -> Mapping[str, str]:
        found = compiled.search(path)
        return {} if found is None else dict(zip(columns, (v[:MAX_VALUE] for v in found.groups()), strict=True))

    return columns_of
