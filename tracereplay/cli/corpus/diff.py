"""`corpus diff`: what is new, gone, more or less frequent between two sets of traces."""

from __future__ import annotations

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.options import command_line, output_options, quiet_option
from tracereplay.cli.output import style_for, write_report
from tracereplay.reports.corpus.formats import DIFF_FORMATS


@click.command(short_help="What is new, gone, more or less frequent, and how sure that is.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@output_options(*DIFF_FORMATS)
@quiet_option
@click.option("--where-a", metavar="COLUMN=GLOB", multiple=True, help="Only these traces of A, like build=41.")
@click.option("--where-b", metavar="COLUMN=GLOB", multiple=True, help="Only these traces of B.")
@click.option("--full", is_flag=True, help="Show what does not differ too.")
def diff(
    a: str, b: str, format_: str, output: str | None, where_a: tuple[str, ...], where_b: tuple[str, ...], full: bool
) -> int:
    """Compare two stores, or two parts of one: `corpus diff S S --where-a build=41 --where-b build=42`."""
    need_libraries()
    from tracereplay.corpus.compare import compare  # noqa: PLC0415
    from tracereplay.corpus.query import Selection, conditions  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415

    sets = Selection(Store(a), conditions(where_a)), Selection(Store(b), conditions(where_b))
    answer = compare(*sets, argv=command_line())
    write_report(DIFF_FORMATS[format_](answer, style_for(output, full=full)), output)
    return 0
