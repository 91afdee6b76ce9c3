"""`whatif`: the trace replayed under other rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracereplay.cli.options import input_options, open_session, output_options, redact_option
from tracereplay.cli.output import say_written, style_for, write_report
from tracereplay.cli.startup import KilledByInterrupt
from tracereplay.errors import UsageError
from tracereplay.reports.whatif.formats import FORMATS, render_policies

if TYPE_CHECKING:
    from tracereplay.model.whatif import SizeScope, WhatIf

RULE = re.compile(r"(?P<unfit>unfit)|saved<(?P<saved>\d+)|newly_fails>(?P<newly>\d+)")


@click.command(short_help="Replay under another policy: what would have helped.")
@input_options(required=False)
@click.option("--policy", "policies", metavar="NAME[:KEY=VALUE,...]", multiple=True,
              help="A changed rule; several joined by + act together. May be repeated.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Every policy that needs no keys of its own.")
@click.option("--list", "listing", is_flag=True, help="The policies: what they change, where they were discussed.")
@click.option("--size", "sizes", type=click.Choice(("movable", "cma")), multiple=True,
              help="How large ZONE_MOVABLE or the CMA areas may be without starving the kernel.")  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 1000), default=25, show_default=True,
              help="Replays of each policy that moves pages, with other orders of the free lists.")  # fmt: skip
@output_options(*FORMATS)
@click.option("--fail-on", metavar="RULES", help="Exit with 1 if one matches: saved<N, newly_fails>N, unfit.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Also write all tables there, as Parquet.")
@redact_option
@click.option("--full", is_flag=True, help="Every attempt under every policy, every measure of the fit.")
def whatif(
    inputs: tuple[str, ...],
    policies: tuple[str, ...],
    every: bool,
    listing: bool,
    sizes: tuple[SizeScope, ...],
    runs: int,
    format_: str,
    output: str | None,
    fail_on: str | None,
    full: bool,
    out: Path | None,
    redact: bool,
    **opening: Any,
) -> int:
    """Replay a trace under changed kernel rules: which failed attempts would have succeeded, which would newly fail.

    Without --policy: whether the record is consistent, and how well the model reproduces it.
    """
    with KilledByInterrupt():
        from tracereplay.whatif.policies.table import POLICIES  # noqa: PLC0415
        from tracereplay.whatif.question import every_policy, parse_policy  # noqa: PLC0415

    if listing:
        write_report(render_policies(list(POLICIES.values()), style_for(output, full=full)), output)
        return 0
    rules = _rules(fail_on)
    chosen = [*(every_policy() if every else []), *(parse_policy(text) for text in policies)]
    with open_session(inputs, **opening) as session:
        document = session.whatif(chosen, runs=runs, sizes=sizes)
    if redact:
        from tracereplay.model.redaction import redacted_whatif  # noqa: PLC0415

        document = redacted_whatif(document)
    if out is not None:
        from tracereplay.model.tables_write import write_tables  # noqa: PLC0415
        from tracereplay.model.whatif_tables import whatif_tables  # noqa: PLC0415

        write_tables(whatif_tables(document), out)
        say_written(out)
    write_report(FORMATS[format_](document, style_for(output, full=full)), output)
    return int(any(_matches(rule, document) for rule in rules))


def _rules(text: str | None) -> list[re.Match[str]]:
    found = []
    for word in filter(None, (text or "").split(",")):
        rule = RULE.fullmatch(word.strip())
        if rule is None:
            raise UsageError(f"--fail-on {word.strip()!r}: rules are saved<N, newly_fails>N, unfit")
        found.append(rule)
    return found


def _matches(rule: re.Match[str], document: WhatIf) -> bool:
    if rule["unfit"]:
        return any(model.verdict == "unfit" for model in document.model)
    if rule["saved"]:
        return any(one.saved < int(rule["saved"]) for one in document.summary)
    return any(one.newly_fails > int(rule["newly"]) for one in document.summary)
