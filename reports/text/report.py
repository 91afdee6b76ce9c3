"""The result on a terminal: what was lost, what failed, which pages blocked migration, who holds them, what to do.

Ten lines for a simple case; many culprits are folded into few. `Style.full` folds nothing and adds the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.requests import UnplugRequest, requests_of
from tracereplay.model.derived.selection import next_captures, notable_attempts, shown_attempts
from tracereplay.model.result import Attempt, Result
from tracereplay.reports.shared.attempt_wording import more_attempts, when_of
from tracereplay.reports.shared.request_wording import request_ending, request_headline
from tracereplay.reports.shared.style import Style, bullets, escape_control_chars, hanging, render_blocks
from tracereplay.reports.shared.wording import clock_unit, count, listing, page_size_bytes
from tracereplay.reports.text.attempt import attempt_blocks
from tracereplay.reports.text.inputs import input_blocks, loss_blocks
from tracereplay.reports.text.opening import opening_blocks

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_ATTEMPTS = 6
MAX_CAPTURE_NEXT = 4

_WORDS = {
    "proved": "proved: the recorded events settle it",
    "suggested": "suggested: the events point to it, but a premise of the proof fails (`tracereplay explain premises`)",
    "unknown": "unknown: nothing recorded says why",
}


def render_text(result: Result, style: Style) -> str:
    """The report."""
    result = escape_control_chars(result)
    notable = notable_attempts(result)
    shown = shown_attempts(notable, each=style.full)
    limit = None if style.full else MAX_ATTEMPTS
    blocks: list[RenderableType] = [
        *opening_blocks(result, style),
        *input_blocks(result.inputs, result.data_loss, style),
        *loss_blocks(result.inputs, result.data_loss, style),
    ]
    requests = requests_of(result)
    written: set[str] = set()
    stories: set[str] = set()
    for attempt, like_it in shown[:limit]:
        blocks += _request(requests, attempt, written, result)
        blocks += ["", *attempt_blocks(attempt, result, style, stories)]
        blocks += _like_it(like_it, clock_unit(result, attempt))
    if limit is not None and shown[limit:]:
        blocks += ["", Text(f"and {more_attempts(shown[limit:])}: --full")]
    for request in requests.values():
        blocks += _request(requests, request.attempts[0], written, result)
    blocks += _rest(result, notable)
    blocks += _what_to_do(result, notable, style)
    blocks += _footer(notable, style)
    return render_blocks(blocks, style)


def _request(
    requests: Mapping[str, UnplugRequest], attempt: Attempt, written: set[str], result: Result
) -> list[RenderableType]:
    """The request that an attempt is a part of, said once."""
    if attempt.parent_id is None or attempt.parent_id in written:
        return []
    written.add(attempt.parent_id)
    request = requests[attempt.parent_id]
    head = hanging(Text("UNPLUG", style="bold"), Text(request_headline(request), style="bold"))
    when = Text(request_ending(request, page_size_bytes(result), clock_unit(result, attempt)))
    return ["", head, Padding(when, (0, 0, 0, 8))]


def _like_it(like_it: list[Attempt], unit: str) -> list[RenderableType]:
    if not like_it:
        return []
    times = [when_of(a, unit) for a in like_it]
    when = listing(times) if len(times) <= 3 else f"{times[0]} ... {times[-1]}"
    return [Padding(Text(f"and {count(len(like_it), 'more attempt')} like it, at {when}"), (0, 0, 0, 8))]


def _rest(result: Result, notable: list[Attempt]) -> list[RenderableType]:
    """One line for the attempts that went well, or for none at all."""
    if not result.attempts:
        nothing = "No CMA allocation, memory offline, long-term pin or compaction was found in this input."
        return [
            "",
            Text(nothing),
            Text("`tracereplay info INPUT` says what it holds and what could be proved with it."),
        ]
    # Those of a request are known with it.
    fine = [a for a in result.attempts if a.outcome == "succeeded" and a.parent_id is None and a not in notable]
    if not fine:
        return []
    by_operation: dict[str, list[str]] = {}
    for a in fine:
        size = count(a.request.pages, "page") if a.request.pages is not None else (a.area or "")
        by_operation.setdefault(a.operation, []).append(size)
    kinds = []
    for operation, sizes in by_operation.items():
        named = [size for size in sizes if size]
        some = f" ({', '.join(named)})" if 0 < len(named) <= 4 else ""
        kinds.append(f"{len(sizes)} {operation}{some}")
    said = Text(f"{count(len(fine), 'more attempt' if notable else 'attempt')} succeeded: {listing(kinds)}")
    return ["", hanging(Text("OK", style="bold green"), said)]


def _what_to_do(result: Result, notable: list[Attempt], style: Style) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    before = None
    for code, step in advice(result, full=style.full):
        grid.add_row(Text("" if code == before else code, style="bold"), Text(step))
        before = code
    blocks: list[RenderableType] = (
        ["", Text("What to do", style="bold"), Padding(grid, (0, 0, 0, 2))] if grid.row_count else []
    )
    steps = next_captures(notable)
    if steps:
        shown = steps if style.full else steps[:MAX_CAPTURE_NEXT]
        blocks += ["", Text("To get a conclusive answer", style="bold"), bullets(shown)]
    return blocks


def _footer(notable: list[Attempt], style: Style) -> list[RenderableType]:
    if not notable:
        return []
    verdicts = {c.verdict for a in notable for c in a.culprits}
    words = [text for verdict, text in _WORDS.items() if verdict in verdicts]
    if verdicts:
        words.append("PFN: page frame number, physical address / page size")
    more = "More: `tracereplay explain CAUSE`" + ("" if style.full else ", --full, --format html --output report.html")
    return ["", *(Text(line, style="dim") for line in (*words, more))]
