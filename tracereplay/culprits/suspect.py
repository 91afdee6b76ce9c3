"""A page that blocked migration, as the replay saw it: the view every cause is decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.waits import SLEEP_NS
from tracereplay.culprits.context import AnalysisContext
from tracereplay.model.result import Allocation, File, Task, Wait
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefEnd, RefKind, State
from tracereplay.schema import KPF, IrqContext

PRIVATE = frozenset({"private", "private_2"})  # page_has_private()
FRESH_NS = 100_000_000  # LRU batches are drained within this time on a busy CPU


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference that was open when the page blocked migration (fields as in replay.state.REF)."""

    ns: int
    close_ns: int | None
    tid: int
    close_tid: int | None
    val: int
    cpu: int
    op: int
    kind: RefKind
    confirmed: bool  # another task's later event found it still there
    end: RefEnd = RefEnd.OPEN
    close_op: int = 0
    before: int = 0
    met_ns: int | None = 0
    on_lru: bool = True
    shared_ns: int | None = None
    unmap_ns: int | None = None
    irq: IrqContext = IrqContext.TASK
    close_irq: IrqContext = IrqContext.TASK
    close_cpu: int | None = None

    def met_by(self, time_ns: int) -> bool:
        """Whether an attempt had come to the page by then, while the reference was open."""
        return self.met_ns is not None and self.met_ns <= time_ns

    def shared_by(self, time_ns: int) -> bool:
        """Whether a put up to then may have given this one back in place of another taker's, or of a mapping's.

        A mapping's reference is only put by the task that unmapped: what the taker gives back later was its own.
        """
        given_back = self.end == RefEnd.PUT and self.close_tid == self.tid and self.close_irq == IrqContext.TASK
        unmapped = self.unmap_ns is not None and self.unmap_ns <= time_ns and not given_back
        return unmapped or (self.shared_ns is not None and self.shared_ns <= time_ns)


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """A page (or large folio) as a snapshot lists it: its kpageflags, and its mappings (None without kpagecount)."""

    flags: frozenset[KPF]
    mapcount: int | None = None
    earlier: bool = False  # the snapshot was taken before the trace: it shows nothing of the requested moment


@dataclass(frozen=True, slots=True)
class SecretFile:
    """What an attempt showed of a file that looks like secret memory: pages tried in vain, a page dumped as such."""

    tried: int
    dumped_pfn: int | None


