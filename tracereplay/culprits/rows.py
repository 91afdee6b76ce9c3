"""Findings on single pages -> the rows of the result: runs of pages with one cause and one holder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracereplay.attempts.draft import Draft
from tracereplay.attempts.meetings import Meetings
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.log_pages import address_of
from tracereplay.culprits.suspect import Suspect
from tracereplay.culprits.table import Cause
from tracereplay.model.result import Allocation, Culprit, Effect, Evidence, File, Release, Try, Wait

EVIDENCE_KEPT = 12  # per run: the first pages' events say what the others' repeat


@dataclass(slots=True)
class Row:
    """One finding on one page (or folio)."""

    suspect: Suspect
    cause: Cause
    finding: Finding
    effect: Effect
    tries: tuple[tuple[int, int], ...]
    waits: tuple[Wait, ...]

    @property
    def allocated_by(self) -> Allocation | None:
        """The allocator as the trace or the log tells."""
        return self.finding.allocated_by or self.suspect.allocation

    @property
    def file(self) -> File | None:
        """The file it belongs to."""
        return self.finding.file or self.suspect.file

    @property
    def released(self) -> Release:
        """Whether its release was seen."""
        if self.finding.released_ns is not None:
            return "seen"
        watched = self.suspect.run.has_page_ref and self.suspect.listed is None
        return "held_at_end" if watched else "unknown"

    def sameness(self) -> tuple[object, ...]:
        """Rows equal in this are one run (DESIGN: cause, verdicts, holder, allocator, file, effect, tries)."""
        by, file, finding = self.allocated_by, self.file, self.finding
        return (
            self.cause.code,
            finding.verdict,
            finding.holder_verdict,
            finding.holder,
            finding.holder_name,
            finding.taken_by,
            finding.released_by,
            finding.premises_failed,
            finding.mechanism,
            (by.tid, by.comm, by.gfp, by.order) if by else None,
            (file.dev, file.ino) if file else None,
            self.effect,
            self.tries,
            self.released,
        )


def blocked_tries(meetings: Meetings, suspect: Suspect, finding: Finding) -> tuple[tuple[int, int], ...]:
    """Failed tries that met the page while it was held, as [first, last] runs."""
    since = finding.held_since_ns if finding.held_since_ns is not None else suspect.first_ns
    until = finding.released_ns if finding.released_ns is not None else suspect.run.end_ns
    tries = (one for one in meetings.draft.tries if one.result != "succeeded")
    numbers = [one.index for one in tries if _blocked(meetings, one, suspect, since, until)]
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)


def _blocked(meetings: Meetings, one: Try, suspect: Suspect, since_ns: int, until_ns: int) -> bool:
    """Whether the try came to the page while it was held; a page let go before that stood in its way no more."""
    if one.start_ns is None or one.end_ns is None:  # of a log without times
        return meetings.reached(one, suspect.pfn, suspect.pfn + suspect.pages)
    if since_ns > one.end_ns or until_ns < one.start_ns:
        return False
    pfns = suspect.pfn, suspect.pfn + suspect.pages
    if not meetings.reached(one, *pfns):
        return False
    return until_ns >= one.end_ns or until_ns >= meetings.met_ns(one, *pfns)


def waits_for(draft: Draft, suspect: Suspect) -> tuple[Wait, ...]:
    """The waits in whose middle the page stood in the way."""
    middles = ((wait, (wait.start_ns + wait.end_ns) // 2) for wait in draft.waits)
    return tuple(wait for wait, middle in middles if suspect.first_ns <= middle <= suspect.last_ns)


def merge(attempt_id: str, rows: Iterable[Row]) -> list[Culprit]:
    """Adjacent pages with the same story become one row."""
    culprits: list[Culprit] = []
    told = [(row.sameness(), row) for row in rows]
    told.sort(key=lambda one: (one[1].cause.code, str(one[0]), one[1].suspect.pfn))
    run: list[Row] = []
    before: object = None
    for sameness, row in told:
        joins = run and sameness == before and row.suspect.pfn == run[-1].suspect.pfn + run[-1].suspect.pages
        joins = joins and row.suspect.pfn >= 0
        if run and not joins:
            culprits.append(_culprit(run))
            run = []
        run.append(row)
        before = sameness
    if run:
        culprits.append(_culprit(run))
    culprits.sort(key=lambda c: (c.start_pfn is None, c.start_pfn or 0, c.page_address or "", c.cause, str(c.holder)))
    for number, culprit in enumerate(culprits):
        culprit.id = f"{attempt_id}/{number}"
    return culprits


def _capture_next(row: Row) -> list[str]:
    """What would prove it next time; for a page of a log the attempt has its own steps."""
    told = row.finding.verdict == "proved" or (row.suspect.logged is not None and row.cause.code == "unknown")
    return [] if told else list(row.cause.words.capture_next)


def _culprit(run: list[Row]) -> Culprit:
    first, last = run[0], run[-1]
    since = [row.finding.held_since_ns for row in run if row.finding.held_since_ns is not None]
    released = [row.finding.released_ns for row in run if row.finding.released_ns is not None]
    delay = sum(wait.end_ns - wait.start_ns for wait in first.waits) if first.effect == "delayed" else None
    evidence: list[Evidence] = []
    for row in run:
        if len(evidence) >= EVIDENCE_KEPT:
            break
        evidence += row.finding.evidence
    return Culprit(
        id="",
        start_pfn=first.suspect.pfn if first.suspect.pfn >= 0 else None,
        page_address=address_of(first.suspect),
        pages=last.suspect.pfn + last.suspect.pages - first.suspect.pfn,
        cause=first.cause.code,
        verdict=first.finding.verdict,
        candidates=list(first.finding.candidates),
        effect=first.effect,
        delay_ns=delay,
        blocked_tries=list(first.tries),
        holder=first.finding.holder,
        holder_verdict=first.finding.holder_verdict,
        holder_name=first.finding.holder_name,
        taken_by=first.finding.taken_by,
        released_by=first.finding.released_by,
        premises_failed=list(first.finding.premises_failed),
        mechanism=first.finding.mechanism,
        allocated_by=first.allocated_by,
        file=first.file,
        held_since_ns=min(since, default=None),
        released_ns=max(released, default=None),
        release=first.released,
        weakened_by=_weakened_by(run),
        evidence=evidence,
        capture_next=_capture_next(first),
    )


def _weakened_by(run: list[Row]) -> list[str]:
    """The losses of all rows, each named once."""
    lists = {id(row.finding.weakened_by): row.finding.weakened_by for row in run}  # pages of a run share theirs
    return sorted(set[str]().union(*lists.values()))
