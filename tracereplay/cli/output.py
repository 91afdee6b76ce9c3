"""Where reports go: stdout or a file, and how wide and colourful they may be there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from tracereplay.errors import UsageError
from tracereplay.reports.shared.style import Style
from tracereplay.units import format_bytes, to_valid_utf8

QUIET = "tracereplay.quiet"  # in a context: what `options.quiet_option` was given
PLAIN_WIDTH = 100  # where the width of the output is not known
MAX_WIDTH = 120  # longer lines are hard to read


def style_for(output: str | None, *, full: bool = False) -> Style:
    """Terminal: its width, and colours unless NO_COLOR or a dumb terminal says otherwise. Else plain text."""
    terminal = output is None and sys.stdout.isatty()
    width = (
        shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
        if terminal
        else int_or(os.environ.get("COLUMNS"), PLAIN_WIDTH)
    )
    color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")
    return Style(width=min(width, MAX_WIDTH), color=color, full=full)


def int_or(text: str | None, default: int) -> int:
    """The positive number in the text, or the default."""
    return int(text) if text and text.isdecimal() and int(text) > 0 else default


def write_report(text: str, output: str | None) -> None:
    """To stdout, or to the file, in UTF-8. Raises UsageError where it cannot be written."""
    write_bytes(text.encode(errors="backslashreplace"), output)


def write_bytes(data: bytes, output: str | None) -> None:
    """To stdout, or to the file: a regular file is replaced at once when all is written, which is said on stderr.

    Raises UsageError where the file cannot be written.
    """
    if output is None or output == "-":
        try:
            click.echo(data, nl=False)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UsageError(f"stdout: cannot be written: {error.strerror or error}") from error
        return
    path = Path(os.path.realpath(output))
    try:
        if path.exists() and not path.is_file():  # a pipe or a device
            path.write_bytes(data)
            return
        _replace(path, data)
    except OSError as error:
        raise UsageError(f"--output {output}: cannot be written: {error.strerror or error}") from error
    say_written(output)


def say_written(target: str | Path) -> None:
    """What was written, on stderr: a file, or a folder with what is in it. Nothing with --quiet."""
    context = click.get_current_context(silent=True)
    if context is not None and (context.params.get("quiet") or context.meta.get(QUIET)):
        return
    path = Path(target)
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    count = f"{len(files)} file{'s' * (len(files) != 1)}, " if path.is_dir() else ""
    size = format_bytes(sum(one.stat().st_size for one in files))
    click.echo(f"tracereplay: wrote {to_valid_utf8(target)} ({count}{size})", err=True)


def _replace(path: Path, data: bytes) -> None:
    """Put a file in the place of another at once, or leave nothing there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        scratch = Path(file.name)
        try:
            file.write(data)
            file.flush()
            umask = os.umask(0)
            os.umask(umask)
            scratch.chmod(0o666 & ~umask)
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
