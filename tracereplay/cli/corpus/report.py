"""`corpus report`: who is to blame how often, and since when."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.options import command_line, output_options, quiet_option
from tracereplay.cli.output import QUIET, say_written, style_for, write_bytes, write_report
from tracereplay.errors import UsageError
from tracereplay.reports.corpus.formats import REPORT_FORMATS, render_with_pages
from tracereplay.units import to_valid_utf8

if TYPE_CHECKING:
    from tracereplay.corpus.query import Condition
    from tracereplay.corpus.store import Store

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
@click.option("--pages", metavar="DIR", help="With --format html: write the blame pages of the examples there too, and "
              "link them.")  # fmt: skip
@click.option("--full", is_flag=True, help="Cut nothing.")
def report(
    place: str,
    format_: str,
    output: str | None,
    where: tuple[str, ...],
    by: str | None,
    over: str | None,
    plot: str | None,
    pages: str | None,
    full: bool,
) -> int:
    """Rank causes, holders, file systems and stacks over all attempts of a STORE; show what changes along builds."""
    suffix = PurePath(plot).suffix.lower().removeprefix(".") if plot is not None else ""
    if plot is not None and suffix not in SUFFIXES:
        raise UsageError(f"--plot {plot}: ends in none of .{', .'.join(SUFFIXES)}")
    if pages is not None and (format_ != "html" or output is None):
        raise UsageError("--pages goes with --format html and --output FILE")
    need_libraries()
    from tracereplay.corpus.aggregate import report as sum_up  # noqa: PLC0415
    from tracereplay.corpus.pages import example_paths  # noqa: PLC0415
    from tracereplay.corpus.query import conditions  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415

    answer = sum_up(Store(place), conditions(where), by=by, over=over, argv=command_line())
    if plot is not None:
        from tracereplay.reports.corpus.plots import render_corpus_plot  # noqa: PLC0415

        write_bytes(render_corpus_plot(answer, suffix), plot)
    style = style_for(output, full=full)
    if pages is not None and output is not None:
        links = _write_pages(Store(place), conditions(where), example_paths(answer), Path(pages), Path(output))
        write_report(render_with_pages(answer, style, links), output)
    else:
        write_report(REPORT_FORMATS[format_](answer, style), output)
    return 0


def _write_pages(store: Store, where: list[Condition], paths: list[str], folder: Path, output: Path) -> dict[str, str]:
    """A page for each trace; what links to it from `output`, by path. Those that cannot be made are said on stderr."""
    from tracereplay.corpus.pages import blame_pages  # noqa: PLC0415

    links: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, page in blame_pages(store, where, paths):
            if not isinstance(page, str):
                if not click.get_current_context().meta.get(QUIET):
                    click.echo(f"tracereplay: no page: {to_valid_utf8(page.reason)}", err=True)
                continue
            target = folder / f"{len(links):04d}.html"
            target.write_text(page, encoding="utf-8")
            relative = os.path.relpath(target.absolute(), output.absolute().parent)
            links[path] = quote(relative.replace(os.sep, "/"))
    except OSError as error:
        raise UsageError(f"--pages {folder}: cannot be written: {error.strerror or error}") from error
    say_written(folder)
    return links