@dataclass(slots=True)
class Suspect:
    """One page (or large folio) in the way of one attempt. Times are ns; None = never or unknown."""

    context: AnalysisContext
    draft: DetectedAttempt
    seen_in_wait: bool  # seen in the middle of a wait, not at a failing test
    pfn: int
    pages: int
    first_ns: int
    last_ns: int
    reasons: int  # of replay.state.Reason
    marks: int  # of replay.state.Mark
    state: State
    order: int
    count: int
    mapcount: int
    flags: frozenset[str]
    post_flags: frozenset[str]
    gfp: int
    alloc_ns: int | None
    alloc_tid: int | None
    file: File | None
    min_excess: int
    confirmed: int
    no_event_since_probe: bool
    isolation_refs: int
    post_ns: int | None
    clear_ns: int | None
    clear_tid: int | None
    clear_irq: IrqContext
    unlock_ns: int | None
    written_ns: int | None
    end_ns: int | None
    end_tid: int | None
    refs: list[Ref] = field(default_factory=list)
    logged: Mapping[str, Any] | None = None  # the row of a log that shows it, where there is no trace of the attempt
    locked_rivals: bool = False  # other pages look locked in the same wait: the task sleeps on one of them
    held_groups: Sequence[tuple[Ref, ...]] | None = field(
        default=None, init=False
    )  # references that make up its excess, a group for each task
    blamed_refs: tuple[Ref, ...] = ()  # those that make up its excess, of all its findings
    snapshot_page: SnapshotPage | None = None  # what a snapshot says of it, where no event does
    secret_file: SecretFile | None = None  # of the page's file, where it looks like secret memory

    @property
    def named(self) -> bool:
        """Whether the kernel itself named it as first in the way."""
        return bool(self.reasons & Reason.NAMED)

    @property
    def touched(self) -> bool:
        """Whether the isolating task took it up."""
        return bool(self.marks & Mark.ISOLATED)

    @property
    def is_fresh(self) -> bool:
        """Whether it was allocated so shortly before the last probe that it may be in an LRU batch still."""
        return self.alloc_ns is not None and self.last_ns - self.alloc_ns <= FRESH_NS

    @property
    def is_large(self) -> bool:
        """Whether it is a large folio, of known order or not."""
        return self.order > 0 or "head" in self.flags

    @property
    def draft_isolated(self) -> bool:
        """Whether isolation of the attempt's range had succeeded: then has_unmovable_pages() found nothing in it."""
        return self.draft.isolated

    @property
    def since_alloc_ns(self) -> int:
        """Its allocation, or the start of the attempt where the allocation was not seen."""
        return self.draft.start_ns if self.alloc_ns is None else self.alloc_ns

    @property
    def excess(self) -> int:
        """References beyond the expected ones: the smallest seen before, within and after the attempt's test."""
        return max(self.confirmed, self.min_excess) if self.no_event_since_probe else self.confirmed

    @property
    def held_at_a_probe(self) -> bool:
        """Whether a task had a get or a pin on it when it was met: at a migration that failed, or at the test."""
        return any(ref.kind in (RefKind.GET, RefKind.PIN) for ref in self.refs)

    @property
    def isolated(self) -> int:
        """References that isolation holds at the last probe: off the LRU somebody has isolated it, and keeps one."""
        return max(self.isolation_refs, 0 if "lru" in self.flags else 1)

    @property
    def excess_at_test(self) -> int:
        """The same by its count at the last probe alone; of a small page of a file."""
        return self.count - self.isolated - (self.mapcount + 1) - 1 - bool(self.flags & PRIVATE)

    @property
    def taken_off_lru(self) -> bool:
        """Whether the isolating task took it off the LRU; else it only looked at it, and went on."""
        return bool(self.marks & Mark.TAKEN_OFF_LRU)

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The waits in whose middle it blocked migration."""
        return tuple(wait for wait in self.draft.waits if self.first_ns <= wait.middle_ns <= self.last_ns)

    @property
    def unlocked_in_wait(self) -> bool:
        """Whether it was seen unlocked while the task slept on: then the task slept for something else.

        folio_lock() wakes the sleeper, which goes on with the page.
        """
        ends = [wait.end_ns for wait in self.waits]
        return bool(ends) and self.unlock_ns is not None and self.unlock_ns + SLEEP_NS <= min(ends)

    @property
    def locked_after_wait(self) -> bool:
        """Whether it was neither unlocked nor moved when the task had woken: it slept for something else.

        folio_lock() returns with the lock, and the page is the next to be moved.
        """
        woken_ns = min((wait.end_ns for wait in self.waits), default=None)
        if woken_ns is None:
            return False
        seen_later = self.post_ns is not None and self.post_ns > woken_ns
        if seen_later and "locked" in self.post_flags and "uptodate" not in self.post_flags:
            return True
        settled = [ns for ns in (self.unlock_ns, self.end_ns) if ns is not None]
        return min(settled, default=self.context.end_ns) > woken_ns + SLEEP_NS

    @property
    def owner(self) -> Mapping[str, Any] | None:
        """Its page_owner record, where the trace did not see its allocation and the record is not of a later life."""
        row = None if self.marks & Mark.ALLOC_SEEN else self.context.owners.get(self.pfn)
        timed = self.snapshot_page is None and not self.draft.timeless
        later = row is not None and timed and (row["time_ns"] or 0) > self.first_ns
        return None if later else row

    @property
    def recorded_owner(self) -> Allocation | None:
        """Who allocated it, by its page_owner record."""
        row = self.owner
        if row is None:
            return None
        mask = row["gfp_mask"]
        return Allocation(
            tid=row["tid"],
            pid=row["pid"],
            comm=row["comm"],
            gfp=row["gfp_flags"] or (None if mask is None else self.context.gfp_words(mask)),
            order=row["order"],
            time_ns=row["time_ns"],
        )

    @property
    def allocation(self) -> Allocation | None:
        """Who allocated it: as the trace saw, else as page_owner says."""
        if not self.marks & Mark.ALLOC_SEEN:
            return self.recorded_owner
        task = self.context.task(self.alloc_tid, self.alloc_ns)
        return Allocation(
            tid=self.alloc_tid,
            pid=task.pid if task else None,
            comm=task.comm if task else None,
            part_of=task.part_of if task else None,
            gfp=self.gfp_words,
            order=self.order,
            time_ns=self.alloc_ns,
        )

    @property
    def is_folio(self) -> bool:
        """Whether its pages are one folio; pages allocated together without __GFP_COMP are not."""
        if self.pages == 1:
            return False
        made = self.allocation or self.dumped_owner
        if made is not None and made.gfp is not None:
            return "__GFP_COMP" in made.gfp or "GFP_TRANSHUGE" in made.gfp
        said = self.snapshot_page.flags if self.snapshot_page is not None else frozenset()
        return "head" in self.flags or bool({KPF.COMPOUND_HEAD, KPF.COMPOUND_TAIL} & said)

    @property
    def gfp_words(self) -> str:
        """The mask of its allocation by names."""
        return self.context.gfp_words(self.gfp)

    @property
    def dump(self) -> Mapping[str, Any] | None:
        """The kernel's own dump of this page, printed during the attempt."""
        if self.logged is not None:
            return self.logged if "refcount" in self.logged else None
        return self.context.dump_of(self.pfn, self.draft)

    @property
    def dumped_owner(self) -> Allocation | None:
        """Who allocated it, by the page_owner lines of the kernel's dump."""
        row = self.dump
        if row is None or row["owner_tid"] is None:
            return None
        return Allocation(
            tid=row["owner_tid"],
            pid=row["owner_pid"],
            comm=row["owner_comm"],
            gfp=row["owner_gfp"],
            order=row["owner_order"],
            time_ns=row["owner_time_ns"],
        )

    @property
    def page_type(self) -> PageType | None:
        """Its page type, for pages that have one."""
        if not self.marks & Mark.TYPED or self.mapcount > TYPED_MAPCOUNT + PageType.OTHER:
            return None
        return PageType(self.mapcount - TYPED_MAPCOUNT)

    @property
    def page_types(self) -> frozenset[PageType]:
        """The page types that reference events or the kernel's dump show at the test; not those met in a wait."""
        seen = self.page_type if not self.seen_in_wait else None
        word = "" if self.dump is None else str(self.dump["page_type"] or "")
        return frozenset(kind for kind in PageType if kind == seen or kind.word in word)

    @property
    def file_known(self) -> bool:
        """Whether device and inode of its file are known."""
        return self.file is not None and self.file.dev is not None and self.file.ino is not None

    @property
    def on_block_device(self) -> bool:
        """Whether its file is a block device's own page cache (the bdev pseudo file system; i_ino is the dev_t)."""
        return (
            self.file is not None
            and self.file.dev is not None
            and self.file.ino is not None
            and self.context.layout.names.is_block_device(self.file.dev, self.file.ino)
        )

    @property
    def in_cma(self) -> bool:
        """Whether it is in a CMA area."""
        return self.draft.operation == "cma_alloc" or self.context.layout.area_of(self.pfn) is not None

    def releaser(self, refs: Sequence[Ref]) -> Task | None:
        """The one task that gave these references back; None in interrupt context, whose task is a bystander.

        Where no event shows the context, only the taker itself is known not to be one.
        """
        known = {IrqContext.TASK: True, IrqContext.INTERRUPT: False}
        puts = {
            ref.close_tid
            for ref in refs
            if ref.end == RefEnd.PUT and known.get(ref.close_irq, ref.close_tid == ref.tid)
        }
        tid = puts.pop() if len(puts) == 1 else None
        close_ns = max((ref.close_ns or 0 for ref in refs), default=0)
        return None if tid is None or tid <= 0 else self.context.task(tid, close_ns)

    def hiding(self, since_ns: int, names: Sequence[str], until_ns: int | None = None) -> Sequence[str]:
        """Losses that may have hidden events of these kinds from `since_ns` until then, or until the last probe."""
        return self.context.hiding(since_ns, self.last_ns if until_ns is None else until_ns, names)
