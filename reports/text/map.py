"""The area of an attempt in characters: one line; in full a line for each stretch of it, and one for each try."""

from __future__ import annotations

from itertools import groupby

from tracereplay.model.derived.area import area_span, culprit_runs, main_state, spread, state_runs
from tracereplay.model.result import Attempt
from tracereplay.reports.shared.wording import count
from tracereplay.units import format_pfn

CULPRIT = "#"
SIGNS = {"free": ".", "moved": "o", "held": "x", "mixed": "%", "not_seen": "-", None: " "}
WORDS = {
    "#": "blocking",
    ".": "free",
    "o": "moved",
    "x": "not migrated",
    "%": "mixed",
    "-": "no event in the trace",
}
FULL_COLUMNS = 64
FULL_ROWS = 32
MAX_TRY_LINES = 24


def map_lines(attempt: Attempt, width: int, *, full: bool) -> list[str]:
    """The map and, below it, what its characters mean; nothing where no page of the area is known."""
    span = area_span(attempt) if attempt.map or attempt.culprits else None
    if span is None:
        return []
    lines, drawn = _rows(attempt, *span) if full else _one_line(attempt, *span, width)
    if full:
        lines += _try_lines(attempt, *span, width)
    return [*lines, "  ".join(f"{sign} {words}" for sign, words in WORDS.items() if sign in drawn)]


def _one_line(attempt: Attempt, low: int, high: int, width: int, map_try: int | None = None) -> tuple[list[str], str]:
    """`0xfc00 [-----#..o##] 0x1fbff`, at most `width` wide."""
    first, last = format_pfn(low), format_pfn(high - 1)
    room = max(width - len(first) - len(last) - 4, 8)
    cell_pages = -(-(high - low) // room)
    drawn = _signs(attempt, low, cell_pages, -(-(high - low) // cell_pages), map_try)
    return [f"{first} [{drawn}] {last}"], drawn


def _try_lines(attempt: Attempt, low: int, high: int, width: int) -> list[str]:
    """A line for each failing try whose map is known; those that look alike on a line share it."""
    looked_at = [one for one in attempt.tries if one.map_try is not None]
    if len(looked_at) < 2:
        return []
    label = len(f"tries {looked_at[-1].index}-{looked_at[-1].index}  ")
    drawn = {at: _one_line(attempt, low, high, width - label, at)[0][0] for at in {one.map_try for one in looked_at}}
    lines = []
    for line, alike in groupby(looked_at, key=lambda one: drawn[one.map_try]):
        first, *rest = [one.index for one in alike]
        name = f"tries {first}-{rest[-1]}" if rest else f"try {first}"
        lines.append(f"{name:<{label}}{line}")
    failed = sum(one.result != "succeeded" for one in attempt.tries)
    of = f"at {len(looked_at)} of {failed:,} failing tries" if len(looked_at) < failed else "try by try"
    hidden = len(lines) - MAX_TRY_LINES
    if hidden > 0:
        half = MAX_TRY_LINES // 2
        lines[half : half + hidden] = [f"... {count(hidden, 'more line')}"]
    return ["", f"the same, {of}", *lines]


def _rows(attempt: Attempt, low: int, high: int) -> tuple[list[str], str]:
    """Rows of FULL_COLUMNS characters, each of a power of two of pages, with the PFN a row begins at.

    Rows that only repeat the one above are left out, as `hexdump` does, with a `*`.
    """
    cell_pages = 1
    while cell_pages * FULL_COLUMNS * FULL_ROWS < high - low:
        cell_pages *= 2
    low -= low % cell_pages
    drawn = _signs(attempt, low, cell_pages, -(-(high - low) // cell_pages))
    width = len(format_pfn(high))
    lines = [f"{count(cell_pages, 'page')} a character"]
    above = None
    for place in range(0, len(drawn), FULL_COLUMNS):
        row = drawn[place : place + FULL_COLUMNS]
        if row != above:
            lines.append(f"{format_pfn(low + place * cell_pages):>{width}} {row}")
        elif lines[-1] != "*":
            lines.append("*")
        above = row
    return lines, drawn


def _signs(attempt: Attempt, low: int, cell_pages: int, cells: int, map_try: int | None = None) -> str:
    states = spread(state_runs(attempt, map_try), low, cell_pages, cells)
    culprits = spread(culprit_runs(attempt, map_try), low, cell_pages, cells)
    return "".join(
        CULPRIT if culprit else SIGNS[main_state(state)] for state, culprit in zip(states, culprits, strict=True)
    )
