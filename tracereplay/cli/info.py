"""`info`: what the inputs are, what they lack, and what they can prove."""

from __future__ import annotations

from typing import Any

import click

from tracereplay.cli.options import input_options, open_session, output_options, redact_option
from tracereplay.cli.output import style_for, write_report


@click.command(short_help="What the inputs hold, lack, and can prove.")
@input_options(required=False)
@output_options("text", "json")
@click.option("--full", is_flag=True, help="Every event and every loss.")
@redact_option
def info(inputs: tuple[str, ...], format_: str, output: str | None, full: bool, redact: bool, **opening: Any) -> int:
    """Tell what the inputs hold, what they lack, and which causes they can prove."""
    from tracereplay.reports.json import render_json  # noqa: PLC0415
    from tracereplay.reports.text.info import render_info  # noqa: PLC0415

    with open_session(inputs, **opening) as session:
        answer = session.info()
    if redact:
        from tracereplay.capabilities import KERNEL_EVENTS  # noqa: PLC0415
        from tracereplay.model.redaction import redacted_info  # noqa: PLC0415

        answer = redacted_info(answer, KERNEL_EVENTS)
    text = render_json(answer) if format_ == "json" else render_info(answer, style_for(output, full=full))
    write_report(text, output)
    return 0
