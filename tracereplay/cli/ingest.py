"""`ingest`: a trace's events as Parquet, to be read again far quicker than the trace."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tracereplay.cli.options import combine, from_archives, quiet_options
from tracereplay.cli.output import say_written
from tracereplay.cli.startup import KilledByInterrupt
from tracereplay.errors import UsageError


@click.command(short_help="Write all events as Parquet; every verb reads the folder.")
@click.argument("trace", metavar="INPUT")
@click.option("-o", "--output", "target", metavar="DATASET", required=True, help="The folder to write.")
@combine(quiet_options())
def ingest(trace: str, target: str, quiet: bool, no_progress: bool) -> int:
    """Write all events of a trace to the folder DATASET, one Parquet file each."""
    with KilledByInterrupt():
        from tracereplay.cli.progress import Progress  # noqa: PLC0415
        from tracereplay.opening import write_dataset_of  # noqa: PLC0415

    if Path(trace).is_dir():
        from tracereplay.discovery.folder import opened_folders  # noqa: PLC0415

        (trace,), _ = opened_folders([trace], {})
    inputs, _ = from_archives((trace,), {}, quiet)
    if not inputs:
        raise UsageError(f"{trace}: no trace is in the archive, only a kernel log: there are no events to write")
    trace = inputs[0]
    progress = None if quiet or no_progress else Progress(sys.stderr)
    try:
        write_dataset_of(trace, target, progress)
    finally:
        if progress is not None:
            progress.close()
    say_written(target)
    return 0
