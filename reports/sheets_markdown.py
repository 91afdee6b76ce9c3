"""Sheets as Markdown, for mails and issues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracereplay.reports.markdown import escaped
from tracereplay.reports.shared.sheets import Cell, Sheet
from tracereplay.reports.shared.wording import count


def render_sheets_markdown(sheets: Sequence[Sheet]) -> str:
    """One sheet below the other."""
    return "\n".join(line for sheet in sheets for line in _lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    yield f"## {escaped(sheet.title)}"
    yield ""
    for line in sheet.lines:
        yield f"- {escaped(line)}"
    if sheet.lines:
        yield ""
    if sheet.rows:
        yield _row([name for name, _ in sheet.headings()])
        yield "|" + "|".join("---:" if is_number else "---" for _, is_number in sheet.headings()) + "|"
        yield from (_row(row) for row in sheet.rows)
        yield ""
    if sheet.more:
        yield f"and {count(sheet.more, 'more row')}"
        yield ""


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(escaped(str(cell)).replace("|", "\\|") for cell in cells) + " |"
