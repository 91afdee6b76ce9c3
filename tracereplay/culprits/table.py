"""The causes, in order: within an obstacle the first that applies wins, and a page may meet several obstacles.

Each row names the premises of its proof; `premises.py` checks them and gives the verdicts. A cause that no capture or
log with established truth exercises, hit and near miss, rests on the premise `established` and is never proved. The
words are in model/explain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

from tracereplay.culprits import (
    fallback_causes,
    file_pages,
    kernel_pages,
    log_verdicts,
    references,
    secretmem,
    snapshot_predicates,
)
from tracereplay.culprits.finding import Finding, Predicate
from tracereplay.culprits.premises import judge
from tracereplay.culprits.suspect import Suspect
from tracereplay.losses import EVENTS_NOT_RECORDED, Loss
from tracereplay.model.explain import EXPLANATIONS, Explanation
from tracereplay.model.result import Verdict
from tracereplay.replay.state import PageType


class Obstacle(IntEnum):
    """What kind of thing blocks migration; several kinds may meet on one page."""

    NATURE = 0  # the page is of a kind that is not moved
    STATE = 1  # I/O that has not ended
    LONGTERM_PIN = 2  # tasks that pinned it for long-term DMA
    PIN = 3  # tasks that pinned it otherwise
    HELD = 4  # tasks that keep a plain reference
    REFERENCE = 5  # references whose taker is not known
    CACHE = 6  # its file system keeps it
    NOTHING = 7  # nothing above applied: what little can be said
    ATTEMPT = 8  # no page is to blame


# The premises of each kind of claim (model/premises.py), in the order in which they are checked.
PAGE_STATE = ("shown", "recorded", "what")
COUNTED_STATE = ("shown", "recorded", "counted", "what")
REFERENCE = ("shown", "recorded", "counted", "needed", "not_isolation", "whose", "when")
EXCESS = ("shown", "recorded", "counted", "not_isolation", "when", "what")
NOT_ESTABLISHED = ("established", "shown", "recorded", "what")


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: its code, the obstacle it belongs to, the premises of its proof, the events it is checked with.

    needs -- events (or a kernel log) without which it cannot be proved; absent -- kinds of events whose absence its
    proof uses.
    page_types -- a page of one of these types has this cause by that alone, in a trace and in a log; predicate --
    whether it holds for a page of a replayed trace otherwise; snapshot_predicate -- for a page that only a snapshot
    shows. Without premises it claims nothing.
    ends_attempt -- it is why the want of a destination, which ends an attempt at once, is one: no other cause is.
    certain_untried -- it would block an attempt that never came to the page, whoever holds it; fallback_rank -- its
    place among the candidates of a page of which too little is known; None: not among them.
    """

    code: str
    obstacle: Obstacle
    premises: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    page_types: tuple[PageType, ...] = ()
    predicate: Predicate | None = None
    snapshot_predicate: Predicate | None = None
    ends_attempt: bool = False
    certain_untried: bool = False
    fallback_rank: int | None = None

    @property
    def of_pages(self) -> bool:
        """Whether pages of a replayed trace may have it; else whole attempts."""
        return self.predicate is not None or bool(self.page_types)

    @property
    def words(self) -> Explanation:
        """What it means, what proves it, what to do."""
        return EXPLANATIONS[self.code]

    @property
    def ceiling(self) -> Verdict:
        """The surest verdict it can have."""
        if not self.premises:
            return "unknown"
        return "suggested" if "established" in self.premises else "proved"


PAGE_REF = ("page_ref_mod", "page_ref_mod_unless", "page_ref_mod_and_test")

