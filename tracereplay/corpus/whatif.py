"""`corpus whatif`: every trace of a store replayed under the same policies, summed up.

A trace is read again from where the run found it, with what lay beside it; one that has gone or changed since is a
broken trace of the answer. Traces are replayed in child processes: one that kills its process costs nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tracereplay import __version__
from tracereplay.corpus.analysed import Job, analysed_jobs, refuse_change
from tracereplay.corpus.query import Condition, Selection
from tracereplay.corpus.run_summary import outcome_of
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import ANALYSED
from tracereplay.errors import InputError, UsageError
from tracereplay.model.corpus import Broken, CorpusWhatIf, Saved
from tracereplay.model.result import Tool
from tracereplay.model.whatif import Outcome

Z_95 = 1.959963984540054  # of the normal distribution, two-sided


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policies come to on one trace; refused -- (status, reason) where it could not be replayed."""

    job: Job
    results: Sequence[Sequence[tuple[str, str, str]]]  # by policy: (recorded, answer, bound) of each attempt
    refused: tuple[str, str] | None = None


def whatif_corpus(
    store: Store,
    policies: Sequence[str],
    where: Sequence[Condition] = (),
    *,
    by: str | None = None,
    runs: int = 5,
    jobs: int = 1,
    argv: Sequence[str] = (),
) -> CorpusWhatIf:
    """Raises UsageError for a policy or column that does not exist, or where nothing is analysed."""
    from tracereplay.whatif.question import parse_policy  # noqa: PLC0415

    for text in policies:
        parse_policy(text)
    selection = Selection(store, where)
    wanted = list(analysed_jobs(selection, by))
    if not wanted:
        raise UsageError("no analysed trace meets the conditions")
    answers = sorted(_answers(wanted, policies, runs, jobs), key=lambda answer: answer.job.path)
    replayed = [answer for answer in answers if answer.refused is None]
    statuses = [(ANALYSED, len(replayed))]
    statuses += [(answer.refused[0], 1) for answer in answers if answer.refused is not None]
    broken = [
        Broken(path=answer.job.path, status=answer.refused[0], reason=answer.refused[1])
        for answer in answers
        if answer.refused is not None
    ]
    groups = sorted({answer.job.value for answer in replayed}, key=lambda value: (value is None, value or ""))
    return CorpusWhatIf(
        tool=Tool(version=__version__, argv=list(argv)),
        store=store.url,
        where=[str(one) for one in where],
        outcome=outcome_of(statuses, broken),
        by=by,
        policies=ranked(summed(text, None, [a.results[n] for a in replayed]) for n, text in enumerate(policies)),
        groups=[
            row
            for value in (groups if by else ())
            for row in ranked(
                summed(text, value, [a.results[n] for a in replayed if a.job.value == value])
                for n, text in enumerate(policies)
            )
        ],
    )


def ranked(rows: Iterable[Saved]) -> list[Saved]:
    """Most saved less newly failing first."""
    return sorted(rows, key=lambda one: (one.newly_fails - one.saved, one.newly_fails, one.unknown, one.policy))


def summed(policy: str, value: str | None, traces: Sequence[Sequence[tuple[str, str, str]]]) -> Saved:
    """One policy over the attempts of these traces, (recorded, answer, bound) each."""
    failed = [[one for one in trace if one[0] in ("failed", "interrupted")] for trace in traces]
    rows = [one for trace in failed for one in trace]
    saved = [one for one in rows if one[1] == "succeeds"]
    unknown = sum(one[1] == "unknown" for one in rows)
    with_failures = sum(bool(trace) for trace in failed)
    low = wilson(len(saved), len(rows), with_failures)[0] if rows else None
    high = wilson(len(saved) + unknown, len(rows), with_failures)[1] if rows else None
    return Saved(
        policy=policy, value=value, traces=with_failures, failed=len(rows), saved=len(saved),
        saved_upper=sum(one[2] == "upper" for one in saved), still_fails=sum(one[1] == "still_fails" for one in rows),
        unknown=unknown, newly_fails=sum(one[1] == "newly_fails" for trace in traces for one in trace),
        share=round(len(saved) / len(rows), 4) if rows else None,
        low=None if low is None else round(low, 4), high=None if high is None else round(high, 4),
    )  # fmt: skip


def wilson(hits: int, whole: int, observations: int) -> tuple[float, float]:
    """Wilson's score interval of the share hits / whole, of so many independent observations."""
    share, number, square = hits / whole, observations, Z_95 * Z_95
    middle = share + square / (2 * number)
    half = Z_95 * math.sqrt(share * (1 - share) / number + square / (4 * number * number))
    scale = 1 + square / number
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def _answers(wanted: Sequence[Job], policies: Sequence[str], runs: int, jobs: int) -> Iterator[Answer]:
    """In the order in which they come; a process that dies takes the traces in work with it, and they are said."""
    left = list(wanted)
    while left:
        with ProcessPoolExecutor(min(jobs, len(left)), mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(replay_one, job, tuple(policies), runs): job for job in left}
            left = []
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    left.append(futures[future])
        if len(left) == len(wanted) or len(left) == 1:
            # Nothing came of this round: the first of them is what kills the process.
            yield Answer(left.pop(0), (), ("crashed", "its process died"))
        wanted = left


def replay_one(job: Job, policies: Sequence[str], runs: int) -> Answer:
    """In a child process: one trace under all policies."""
    from tracereplay.session import Session  # noqa: PLC0415
    from tracereplay.whatif.question import parse_policy  # noqa: PLC0415

    try:
        refuse_change(job)
        session = Session([Path(job.path)], **job.sides)  # type: ignore[arg-type]  # roles are its options
        document = session.whatif([parse_policy(text) for text in policies], runs=runs)
    except InputError as error:
        return Answer(job, (), ("unreadable", str(error)))
    by_policy = [[_row(one) for one in document.results if one.policy_id == policy.id] for policy in document.policies]
    return Answer(job, by_policy)


def _row(one: Outcome) -> tuple[str, str, str]:
    return one.recorded, one.answer, one.bound
