"""Options that several verbs share, and how inputs are opened from them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracereplay.cli.output import QUIET
from tracereplay.cli.startup import KilledByInterrupt
from tracereplay.errors import InputError, UsageError
from tracereplay.units import to_valid_utf8

if TYPE_CHECKING:
    from tracereplay.model.result import Result
    from tracereplay.session import Session

Decorator = Callable[[Any], Any]


def input_options(required: bool) -> Decorator:
    """INPUT..., and what is known beside it; `required`: at least one INPUT."""
    options = (
        click.argument("inputs", metavar="INPUT..." if required else "[INPUT]...", nargs=-1, required=required),
        click.option(
            "--layout",
            metavar="DIR|FILE.toml",
            help="Zones, blocks and CMA areas: a snapshot folder, or written by hand.",
        ),
        click.option("--kernel-log", metavar="FILE", help="The kernel log (dmesg) of the same boot."),
        click.option(
            "--page-size",
            "page_size_bytes",
            metavar="BYTES",
            type=click.IntRange(4096, 1 << 20),
            help="Of the kernel log's machine, where the log does not tell it (getconf PAGESIZE).",
        ),
        click.option(
            "--page-owner",
            metavar="FILE",
            multiple=True,
            help="page_owner of debugfs: who allocated older pages; again for its stacks by handle.",
        ),
        click.option("--page-pinner", metavar="FILE", help="page_pinner of debugfs (Android): who put pages."),
        click.option(
            "--same-machine", is_flag=True, help="The INPUTs are of one machine and boot: read them as one trace."
        ),
        click.option("--sha256", is_flag=True, help="The SHA-256 of INPUTs over 64 MiB too, in JSON documents."),
        *quiet_options(),
    )
    return combine(options)


def quiet_options() -> tuple[Decorator, ...]:
    """What goes to stderr."""
    return (
        click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr."),
        click.option("--no-progress", is_flag=True, help="No progress on stderr."),
    )


def quiet_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--quiet`, of verbs that show no progress: what was written is not said. The verb itself need not know."""

    def note(context: click.Context, _option: click.Parameter, value: bool) -> None:
        context.meta[QUIET] = value

    words = "No notes on stderr."
    return click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=note, help=words)(function)


def output_options(*formats: str) -> Decorator:
    """Where the report goes, and in which format."""
    options: tuple[Decorator, ...] = (
        click.option("--format", "format_", type=click.Choice(formats), default="text", show_default=True),
        click.option("-o", "--output", metavar="FILE", help="Write the report there instead of to stdout."),
    )
    return combine(options)


def redact_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--redact`, for documents that are passed on; `--confidential` is its former name."""
    words = "Replace names of tasks, files, areas, modules and inputs by pseudonyms (task-1)."
    return click.option("--redact", "--confidential", "redact", is_flag=True, help=words)(function)


def shown(result: Result, redact: bool) -> Result:
    """The result, or what of it may be passed on."""
    if not redact:
        return result
    from tracereplay.model.redaction import redacted  # noqa: PLC0415

    return redacted(result)


def combine(options: tuple[Decorator, ...]) -> Decorator:
    """The options as one decorator, shown by --help in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def result_of(inputs: tuple[str, ...], **opening: Any) -> Result:
    """A stored result as it is, if that is the one INPUT; else what `blame` says of the inputs."""
    if len(inputs) == 1 and _is_document(inputs[0]):
        from tracereplay.reports.json import read_json  # noqa: PLC0415

        return read_json(inputs[0])
    with open_session(inputs, **opening) as session:
        return session.blame()


def _is_document(path: str) -> bool:
    """Whether a file begins as JSON does; no trace and no log does so."""
    try:
        with Path(path).open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


@contextmanager
def open_session(
    inputs: tuple[str, ...],
    *,
    layout: str | None,
    kernel_log: str | None,
    page_size_bytes: int | None,
    page_owner: tuple[str, ...],
    page_pinner: str | None,
    same_machine: bool,
    sha256: bool,
    quiet: bool,
    no_progress: bool,
    kpageflags: str | None = None,
    kpagecount: str | None = None,
) -> Iterator[Session]:
    """The session the options ask for; while it is open, progress is shown.

    Raises UsageError without any input, InputError where one cannot be read.
    """
    if not inputs and kernel_log is None and kpageflags is None and not page_owner:
        raise UsageError("no INPUT: name a trace.dat, perf.data or ftrace text, or a log with --kernel-log")
    sides: dict[str, Any] = {
        "layout": layout,
        "kernel_log": kernel_log,
        "page_owner": page_owner,
        "page_pinner": page_pinner,
    }
    with KilledByInterrupt():
        import tracereplay.session  # noqa: PLC0415
    inputs, sides = _found(inputs, sides, same_machine, quiet)
    from tracereplay.cli.progress import Progress  # noqa: PLC0415
    from tracereplay.compiled import kernels_are_compiled  # noqa: PLC0415

    if kpageflags is None and len(inputs) == 1:
        kpageflags, kpagecount = copies_beside(inputs[0], kpagecount, quiet)
    if not quiet and not kernels_are_compiled():
        click.echo("tracereplay: first run: compiling its loops, once; this takes some 20 seconds", err=True)
    progress = None if quiet or no_progress else Progress(sys.stderr)
    try:
        with tracereplay.open(
            list(inputs),
            **sides,
            page_size_bytes=page_size_bytes,
            kpageflags=kpageflags,
            kpagecount=kpagecount,
            same_machine=same_machine,
            sha256=sha256,
            progress=progress,
        ) as session:
            session.argv = command_line()
            yield session
    finally:
        if progress is not None:
            progress.close()


def _found(
    inputs: tuple[str, ...], sides: dict[str, Any], same_machine: bool, quiet: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs and what is known beside them, with what folders and archives hold and files beside a trace."""
    from tracereplay.discovery.beside import logs_as_options, with_files_beside  # noqa: PLC0415

    if any(Path(name).is_dir() for name in inputs):
        from tracereplay.discovery.folder import opened_folders  # noqa: PLC0415

        inputs, sides = opened_folders(inputs, sides, same_machine=same_machine)
    inputs, sides = from_archives(inputs, sides, quiet)
    inputs, sides = logs_as_options(inputs, sides)
    return inputs, with_files_beside(inputs[0], sides) if len(inputs) == 1 else sides


def from_archives(
    inputs: tuple[str, ...], sides: dict[str, Any], quiet: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What is in zip archives among the inputs, in their places; which files were taken is said on stderr."""
    from tracereplay.discovery.archive import opened_archives  # noqa: PLC0415

    opened = opened_archives(inputs, sides)
    for note in opened.notes if not quiet else ():
        click.echo(f"tracereplay: {to_valid_utf8(note)}", err=True)
    return opened.inputs, opened.options


def copies_beside(trace: str, kpagecount: str | None, quiet: bool) -> tuple[str | None, str | None]:
    """kpageflags.before* beside the trace, and the kpagecount of the same name.

    Damaged ones, which the user did not name, are left out with a note.
    """
    from tracereplay.opening import find_copies  # noqa: PLC0415

    try:
        flags, counts = find_copies(trace)
    except InputError as error:
        if not quiet:
            click.echo(f"tracereplay: not used: {error}", err=True)
        return None, kpagecount
    return (None if flags is None else str(flags)), kpagecount or (None if counts is None else str(counts))


def command_line() -> list[str]:
    """The arguments as `main` got them, for documents."""
    args: list[str] = click.get_current_context().find_root().obj
    return [to_valid_utf8(arg) for arg in args]