CAUSES: tuple[Cause, ...] = (
    Cause(
        "hugetlb",
        Obstacle.NATURE,
        NOT_ESTABLISHED,
        needs=PAGE_REF,
        page_types=(PageType.HUGETLB,),
        snapshot_predicate=snapshot_predicates.hugetlb,
        certain_untried=True,
        fallback_rank=8,
    ),
    Cause(
        "offline_or_hwpoison",
        Obstacle.NATURE,
        NOT_ESTABLISHED,
        needs=("kernel log",),
        page_types=(PageType.OFFLINE,),  # a balloon, virtio-mem
        predicate=kernel_pages.hwpoison,
        snapshot_predicate=snapshot_predicates.offline_or_hwpoison,
    ),
    Cause(
        "secretmem",
        Obstacle.NATURE,
        PAGE_STATE,
        needs=("kernel log",),
        absent=("mm_page_free",),
        predicate=secretmem.secretmem,
        snapshot_predicate=snapshot_predicates.secretmem,
        certain_untried=True,
    ),
    Cause("aio_ring", Obstacle.NATURE, NOT_ESTABLISHED, needs=("kernel log",), predicate=kernel_pages.aio_ring),
    Cause(
        "unmovable_allocation",
        Obstacle.NATURE,
        PAGE_STATE,
        needs=("mm_page_alloc",),
        absent=("mm_page_alloc", "mm_page_free", "mm_filemap_add_to_page_cache"),
        predicate=kernel_pages.unmovable_allocation,
        snapshot_predicate=snapshot_predicates.unmovable_allocation,
        certain_untried=True,
        fallback_rank=7,
    ),
    Cause(
        "percpu_free",
        Obstacle.NATURE,
        NOT_ESTABLISHED,
        needs=("mm_page_free", "mm_page_pcpu_drain"),
        predicate=kernel_pages.percpu_free,
    ),
    Cause(
        "writeback",
        Obstacle.STATE,
        PAGE_STATE,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=file_pages.writeback,
        snapshot_predicate=snapshot_predicates.writeback,
        certain_untried=True,
    ),
    Cause(
        "locked_folio",
        Obstacle.STATE,
        PAGE_STATE,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=file_pages.locked_folio,
        snapshot_predicate=snapshot_predicates.locked_folio,
        certain_untried=True,
        fallback_rank=6,
    ),
    Cause(
        "pin_longterm",
        Obstacle.LONGTERM_PIN,
        ("established", *REFERENCE),
        needs=(*PAGE_REF, "kernel_stack"),
        absent=PAGE_REF,
        predicate=references.longterm_pins,
        fallback_rank=2,
    ),
    Cause(
        "pin_short",
        Obstacle.PIN,
        REFERENCE,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=references.short_pins,
        fallback_rank=1,
    ),
    Cause(
        "task_reference",
        Obstacle.HELD,
        REFERENCE,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=references.task_references,
        fallback_rank=0,
    ),
    Cause(
        "lru_batch",
        Obstacle.REFERENCE,
        NOT_ESTABLISHED,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=references.lru_batch,
        fallback_rank=4,
    ),
    Cause(
        "unsplittable_folio",
        Obstacle.CACHE,
        NOT_ESTABLISHED,
        needs=("mm_page_alloc", *PAGE_REF),
        predicate=file_pages.unsplittable_folio,
        ends_attempt=True,  # for want of a destination of its order
    ),
    Cause(
        "buffer_head",
        Obstacle.CACHE,
        COUNTED_STATE,
        needs=("mm_filemap_add_to_page_cache", *PAGE_REF),
        absent=PAGE_REF,
        predicate=file_pages.buffer_head,
        snapshot_predicate=snapshot_predicates.buffer_head,
        fallback_rank=5,
    ),
    Cause(
        "no_migration_handler",
        Obstacle.CACHE,
        NOT_ESTABLISHED,
        needs=("kernel log",),
        predicate=file_pages.no_migration_handler,
    ),
    Cause("nofs_skipped", Obstacle.CACHE, NOT_ESTABLISHED, needs=PAGE_REF, predicate=file_pages.nofs_skipped),
    Cause(
        "extra_reference",
        Obstacle.REFERENCE,
        EXCESS,
        needs=PAGE_REF,
        absent=PAGE_REF,
        predicate=references.extra_reference,
        snapshot_predicate=snapshot_predicates.extra_reference,
        fallback_rank=3,
    ),
    Cause("preexisting", Obstacle.NOTHING, predicate=fallback_causes.preexisting),
    Cause("unknown", Obstacle.NOTHING, predicate=fallback_causes.unknown),
    Cause("destination_enomem", Obstacle.ATTEMPT, ("shown",), needs=("cma_alloc_finish", "mm_page_alloc")),
    Cause("bitmap_full", Obstacle.ATTEMPT, ("shown", "recorded"), needs=("cma_alloc_finish",)),
    Cause(
        "isolation_conflict",
        Obstacle.ATTEMPT,
        ("established", "shown", "recorded"),
        needs=("cma_alloc_busy_retry", "test_pages_isolated"),
    ),
    Cause("not_isolatable", Obstacle.ATTEMPT, ("shown",), needs=("kernel log",)),
    Cause("notifier_veto", Obstacle.ATTEMPT, ("established", "shown"), needs=("kernel log",)),
    Cause(
        "movable_only_free",
        Obstacle.ATTEMPT,
        ("established", "shown", "recorded"),
        needs=("mm_page_alloc", "mm_page_free"),
    ),
    Cause("interrupted", Obstacle.ATTEMPT, ("established", "shown"), needs=("mm_migrate_pages",)),
    Cause("unfinished", Obstacle.ATTEMPT, ("established", "shown")),
)

