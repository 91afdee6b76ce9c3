"""Causes and premises explained on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tracereplay.model.explain import EXPLANATIONS, Explanation
from tracereplay.model.premises import PREMISES, Premise
from tracereplay.model.result import Verdict
from tracereplay.reports.shared.style import Style, bullets, render_blocks

if TYPE_CHECKING:
    from rich.console import RenderableType

_CEILINGS: dict[Verdict, str] = {
    "proved": "proved",
    "suggested": "suggested, until a real capture with established truth has exercised its proof",
    "unknown": "unknown",
}
_PREMISES = (
    "A verdict is `proved` where all premises of its cause hold. Where one fails it is at most `suggested`, and "
    "reports say which."
)
_MORE = (
    "`tracereplay explain CODE` says what proves a cause and what to do, `tracereplay explain premises` what must hold "
    "for a verdict `proved`."
)


def render_causes(explanations: Mapping[str, Explanation], style: Style) -> str:
    """One line per cause."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for code, explanation in explanations.items():
        grid.add_row(Text(code, style="bold"), Text(explanation.title))
    return render_blocks([grid, "", Text(_MORE)], style)


def render_cause(
    code: str,
    explanation: Explanation,
    style: Style,
    *,
    ceiling: Verdict,
    needs: Sequence[str],
    premises: Sequence[str] = (),
) -> str:
    """All about one cause.

    ceiling -- the most it may claim; needs -- the events it cannot be checked without; premises -- codes of those that
    must hold for `proved`.
    """
    facts = [
        ("proved by", explanation.proves),
        ("suggested by", explanation.suggests),
        ("not to be confused", explanation.confused_with),
        ("claims at most", _CEILINGS[ceiling]),
        ("needs", ", ".join(needs) or "no particular events"),
        *((("rests on", "\n".join(f"{p}: {PREMISES[p].sentence}" for p in premises)),) if premises else ()),
    ]
    blocks: list[RenderableType] = [_head(code, explanation.title), "", Text(explanation.says), "", _facts(facts), ""]
    steps_by_title = (("What to do", explanation.what_to_do), ("To get a conclusive answer", explanation.capture_next))
    for title, steps in steps_by_title:
        if steps:
            blocks += [Text(title, style="bold"), bullets(steps), ""]
    return render_blocks(blocks[:-1], style)


def render_meaning(name: str, says: str, causes: Sequence[str], style: Style) -> str:
    """An errno or a function: what it says, and the causes that are looked for then."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for code in causes:
        grid.add_row(Text(f"  {code}", style="bold"), Text(EXPLANATIONS[code].title))
    more = "`tracereplay explain CODE` says what proves each; `tracereplay blame` which one it was."
    return render_blocks([_head(name, says), "", Text("It points to:"), grid, "", Text(more)], style)


def render_premise(premise: Premise, style: Style, *, causes: Sequence[str] = ()) -> str:
    """One premise: what must hold, what refutes it, what reports say then; causes -- codes of those that rest on it."""
    facts = [
        ("refuted by", premise.refuted_by),
        ("reports say", f"suggested: {premise.reason}"),
        *((("rest on it", ", ".join(causes)),) if causes else ()),
    ]
    return render_blocks([_head(premise.code, premise.sentence), "", _facts(facts)], style)


def render_premises(style: Style) -> str:
    """All of them, and what they are for."""
    blocks: list[RenderableType] = [Text(_PREMISES), ""]
    for premise in PREMISES.values():
        blocks += [_head(premise.code, premise.sentence), _facts([("    refuted by", premise.refuted_by)]), ""]
    return render_blocks(blocks[:-1], style)


def _head(code: str, text: str) -> Text:
    return Text(code, style="bold").append(f": {text}", style="default not bold")


def _facts(facts: Sequence[tuple[str, str]]) -> RenderableType:
    """Names and texts side by side, with an empty line between."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for place, (name, text) in enumerate(facts):
        if place:
            grid.add_row("", "")
        grid.add_row(name, Text(text))
    return grid
