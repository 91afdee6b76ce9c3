"""`--fail-on` on the command line: exit status 1 and one line that says what matched."""

from __future__ import annotations

import click

from tracereplay.model.fail_on import Rule, first_match, parse_rules
from tracereplay.model.result import Result

EXIT_MATCHED = 1


def rules_of(fail_on: str | None) -> list[Rule]:
    """The rules, none without the option. Raises UsageError, before any work is done."""
    return [] if fail_on is None else parse_rules(fail_on)


def exit_status(rules: list[Rule], result: Result) -> int:
    """1 if a rule matches, else 0."""
    matched = first_match(rules, result)
    if matched is None:
        return 0
    click.echo(f"tracereplay: --fail-on {matched}", err=True)
    return EXIT_MATCHED
