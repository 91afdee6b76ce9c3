"""Causes explained on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tracereplay.model.explain import Explanation
from tracereplay.model.result import Verdict
from tracereplay.reports.style import Style, bullets, render_blocks

if TYPE_CHECKING:
    from rich.console import RenderableType

_CEILINGS: dict[Verdict, str] = {
    "proved": "proved",
    "suggested": "suggested, until a real capture with established truth has exercised its proof",
    "unknown": "unknown",
}


def render_causes(explanations: Mapping[str, Explanation], style: Style) -> str:
    """One line per cause."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for code, explanation in explanations.items():
        grid.add_row(Text(code, style="bold"), Text(explanation.title))
    return render_blocks([grid, "", Text("`tracereplay explain CODE` tells what proves it and what to do.")], style)


def render_cause(code: str, explanation: Explanation, style: Style, *, ceiling: Verdict, needs: Sequence[str]) -> str:
    """All about one cause; ceiling -- the most it may claim, needs -- the events it cannot be checked without."""
    head = Text(code, style="bold").append(f": {explanation.title}", style="default not bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, text in (
        ("proved by", explanation.proves),
        ("suggested by", explanation.suggests),
        ("not to be confused", explanation.confused_with),
        ("claims at most", _CEILINGS[ceiling]),
        ("needs", ", ".join(needs) or "no particular events"),
    ):
        grid.add_row(name, Text(text))
        grid.add_row("", "")
    blocks: list[RenderableType] = [head, "", Text(explanation.says), "", grid]
    for title, steps in (("What to do", explanation.what_to_do), ("To be surer next time", explanation.capture_next)):
        if steps:
            blocks += [Text(title, style="bold"), bullets(steps), ""]
    return render_blocks(blocks[:-1], style)
