"""`explain [CODE]`: what a cause means."""

from __future__ import annotations

import difflib

import click

from tracereplay.cli.output import style_for, write_report
from tracereplay.errors import UsageError


@click.command(short_help="What a cause means, what proves it, what to do.")
@click.argument("code", required=False)
def explain(code: str | None) -> int:
    """Tell what a cause means, what proves it, what it is confused with and what to do. Without CODE: list them."""
    from tracereplay.model.explain import EXPLANATIONS  # noqa: PLC0415
    from tracereplay.reports.explain_text import render_cause, render_causes  # noqa: PLC0415

    style = style_for(None)
    if code is None:
        write_report(render_causes(EXPLANATIONS, style), None)
        return 0
    if code not in EXPLANATIONS:
        near = difflib.get_close_matches(code, EXPLANATIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`tracereplay explain` lists them"
        raise UsageError(f"no cause {code!r}; {hint}")
    from tracereplay.culprits.table import BY_CODE  # noqa: PLC0415

    cause = BY_CODE[code]
    write_report(render_cause(code, cause.words, style, ceiling=cause.ceiling, needs=cause.needs), None)
    return 0
