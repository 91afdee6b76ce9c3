"""`record --print-script`: the recording as a POSIX shell script, made from the same declarations."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.definitions import alternatives, fetches_of
from tracereplay.capture.snapshot import MOST_OPEN_FILES
from tracereplay.parsers.catalog.probes import (
    FOLL_FROM_6_3,
    FOLL_UP_TO_6_2,
    KNOWN_PAGE,
    PROBES,
    RETURN_ADDRESS,
    Probe,
    Role,
)
from tracereplay.parsers.snapshots.proc_files import NAMES_AT_END

TEMPLATE = Path(__file__).with_name("record.sh")


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """What the script does unless its own arguments say otherwise."""

    level: int = 2
    area: str | None = None
    block: int | None = None
    buffer_kib: int = 65536
    dumps: int = 1
    after_s: int = 2
    pages: bool = True
    stacks: wanted.Stacks = wanted.Stacks.TAKES


def script(options: ScriptOptions) -> str:
    """The text of the script."""
    events = wanted.ATTEMPTS + (wanted.PAGES if options.pages else ())
    filtered = "|".join(f"{prefix}*" for prefix in wanted.FILTERED_BY_PFN)
    takes = dict.fromkeys(probe.name for probe in PROBES if probe.role is Role.TAKE)
    values = {
        "BUFFER_KB": str(options.buffer_kib),
        "LEVEL": str(options.level),
        "AREA": shlex.quote(options.area or ""),
        "BLOCK": "" if options.block is None else str(options.block),
        "DUMPS": str(options.dumps),
        "AFTER_S": str(options.after_s),
        "STACKS": options.stacks.value,
        "TAKING": "\n".join(f"{sign.event} {sign.filter_}" for sign in wanted.TAKING),
        **{f"COST_{name}": words for name, words in wanted.COSTS.items()},
        "EVENTS": " ".join(events),
        "BUILT_IN": " ".join(wanted.BUILT_IN),
        "CONSOLE_EVENTS": " ".join(wanted.CONSOLE),
        "REFERENCE_EVENTS": " ".join(wanted.REFERENCES),
        "FILTERED_BY_PFN": filtered,
        "FUNCTIONS": "|".join(sorted({probe.function for probe in PROBES})),
        "TAKING_OLD": f"{FOLL_UP_TO_6_2.taking:#x}",
        "TAKING_NEW": f"{FOLL_FROM_6_3.taking:#x}",
        "PROBES": _indented(_probe_lines()),
        "RETURN_ADDRESSES": " ".join(f"{name}) return_address='{where}' ;;" for name, where in RETURN_ADDRESS.items()),
        "BY_CALLER": "\n".join(
            f'    keep {probe.name} "$by_caller && folio >= $from && folio < $below"'
            for probe in PROBES
            if probe.caller
        ),
        "KEEPS": _indented(f'keep {name} "flags & $taking"' for name in takes),
        "TAKES": " ".join(takes),
        "PAGE_STRUCT_BYTES": str(KNOWN_PAGE.size),
        "SNAPSHOT": _indented(f'copy {one.source} "$1/{one.target}"' for one in wanted.SNAPSHOT_FILES).replace(
            " " * 8, " " * 4
        ),
        "CHECK_FILES": " ".join(wanted.CHECK_FILES),
        "MOUNTS": wanted.MOUNTS.source,
        "NAMES_AT_END": NAMES_AT_END,
        "MOST_OPEN_FILES": str(MOST_OPEN_FILES),
        "CMA_FILES": " ".join(wanted.CMA_FILES),
        "NO_STACKS": wanted.NO_STACKS,
        "NO_NAMES": wanted.NO_NAMES,
        "TRACE_FILES": " ".join(wanted.TRACE_FILES),
        "FAILURES": "\n".join(f"{sign.event} {sign.filter_}" for sign in wanted.FAILURES),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


def _probe_lines() -> Sequence[str]:
    """One call of `probe` for each row, under the condition on the functions that the kernel has."""
    lines = []
    for probe in PROBES:
        line = _probe_line(probe)
        if probe.only_with:
            line = f"if has {probe.only_with}; then {line}; fi"
        elif probe.not_with:
            line = f"if ! has {probe.not_with}; then {line}; fi"
        if probe.caller:
            line = f"if calls_from {probe.caller}; then {line}; fi; kept="
        lines.append(line)
    return lines


def _probe_line(probe: Probe) -> str:
    address = "'\"$return_address\"'"  # the shell's: machines differ
    quoted = " ".join(f"'{fetches_of(fetches, KNOWN_PAGE, address)}'" for fetches in alternatives(probe))
    return f"probe {probe.name} {probe.function} {'r' if probe.returns else 'p'} {quoted}"
