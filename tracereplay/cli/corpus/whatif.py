"""`corpus whatif`: which one change would have saved how many failures."""

from __future__ import annotations

import os

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.corpus.report import WHERE
from tracereplay.cli.options import command_line, output_options, quiet_option
from tracereplay.cli.output import style_for, write_report
from tracereplay.errors import UsageError
from tracereplay.reports.corpus.formats import REPORT_FORMATS


@click.command(short_help="Which one change would have saved how many failures.")
@click.argument("place", metavar="STORE")
@click.option("--policy", "policies", metavar="NAME[:KEY=VALUE,...]", multiple=True,
              help="A changed rule, as `tracereplay whatif --list` has them. May be repeated.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Every policy that needs no keys of its own.")
@click.option("--where", "where", metavar="COLUMN=GLOB", multiple=True, help=WHERE)
@click.option("--by", metavar="COLUMN", help="Also by the values of a column of runs, such as device.")
@click.option("--runs", type=click.IntRange(1, 1000), default=5, show_default=True,
              help="Replays of each policy that moves pages, of each trace.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Traces at once (default: the CPUs).")
@output_options(*REPORT_FORMATS)
@quiet_option
@click.option("--full", is_flag=True, help="Cut nothing.")
def whatif(
    place: str,
    policies: tuple[str, ...],
    every: bool,
    where: tuple[str, ...],
    by: str | None,
    runs: int,
    jobs: int | None,
    format_: str,
    output: str | None,
    full: bool,
) -> int:
    """Replay every analysed trace of a STORE under changed kernel rules, and rank these by the failures they save."""
    need_libraries()
    from tracereplay.corpus.query import conditions  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415
    from tracereplay.corpus.whatif import whatif_corpus  # noqa: PLC0415
    from tracereplay.whatif.question import every_policy  # noqa: PLC0415

    texts = list(dict.fromkeys([*(one.text for one in (every_policy() if every else ())), *policies]))
    if not texts:
        raise UsageError("name a policy: --policy NAME, or --all")
    answer = whatif_corpus(
        Store(place), texts, conditions(where), by=by, runs=runs, jobs=jobs or os.cpu_count() or 1, argv=command_line()
    )
    write_report(REPORT_FORMATS[format_](answer, style_for(output, full=full)), output)
    return 0
