"""`page PFN`: the life of one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracereplay.cli.options import input_options, open_session, output_options, redact_option
from tracereplay.cli.output import style_for, write_report
from tracereplay.errors import UsageError

if TYPE_CHECKING:
    from tracereplay.model.page import PageLife


@click.command(short_help="The life of one page.")
@click.argument("pfn")
@input_options(required=True)
@output_options("text", "json")
@click.option("--full", is_flag=True, help="Every event, however many.")
@redact_option
def page(
    pfn: str,
    inputs: tuple[str, ...],
    format_: str,
    output: str | None,
    full: bool,
    redact: bool,
    **opening: Any,
) -> int:
    """Tell the life of the page PFN (0x1e403, or decimal): who allocated it, who took references, what is left."""
    from tracereplay.reports.json import render_json  # noqa: PLC0415
    from tracereplay.reports.text.page import render_page  # noqa: PLC0415

    number = parse_pfn(pfn)
    with open_session(inputs, **opening) as session:
        life: PageLife = session.page(number)
    if redact:
        from tracereplay.model.redaction import redacted_page  # noqa: PLC0415

        life = redacted_page(life)
    write_report(render_json(life) if format_ == "json" else render_page(life, style_for(output, full=full)), output)
    return 0


def parse_pfn(text: str) -> int:
    """The number, decimal or with 0x. Raises UsageError where it is none, or none that can be a PFN."""
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 52:  # physical addresses have at most 64 bits, pages at least 4 KiB
        raise UsageError(f"{text!r} is no page frame number: give it as the trace prints it (0x1e403), or decimal")
    return number
