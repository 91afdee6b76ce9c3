"""A folder as INPUT that is no trace but holds one, with what lies beside it: as `record` makes it, or by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracereplay.corpus.discover import TRACE_NAMES, discover
from tracereplay.errors import InputError
from tracereplay.parsers.detect import Kind, detect

# Inputs that `corpus run` finds beside a trace, by their option.
TEXT_NAMES = ("trace.txt", "trace")
SIDES = ("layout", "kernel_log", "page_owner", "page_pinner")


def opened_folders(inputs: Sequence[str], opening: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs with each such folder's trace in its place, and the options with what lies beside it.

    Options that were given win. Raises InputError for a folder of several traces: which one is meant?
    """
    found: list[str] = []
    options = dict(opening)
    for name in inputs:
        sides = _trace_in(name)
        if sides is None:
            found.append(name)
            continue
        found.append(sides.pop("trace"))
        if len(inputs) > 1:  # sides of one of several traces are not all traces' own
            continue
        for role in SIDES:
            if role in sides and not options.get(role):
                options[role] = (sides[role],) if role == "page_owner" else sides[role]
    return tuple(found), options


def _trace_in(name: str) -> dict[str, str] | None:
    """The trace of a folder and its sides by role; None where `name` is a trace itself, or holds none."""
    path = Path(name)
    try:
        if not path.is_dir():
            return None
    except (OSError, ValueError):
        return None
    if detect(path).kind not in (Kind.LAYOUT_DIR, Kind.UNKNOWN):
        return None
    sources = list(discover([str(path.absolute())], lambda _path: {}, (*TRACE_NAMES, *TEXT_NAMES)))
    if not sources:
        return None
    if len(sources) > 1:
        shown = ", ".join(str(Path(one.path).relative_to(path.absolute())) for one in sources[:4])
        raise InputError(f"it holds {len(sources)} traces", path=path, advice=f"name one of them: {shown}")
    return sources[0].inputs()
