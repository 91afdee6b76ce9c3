"""Inputs by what they are: a kernel log among them, and the files beside the one trace that was named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracereplay.discovery.discover import discover
from tracereplay.discovery.folder import SIDES
from tracereplay.errors import InputError
from tracereplay.parsers.detect import Kind, detect

_SNAPSHOTS = (Kind.LAYOUT_DIR, Kind.LAYOUT_FILE)


def logs_as_options(inputs: Sequence[str], opening: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs without a kernel log among them, which becomes the option if that has no value yet."""
    options = dict(opening)
    traces: list[str] = []
    for name in inputs:
        if not options.get("kernel_log") and _kind(name) is Kind.KERNEL_LOG:
            options["kernel_log"] = name
        else:
            traces.append(name)
    return tuple(traces), options


def with_files_beside(trace: str, opening: Mapping[str, Any]) -> dict[str, Any]:
    """The options completed by the log, layout, page_owner and page_pinner beside a trace, as `corpus run` finds them.

    opening -- options by name; those with a value win. A file that is not what its name says is left out.
    """
    options = dict(opening)
    path = Path(trace)
    if not path.is_file():
        return options
    for source in discover([str(path.absolute())], lambda _path: {}):
        for role in SIDES:
            found = source.sides.get(role)
            if found is not None and not options.get(role) and _is(role, found):
                options[role] = (found,) if role == "page_owner" else found
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
