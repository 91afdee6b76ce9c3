"""`report BLAME.json`: any report from a stored result."""

from __future__ import annotations

import click

from tracereplay.cli.options import output_options, quiet_option, redact_option, shown
from tracereplay.cli.output import style_for, write_report
from tracereplay.reports import FORMATS


@click.command(short_help="Any report from a stored result.")
@click.argument("blame_json", metavar="BLAME.json")
@output_options(*FORMATS)
@quiet_option
@click.option("--fail-on", metavar="RULES", help="As with blame.")
@click.option("--full", is_flag=True, help="Fold nothing; show evidence and every try.")
@redact_option
def report(blame_json: str, format_: str, output: str | None, fail_on: str | None, full: bool, redact: bool) -> int:
    """Make any report from a result that `blame --format json` has stored."""
    from tracereplay.cli.gate import exit_status, rules_of  # noqa: PLC0415
    from tracereplay.reports.json import read_json  # noqa: PLC0415

    rules = rules_of(fail_on)
    result = shown(read_json(blame_json), redact)
    write_report(FORMATS[format_](result, style_for(output, full=full)), output)
    return exit_status(rules, result)
