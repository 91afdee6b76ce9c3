"""The area of an attempt in characters: one line, or in full a line for each stretch of it."""

from __future__ import annotations

from tracereplay.model.result import Attempt
from tracereplay.reports.area import area_span, culprit_runs, main_state, spread, state_runs
from tracereplay.reports.wording import count
from tracereplay.units import format_pfn

CULPRIT = "#"
SIGNS = {"free": ".", "moved": "o", "held": "x", "mixed": "%", "not_seen": "-", None: " "}
WORDS = {"#": "in the way", ".": "free", "o": "moved", "x": "left in place", "%": "mixed", "-": "never seen"}
FULL_COLUMNS = 64
FULL_ROWS = 32


def map_lines(attempt: Attempt, width: int, *, full: bool) -> list[str]:
    """The map and, below it, what its characters mean; nothing where no page of the area is known."""
    span = area_span(attempt) if attempt.map or attempt.culprits else None
    if span is None:
        return []
    lines, drawn = _rows(attempt, *span) if full else _one_line(attempt, *span, width)
    return [*lines, "  ".join(f"{sign} {words}" for sign, words in WORDS.items() if sign in drawn)]


def _one_line(attempt: Attempt, low: int, high: int, width: int) -> tuple[list[str], str]:
    """`0xfc00 [-----#..o##] 0x1fbff`, at most `width` wide."""
    first, last = format_pfn(low), format_pfn(high - 1)
    room = max(width - len(first) - len(last) - 4, 8)
    cell_pages = -(-(high - low) // room)
    drawn = _signs(attempt, low, cell_pages, -(-(high - low) // cell_pages))
    return [f"{first} [{drawn}] {last}"], drawn


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


def _signs(attempt: Attempt, low: int, cell_pages: int, cells: int) -> str:
    states = spread(state_runs(attempt), low, cell_pages, cells)
    culprits = spread(culprit_runs(attempt), low, cell_pages, cells)
    return "".join(
        CULPRIT if culprit else SIGNS[main_state(state)] for state, culprit in zip(states, culprits, strict=True)
    )
