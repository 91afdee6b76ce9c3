"""Sections as Markdown, for mails and issues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracereplay.reports.markdown import escaped
from tracereplay.reports.shared.sections import Cell, Section
from tracereplay.reports.shared.wording import count


def render_sections_markdown(sections: Sequence[Section]) -> str:
    """One section below the other."""
    return "\n".join(line for section in sections for line in _lines(section)) + "\n"


def _lines(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield ""
    for line in section.lines:
        yield f"- {escaped(line)}"
    if section.lines:
        yield ""
    if section.rows:
        yield _row([column.name for column in section.headings()])
        yield "|" + "|".join("---:" if column.is_numeric else "---" for column in section.headings()) + "|"
        yield from (_row(row) for row in section.rows)
        yield ""
    if section.more:
        yield f"and {count(section.more, 'more row')}"
        yield ""


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(escaped(str(cell)).replace("|", "\\|") for cell in cells) + " |"
