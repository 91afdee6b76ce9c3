"""The blame pages of the traces that a report of a corpus shows as examples, each made in a child process."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tracereplay.corpus.analysed import Job, analysed_jobs, refuse_change
from tracereplay.corpus.query import Condition, Selection
from tracereplay.corpus.sandbox import Failure, Limits, Sandbox
from tracereplay.corpus.store import Store
from tracereplay.model.corpus import CorpusReport

MAX_PAGES = 200


def example_paths(report: CorpusReport) -> list[str]:
    """Paths of the traces that rankings show, in their order, at most MAX_PAGES."""
    ranks = (rank for ranking in report.rankings for rank in ranking.rows)
    return list(dict.fromkeys(example.path for rank in ranks for example in rank.examples))[:MAX_PAGES]


def blame_pages(
    store: Store, where: Sequence[Condition], paths: Collection[str], limits: Limits | None = None
) -> Iterator[tuple[str, str | Failure]]:
    """(path, HTML) for each of these traces that is still as it was analysed; (path, Failure) for any other."""
    jobs = [job for job in analysed_jobs(Selection(store, where), None) if job.path in paths]
    sandbox = Sandbox(limits or Limits())
    try:
        for job in jobs:
            yield job.path, sandbox.ask("page", job)
    finally:
        sandbox.close()


def page_of(job: Job) -> str:
    """In a child process: the page of one trace.

    Raises InputError where it cannot be read, has gone, or has changed since it was analysed.
    """
    from tracereplay.reports.html.report import render_html  # noqa: PLC0415
    from tracereplay.session import Session  # noqa: PLC0415

    refuse_change(job)
    with Session([Path(job.path)], **job.sides) as session:  # type: ignore[arg-type]  # roles are its options
        session.argv = ["blame", job.path, *_options(job)]
        return render_html(session.blame())


def _options(job: Job) -> Iterator[str]:
    for role, side in job.sides.items():
        yield from (f"--{role.replace('_', '-')}", side)
