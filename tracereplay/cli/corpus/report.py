"""`corpus report`: who is to blame how often, and since when."""

from __future__ import annotations

from pathlib import PurePath

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.options import command_line, output_options, quiet_option
from tracereplay.cli.output import style_for, write_bytes, write_report
from tracereplay.errors import UsageError
from tracereplay.reports.corpus.formats import REPORT_FORMATS

WHERE = "Only traces whose column fits, like build=7.*; may be repeated."
SUFFIXES = ("png", "svg", "pdf")


@click.command(short_help="Rankings, groups, trend, what is unexplained.")
@click.argument("place", metavar="STORE")
@output_options(*REPORT_FORMATS)
@quiet_option
@click.option("--where", "where", metavar="COLUMN=GLOB", multiple=True, help=WHERE)
@click.option("--by", metavar="COLUMN", help="Group by a column of runs, such as device.")
@click.option("--over", metavar="COLUMN", help="Trend along a column (default: date, else build, where there is one).")
@click.option("--plot", metavar="FILE", help="Draw the ranking and the trend too: .png, .svg or .pdf.")
@click.option("--full", is_flag=True, help="Cut nothing.")
def report(
    place: str,
    format_: str,
    output: str | None,
    where: tuple[str, ...],
    by: str | None,
    over: str | None,
    plot: str | None,
    full: bool,
) -> int:
    """Rank causes, holders, file systems and stacks over all attempts of a STORE; show what changes along builds."""
    suffix = PurePath(plot).suffix.lower().removeprefix(".") if plot is not None else ""
    if plot is not None and suffix not in SUFFIXES:
        raise UsageError(f"--plot {plot}: ends in none of .{', .'.join(SUFFIXES)}")
    need_libraries()
    from tracereplay.corpus.aggregate import report as sum_up  # noqa: PLC0415
    from tracereplay.corpus.query import conditions  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415

    answer = sum_up(Store(place), conditions(where), by=by, over=over, argv=command_line())
    if plot is not None:
        from tracereplay.reports.corpus.plots import render_corpus_plot  # noqa: PLC0415

        write_bytes(render_corpus_plot(answer, suffix), plot)
    write_report(REPORT_FORMATS[format_](answer, style_for(output, full=full)), output)
    return 0
