"""`export`: a result for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tracereplay.cli.options import input_options, redact_option, result_of, shown
from tracereplay.cli.output import say_written, write_bytes
from tracereplay.errors import UsageError
from tracereplay.model.table_formats import TABLE_FORMATS


@click.command(short_help="A result for Perfetto, or as tables.")
@input_options(required=True)
@click.option("--perfetto", metavar="FILE", help="A Perfetto trace: attempts, tries, waits and holders as tracks.")
@click.option("--tables", metavar="DIR", type=click.Path(path_type=Path), help="Every table, one file each.")
@click.option("--table-format", type=click.Choice(TABLE_FORMATS), default="parquet", show_default=True)
@redact_option
def export(
    inputs: tuple[str, ...],
    perfetto: str | None,
    tables: Path | None,
    table_format: str,
    redact: bool,
    **opening: Any,
) -> int:
    """Write a result for other programs: a trace for ui.perfetto.dev, or tables for any tool that reads them.

    INPUT is a trace, or the BLAME.json of an earlier run.
    """
    if perfetto is None and tables is None:
        raise UsageError("nothing to write: name a file with --perfetto, a folder with --tables, or both")
    result = shown(result_of(inputs, **opening), redact)
    if perfetto is not None:
        from tracereplay.reports.perfetto import render_perfetto  # noqa: PLC0415

        write_bytes(render_perfetto(result), perfetto)
    if tables is not None:
        from tracereplay.model.tables import result_tables  # noqa: PLC0415
        from tracereplay.model.tables_write import write_tables  # noqa: PLC0415

        write_tables(result_tables(result), tables, table_format, option="--tables")
        say_written(tables)
    return 0
