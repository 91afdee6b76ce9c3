"""The analysed traces of a store, to be read again: where each is, what is beside it, and that it has not changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tracereplay.corpus.analyse_one import identify
from tracereplay.corpus.query import Selection
from tracereplay.corpus.tables import ANALYSED
from tracereplay.discovery.sources import SIDES, Source
from tracereplay.errors import InputError


@dataclass(frozen=True, slots=True)
class Job:
    """One analysed trace: its key, where it is, what is beside it, and the value of the column grouped by."""

    key: str
    path: str
    sides: Mapping[str, str]
    value: str | None


def analysed_jobs(selection: Selection, by: str | None) -> Iterator[Job]:
    """Each analysis once, at its first path; of copies with several values of the column, the first."""
    column = selection.column(by) if by is not None else "NULL"
    sides = ", ".join(f"arg_min({name}, path)" for name in SIDES)
    rows = selection.ask(
        f"""
        SELECT key, min(path), arg_min(CAST({column} AS VARCHAR), path), {sides}
        FROM chosen WHERE status = '{ANALYSED}' GROUP BY key ORDER BY 2
        """
    )
    for key, path, value, *found in rows:
        beside = {role: str(side) for role, side in zip(SIDES, found, strict=True) if side is not None}
        yield Job(str(key), str(path), beside, None if value is None else str(value))


def refuse_change(job: Job) -> None:
    """Raises InputError where the trace is not local, has gone, or is not what the store's analysis is of."""
    if "://" in job.path or any("://" in side for side in job.sides.values()):
        raise InputError("only traces on this machine are read again", path=job.path, advice="copy it, and run again")
    source = Source(job.path, job.sides, {}, "", 0)
    if identify(source).key != job.key:
        raise InputError("changed since it was analysed, or by another version", path=job.path, advice="run again")
