"""`check`: what a kernel can record and prove."""

from __future__ import annotations

from pathlib import Path

import click

from tracereplay.cli.startup import KilledByInterrupt


@click.command(short_help="What a kernel and its settings can record and prove, and what to change.")
@click.argument("folder", metavar="[DIR]", required=False)
def check(folder: str | None) -> int:
    """Tell what can be recorded on this machine, what can then be proved, what is missing and how to get it.

    DIR: of another machine instead, from the copies that `sh record.sh --check -o DIR` made there.
    """
    with KilledByInterrupt():
        from tracereplay.capture.check import findings  # noqa: PLC0415
        from tracereplay.capture.kernel import kernel_here, kernel_in  # noqa: PLC0415

    for line in findings(kernel_here() if folder is None else kernel_in(Path(folder))):
        click.echo(str(line))
    return 0
