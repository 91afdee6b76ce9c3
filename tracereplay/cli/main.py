"""`tracereplay`: the verbs, and the one place where errors become a line on stderr and an exit status.

0 done, 1 done and --fail-on matched, 2 bad usage or unreadable input, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

from tracereplay.cli.startup import KilledByInterrupt, end, tune_for_one_shot

with KilledByInterrupt():
    import re
    import traceback
    from collections.abc import Sequence

    import click

    from tracereplay import __version__
    from tracereplay.cli.blame import blame
    from tracereplay.cli.check import check
    from tracereplay.cli.completion import complete, completion, man
    from tracereplay.cli.corpus import corpus
    from tracereplay.cli.explain import explain
    from tracereplay.cli.export import export
    from tracereplay.cli.info import info
    from tracereplay.cli.ingest import ingest
    from tracereplay.cli.page import page
    from tracereplay.cli.plot import plot
    from tracereplay.cli.record import record
    from tracereplay.cli.report import report
    from tracereplay.cli.snapshot import snapshot
    from tracereplay.cli.whatif import whatif
    from tracereplay.errors import TraceReplayError, did_you_mean, no_room

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # as if killed by SIGPIPE
ISSUES = "please report it with the command and, if you can, the trace"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tracereplay", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="TRACEREPLAY_DEBUG", help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Tell which pages made a CMA allocation or a memory offline fail, why, and who holds them.

    INPUT is a trace.dat, a perf.data, a Perfetto trace or an ftrace text; what it is, is read from its content.
    """


for verb in (
    blame,
    info,
    page,
    explain,
    ingest,
    report,
    plot,
    export,
    whatif,
    corpus,
    record,
    snapshot,
    check,
    completion,
    man,
):
    cli.add_command(verb)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; one of the process' own arguments may end the process with it."""
    if argv is not None:
        return _run(list(argv))
    try:
        tune_for_one_shot()
        status = _run(sys.argv[1:])
    except KeyboardInterrupt:  # between the lines, or once more
        status = EXIT_INTERRUPTED
    return end(status)


def _run(args: list[str]) -> int:
    debug = "--debug" in args or os.environ.get("TRACEREPLAY_DEBUG", "") not in ("", "0")
    try:
        if (answered := complete(cli)) is not None:
            return answered
        # Not cli.main(): it turns Ctrl-C and broken pipes into statuses and words of its own.
        with cli.make_context("tracereplay", args, obj=args) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except click.BadParameter as error:
        return _fail(error.format_message() + _nearest_choice(error), EXIT_USAGE, debug)
    except click.ClickException as error:
        return _fail(error.format_message(), EXIT_USAGE, debug)
    except TraceReplayError as error:
        return _fail(str(error), error.exit_code, debug)
    except BrokenPipeError:
        # The reader has gone: nothing to say, and nothing more to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # so it comes out of an import (__set_name__)
            return EXIT_INTERRUPTED
        if (full := no_room(error)) is not None:
            return _fail(f"cannot be written: {full}", EXIT_USAGE, debug)
        kind = type(error).__name__
        return _fail(f"a bug in tracereplay ({kind}: {error}); {ISSUES} (--debug shows where)", EXIT_USAGE, debug)
    return status if isinstance(status, int) else 0


def _nearest_choice(error: click.BadParameter) -> str:
    """What was meant by a word that is none of an option's; options and verbs are suggested by click itself."""
    word = re.match(r"'([^']+)' is not one of", error.message)
    if error.param is None or not isinstance(error.param.type, click.Choice) or word is None:
        return ""
    return did_you_mean(word[1], map(str, error.param.type.choices))


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"tracereplay: {' '.join(message.split())}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
