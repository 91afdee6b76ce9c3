"""What `corpus run` says at its end."""

from __future__ import annotations

import shlex

from tracereplay.model.corpus import Outcome
from tracereplay.reports.corpus.sections import broken_sections
from tracereplay.reports.shared.sections import Section
from tracereplay.reports.shared.style import Style, escape_control_chars
from tracereplay.reports.shared.wording import count
from tracereplay.reports.text.sections import render_sections_text


def render_run(found: int, before: int, outcome: Outcome, place: str, style: Style) -> str:
    """found -- traces this run met, before -- those of them that were done already; outcome -- the whole store's."""
    outcome = escape_control_chars(outcome)
    lines = [
        f"{count(found, 'trace')} found, {before:,} unchanged since an earlier run",
        f"in the corpus: {count(outcome.traces, 'trace')}, {outcome.analysed:,} analysed",
        f"`tracereplay corpus report {shlex.quote(place)}` sums them up",
    ]
    return render_sections_text([Section(f"Corpus {place}", lines), *broken_sections(outcome, style)], style)
