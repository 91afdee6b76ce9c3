"""One attempt in a text report: what was requested, how it ended, which pages blocked migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group as Lines
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.derived.culprit_groups import Group, group_culprits
from tracereplay.model.derived.judgement import cause_beside_culprits
from tracereplay.model.result import Attempt, Culprit, Result, Try
from tracereplay.reports.shared.attempt_wording import (
    cause_says,
    ending,
    headline,
    headline_word,
    log_facts,
    pages_by_effect,
    pages_of_last_try,
)
from tracereplay.reports.shared.culprit_wording import sentence, where_words
from tracereplay.reports.shared.evidence_wording import evidence_lines, stack_frames
from tracereplay.reports.shared.holder_wording import NOT_SEEN, process_lines, whose
from tracereplay.reports.shared.inventory_wording import fit_says, inventory_lines, nothing_found
from tracereplay.reports.shared.premise_wording import failed_premises
from tracereplay.reports.shared.style import Style, hanging
from tracereplay.reports.shared.wording import clock_unit, count, listing, moment, page_size_bytes, pfn_span, size_words
from tracereplay.reports.text.map import map_lines
from tracereplay.units import format_duration, format_pfn

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_GROUPS = 6
MAX_RUNS = 4
MAP_WIDTH = 84
_INDENT = 8  # of what is said of an attempt
_MARGIN = 4  # of its culprits
_COLORS = {"proved": "green", "suggested": "yellow", "unknown": "dim"}


def attempt_blocks(
    attempt: Attempt, result: Result, style: Style, stories: set[str] | None = None
) -> list[RenderableType]:
    """Headline, outcome, decision, then the culprits. stories -- what earlier attempts said of theirs, not repeated."""
    unit = clock_unit(result, attempt)
    body: list[RenderableType] = [Text(ending(attempt, unit))]
    if (pages := pages_of_last_try(attempt)) is not None:
        body.append(Text(pages))
    body += [Text(line) for line in inventory_lines(attempt)]
    if (fit := fit_says(attempt)) is not None:
        body.append(Text(fit, style="bold"))
    body += [Text(fact) for fact in log_facts(attempt, result, None if style.full else MAX_RUNS)]
    if (decided := _decision(attempt)) is not None:
        body.append(decided)
    room = min(style.width - _INDENT, MAP_WIDTH)
    body += [Text(row, no_wrap=True, overflow="crop") for row in map_lines(attempt, room, full=style.full)]
    groups = group_culprits(attempt.culprits, each=style.full)
    blocks: list[RenderableType] = [
        _headline(attempt, page_size_bytes(result)),
        Padding(Lines(*body), (0, 0, 0, _INDENT)),
    ]
    if groups:
        blocks += [Padding(Text(f"{pages_by_effect(attempt, page_size_bytes(result))}:"), (1, 0, 0, 2))]
        blocks += _culprit_blocks(groups, attempt, result, style, set() if stories is None else stories)
    if style.full and attempt.tries:
        blocks.append(_tries(attempt, unit))
    return blocks


def _headline(attempt: Attempt, page_size: int | None) -> RenderableType:
    head = Text(headline_word(attempt), style="bold yellow" if attempt.outcome == "succeeded" else "bold red")
    return hanging(head, Text(headline(attempt, page_size), style="bold"))


def _decision(attempt: Attempt) -> Text | None:
    """The cause that decided, where the culprits below do not already say it; that an inventory found none."""
    if attempt.cause is None:
        if attempt.inventory and not attempt.culprits:
            return Text(nothing_found(attempt))
        return Text("what decided is not known", style="yellow") if attempt.outcome == "failed" else None
    if (cause := cause_beside_culprits(attempt)) is None:
        return None
    says = cause_says(cause)
    return Text(cause, style="bold").append(f": {says}" if says else "", style="default not bold")


def _culprit_blocks(
    groups: list[Group], attempt: Attempt, result: Result, style: Style, stories: set[str]
) -> list[RenderableType]:
    """For each group one line that says what and where, then who and when below it."""
    unit = clock_unit(result, attempt)
    shown = groups if style.full else groups[:MAX_GROUPS]
    pages = [size_words(group.culprits, page_size_bytes(result), brief=True) for group in shown]
    widths = [
        max(map(len, column)) for column in (pages, [g.first.cause for g in shown], [g.first.verdict for g in shown])
    ]
    blocks: list[RenderableType] = []
    for group, number in zip(shown, pages, strict=True):
        culprit = group.first
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=widths[0], no_wrap=True, justify="right")
        grid.add_column(width=widths[1], no_wrap=True)
        grid.add_column(width=widths[2], no_wrap=True)
        grid.add_column(overflow="fold")
        cause = Text(culprit.cause, style="bold")
        sure = Text(culprit.verdict, style=_COLORS[culprit.verdict])
        grid.add_row(number, cause, sure, _where(group, style, result))
        text = Text(_story(group, attempt, result, stories if not style.full else set()))
        if style.full:
            text.append(_evidence(culprit, result, unit), style="dim")
        blocks += [Padding(grid, (0, 0, 0, _MARGIN)), Padding(text, (0, 0, 0, _MARGIN + 2 + widths[0]))]
    hidden = groups[len(shown) :]
    if hidden:
        pages_hidden = sum(group.pages for group in hidden)
        causes = listing(dict.fromkeys(group.first.cause for group in hidden))
        rest = f"and {count(len(hidden), 'more row')}, {count(pages_hidden, 'page')} ({causes}): --full"
        blocks.append(Padding(Text(rest), (0, 0, 0, _MARGIN + 2 + widths[0])))
    return blocks


def _where(group: Group, style: Style, result: Result) -> str:
    """Page frames, and the order of folios."""
    orders = sorted({c.order for c in group.culprits if c.order}, reverse=True)
    order = f", order {listing(map(str, orders))}" if orders else ""
    return where_words(group, None if style.full else MAX_RUNS, result) + order


def _story(group: Group, attempt: Attempt, result: Result, stories: set[str]) -> str:
    """What is said of the culprits; where an earlier attempt said the same of the same pages, only who it is."""
    says = sentence(group, attempt, result)
    key = f"{where_words(group, None, result)}: {says}"
    if key in stories:
        return f"{whose(group.first) or NOT_SEEN}: the same as above"
    stories.add(key)
    return says


def _evidence(culprit: Culprit, result: Result, unit: str) -> str:
    lines = [
        *process_lines(culprit, result),
        *failed_premises(culprit),
        *evidence_lines(culprit, stack_frames(result), unit),
    ]
    return "".join(f"\n{line}" for line in lines)


def _took(one: Try, unit: str) -> str:
    known = one.start_ns is not None and one.end_ns is not None and unit == "ns"
    return format_duration((one.end_ns or 0) - (one.start_ns or 0)) if known else ""


def _tries(attempt: Attempt, unit: str) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("try", "from", "took", "range", "result", "first blocking page"):
        table.add_column(name, no_wrap=name != "range")
    for t in attempt.tries:
        table.add_row(
            str(t.index),
            moment(t.start_ns, unit) if t.start_ns is not None else "",
            _took(t, unit),
            "" if t.start_pfn is None or t.end_pfn is None else pfn_span(t.start_pfn, t.end_pfn - t.start_pfn),
            t.result,
            format_pfn(t.first_blocking_pfn) if t.first_blocking_pfn is not None else "",
        )
    return Padding(table, (0, 0, 0, _INDENT))
