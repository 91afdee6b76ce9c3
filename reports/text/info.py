"""What the inputs hold, lack and can prove, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.info import InfoResult, InputInfo
from tracereplay.reports.shared.style import Style, bullets, escape_control_chars, render_blocks
from tracereplay.reports.shared.wording import count
from tracereplay.reports.text.inputs import input_blocks, loss_blocks

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_EVENTS = 12


def render_info(info: InfoResult, style: Style) -> str:
    """The inputs, their losses, their events, then what can be proved and what that takes."""
    info = escape_control_chars(info)
    blocks: list[RenderableType] = input_blocks(info.inputs, info.data_loss, style)
    blocks += loss_blocks(info.inputs, info.data_loss, style)
    for source in info.inputs:
        if source.by_event:
            blocks += _events(source, style)
    if info.can_prove:
        blocks += ["", Text("Can be proved", style="bold"), Padding(Text(", ".join(info.can_prove)), (0, 0, 0, 2))]
    if info.cannot_prove:
        rows = [(row.cause, row.missing) for row in info.cannot_prove]
        blocks += ["", Text("Cannot be proved: what is missing", style="bold"), _pairs(rows)]
    if info.capture_next:
        blocks += ["", Text("To prove more next time", style="bold"), bullets(info.capture_next)]
    return render_blocks(blocks, style)


def _events(source: InputInfo, style: Style) -> list[RenderableType]:
    """The most frequent events of one input."""
    by_number = sorted(source.by_event.items(), key=lambda item: (-item[1], item[0]))
    shown = by_number if style.full else by_number[:MAX_EVENTS]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for name, number in shown:
        grid.add_row(f"{number:,}", name)
    hidden = by_number[len(shown) :]
    if hidden:
        grid.add_row(f"{sum(number for _, number in hidden):,}", f"of {count(len(hidden), 'other kind')}: --full")
    about = [f"clock {source.clock}"] if source.clock else []
    about += [f"format {source.format}"]
    about += [f"can show {', '.join(source.capabilities)}"] if source.capabilities else []
    head = Text("Events", style="bold").append(f" of {source.path} ({'; '.join(about)})", style="default not bold")
    return ["", head, Padding(grid, (0, 0, 0, 2))]


def _pairs(rows: list[tuple[str, str]]) -> RenderableType:
    """Causes that lack the same share one row."""
    by_missing: dict[str, list[str]] = {}
    for cause, missing in rows:
        by_missing.setdefault(missing, []).append(cause)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold", ratio=2)
    grid.add_column(overflow="fold", ratio=3)
    for missing, causes in by_missing.items():
        known = [code for code in EXPLANATIONS if code in causes] + [c for c in causes if c not in EXPLANATIONS]
        grid.add_row(missing, ", ".join(known))
    return Padding(grid, (0, 0, 0, 2))
