"""The head of a text report: what was read, and what it lacks, before any answer."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.result import DataLoss, Input, Severity
from tracereplay.reports.style import Style, flow
from tracereplay.reports.wording import count, listing, moment
from tracereplay.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

_LEVELS = {0: "production tracepoints", 1: "with log or stacks", 2: "page_ref"}
_COLORS = {"error": "bold red", "loss": "bold yellow", "notice": "bold", "info": "dim"}
_EVENTS_LOST = ("loss", "error")


def input_blocks(inputs: Sequence[Input], data_loss: Sequence[DataLoss], style: Style) -> list[RenderableType]:
    """One line per trace (or log, where there is no trace); what was given beside them shares one line."""
    traces = [i for i in inputs if i.role in ("trace", "dataset")]
    main = traces or [i for i in inputs if i.role == "log"]
    beside = [i for i in inputs if i not in main]
    blocks: list[RenderableType] = []
    for source in main:
        facts = Text(flow([*_facts(source), ""]))
        lost = any(loss.severity in _EVENTS_LOST for loss in data_loss if loss.input_id in (source.id, None))
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


def _facts(source: Input) -> list[str]:
    facts = [f"Linux {source.kernel}" if source.kernel else "kernel unknown"]
    if source.start_ns is not None and source.end_ns is not None and source.clock_unit == "ns":
        facts.append(f"{(source.end_ns - source.start_ns) / NS_PER_S:.1f} s")
    if source.events is not None:
        facts.append(count(source.events, "line" if source.role == "log" else "event"))
    if source.capture_level is not None:
        facts.append(f"capture level {source.capture_level} ({_LEVELS.get(source.capture_level, '?')})")
    return facts


def loss_blocks(inputs: Sequence[Input], data_loss: Sequence[DataLoss], style: Style) -> list[RenderableType]:
    """Losses by kind, worst first; what is only informative is shown in the full report."""
    kinds: dict[str, list[DataLoss]] = {}
    for loss in data_loss:
        if style.full or loss.severity != "info":
            kinds.setdefault(loss.code, []).append(loss)
    if not kinds:
        return []
    order = list(_COLORS)
    units = {source.id: source.clock_unit for source in inputs}
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for code, losses in sorted(kinds.items(), key=lambda item: order.index(item[1][0].severity)):
        unit = units.get(losses[0].input_id or "", "ns")
        grid.add_row(_severity(losses[0].severity), _loss(code, losses, unit))
    return ["", Padding(grid, (0, 0, 0, 2))]


def _severity(severity: Severity) -> Text:
    return Text(severity, style=_COLORS[severity])


def _loss(code: str, losses: list[DataLoss], unit: str) -> Text:
    kind = LOSS_KINDS.get(code)
    text = Text(kind.doc if kind else code)
    facts = []
    numbers = [loss.count for loss in losses if loss.count is not None]
    if numbers:
        facts.append(f"{sum(numbers):,} of them")
    cpus = sorted({loss.cpu for loss in losses if loss.cpu is not None})
    if cpus:
        facts.append(f"CPU {listing(map(str, cpus))}" if len(cpus) <= 4 else f"{len(cpus)} CPUs")
    starts = [loss.start_ns for loss in losses if loss.start_ns is not None]
    ends = [loss.end_ns for loss in losses if loss.end_ns is not None]
    if starts and ends and min(starts) == max(ends):
        facts.append(f"at {moment(min(starts), unit)}")
    elif starts and ends:
        facts.append(f"{moment(min(starts), unit)} to {moment(max(ends), unit)}")
    elif ends:
        facts.append(f"before {moment(max(ends), unit)}")
    details = list(dict.fromkeys(loss.detail for loss in losses if loss.detail))
    facts += details[:1]
    if facts:
        text.append(f" ({', '.join(facts)})")
    return text.append(f". {losses[0].advice}" if losses[0].advice else "", style="dim")
