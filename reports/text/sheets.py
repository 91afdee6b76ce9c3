"""Sheets on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.reports.shared.sheets import FIND_THE_REST, Sheet
from tracereplay.reports.shared.style import Style, render_blocks
from tracereplay.reports.shared.wording import count

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_WIDTH = 20  # of a column of texts, before lines break in it
_COLOURS = {None: "bold", True: "bold green", False: "bold red"}


def render_sheets_text(sheets: Sequence[Sheet], style: Style) -> str:
    """One sheet below the other."""
    blocks: list[RenderableType] = []
    for sheet in sheets:
        blocks += [""] if blocks else []
        blocks += [Text(sheet.title, style=_COLOURS[sheet.calm])]
        blocks += [Padding(Text(line), (0, 0, 0, 2)) for line in sheet.lines]
        if sheet.rows:
            blocks.append(Padding(_table(sheet), (0, 0, 0, 2)))
        if sheet.more:
            rest = FIND_THE_REST if style.full else "--full"
            blocks.append(Padding(Text(f"and {count(sheet.more, 'more row')}: {rest}"), (0, 0, 0, 2)))
    return render_blocks(blocks, style)


def _table(sheet: Sheet) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for place, (name, is_number) in enumerate(sheet.headings()):
        longest = max(len(name), *(len(str(row[place])) for row in sheet.rows))
        table.add_column(
            Text(name),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number,
            min_width=min(longest, LEAST_WIDTH),
        )
    for row in sheet.rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table
