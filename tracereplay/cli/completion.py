"""`completion`, `man`: what a shell and `man` need to know of the verbs and options, made from their declarations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import click

from tracereplay import __version__

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TRACEREPLAY_COMPLETE"
NAME = "tracereplay"


@click.command(short_help="Completion of verbs and options for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print what SHELL reads to complete verbs, options and file names.

    \b
    bash:  eval "$(tracereplay completion bash)"             (in ~/.bashrc)
    zsh:   eval "$(tracereplay completion zsh)"              (in ~/.zshrc)
    fish:  tracereplay completion fish | source              (in config.fish)
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    made = get_completion_class(shell)
    assert made is not None
    root = click.get_current_context().find_root().command
    # Not `source()`: it runs bash to learn its version.
    words = made(root, {}, NAME, VARIABLE)
    click.echo(words.source_template % words.source_vars())
    return 0


def complete(cli: click.Command) -> int | None:
    """Answer a shell that asks what could come next; None where none does."""
    instruction = os.environ.get(VARIABLE)
    if not instruction:
        return None
    from click.shell_completion import shell_complete  # noqa: PLC0415

    return shell_complete(cli, {}, NAME, VARIABLE, instruction)


@click.command(short_help="The manual page.")
def man() -> int:
    """Print the manual page: tracereplay man > /usr/local/share/man/man1/tracereplay.1"""
    root = click.get_current_context().find_root()
    click.echo("\n".join(manual(root.command, root)))
    return 0


def manual(command: click.Command, context: click.Context) -> Iterator[str]:
    """All verbs and their options in the macros of man(7)."""
    yield f'.TH TRACEREPLAY 1 "" "tracereplay {__version__}" "User commands"'
    yield ".SH NAME"
    yield r"tracereplay \- which pages made a CMA allocation or a memory offline fail, and who holds them"
    yield ".SH SYNOPSIS"
    yield r".B tracereplay \fIVERB\fR [\fIOPTION\fR]... [\fIINPUT\fR]..."
    yield ".SH DESCRIPTION"
    yield _roff(command.help or "")
    yield ".SH VERBS"
    yield from _verbs(command, context, "")
    yield ".SH EXIT STATUS"
    yield "0 done; 1 done, and --fail-on matched; 2 bad usage or unreadable input; 130 interrupted."
    yield ".SH ENVIRONMENT"
    for name, says in (
        ("TRACEREPLAY_CACHE", "The folder for compiled code (default: the user's cache)."),
        ("TRACEREPLAY_DEBUG", "Show tracebacks."),
        ("NO_COLOR", "No colours on a terminal."),
        ("COLUMNS", "The width of a report that is not written to a terminal."),
    ):
        yield from (".TP", f".B {name}", says)


def _verbs(group: click.Command, context: click.Context, prefix: str) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None
        own = click.Context(verb, info_name=name, parent=context)
        yield f".SS {prefix}{name} {_roff(' '.join(verb.collect_usage_pieces(own)))}"
        yield _roff(verb.help or verb.short_help or "")
        for parameter in verb.get_params(own):
            record = parameter.get_help_record(own)
            if record is not None:
                yield from (".TP", f".B {_roff(record[0])}", _roff(record[1]) or r"\&")
        yield from _verbs(verb, own, f"{prefix}{name} ")


def _roff(text: str) -> str:
    """Text in which nothing is a request or an escape."""
    plain = " ".join(text.replace("\b", "").replace("\\", r"\e").replace("-", r"\-").split())
    return re.sub(r"^([.'])", r"\\&\1", plain)
