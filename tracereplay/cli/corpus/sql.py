"""`corpus sql`: any question, in SQL."""

from __future__ import annotations

import io

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.options import output_options, quiet_option
from tracereplay.cli.output import style_for, write_bytes, write_report


@click.command(short_help="One SELECT over runs, attempts, tries, culprits, blame and losses.")
@click.argument("place", metavar="STORE")
@click.argument("query", metavar="QUERY")
@output_options("text", "csv", "json")
@quiet_option
def sql(place: str, query: str, format_: str, output: str | None) -> int:
    """Ask a STORE in SQL, by DuckDB; it reads the store and nothing else, and writes nothing."""
    need_libraries()
    from tracereplay.corpus.query import query as ask  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415
    from tracereplay.reports.sql_output import render_csv, render_rows, render_rows_json  # noqa: PLC0415

    table = ask(Store(place), query)
    if format_ == "csv":
        out = io.BytesIO()
        render_csv(table, out)
        write_bytes(out.getvalue(), output)
        return 0
    text = render_rows_json(table) if format_ == "json" else render_rows(table, style_for(output))
    write_report(text, output)
    return 0
