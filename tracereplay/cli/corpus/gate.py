"""`corpus gate`: exit status 1 where a rule over the whole corpus matches."""

from __future__ import annotations

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.corpus.report import WHERE
from tracereplay.cli.gate import EXIT_MATCHED
from tracereplay.cli.options import command_line, output_options, quiet_option
from tracereplay.cli.output import style_for, write_report
from tracereplay.reports.corpus.formats import GATE_FORMATS


@click.command(short_help="Rules for CI: exit status 1 where one matches.")
@click.argument("place", metavar="STORE")
@click.option("--fail-on", metavar="RULES", required=True, help="broken, failed, unexplained, proved, cause=CODE, "
              "holder=GLOB, loss>=SEVERITY, each with >N or >N%; new, more (--against); comma-separated.")  # fmt: skip
@output_options(*GATE_FORMATS)
@quiet_option
@click.option("--where", metavar="COLUMN=GLOB", multiple=True, help=WHERE)
@click.option("--against", metavar="STORE", help="The base that `new` and `more` compare with.")
@click.option("--where-against", metavar="COLUMN=GLOB", multiple=True, help="Only these traces of the base.")
def gate(
    place: str,
    fail_on: str,
    format_: str,
    output: str | None,
    where: tuple[str, ...],
    against: str | None,
    where_against: tuple[str, ...],
) -> int:
    """Hold a STORE against rules: what `blame --fail-on` does for one trace, with bounds and shares."""
    need_libraries()
    from tracereplay.corpus.gate import gate as judge  # noqa: PLC0415
    from tracereplay.corpus.gate import parse_gate  # noqa: PLC0415
    from tracereplay.corpus.query import Selection, conditions  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415

    rules = parse_gate(fail_on)
    base = Selection(Store(against), conditions(where_against)) if against is not None else None
    answer = judge(rules, Selection(Store(place), conditions(where)), base, command_line())
    write_report(GATE_FORMATS[format_](answer, style_for(output)), output)
    matched = [rule for rule in answer.rules if rule.matched]
    for rule in matched:
        click.echo(f"tracereplay: --fail-on {rule.rule}: {rule.says}", err=True)
    return EXIT_MATCHED if matched else 0
