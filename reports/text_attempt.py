"""One attempt in a text report: what was asked, how it ended, what stood in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group as Lines
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Attempt, Culprit, Result
from tracereplay.reports.culprit_groups import Group, group_culprits, sentence
from tracereplay.reports.style import Style, hanging
from tracereplay.reports.wording import count, join_runs, listing, moment, pfn_span, pfn_spans, task_name
from tracereplay.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_GROUPS = 6
MAX_RUNS = 4
_INDENT = 8  # of what is said of an attempt
_MARGIN = 4  # of its culprits
_COLORS = {"proved": "green", "suggested": "yellow", "unknown": "dim"}
_BASIS = {"event": "", "log": " (from the kernel log)", "inferred": " (inferred: no event says so)"}
_EFFECTS = {
    "blocked": "stood in the way",
    "delayed": "kept it waiting",
    "would_block": "behind a lower one were not reached",
}
_WAITS = {"folio_lock": "for locked folios", "writeback": "for writeback", "other": "for pages"}


def is_told(attempt: Attempt) -> bool:
    """Whether it is worth more than a count: it did not succeed, or something made it wait."""
    return attempt.outcome != "succeeded" or any(c.effect != "would_block" for c in attempt.culprits)


def attempt_blocks(attempt: Attempt, result: Result, style: Style) -> list[RenderableType]:
    """Headline, outcome, decision, then the culprits."""
    unit = next((i.clock_unit for i in result.inputs if i.id == attempt.input_id), "ns")
    page_size = result.layout.page_size if result.layout else None
    body: list[RenderableType] = [Text(_ending(attempt, unit))]
    if attempt.pages is not None:
        body.append(Text(_pages(attempt)))
    if (decided := _decision(attempt)) is not None:
        body.append(decided)
    groups = group_culprits(attempt.culprits, each=style.full)
    blocks: list[RenderableType] = [_headline(attempt, page_size), Padding(Lines(*body), (0, 0, 0, _INDENT))]
    if groups:
        blocks += [Padding(Text(_in_the_way(attempt.culprits)), (1, 0, 0, 2))]
        blocks += _culprit_blocks(groups, result, unit, style)
    if style.full and attempt.tries:
        blocks.append(_tries(attempt, unit))
    return blocks


def _hindrance(attempt: Attempt) -> str:
    """DELAYED if it waited or had to try again; else it got less than it could have, as compaction may."""
    waited = attempt.waits or len(attempt.tries) > 1 or any(c.effect == "delayed" for c in attempt.culprits)
    return "DELAYED" if waited and attempt.operation != "compaction" else "IMPEDED"


def _headline(attempt: Attempt, page_size: int | None) -> RenderableType:
    succeeded = attempt.outcome == "succeeded"
    word = _hindrance(attempt) if succeeded else attempt.outcome.upper()
    what: str = attempt.operation
    if attempt.area is not None:
        what += f" {attempt.area}" if attempt.operation == "memory_offline" else f' "{attempt.area}"'
    asked = ""
    request = attempt.request
    if request.pages is not None:
        size = f" ({format_bytes(request.pages * page_size)})" if page_size else ""
        asked = f", {count(request.pages, 'page')}{size}"
    elif request.start_pfn is not None and request.end_pfn is not None:
        asked = f", PFN {pfn_span(request.start_pfn, request.end_pfn - request.start_pfn)}"
    head = Text(word, style="bold yellow" if succeeded else "bold red")
    return hanging(head, Text(f"{what}{asked}, by {task_name(attempt.task)}", style="bold"))


def _ending(attempt: Attempt, unit: str) -> str:
    took = []
    if attempt.end_ns is not None and attempt.end_ns > attempt.start_ns and unit == "ns":
        took.append(format_duration(attempt.end_ns - attempt.start_ns))
    if len(attempt.tries) > 1:
        took.append(count(len(attempt.tries), "try", "tries"))
    after = f" after {listing(took)}" if took else ""
    word = {"succeeded": "succeeded", "failed": "failed", "interrupted": "given up", "unfinished": "no end seen"}
    errno = f" with {attempt.errno}" if attempt.errno else ""
    how = f"{word[attempt.outcome]}{errno}{after}{_BASIS[attempt.outcome_basis]}"
    waited: dict[str, int] = {}
    for wait in attempt.waits:
        waited[wait.kind] = waited.get(wait.kind, 0) + wait.end_ns - wait.start_ns
    waits = [f"{format_duration(ns)} {_WAITS[kind]}" for kind, ns in waited.items()] if unit == "ns" else []
    return f"began at {moment(attempt.start_ns, unit)}, {how}" + (f"; it waited {listing(waits)}" if waits else "")


def _pages(attempt: Attempt) -> str:
    pages = attempt.pages
    assert pages is not None
    parts = [
        (pages.free, "free"),
        (pages.moved, "moved"),
        (pages.held, "left in place"),
        (pages.not_seen, "never seen"),
    ]
    which = "in the last try, " if len(attempt.tries) > 1 else ""
    told = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    return f"{which}of {count(pages.requested, 'page')}: {told}"


def _decision(attempt: Attempt) -> Text | None:
    """The cause that decided, where the culprits below do not already say it."""
    if attempt.cause is None:
        return Text("what decided is not known", style="yellow") if attempt.outcome == "failed" else None
    if any(c.cause == attempt.cause for c in attempt.culprits):
        return None
    explanation = EXPLANATIONS.get(attempt.cause)
    says = f": {explanation.says}" if explanation else ""
    return Text(attempt.cause, style="bold").append(says, style="default not bold")


def _in_the_way(culprits: list[Culprit]) -> str:
    """How many pages did what; each page is counted once per effect."""
    said = []
    for effect, what in _EFFECTS.items():
        pages = sum(pages for _, pages in join_runs((c.start_pfn, c.pages) for c in culprits if c.effect == effect))
        if pages:
            said.append(f"{count(pages, 'page')} {what}")
    return f"{listing(said)}:"


def _culprit_blocks(groups: list[Group], result: Result, unit: str, style: Style) -> list[RenderableType]:
    """For each group one line that says what and where, then who and when below it."""
    shown = groups if style.full else groups[:MAX_GROUPS]
    pages = [count(group.pages, "page") for group in shown]
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
        verdict = Text(culprit.verdict, style=_COLORS[culprit.verdict])
        grid.add_row(number, cause, verdict, pfn_spans(group.runs, None if style.full else MAX_RUNS))
        text = Text(sentence(group, unit))
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


def _evidence(culprit: Culprit, result: Result, unit: str) -> str:
    stacks = {stack.id: stack.frames for stack in result.stacks}
    lines = []
    for item in culprit.evidence:
        when = moment(item.time_ns, unit, digits=6) if item.time_ns is not None else ""
        who = f"task {item.tid}" if item.tid is not None else ""
        lines.append("  ".join(part for part in (when, who, item.event, item.text) if part))
        if item.stack_id in stacks:
            lines.append("    " + " <- ".join(frame for frame in stacks[item.stack_id]))
    return "".join(f"\n{line}" for line in lines)


def _tries(attempt: Attempt, unit: str) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("try", "from", "took", "range", "result", "first in the way"):
        table.add_column(name, no_wrap=name != "range")
    for t in attempt.tries:
        table.add_row(
            str(t.index),
            moment(t.start_ns, unit),
            format_duration(t.end_ns - t.start_ns) if unit == "ns" else "",
            "" if t.start_pfn is None or t.end_pfn is None else pfn_span(t.start_pfn, t.end_pfn - t.start_pfn),
            t.result,
            f"{t.first_blocking_pfn:#x}" if t.first_blocking_pfn is not None else "",
        )
    return Padding(table, (0, 0, 0, _INDENT))
