"""`blame`: what failed, what stood in the way, who holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tracereplay.cli.options import confidential_option, input_options, open_session, output_options, shown
from tracereplay.cli.output import style_for, write_report
from tracereplay.reports import FORMATS


@click.command(short_help="Explain failed allocations and offlines: which pages, why, who.")
@input_options(required=False)
@output_options(*FORMATS)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Also write all tables there, as Parquet.")
@click.option("--fail-on", metavar="RULES", help="Exit with 1 if one matches: failed, cause=CODE, holder=GLOB, proved, "
              "loss>=SEVERITY, unexplained>N; comma-separated.")  # fmt: skip
@click.option("--full", is_flag=True, help="Fold nothing; show evidence and every try.")
@confidential_option
def blame(
    inputs: tuple[str, ...],
    format_: str,
    output: str | None,
    out: Path | None,
    fail_on: str | None,
    full: bool,
    confidential: bool,
    **opening: Any,
) -> int:
    """Explain failed CMA allocations and memory offlines: which pages stood in the way, why, who holds them."""
    from tracereplay.cli.gate import exit_status, rules_of  # noqa: PLC0415

    rules = rules_of(fail_on)
    with open_session(inputs, **opening) as session:
        result = shown(session.blame(), confidential)
    if out is not None:
        from tracereplay.model.tables import result_tables  # noqa: PLC0415
        from tracereplay.model.tables_write import write_tables  # noqa: PLC0415

        write_tables(result_tables(result), out)
    write_report(FORMATS[format_](result, style_for(output, full=full)), output)
    return exit_status(rules, result)
