"""The causes, in order: within an obstacle the first that applies wins, and a page may meet several obstacles.

A cause says `proved` only up to its ceiling: where no capture or log with established truth exercises it, hit and
near miss, the ceiling is `suggested`. The words are in model/explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from tracereplay.culprits import at_rest, file_pages, kernel_pages, log_verdicts, references, unseen
from tracereplay.culprits.finding import Finding, Predicate
from tracereplay.culprits.suspect import Suspect
from tracereplay.model.explain import EXPLANATIONS, Explanation
from tracereplay.model.result import Verdict


class Obstacle(IntEnum):
    """What kind of thing stands in the way; several kinds may meet on one page."""

    NATURE = 0  # the page is of a kind that is not moved
    STATE = 1  # I/O that has not ended
    REFERENCE = 2  # somebody holds it
    CACHE = 3  # its file system keeps it
    NOTHING = 4  # nothing above applied: what little can be said
    ATTEMPT = 5  # no page is to blame


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: its code, the obstacle it belongs to, its ceiling, the events without which it is not checkable.

    predicate -- whether it holds for a page of a replayed trace; at_rest -- for one of which only a snapshot is known.
    """

    code: str
    obstacle: Obstacle
    ceiling: Verdict
    needs: tuple[str, ...] = ()
    predicate: Predicate | None = None
    at_rest: Predicate | None = None

    @property
    def words(self) -> Explanation:
        """What it means, what proves it, what to do."""
        return EXPLANATIONS[self.code]


PAGE_REF = ("page_ref_mod", "page_ref_mod_unless", "page_ref_mod_and_test")

CAUSES: tuple[Cause, ...] = (
    Cause("hugetlb", Obstacle.NATURE, "suggested", PAGE_REF, kernel_pages.hugetlb, at_rest.hugetlb),
    Cause(
        "offline_or_hwpoison",
        Obstacle.NATURE,
        "suggested",
        ("kernel log",),
        kernel_pages.offline_or_hwpoison,
        at_rest.offline_or_hwpoison,
    ),
    Cause("secretmem", Obstacle.NATURE, "suggested", PAGE_REF, kernel_pages.secretmem, at_rest.secretmem),
    Cause("aio_ring", Obstacle.NATURE, "suggested", ("kernel log",), kernel_pages.aio_ring),
    Cause(
        "unmovable_allocation",
        Obstacle.NATURE,
        "proved",
        ("mm_page_alloc",),
        kernel_pages.unmovable_allocation,
        at_rest.unmovable_allocation,
    ),
    Cause(
        "percpu_free", Obstacle.NATURE, "suggested", ("mm_page_free", "mm_page_pcpu_drain"), kernel_pages.percpu_free
    ),
    Cause("writeback", Obstacle.STATE, "proved", PAGE_REF, file_pages.writeback, at_rest.writeback),
    Cause("locked_folio", Obstacle.STATE, "proved", PAGE_REF, file_pages.locked_folio, at_rest.locked_folio),
    Cause("pin_longterm", Obstacle.REFERENCE, "suggested", (*PAGE_REF, "kernel_stack"), references.longterm_pins),
    Cause("pin_short", Obstacle.REFERENCE, "proved", PAGE_REF, references.short_pins),
    Cause("lru_batch", Obstacle.REFERENCE, "suggested", PAGE_REF, references.lru_batch),
    Cause(
        "unsplittable_folio", Obstacle.CACHE, "suggested", ("mm_page_alloc", *PAGE_REF), file_pages.unsplittable_folio
    ),
    Cause(
        "buffer_head",
        Obstacle.CACHE,
        "proved",
        ("mm_filemap_add_to_page_cache", *PAGE_REF),
        file_pages.buffer_head,
        at_rest.buffer_head,
    ),
    Cause("no_migration_handler", Obstacle.CACHE, "suggested", ("kernel log",), file_pages.no_migration_handler),
    Cause("nofs_skipped", Obstacle.CACHE, "suggested", PAGE_REF, file_pages.nofs_skipped),
    Cause(
        "extra_reference", Obstacle.REFERENCE, "proved", PAGE_REF, references.extra_reference, at_rest.extra_reference
    ),
    Cause("preexisting", Obstacle.NOTHING, "unknown", (), unseen.preexisting),
    Cause("unknown", Obstacle.NOTHING, "unknown", (), unseen.unknown),
    Cause("destination_enomem", Obstacle.ATTEMPT, "proved", ("cma_alloc_finish", "mm_page_alloc")),
    Cause("bitmap_full", Obstacle.ATTEMPT, "proved", ("cma_alloc_finish",)),
    Cause("isolation_conflict", Obstacle.ATTEMPT, "suggested", ("cma_alloc_busy_retry", "test_pages_isolated")),
    Cause("not_isolatable", Obstacle.ATTEMPT, "proved", ("kernel log",)),
    Cause("notifier_veto", Obstacle.ATTEMPT, "suggested", ("kernel log",)),
    Cause("interrupted", Obstacle.ATTEMPT, "suggested", ("mm_migrate_pages",)),
    Cause("unfinished", Obstacle.ATTEMPT, "suggested", ()),
)

BY_CODE = {cause.code: cause for cause in CAUSES}
RANK: dict[Verdict, int] = {"unknown": 0, "suggested": 1, "proved": 2}


def capped(verdict: Verdict, ceiling: Verdict) -> Verdict:
    """The weaker of both."""
    return verdict if RANK[verdict] <= RANK[ceiling] else ceiling


def decide(suspect: Suspect) -> list[tuple[Cause, Finding]]:
    """Every obstacle on this page with its cause."""
    if suspect.logged is not None:
        return [(BY_CODE[code], _cap(finding, BY_CODE[code])) for code, finding in log_verdicts.findings(suspect)]
    met: set[Obstacle] = set()
    found: list[tuple[Cause, Finding]] = []
    for cause in CAUSES:
        predicate = cause.predicate if suspect.listed is None else cause.at_rest
        if predicate is None or cause.obstacle in met or _explained(cause, met, suspect):
            continue
        findings = predicate(suspect)
        if findings:
            met.add(cause.obstacle)
            found += [(cause, _cap(finding, cause)) for finding in findings]
    return found


def _explained(cause: Cause, met: set[Obstacle], suspect: Suspect) -> bool:
    """Whether what was found makes this cause superfluous.

    A page in I/O carries the I/O's own reference, and a page whose nature forbids moving needs no other reason.
    """
    if Obstacle.NATURE in met:
        return True
    if cause.obstacle == Obstacle.NOTHING:
        return bool(met)
    if cause.code == "extra_reference":
        return bool(met) and (suspect.excess <= 1 or Obstacle.CACHE in met)
    return False


def _cap(finding: Finding, cause: Cause) -> Finding:
    return replace(
        finding,
        verdict=capped(finding.verdict, cause.ceiling),
        holder_verdict=capped(finding.holder_verdict, cause.ceiling),
    )


def not_checkable(events: Sequence[str]) -> list[tuple[str, str]]:
    """Causes these events leave unprovable: (code, what is missing)."""
    have = set(events)
    out = []
    for cause in CAUSES:
        missing = [name for name in cause.needs if name not in have]
        if cause.ceiling != "proved":
            continue
        if missing:
            out.append((cause.code, ", ".join(missing)))
    return out
