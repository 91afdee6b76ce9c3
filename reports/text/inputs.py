"""The head of a text report: what was read, and what it lacks, before any answer."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.derived.inputs import is_lossy, main_inputs
from tracereplay.model.result import DataLoss, Input
from tracereplay.reports.shared.input_wording import input_facts, loss_sentences
from tracereplay.reports.shared.style import Style, flow
from tracereplay.reports.shared.wording import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

_COLORS = {"error": "bold red", "loss": "bold yellow", "notice": "bold", "info": "dim"}


def input_blocks(inputs: Sequence[Input], data_loss: Sequence[DataLoss], style: Style) -> list[RenderableType]:
    """One line per trace (or log, where there is no trace); what was given beside them shares one line."""
    main = main_inputs(inputs)
    beside = [i for i in inputs if i not in main]
    blocks: list[RenderableType] = []
    for source in main:
        facts = Text(flow([*input_facts(source), ""]))
        lost = is_lossy(source, data_loss)
        facts.append(flow(["DATA LOST" if lost else "no data lost"]), style="bold red" if lost else "")
        path = Text(source.path, style="bold")
        if len(path) + 2 + len(facts) <= style.width:
            blocks.append(Text.assemble(path, "  ", facts))
        else:
            blocks += [path, Padding(facts, (0, 0, 0, 2))]
    if beside:
        names = listing(f"{PurePath(i.path).name} ({i.role})" for i in beside)
        blocks.append(Padding(Text(f"with {names}", style="dim"), (0, 0, 0, 2)))
    return blocks


def loss_blocks(inputs: Sequence[Input], data_loss: Sequence[DataLoss], style: Style) -> list[RenderableType]:
    """Losses by kind, worst first; what is only informative is shown in the full report."""
    losses = loss_sentences(inputs, data_loss, full=style.full)
    if not losses:
        return []
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for severity, lacking, advice in losses:
        text = Text(lacking).append(f". {advice}" if advice else "", style="dim")
        grid.add_row(Text(severity, style=_COLORS[severity]), text)
    return ["", Padding(grid, (0, 0, 0, 2))]
