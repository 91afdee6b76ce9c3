"""What `corpus run` says at its end."""

from __future__ import annotations

import shlex

from tracereplay.model.corpus import Outcome
from tracereplay.reports.corpus.sheets import broken_sheets
from tracereplay.reports.shared.sheets import Sheet
from tracereplay.reports.shared.style import Style, harmless
from tracereplay.reports.shared.wording import count
from tracereplay.reports.text.sheets import render_sheets_text


def render_run(found: int, before: int, outcome: Outcome, place: str, style: Style) -> str:
    """found -- traces this run met, before -- those of them that were done already; outcome -- the whole store's."""
    outcome = harmless(outcome)
    lines = [
        f"{count(found, 'trace')} found, {before:,} unchanged since an earlier run",
        f"in the corpus: {count(outcome.traces, 'trace')}, {outcome.analysed:,} analysed",
        f"`tracereplay corpus report {shlex.quote(place)}` sums them up",
    ]
    return render_sheets_text([Sheet(f"Corpus {place}", lines), *broken_sheets(outcome, style)], style)
