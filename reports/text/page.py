"""The life of one page on a terminal: one line per event, with the state after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.page import Life, OpenReference, PageEvent, PageLife, PageState
from tracereplay.model.result import Task
from tracereplay.reports.shared.page_wording import life_sentence, page_place
from tracereplay.reports.shared.style import Style, escape_control_chars, render_blocks
from tracereplay.reports.shared.wording import file_name, moment, task_name
from tracereplay.reports.text.inputs import input_blocks, loss_blocks
from tracereplay.units import format_pfn

if TYPE_CHECKING:
    from rich.console import RenderableType

LONGEST_EVENT = len("page_ref_mod_and_return")
MAX_EVENTS = 60  # of one life; the first and the last are kept


def render_page(life: PageLife, style: Style) -> str:
    """The page's zone, block and area, then its lives."""
    life = escape_control_chars(life)
    unit = next((source.clock_unit for source in life.inputs), "ns")
    head = Text(f"PFN {format_pfn(life.pfn)}", style="bold")
    if place := page_place(life):
        head.append(f", {place}", style="default not bold")
    blocks: list[RenderableType] = [*input_blocks(life.inputs, life.data_loss, style)]
    blocks += [*loss_blocks(life.inputs, life.data_loss, style), "", head]
    if not life.lives:
        blocks.append(Text("No event of this trace names the page."))
    for number, one in enumerate(life.lives, 1):
        blocks += ["", _life_line(number, one, unit), _events(one, unit, style)]
        if one.events and (held := one.events[-1].after.open_references):
            blocks.append(Padding(Text(f"still held by {_holders(held, unit)}", style="bold"), (0, 0, 0, 2)))
    return render_blocks(blocks, style)


def _life_line(number: int, life: Life, unit: str) -> Text:
    says = f": {life_sentence(life, unit)}"
    return Text(f"Life {number}", style="bold").append(says, style="default not bold")


def _events(life: Life, unit: str, style: Style) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("time", "cpu", "task", "event"):
        number = name in ("time", "cpu")
        wide = LONGEST_EVENT if name == "event" else None
        table.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold", min_width=wide)
    for name in ("count", "map", "excess"):
        table.add_column(name, justify="right", no_wrap=True)
    events = life.events
    hidden = 0 if style.full else max(len(events) - MAX_EVENTS, 0)
    for place, event in enumerate(events):
        if hidden and MAX_EVENTS // 2 <= place < MAX_EVENTS // 2 + hidden:
            if place == MAX_EVENTS // 2:
                table.add_row("...", "", "", f"{hidden:,} more: --full", "", "", "")
            continue
        after = event.after
        table.add_row(
            moment(event.time_ns, unit, digits=6).removesuffix(" s"),
            str(event.cpu),
            task_name(Task(tid=event.tid, comm=event.comm)),
            _event(event, events[place - 1].after if place else None),
            _number(after.count),
            _number(after.mapcount),
            Text(_number(after.excess), style="bold red" if after.excess else ""),
        )
    return Padding(table, (0, 0, 0, 2))


def _event(event: PageEvent, before: PageState | None) -> str:
    """The event, and below it flags and file where it changed them."""
    text = f"{event.event} {event.text}".strip()
    about = _about(event.after)
    return text if not about or (before is not None and about == _about(before)) else f"{text}\n-> {about}"


def _about(state: PageState) -> str:
    parts = [" ".join(state.flags)] if state.flags else []
    if state.file is not None:
        parts.append(file_name(state.file))
    return ", ".join(parts)


def _holders(references: list[OpenReference], unit: str) -> str:
    shown = []
    for held in references:
        since = f" since {moment(held.since_ns, unit)}" if held.since_ns is not None else ""
        shown.append(f"{task_name(Task(tid=held.tid, comm=held.comm))}, {held.val:+d}{since}")
    return "; ".join(shown)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
