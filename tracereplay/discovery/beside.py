"""Inputs by what they are: a kernel log among them, and the files beside the one trace that was named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tracereplay.discovery.discover import trace_patterns
from tracereplay.discovery.sources import ROLES, SIDES
from tracereplay.errors import InputError
from tracereplay.parsers.detect import Kind, detect

_SNAPSHOTS = (Kind.LAYOUT_DIR, Kind.LAYOUT_FILE)


def logs_as_options(inputs: Sequence[str], opening: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs without a kernel log among them, which becomes the option if that has no value yet."""
    options = dict(opening)
    traces: list[str] = []
    for place, name in enumerate(inputs):
        kind = None if options.get("kernel_log") else _kind(name)
        if kind is Kind.KERNEL_LOG:
            options["kernel_log"] = name
        else:
            traces.append(name)
        if kind is None:  # whoever opens it says why; a pipe after it need not wait for its writer
            traces += inputs[place + 1 :]
            break
    return tuple(traces), options


def with_files_beside(trace: str, opening: Mapping[str, Any]) -> dict[str, Any]:
    """The options completed by the log, layout, page_owner and page_pinner beside a trace, as `corpus run` finds them.

    opening -- options by name; those with a value win. A file that is not what its name says is left out.
    """
    options = dict(opening)
    path = Path(trace)
    try:
        names = {one.name: one for one in path.absolute().parent.iterdir()} if path.is_file() else {}
    except OSError:  # a folder that may be searched, but not listed
        return options
    patterns = trace_patterns()
    alone = not any(
        one.is_file() and any(fnmatchcase(name, pattern) for pattern in patterns)
        for name, one in names.items()
        if name != path.name
    )
    for role in SIDES:
        named = (name for name in ROLES[role].names(path.name, alone) if name in names and name != path.name)
        found = next(named, None)
        if found is not None and not options.get(role) and _is(role, str(names[found])):
            options[role] = (str(names[found]),) if role == "page_owner" else str(names[found])
    return options


def _kind(path: str) -> Kind | None:
    """None where it cannot be read: whoever opens it says why."""
    try:
        return detect(path).kind
    except InputError:
        return None


def _is(role: str, path: str) -> bool:
    kind = _kind(path)
    if role == "layout":
        return kind in _SNAPSHOTS
    return kind is {"kernel_log": Kind.KERNEL_LOG, "page_owner": Kind.PAGE_OWNER, "page_pinner": Kind.PAGE_PINNER}[role]
