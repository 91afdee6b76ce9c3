"""Sections on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.reports.shared.sections import FIND_THE_REST, Section
from tracereplay.reports.shared.style import Style, render_blocks
from tracereplay.reports.shared.wording import count

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_WIDTH = 20  # of a column of texts, before lines break in it
_COLOURS = {None: "bold", True: "bold green", False: "bold red"}


def render_sections_text(sections: Sequence[Section], style: Style) -> str:
    """One section below the other."""
    blocks: list[RenderableType] = []
    for section in sections:
        blocks += [""] if blocks else []
        blocks += [Text(section.title, style=_COLOURS[section.ok])]
        blocks += [Padding(Text(line), (0, 0, 0, 2)) for line in section.lines]
        if section.rows:
            blocks.append(Padding(_table(section), (0, 0, 0, 2)))
        if section.more:
            rest = FIND_THE_REST if style.full else "--full"
            blocks.append(Padding(Text(f"and {count(section.more, 'more row')}: {rest}"), (0, 0, 0, 2)))
    return render_blocks(blocks, style)


def _table(section: Section) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for place, column in enumerate(section.headings()):
        longest = max(len(column.name), *(len(str(row[place])) for row in section.rows))
        table.add_column(
            Text(column.name),
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            no_wrap=column.is_numeric,
            min_width=min(longest, LEAST_WIDTH),
        )
    for row in section.rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table
