"""`record`: from a failing machine to a folder that `blame` reads."""

from __future__ import annotations

from pathlib import Path

import click

from tracereplay.errors import UsageError

NEW_FOLDER = "tracereplay-capture"
TRACE_DAT = "trace-cmd.out"  # no name by which a folder's trace is found: the raw pages beside it are the trace


@click.command(short_help="Record on this machine what blame needs; or print a script that does.")
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@click.option("-o", "--output", "out", metavar="DIR", help=f"The folder to make (default: {NEW_FOLDER}).")
@click.option("--for", "seconds", metavar="SECONDS", type=click.FloatRange(0, 1e9), help="End after this time.")
@click.option("--until-failure", is_flag=True, help="Keep the last seconds in memory; copy them when an attempt fails.")
@click.option("--dumps", metavar="N", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="With --until-failure: go on after a failure, and keep the last N.")  # fmt: skip
@click.option("--level", type=click.IntRange(0, 2), default=2, show_default=True,
              help="0: attempts and allocations; 1: and the kernel log; 2: and who holds pages.")  # fmt: skip
@click.option("--area", metavar="NAME", help="Only pages of this CMA area.")
@click.option("--block", metavar="N", type=click.IntRange(0, 1 << 40), help="Only pages of memory block N.")
@click.option("--buffer", "buffer_mib", metavar="MIB", type=click.IntRange(1, 1 << 20),
              help="Size of the ring (default: an eighth of the free memory, at most 256 MiB).")  # fmt: skip
@click.option("--no-pages", is_flag=True, help="No events of page allocation: cheaper, but allocators are not known.")
@click.option("--stacks/--no-stacks", default=None,
              help="Stacks of what takes references: they name the call. Default: of the probes on get_user_pages(); "
                   "--stacks: of page_ref events too, with a range only.")  # fmt: skip
@click.option("--trace-dat", is_flag=True, help=f"Also write {TRACE_DAT}, a trace.dat that trace-cmd reads.")
@click.option("--print-script", is_flag=True, help="Print the same as a POSIX shell script: no Python needed.")
def record(
    command: tuple[str, ...],
    out: str | None,
    seconds: float | None,
    until_failure: bool,
    dumps: int,
    level: int,
    area: str | None,
    block: int | None,
    buffer_mib: int | None,
    no_pages: bool,
    stacks: bool | None,
    trace_dat: bool,
    print_script: bool,
) -> int:
    """Record until COMMAND ends, a time has passed, an attempt fails, or Ctrl-C; the folder is read by every verb."""
    if bool(command) + (seconds is not None) + until_failure > 1:
        raise UsageError("a command, --for and --until-failure exclude each other")
    if area is not None and block is not None:
        raise UsageError("--area and --block exclude each other")
    if stacks and area is None and block is None:
        raise UsageError("--stacks needs --area or --block: stacks of all references would fill any buffer")
    from tracereplay.capture.wanted import Stacks  # noqa: PLC0415

    which = Stacks.TAKES if stacks is None else Stacks.ALL if stacks else Stacks.NONE
    if print_script:
        from tracereplay.capture.script import ScriptOptions, script  # noqa: PLC0415

        if command or seconds is not None or until_failure or out is not None:
            raise UsageError("the printed script takes -o, --for, --until-failure and -- COMMAND when it runs")
        kib = 65536 if buffer_mib is None else buffer_mib << 10
        click.echo(script(ScriptOptions(level, area, block, kib, dumps, pages=not no_pages, stacks=which)), nl=False)
        return 0
    from tracereplay.capture.recording import Request  # noqa: PLC0415
    from tracereplay.capture.recording import record as record_now  # noqa: PLC0415

    request = Request(
        out=Path(out or NEW_FOLDER),
        level=level,
        area=area,
        block=block,
        buffer_kib=None if buffer_mib is None else buffer_mib << 10,
        pages=not no_pages,
        seconds=seconds,
        command=command,
        until_failure=until_failure,
        dumps=dumps,
        stacks=which,
    )
    status = record_now(request, lambda text: click.echo(f"tracereplay: {text}", err=True))
    if trace_dat:
        from tracereplay.capture.trace_dat import write_trace_dat  # noqa: PLC0415

        for folder in sorted(request.out.rglob("trace")):
            write_trace_dat(folder, folder.parent / TRACE_DAT)
    click.echo(f"tracereplay: read it by `tracereplay blame {request.out}`", err=True)
    return status
