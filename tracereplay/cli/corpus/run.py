"""`corpus run`: analyse every trace once."""

from __future__ import annotations

import os

import click

from tracereplay.cli.corpus.needed import need_libraries
from tracereplay.cli.options import combine, quiet_options
from tracereplay.cli.output import say_written, style_for, write_report
from tracereplay.errors import InputError, UsageError

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@click.command(short_help="Analyse every trace once; again, only what is new.")
@click.argument("places", metavar="PATH|GLOB|URL...", nargs=-1, required=True)
@click.option("-o", "--output", "place", metavar="STORE", required=True, help="The corpus: a folder or a URL.")
@click.option("-j", "--jobs", type=click.IntRange(1, 4096), help="Traces at once on this machine (default: its CPUs).")
@click.option("--dask", "scheduler", metavar="ADDRESS", help="Run on the workers of this dask.distributed scheduler.")
@click.option("--time-limit", type=click.FloatRange(0.1, 1e7), default=3600.0, show_default=True, metavar="SECONDS",
              help="Wall time a trace may take.")  # fmt: skip
@click.option("--memory-limit", default="4G", show_default=True, metavar="BYTES", help="Memory a trace may take.")
@click.option("--match", "names", metavar="GLOB", multiple=True, help="Names that are traces, within folders "
              "(default: *.dat *.data *.perf *.trace *.ftrace *.pftrace *.perfetto-trace, also packed).")  # fmt: skip
@click.option("--path-pattern", metavar="PATTERN", help="Columns from the path: '{build}/{device}/*.dat'.")
@click.option("--retry", is_flag=True, help="Also what broke a limit or crashed in an earlier run.")
@click.option("--keep-events", is_flag=True, help="Keep the events of what is analysed, as datasets in STORE/events.")
@click.option("--full", is_flag=True, help="List every broken trace.")
@combine(quiet_options())
def run(
    places: tuple[str, ...],
    place: str,
    jobs: int | None,
    scheduler: str | None,
    time_limit: float,
    memory_limit: str,
    names: tuple[str, ...],
    path_pattern: str | None,
    retry: bool,
    keep_events: bool,
    full: bool,
    quiet: bool,
    no_progress: bool,
) -> int:
    """Analyse every trace in files, folders, globs and URLs, in parallel, each under limits, into STORE.

    Files beside a trace are used: NAME.layout/, NAME.dmesg, NAME.page_owner, NAME.page_pinner, and columns from
    NAME.toml or NAME.json; in a folder with one trace also layout/, dmesg.txt, page_owner.txt, metadata.toml.
    Interrupted, the same command goes on where it was.
    """
    if jobs is not None and scheduler is not None:
        raise UsageError("--jobs counts local processes; with --dask the scheduler's workers decide")
    need_libraries()
    limit_bytes = parse_bytes(memory_limit)
    from tracereplay.cli.corpus.progress import RunProgress  # noqa: PLC0415
    from tracereplay.corpus.analyse_one import analysis_version  # noqa: PLC0415
    from tracereplay.corpus.batches import Order  # noqa: PLC0415
    from tracereplay.corpus.executors import dask_workers, local_workers  # noqa: PLC0415
    from tracereplay.corpus.metadata import path_pattern as columns_by  # noqa: PLC0415
    from tracereplay.corpus.run import run as run_corpus  # noqa: PLC0415
    from tracereplay.corpus.sandbox import Limits  # noqa: PLC0415
    from tracereplay.corpus.store import Store  # noqa: PLC0415
    from tracereplay.discovery.discover import TRACE_NAMES, absolute, discover  # noqa: PLC0415
    from tracereplay.reports.corpus.run import render_run  # noqa: PLC0415

    columns_of = columns_by(path_pattern)
    wanted = ([absolute(one) for one in places], columns_of, names or TRACE_NAMES)
    store = Store.create(place)
    order = Order(
        store.url,
        analysis_version(),
        Limits(time_limit, limit_bytes),
        f"{store.url}/events" if keep_events else None,
    )
    workers = local_workers(jobs or os.cpu_count() or 1) if scheduler is None else dask_workers(scheduler)
    with workers as ready, RunProgress(quiet or no_progress, lambda: discover(*wanted)) as progress:
        summary = run_corpus(store, discover(*wanted), ready, order, progress, retry=retry)
    if not summary.found:
        raise UsageError(f"no trace in {' '.join(places)}; --match GLOB says which names are traces")
    outcome = store.outcome()
    write_report(render_run(summary.found, summary.before, outcome, place, style_for(None, full=full)), None)
    if os.path.isdir(place):
        say_written(place)
    if not outcome.analysed:
        raise InputError("none of the traces could be read", advice="see their reasons above")
    return 0


def parse_bytes(text: str) -> int:
    """`4G`, `512M`, a number of bytes. Raises UsageError."""
    plain = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = plain[-1:] if plain[-1:].isalpha() else ""
    number = plain.removesuffix(unit)
    if unit not in _UNITS or not number.isdecimal() or not int(number):
        raise UsageError(f"{text!r} is no size: write 4G, 512M or a number of bytes")
    return int(number) * _UNITS[unit]
