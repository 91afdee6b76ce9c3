"""Findings on single pages -> the rows of the result: adjacent pages with one cause and one holder."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tracereplay.attempts.meetings import TryRuns
from tracereplay.culprits.alike import Alike
from tracereplay.culprits.finding import Finding
from tracereplay.culprits.landmarks import Ints
from tracereplay.culprits.log_pages import address_of
from tracereplay.culprits.suspect import Suspect
from tracereplay.culprits.table import Cause, claims
from tracereplay.model.result import LOSSES_NAMED, Allocation, Culprit, Effect, Evidence, File, Release, Task, Wait

EVIDENCE_KEPT = 12  # about so many rows for adjacent pages
WELL_SHOWN = 64  # of more rows of the result that say the same, the others have the evidence of their first page only
NOT_HELD, NOT_RELEASED = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(slots=True)
class PageFinding:
    """One finding on a page (or folio), and on pages alike.

    members -- int64[n], which of those it is about; place -- among the findings of its cause.
    """

    alike: Alike
    members: Ints
    cause: Cause
    place: int
    finding: Finding
    effect: Effect
    tries: TryRuns
    waits: tuple[Wait, ...]

    @property
    def suspect(self) -> Suspect:
        """The page that was decided on."""
        return self.alike.first

    def times_like(self, time_ns: int) -> Ints:
        """int64[n]: the time that is `time_ns` on the page decided on, of each page."""
        return self.alike.times_like(time_ns)[self.members]

    def evidence(self, page: Suspect) -> list[Evidence]:
        """The events that say so of one of the pages."""
        return self.finding.evidence if page is self.suspect else claims(self.cause, page)[self.place].evidence

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
        watched = self.suspect.context.has_page_ref and self.suspect.snapshot_page is None
        return "held_at_end" if watched else "unknown"

    def merge_key(self) -> tuple[object, ...]:
        """What adjacent pages have in common that are one row of the result (DESIGN.md, culprits)."""
        by, file, finding = self.allocated_by, self.file, self.finding
        return (
            self.cause.code,
            finding.verdict,
            finding.holder_verdict,
            _who(finding.holder),
            finding.holder_name,
            _who(finding.taken_by),
            _who(finding.released_by),
            finding.premises_failed,
            finding.mechanism,
            (by.tid, by.comm, by.gfp, by.order) if by else None,
            (file.dev, file.ino) if file else None,
            self.effect,
            self.tries,
            self.released,
        )


def _who(task: Task | None) -> tuple[object, ...] | None:
    return (task.tid, task.pid, task.comm) if task else None


def merge(attempt_id: str, findings: Iterable[PageFinding]) -> list[Culprit]:
    """Adjacent pages with the same story become one row."""
    stories: dict[tuple[object, ...], list[PageFinding]] = {}
    for one in findings:
        stories.setdefault(one.merge_key(), []).append(one)
    distinct = sorted(stories.items(), key=lambda one: str(one[0]))
    culprits = [culprit for _, same in distinct for culprit in _culprits(Story.of(same))]
    culprits.sort(key=lambda c: (c.start_pfn is None, c.start_pfn or 0, c.page_address or "", c.cause, str(c.holder)))
    for number, culprit in enumerate(culprits):
        culprit.id = f"{attempt_id}/{number}"
    return culprits


@dataclass(frozen=True, slots=True)
class Story:
    """All pages of findings that say the same, by PFN: int64[n] each, but for `findings`.

    whose -- place of the page's finding; member -- its place among the pages of that; held_ns and released_ns --
    NOT_HELD and NOT_RELEASED where not known.
    """

    findings: list[PageFinding]
    pfns: Ints
    pages: Ints
    whose: Ints
    member: Ints
    held_ns: Ints
    released_ns: Ints

    @classmethod
    def of(cls, findings: list[PageFinding]) -> Story:
        """Of findings with one merge key."""
        counts = [len(one.members) for one in findings]
        pfns = np.concatenate([one.alike.pfns[one.members] for one in findings])
        order = np.argsort(pfns, kind="stable")
        columns = (
            pfns,
            np.repeat([one.suspect.pages for one in findings], counts),
            np.repeat(np.arange(len(findings)), counts),
            np.concatenate([one.members for one in findings]),
            np.concatenate([one.times_like(_or(one.finding.held_since_ns, NOT_HELD)) for one in findings]),
            np.concatenate([one.times_like(_or(one.finding.released_ns, NOT_RELEASED)) for one in findings]),
        )
        return cls(findings, *(column[order] for column in columns))

    def page(self, at: int) -> tuple[PageFinding, Suspect]:
        """The page at this place, with its finding."""
        one = self.findings[self.whose[at]]
        return one, one.alike.suspect(int(self.member[at]))

    def runs(self) -> Iterator[tuple[int, int]]:
        """(first, end) places of adjacent pages; of a page without PFN each finding stands alone."""
        joined = (self.pfns[1:] == self.pfns[:-1] + self.pages[:-1]) & (self.pfns[1:] >= 0)
        breaks = (np.flatnonzero(~joined) + 1).tolist()
        return itertools.pairwise([0, *breaks, len(self.pfns)])


def _or(time_ns: int | None, otherwise: int) -> int:
    return otherwise if time_ns is None else time_ns


def _culprits(story: Story) -> Iterator[Culprit]:
    bounds = list(story.runs())
    firsts = np.array([first for first, _ in bounds])
    held = np.minimum.reduceat(story.held_ns, firsts).tolist()
    released = np.maximum.reduceat(story.released_ns, firsts).tolist()
    for number, (first, end) in enumerate(bounds):
        culprit = _culprit(story, first, end, EVIDENCE_KEPT if number < WELL_SHOWN else 1)
        culprit.held_since_ns = None if held[number] == NOT_HELD else held[number]
        culprit.released_ns = None if released[number] == NOT_RELEASED else released[number]
        yield culprit


def _culprit(story: Story, first: int, end: int, evidence_kept: int) -> Culprit:
    """The row of the pages at these places of a story."""
    one, page = story.page(first)
    start_pfn, end_pfn = int(story.pfns[first]), int(story.pfns[end - 1] + story.pages[end - 1])
    finding = one.finding
    delay = sum(wait.end_ns - wait.start_ns for wait in one.waits) if one.effect == "delayed" else None
    return Culprit(
        id="",
        start_pfn=start_pfn if start_pfn >= 0 else None,
        page_address=address_of(page),
        order=_order(story, first, end),
        pages=end_pfn - start_pfn,
        cause=one.cause.code,
        verdict=finding.verdict,
        candidates=list(finding.candidates),
        effect=one.effect,
        delay_ns=delay,
        blocked_tries=list(one.tries),
        holder=finding.holder,
        holder_verdict=finding.holder_verdict,
        holder_name=finding.holder_name,
        taken_by=finding.taken_by,
        released_by=finding.released_by,
        premises_failed=list(finding.premises_failed),
        mechanism=finding.mechanism,
        allocated_by=finding.allocated_by or page.allocation,
        file=finding.file or page.file,
        release=one.released,
        weakened_by=_weakened_by(story, first, end),
        evidence=_evidence(story, first, end, page, evidence_kept),
        capture_next=_capture_next(one),
    )


def _order(story: Story, first: int, end: int) -> int | None:
    """The order of the folios, where these pages are folios of one order."""
    pages = int(story.pages[first])
    folios = (story.findings[at].suspect.is_folio for at in set(story.whose[first:end].tolist()))
    same = pages > 1 and not pages & (pages - 1) and bool(np.all(story.pages[first:end] == pages))
    return pages.bit_length() - 1 if same and all(folios) else None


def _evidence(story: Story, first: int, end: int, page: Suspect, kept: int) -> list[Evidence]:
    """Of as many of these pages as it takes: the first pages' events say what the others' repeat. page -- the first."""
    evidence = list(story.findings[story.whose[first]].evidence(page))
    for at in range(first + 1, end):
        if len(evidence) >= kept:
            break
        one, page = story.page(at)
        evidence += one.evidence(page)
    return evidence


def _weakened_by(story: Story, first: int, end: int) -> list[str]:
    """The first losses that weaken the findings of these pages."""
    lists = (story.findings[at].finding.weakened_by for at in set(story.whose[first:end].tolist()))
    return heapq.nsmallest(LOSSES_NAMED, set[str]().union(*lists))


def weakened_by(findings: Iterable[PageFinding]) -> list[str]:
    """Every loss that weakens one of the findings, once."""
    lists = {id(one.finding.weakened_by): one.finding.weakened_by for one in findings}  # alike intervals share theirs
    return sorted(set[str]().union(*lists.values()))


def _capture_next(one: PageFinding) -> list[str]:
    """What would prove it next time; for a page of a log the attempt has its own steps."""
    known = one.finding.verdict == "proved" or (one.suspect.logged is not None and one.cause.code == "unknown")
    return [] if known else list(one.cause.words.capture_next)
