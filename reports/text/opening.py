"""The first lines of a text report: one sentence, and for several attempts who blocked how many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.result import Result
from tracereplay.reports.shared.opening import Ranked, is_worth_a_ranking, ranking, sentences
from tracereplay.reports.shared.wording import count

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_ROWS = 8


def opening_blocks(result: Result) -> list[RenderableType]:
    """Empty where nothing failed or waited."""
    said = sentences(result)
    if not said:
        return []
    rows = ranking(result)
    table = _table(rows) if is_worth_a_ranking(result, rows) else []
    return [*(Text(f"{sentence}.", style="bold") for sentence in said), "", *table]


def _table(rows: list[Ranked]) -> list[RenderableType]:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    names = ["blocked", "who", "cause", "verdict", "pages", "held", "waited"]
    if not any(row.waited for row in rows[:MAX_ROWS]):
        names.pop()
    for name in names:
        right = name in ("pages", "waited")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "who", overflow="fold")
    for row in rows[:MAX_ROWS]:
        pages = f"{row.pages:,}" if row.pages else ""
        table.add_row(*(row.share, row.who, row.cause, row.sure, pages, row.held, row.waited)[: len(names)])
    more = len(rows) - MAX_ROWS
    tail: list[RenderableType] = [Text(f"  and {count(more, 'more row')}: --format json")] if more > 0 else []
    return [Padding(table, (0, 0, 0, 2)), *tail, ""]
