"""`blame`: what failed, which pages blocked migration, who holds them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracereplay.cli.options import input_options, open_session, output_options, redact_option, shown
from tracereplay.cli.output import say_written, style_for, write_report
from tracereplay.errors import UsageError
from tracereplay.reports import FORMATS
from tracereplay.units import NS_PER_S

if TYPE_CHECKING:
    from tracereplay.model.result import Result


@click.command(short_help="Explain failed allocations and offlines: which pages, why, who.")
@input_options(required=False)
@output_options(*FORMATS)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Also write all tables there, as Parquet.")
@click.option("--fail-on", metavar="RULES", help="Exit with 1 if one matches: failed, cause=CODE, holder=GLOB, proved, "
              "loss>=SEVERITY, unexplained>N; comma-separated.")  # fmt: skip
@click.option("--at", metavar="SECONDS", help="Inventory: which pages would block migration then.")
@click.option("--kpageflags", metavar="FILE", help="A copy of /proc/kpageflags: from before the trace (default: "
              "kpageflags.before* beside it), or for an inventory without a trace.")  # fmt: skip
@click.option("--kpagecount", metavar="FILE", help="Beside --kpageflags: /proc/kpagecount of the same pages.")
@click.option("--area", metavar="NAME", help="Of an inventory: the CMA area (default: all).")
@click.option("--block", metavar="N", type=click.IntRange(0, 1 << 40), help="Of an inventory: memory block N instead.")
@click.option("--pages", metavar="N", type=click.IntRange(1, 1 << 40), help="Of an inventory: would N contiguous pages "
              "fit, and where?")  # fmt: skip
@click.option("--align", metavar="ORDER", type=click.IntRange(0, 40), help="Of --pages: aligned to 2^ORDER pages "
              "(default: as dma_alloc_contiguous, at most 8).")  # fmt: skip
@click.option("--full", is_flag=True, help="Fold nothing; show evidence and every try.")
@redact_option
def blame(
    inputs: tuple[str, ...],
    format_: str,
    output: str | None,
    out: Path | None,
    fail_on: str | None,
    at: str | None,
    area: str | None,
    block: int | None,
    pages: int | None,
    align: int | None,
    full: bool,
    redact: bool,
    **opening: Any,
) -> int:
    """Explain failed CMA allocations and memory offlines: which pages blocked migration, why, who holds them."""
    from tracereplay.cli.gate import exit_status, rules_of  # noqa: PLC0415

    rules = rules_of(fail_on)
    narrowed = any(option is not None for option in (area, block, pages))
    if at is None and narrowed and (inputs or opening["kernel_log"] is not None):
        raise UsageError("--area, --block and --pages go with --at TIME, or without a trace with --kpageflags")
    if align is not None and pages is None:
        raise UsageError("--align goes with --pages N")
    at_ns = None if at is None else parse_time(at)
    with open_session(inputs, **opening) as session:
        result: Result = (
            session.inventory(at=at_ns, area=area, block=block, pages=pages, align_order=align)
            if at_ns is not None or narrowed
            else session.blame()
        )
        result = shown(result, redact)
    if out is not None:
        from tracereplay.model.tables import result_tables  # noqa: PLC0415
        from tracereplay.model.tables_write import write_tables  # noqa: PLC0415

        write_tables(result_tables(result), out)
        say_written(out)
    write_report(FORMATS[format_](result, style_for(output, full=full)), output)
    return exit_status(rules, result)


def parse_time(text: str) -> int:
    """Seconds of the trace's clock, as reports print them (6.437, or 6.437s), in ns. Raises UsageError."""
    try:
        return round(Decimal(text.strip().removesuffix("s").strip()) * NS_PER_S)
    except (ArithmeticError, ValueError):
        raise UsageError(f"{text!r} is no time: give seconds of the trace's clock, like 6.437") from None
