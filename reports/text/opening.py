"""The first lines of a text report: one sentence, and for several attempts who blocked how many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.result import Result
from tracereplay.reports.shared.opening import Ranked, is_worth_a_ranking, pages_cell, ranking, sentences
from tracereplay.reports.shared.style import Style
from tracereplay.reports.shared.wording import count

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_ROWS = 8
LEAST_WHO, LEAST_HELD = 20, 16  # columns
GAP = 2


def opening_blocks(result: Result, style: Style) -> list[RenderableType]:
    """Empty where nothing failed or waited."""
    said = sentences(result)
    if not said:
        return []
    rows = ranking(result)
    table = _table(rows, style.width) if is_worth_a_ranking(result, rows) else []
    return [*(Text(f"{sentence}.", style="bold") for sentence in said), "", *table]


def _table(rows: list[Ranked], width: int) -> list[RenderableType]:
    cells = {
        "blocked": [row.share for row in rows[:MAX_ROWS]],
        "who": [row.who for row in rows[:MAX_ROWS]],
        "cause": [row.cause for row in rows[:MAX_ROWS]],
        "verdict": [row.sure for row in rows[:MAX_ROWS]],
        "pages": [pages_cell(row.brief_size) for row in rows[:MAX_ROWS]],
        "held": [row.held for row in rows[:MAX_ROWS]],
        "waited": [row.waited for row in rows[:MAX_ROWS]],
    }
    if not any(cells["waited"]):
        del cells["waited"]
    for name in ("waited", "held"):  # what the attempts below say as well
        if _least_width(cells) > width:
            cells.pop(name, None)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name in cells:
        right = name in ("pages", "waited")
        least = LEAST_WHO if name == "who" else None
        table.add_column(
            name, justify="right" if right else "left", no_wrap=name not in ("who", "held"), overflow="fold",
            min_width=least,
        )  # fmt: skip
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    more = len(rows) - MAX_ROWS
    tail: list[RenderableType] = [Text(f"  and {count(more, 'more row')}: --format json")] if more > 0 else []
    return [Padding(table, (0, 0, 0, 2)), *tail, ""]


def _least_width(cells: dict[str, list[str]]) -> int:
    """Columns that the table takes at least: texts of `who` and `held` may be broken."""
    broken = {"who": LEAST_WHO, "held": LEAST_HELD}
    return sum(GAP + broken.get(name, max(map(len, (name, *texts)))) for name, texts in cells.items()) + GAP
