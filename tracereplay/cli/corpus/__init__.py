"""`corpus`: many traces; one thin file for each of its verbs."""

from __future__ import annotations

import click

from tracereplay.cli.corpus.diff import diff
from tracereplay.cli.corpus.gate import gate
from tracereplay.cli.corpus.report import report
from tracereplay.cli.corpus.run import run
from tracereplay.cli.corpus.sql import sql
from tracereplay.cli.corpus.whatif import whatif


@click.group(short_help="Thousands of traces: who is to blame, how often, since which build.")
def corpus() -> None:
    """Analyse many traces, keep the results in a STORE, sum up and compare.

    STORE is a folder or a URL (s3://, gs://, az://) of Delta tables: runs, attempts, tries, culprits, blame, losses.
    """


for verb in (run, report, diff, gate, whatif, sql):
    corpus.add_command(verb)
