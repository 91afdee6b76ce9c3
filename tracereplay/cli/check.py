"""`check`: what this kernel can record and prove."""

from __future__ import annotations

import click


@click.command(short_help="What this kernel and its settings can record and prove, and what to change.")
def check() -> int:
    """Tell what can be recorded on this machine, what can then be proved, what is missing and how to get it."""
    from tracereplay.capture.check import look  # noqa: PLC0415

    for line in look():
        click.echo(str(line))
    return 0
