"""A folder as INPUT that is no trace but holds one, with what is beside it: as `record` makes it, or by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracereplay.discovery.discover import TRACE_NAMES, discover
from tracereplay.discovery.sources import PACKED, ROLES, SIDES, Source
from tracereplay.errors import InputError
from tracereplay.parsers.detect import Kind, detect
from tracereplay.parsers.snapshots.kpageflags import find_before

TEXT_NAMES = ("trace.txt", "trace")
COPIES = ("kpageflags", "kpagecount")


def opened_folders(
    inputs: Sequence[str], opening: Mapping[str, Any], *, same_machine: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs with each such folder's trace in its place, and the options completed by the files beside it.

    opening -- options by name; those with a value win. kpageflags and kpagecount are completed only if they are in it.
    same_machine -- a folder may hold several traces: all of them are taken. Raises InputError for a folder of several
    traces otherwise.
    """
    found: list[str] = []
    options = dict(opening)
    for name in inputs:
        sources = _traces_in(name)
        if not sources:
            found.append(name)
            continue
        if len(sources) > 1 and not same_machine:
            raise _several(Path(name), sources)
        found += [one.path for one in sources]
        if len(inputs) > 1:  # files beside one of several traces may not belong to all of them
            continue
        for role, path in _sides(Path(name), sources).items():
            if not options.get(role):
                options[role] = (path,) if role == "page_owner" else path
        if len(sources) == 1 and "kpageflags" in options and not options["kpageflags"]:
            options |= {name: path for name, path in _copies(sources[0].path).items() if not options.get(name)}
    return tuple(found), options


def _traces_in(name: str) -> list[Source]:
    """The traces of a folder; none where `name` is no folder, or is a trace itself."""
    path = Path(name)
    try:
        if not path.is_dir():
            return []
    except (OSError, ValueError):
        return []
    if detect(path).kind not in (Kind.LAYOUT_DIR, Kind.UNKNOWN):
        return []
    return list(discover([str(path.absolute())], lambda _path: {}, (*TRACE_NAMES, *TEXT_NAMES)))


def _several(folder: Path, sources: Sequence[Source]) -> InputError:
    shown = ", ".join(str(Path(one.path).relative_to(folder.absolute())) for one in sources[:4])
    advice = f"name one of them: {shown}; or all of one machine and boot: --same-machine"
    return InputError(f"it holds {len(sources)} traces", path=folder, advice=advice)


def _sides(folder: Path, sources: Sequence[Source]) -> dict[str, str]:
    """Paths by role, beside the traces or in the folder itself."""
    sides: dict[str, str] = {}
    for role in SIDES:
        beside = [one.sides[role] for one in sources if role in one.sides]
        ends = PACKED if ROLES[role].packed else ("",)
        own = [
            path for name in ROLES[role].own for end in ends if (path := folder.absolute() / f"{name}{end}").exists()
        ]
        if beside or own:
            sides[role] = str((beside or own)[0])
    if "layout" not in sides and detect(folder).kind is Kind.LAYOUT_DIR:  # copies of /proc beside the trace
        sides["layout"] = str(folder.absolute())
    return sides


def _copies(trace: str) -> dict[str, str]:
    """Copies of kpageflags and kpagecount from before the trace."""
    return {name: str(path) for name, path in zip(COPIES, find_before(trace), strict=True) if path is not None}
