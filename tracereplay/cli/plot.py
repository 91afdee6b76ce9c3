"""`plot`: a picture of a result."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import click

from tracereplay.cli.options import input_options, redact_option, result_of, shown
from tracereplay.cli.output import write_bytes
from tracereplay.errors import UsageError

# As in reports.plots, which loads numpy and matplotlib; a test holds them equal.
KINDS = ("map", "timeline", "blame", "hold-times", "occupancy")
SUFFIXES = ("png", "svg", "pdf")
OF_ATTEMPTS = ("map", "timeline")


@click.command(short_help="A picture of a result: PNG, SVG or PDF.")
@input_options(required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; its ending says what: .png, .svg, .pdf.")
@click.option("--kind", type=click.Choice(KINDS), default="map", show_default=True, help="What to draw.")
@click.option(
    "--try", "try_index", metavar="N", type=click.IntRange(0), help="The map as it was at try N of the attempt."
)
@click.option("--attempt", metavar="N|ID", help="Only this attempt (map, timeline): its number from 0, or its id.")
@redact_option
def plot(
    inputs: tuple[str, ...],
    output: str,
    kind: str,
    try_index: int | None,
    attempt: str | None,
    redact: bool,
    **opening: Any,
) -> int:
    """Draw the area of the first failed attempt, who held pages when, who is to blame, how long pages were
    held, or how full CMA areas and Movable zones were over time.

    INPUT is a trace, or the BLAME.json of an earlier run.
    """
    suffix = PurePath(output).suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise UsageError(f"--output {output}: ends in none of .{', .'.join(SUFFIXES)}")
    if try_index is not None and kind != "map":
        raise UsageError("--try goes with --kind map")
    if attempt is not None and kind not in OF_ATTEMPTS:
        raise UsageError(f"--attempt goes with --kind {' or '.join(OF_ATTEMPTS)}")
    from tracereplay.reports.plots import render_plot  # noqa: PLC0415

    result = shown(result_of(inputs, **opening), redact)
    write_bytes(render_plot(result, kind, suffix, try_index, attempt=attempt), output)
    return 0