CAUSE_OF_TYPE = {kind: cause.code for cause in CAUSES for kind in cause.page_types}
BLOCKING_TYPES = tuple(CAUSE_OF_TYPE)
BY_CODE = {cause.code: cause for cause in CAUSES}
_RANKED = [(cause.fallback_rank, cause.code) for cause in CAUSES if cause.fallback_rank is not None]
FALLBACK_CANDIDATES = tuple(code for _, code in sorted(_RANKED))
RANK: dict[Verdict, int] = {"unknown": 0, "suggested": 1, "proved": 2}


def decide(suspect: Suspect) -> list[tuple[Cause, Finding]]:
    """Every obstacle on this page with its cause; the findings of a cause in the order of `claims`."""
    if suspect.logged is not None:
        found = [(BY_CODE[code], finding) for code, finding in log_verdicts.findings(suspect, CAUSE_OF_TYPE)]
    else:
        found = _found(suspect)
    for cause, finding in found:
        judge(suspect, finding, cause.premises, cause.absent)
    return found


def _found(suspect: Suspect) -> list[tuple[Cause, Finding]]:
    """What the table claims of a page that a replay or a snapshot shows."""
    met: set[Obstacle] = set()
    found: list[tuple[Cause, Finding]] = []
    for cause in CAUSES:
        if cause.obstacle in met or _explained(cause, met, suspect):
            continue
        findings = claims(cause, suspect)
        if cause.obstacle == Obstacle.NOTHING:
            for finding in findings:
                finding.candidates = FALLBACK_CANDIDATES
        if findings:
            met.add(cause.obstacle)
            found += [(cause, finding) for finding in findings]
    return found


def claims(cause: Cause, suspect: Suspect) -> list[Finding]:
    """What the events say; of a page without events, what the snapshot says. A page that is named may have both."""
    snapshot_page = suspect.snapshot_page
    found = _by_events(cause, suspect) if snapshot_page is None or suspect.named else []
    if found or snapshot_page is None or cause.snapshot_predicate is None:
        return found
    found = cause.snapshot_predicate(suspect)
    for finding in found:
        finding.shown = bool(finding.shown) and not snapshot_page.earlier
    return found


def _by_events(cause: Cause, suspect: Suspect) -> list[Finding]:
    if cause.page_types and suspect.page_types.intersection(cause.page_types):
        return kernel_pages.of_type(suspect)
    return cause.predicate(suspect) if cause.predicate is not None else []


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


# Recorded with an event that is rare: where it occurs, so would the other.
RECORDED_WITH = {"mm_filemap_add_to_page_cache": "mm_filemap_delete_from_page_cache"}


def events_not_recorded(recorded: Collection[str]) -> list[Loss]:
    """A loss for each kind of event whose absence some cause uses, where others of its group are in the trace."""
    groups = [cause.absent for cause in CAUSES if any(name in recorded for name in cause.absent)]
    names = dict.fromkeys(name for group in groups for name in group)
    missing = [name for name in names if name not in recorded and RECORDED_WITH.get(name) not in recorded]
    return [Loss(EVENTS_NOT_RECORDED, detail=name) for name in missing]


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
