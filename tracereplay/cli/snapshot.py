"""`snapshot`: the layout of this machine's memory, as --layout takes it."""

from __future__ import annotations

from pathlib import Path

import click

from tracereplay.errors import UsageError


@click.command(short_help="Copy the layout of this machine's memory, tasks and kernel log.")
@click.option("-o", "--output", "out", metavar="DIR", required=True, help="The folder to make.")
@click.option("--area", metavar="NAME", help="With the page flags of this CMA area.")
@click.option("--block", metavar="N", type=click.IntRange(0, 1 << 40), help="With the page flags of memory block N.")
def snapshot(out: str, area: str | None, block: int | None) -> int:
    """Copy what this machine says of its memory and tasks now: a folder for --layout, and the kernel log."""
    from tracereplay.capture.snapshot import copy_debug_files, kernel_log  # noqa: PLC0415
    from tracereplay.capture.snapshot import snapshot as copy_layout  # noqa: PLC0415
    from tracereplay.capture.target import target_of  # noqa: PLC0415
    from tracereplay.capture.tracefs import mounted  # noqa: PLC0415

    folder = Path(out)
    if folder.exists():
        raise UsageError(f"{out} exists: name a new folder")
    with mounted() as (_, debug):
        lacking = copy_layout(folder / "layout", debug, target_of(area, block, debug))
        copy_debug_files(folder, debug)
        if not kernel_log(folder / "dmesg.txt"):
            lacking.append("the kernel log")
    if lacking:
        click.echo(f"tracereplay: not here: {', '.join(lacking)}", err=True)
    return 0
