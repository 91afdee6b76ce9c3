"""A page that stood in the way, as the replay saw it: the view every cause is decided on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracereplay.attempts.draft import Draft, Moment
from tracereplay.culprits.log_pages import NO_PFN
from tracereplay.culprits.probe_events import ProbeEvents
from tracereplay.layout.layout import Layout
from tracereplay.loss_index import LossIndex
from tracereplay.losses import Loss
from tracereplay.model.result import Allocation, File, Task
from tracereplay.replay.engine import Engine
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefEnd, RefKind, State
from tracereplay.schema import KPF, IrqContext
from tracereplay.tasks import is_user_task
from tracereplay.units import NS_PER_S

LOG_BEHIND_NS = 2 * NS_PER_S


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
    irq: IrqContext = IrqContext.TASK
    close_irq: IrqContext = IrqContext.TASK
    close_cpu: int | None = None

    def met_by(self, time_ns: int) -> bool:
        """Whether an attempt had come to the page by then, while the reference was open."""
        return self.met_ns is not None and self.met_ns <= time_ns

    def shared_by(self, time_ns: int) -> bool:
        """Whether a put up to then may have given this one back in place of another taker's."""
        return self.shared_ns is not None and self.shared_ns <= time_ns


@dataclass(frozen=True, slots=True)
class Listed:
    """A page (or large folio) as a snapshot lists it: its kpageflags, and its mappings (None without kpagecount)."""

    flags: frozenset[KPF]
    mapcount: int | None = None
    earlier: bool = False  # the snapshot was taken before the trace: it shows nothing of the moment asked about


@dataclass(frozen=True, slots=True)
class SecretFile:
    """What an attempt showed of a file that looks like secret memory: pages tried in vain, a page dumped as such."""

    tried: int
    dumped_pfn: int | None


@dataclass(slots=True)
class Run:
    """What a whole analysis knows: machine, names, losses, logs; shared by all suspects."""

    layout: Layout
    comm_of: Callable[[int], str | None]
    has_page_ref: bool  # whether references were recorded
    flag_bits: Mapping[str, int]
    losses: Sequence[tuple[str, Loss]]  # (id, loss)
    dumps: Mapping[int, Sequence[Mapping[str, Any]]]  # kernel-log page dumps by pfn
    migrate_failures: Mapping[int, Sequence[Mapping[str, Any]]]
    end_ns: int
    owners: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  # page_owner records by pfn
    pinners: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # page_pinner records by pfn
    snapshot: PageWords | None = None  # the pages' flags, where a copy of kpageflags tells them
    has_trace: bool = False  # there are events: that copy was taken before them
    probes: ProbeEvents | None = None  # where references were seen by kprobes
    stack_of: Callable[[int, int, int], tuple[str, ...] | None] = lambda _ns, _cpu, _tid: None
    stack_id_of: Callable[[int, int, int], str | None] = lambda _ns, _cpu, _tid: None
    exit_of: Callable[[int, int, int], Moment | None] = lambda _tid, _since_ns, _until_ns: None
    comm_at: Callable[[int, int], str | None] | None = None  # a task's name at a time; None: names have no times
    _loss_indexes: dict[tuple[str, ...], LossIndex] = field(default_factory=dict, init=False)  # by kinds of events

    def task(self, tid: int | None, time_ns: int | None = None) -> Task | None:
        """The task with its name, at a time where one is given; pid only where a listing has it."""
        if tid is None or tid < 0:
            return None
        return Task(tid=tid, pid=self.layout.pids.get(tid), comm=self.name_of(tid, time_ns))

    def name_of(self, tid: int, time_ns: int | None = None) -> str | None:
        """A task's name; a thread id can be used again, so the time matters where names have times."""
        timed = self.comm_at if time_ns is not None else None
        comm = self.comm_of(tid) if timed is None or time_ns is None else timed(tid, time_ns)
        return comm or self.layout.comms.get(tid)

    def is_user(self, tid: int, time_ns: int | None = None) -> bool:
        """Whether the task is known to be a user's."""
        return is_user_task(tid, self.name_of(tid, time_ns))

    def dump_of(self, pfn: int, draft: Draft) -> Mapping[str, Any] | None:
        """The kernel's dump of the page printed during the attempt, by its task where the line tells.

        Lines of a log file have no task and another clock: they may be this far off.
        """
        for row in self.dumps.get(pfn, ()):
            mine = row["tid"] is None or draft.tid is None or row["tid"] == draft.tid
            slack_ns = LOG_BEHIND_NS if row["tid"] is None or draft.basis == "log" else 0
            if mine and (row["time_ns"] is None or draft.covers(row["time_ns"], slack_ns)):
                return row
        return None

    def named_by_log(self, pfn: int, draft: Draft) -> Mapping[str, Any] | None:
        """The line that says that the page did not migrate, of an attempt that only the log shows."""
        rows = self.migrate_failures.get(pfn, ()) if draft.basis == "log" else ()
        return next((row for row in rows if row["kind"] != "soft_offline"), None)

    def hiding(self, start_ns: int, end_ns: int, names: Sequence[str]) -> Sequence[str]:
        """Losses that may have hidden events of these kinds in this interval."""
        kinds = tuple(names)
        if kinds not in self._loss_indexes:
            self._loss_indexes[kinds] = LossIndex((name, loss) for name, loss in self.losses if loss.may_hide(kinds))
        return self._loss_indexes[kinds].touching(start_ns, end_ns)


@dataclass(slots=True)
class Suspect:
    """One page (or large folio) in the way of one attempt. Times are ns; None = never or unknown."""

    run: Run
    draft: Draft
    awaited: bool  # seen in the middle of a wait, not at a failing test
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
    pending: bool
    own: int
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
    listed: Listed | None = None  # what a snapshot says of it, where no event does
    secret_file: SecretFile | None = None  # of the page's file, where it looks like secret memory

    @property
    def named(self) -> bool:
        """Whether the kernel itself named it as first in the way."""
        return bool(self.reasons & Reason.NAMED)

    @property
    def touched(self) -> bool:
        """Whether the isolating task took it up."""
        return bool(self.marks & Mark.TOUCHED)

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
        return max(self.confirmed, self.min_excess) if self.pending else self.confirmed

    @property
    def excess_at_test(self) -> int:
        """The same by its count at the last probe alone; of a small page of a file.

        Off the LRU somebody has isolated it, and keeps a reference for that.
        """
        isolated = max(self.own, 0 if "lru" in self.flags else 1)
        return self.count - isolated - (self.mapcount + 1) - 1 - ("private" in self.flags)

    @property
    def owner(self) -> Mapping[str, Any] | None:
        """Its page_owner record, where the trace did not see its allocation and the record is not of a later life."""
        row = None if self.marks & Mark.BORN else self.run.owners.get(self.pfn)
        timed = self.listed is None and not self.draft.timeless
        later = row is not None and timed and (row["time_ns"] or 0) > self.first_ns
        return None if later else row

    @property
    def allocation(self) -> Allocation | None:
        """Who allocated it: as the trace saw, else as page_owner says."""
        row = self.owner
        if row is not None:
            return Allocation(
                tid=row["tid"],
                pid=row["pid"],
                comm=row["comm"],
                gfp=row["gfp_flags"] or (None if row["gfp_mask"] is None else f"{row['gfp_mask']:#x}"),
                order=row["order"],
                time_ns=row["time_ns"],
            )
        if not self.marks & Mark.BORN:
            return None
        task = self.run.task(self.alloc_tid)
        return Allocation(
            tid=self.alloc_tid,
            pid=task.pid if task else None,
            comm=task.comm if task else None,
            gfp=f"{self.gfp:#x}",
            order=self.order,
            time_ns=self.alloc_ns,
        )

    @property
    def dump(self) -> Mapping[str, Any] | None:
        """The kernel's own dump of this page, printed during the attempt."""
        if self.logged is not None:
            return self.logged if "refcount" in self.logged else None
        return self.run.dump_of(self.pfn, self.draft)

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
            and self.file.dev >> 20 == 0
            and self.file.ino >> 20 > 0
        )

    @property
    def in_cma(self) -> bool:
        """Whether it lies in a CMA area."""
        return self.draft.operation == "cma_alloc" or self.run.layout.area_of(self.pfn) is not None

    def releaser(self, refs: Sequence[Ref]) -> Task | None:
        """The one task that gave these references back; None in interrupt context, whose task is a bystander."""
        puts = {ref.close_tid for ref in refs if ref.end == RefEnd.PUT and ref.close_irq != IrqContext.INTERRUPT}
        tid = puts.pop() if len(puts) == 1 else None
        close_ns = max((ref.close_ns or 0 for ref in refs), default=0)
        return None if tid is None or tid <= 0 else self.run.task(tid, close_ns)

    def hiding(self, since_ns: int, names: Sequence[str], until_ns: int | None = None) -> Sequence[str]:
        """Losses that may have hidden events of these kinds from `since_ns` until then, or until the last probe."""
        return self.run.hiding(since_ns, self.last_ns if until_ns is None else until_ns, names)


def suspects_of(engine: Engine, run: Run, drafts: Sequence[Draft]) -> dict[int, list[Suspect]]:
    """Every suspect by attempt number, with the references claimed for it."""
    refs, files = engine.table("refs"), engine.table("files")
    claims: dict[int, list[int]] = {}
    for suspect, ref in engine.table("claims").tolist():
        claims.setdefault(suspect, []).append(ref)
    names = {1 << bit: name for name, bit in run.flag_bits.items()}
    found: dict[int, list[Suspect]] = {}
    rows = engine.table("suspects")
    for number, values in enumerate(rows.tolist()):
        row = dict(zip(rows.dtype.names or (), values, strict=True))
        attempt, awaited = divmod(row["attempt"], 2)
        held = [_ref(refs[at]) for at in claims.get(number, ())]
        found.setdefault(attempt, []).append(_suspect(run, drafts[attempt], bool(awaited), row, files, held, names))
    return found


def logged_suspects(run: Run, draft: Draft, known: set[int]) -> list[Suspect]:
    """Pages that only the kernel's dumps show in the attempt's way: not in the trace, or there is no trace."""
    found: list[Suspect] = []
    if draft.outcome == "succeeded" and len(draft.tries) <= 1:
        return found
    if draft.log_line is not None:  # no event shows the attempt
        dumped = [_logged(run, draft, row) for row in _distinct(draft.evidence) if row["pfn"] not in known]
        return [*dumped, *_recorded(run, draft, {suspect.pfn for suspect in dumped})]
    for pfn in run.dumps:
        row = run.dump_of(pfn, draft)
        inside = any(start <= pfn < end for start, end in draft.spans)
        if pfn in known or row is None or not (inside or pfn == draft.log_pfn):
            continue
        if row["reason"] not in ("migration failure", "unmovable page", "isolation failed"):
            continue
        found.append(_logged(run, draft, row))
    for pfn in run.migrate_failures:
        line = run.named_by_log(pfn, draft)
        if line is None or pfn in known or pfn in run.dumps or not any(low <= pfn < high for low, high in draft.spans):
            continue
        found.append(_logged(run, draft, line))
    return found


def _distinct(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row for each page: its first dump, else the line that names it."""
    pages: dict[object, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: "refcount" not in row):
        pages.setdefault(row["pfn"] if row["pfn"] is not None else row.get("address"), row)
    return list(pages.values())


def _logged(run: Run, draft: Draft, row: Mapping[str, Any]) -> Suspect:
    """A page that a line of the attempt shows."""
    pfn = NO_PFN if row["pfn"] is None else row["pfn"]
    when = row["time_ns"] if row["time_ns"] is not None else draft.start_ns
    suspect = unreplayed(run, draft, pfn, row.get("order") or 0, when)
    suspect.logged = row
    suspect.reasons = Reason.LOGGED | (Reason.NAMED if pfn == draft.log_pfn else 0)
    if "refcount" in row:
        suspect.count, suspect.mapcount = row["refcount"] or 0, (row["mapcount"] or 0) - 1
        suspect.flags = frozenset(row["flags"] or ())
    return suspect


def _recorded(run: Run, draft: Draft, known: set[int]) -> list[Suspect]:
    """Pages in the ranges of a log's attempt that page_owner lists: in use at the dump, whether in the way or not."""
    if not run.owners:
        return []
    ranges = [(t.start_pfn, t.end_pfn) for t in draft.tries if t.start_pfn is not None and t.end_pfn is not None]
    found = []
    for pfn, row in run.owners.items():
        if pfn not in known and any(low <= pfn < high for low, high in ranges):
            suspect = unreplayed(run, draft, pfn, row["order"] or 0, draft.start_ns)
            suspect.logged = {"pfn": pfn, "kind": "page_owner", "time_ns": row["time_ns"], "tid": row["tid"]}
            found.append(suspect)
    return found


def unreplayed(run: Run, draft: Draft, pfn: int, order: int, time_ns: int) -> Suspect:
    """A page in use of which no event tells."""
    return Suspect(
        run=run,
        draft=draft,
        awaited=False,
        pfn=pfn,
        pages=1 << order,
        first_ns=time_ns,
        last_ns=time_ns,
        reasons=0,
        marks=0,
        state=State.ALLOCATED,
        order=order,
        count=0,
        mapcount=-1,
        flags=frozenset(),
        post_flags=frozenset(),
        gfp=0,
        alloc_ns=None,
        alloc_tid=None,
        file=None,
        min_excess=0,
        confirmed=0,
        pending=False,
        own=0,
        post_ns=None,
        clear_ns=None,
        clear_tid=None,
        clear_irq=IrqContext.TASK,
        unlock_ns=None,
        written_ns=None,
        end_ns=None,
        end_tid=None,
    )


def _time(value: np.integer[Any] | int) -> int | None:
    return None if value < 0 else int(value)


def _ref(row: np.void) -> Ref:
    return Ref(
        int(row["ns"]),
        _time(row["close_ns"]),
        int(row["tid"]),
        _time(row["close_tid"]),
        int(row["val"]),
        int(row["cpu"]),
        int(row["op"]),
        RefKind(int(row["kind"])),
        bool(row["confirmed"]),
        RefEnd(int(row["end"])),
        int(row["close_op"]),
        int(row["before"]),
        _time(row["met_ns"]),
        bool(row["on_lru"]),
        _time(row["shared_ns"]),
        IrqContext(int(row["irq"])),
        IrqContext(int(row["close_irq"])),
        None if row["close_ns"] < 0 else int(row["close_cpu"]),
    )


def _flags(value: int, names: Mapping[int, str]) -> frozenset[str]:
    return frozenset(name for mask, name in names.items() if value & mask)


def _file(run: Run, row: Mapping[str, int], files: np.ndarray[Any, Any]) -> File | None:
    if row["file"] < 0:
        return None
    dev, ino = (_time(int(files[row["file"]][name])) for name in ("dev", "ino"))
    if dev is None and ino is None:
        return None
    fs = run.layout.file_systems.get(dev) if dev is not None else None
    return File(dev=dev, ino=ino, index=_time(row["index"]), fs=fs)


def _suspect(
    run: Run,
    draft: Draft,
    awaited: bool,
    row: Mapping[str, int],
    files: np.ndarray[Any, Any],
    held: list[Ref],
    names: Mapping[int, str],
) -> Suspect:
    born = bool(row["marks"] & Mark.BORN)
    return Suspect(
        run=run,
        draft=draft,
        awaited=awaited,
        pfn=row["pfn"],
        pages=1 << row["order"] if row["state"] == State.ALLOCATED else 1,
        first_ns=row["first_ns"],
        last_ns=row["last_ns"],
        reasons=row["reasons"],
        marks=row["marks"],
        state=State(row["state"]),
        order=row["order"],
        count=row["count"],
        mapcount=row["mapcount"],
        flags=_flags(row["page_flags"], names),
        post_flags=_flags(row["post_flags"], names),
        gfp=row["gfp"],
        alloc_ns=row["alloc_ns"] if born else None,
        alloc_tid=row["alloc_tid"] if born else None,
        file=_file(run, row, files),
        min_excess=row["min_excess"],
        confirmed=row["confirmed"],
        pending=bool(row["pending"]),
        own=row["own"],
        post_ns=_time(row["post_ns"]),
        clear_ns=_time(row["clear_ns"]),
        clear_tid=_time(row["clear_tid"]),
        clear_irq=IrqContext(row["clear_irq"]),
        unlock_ns=_time(row["unlock_ns"]),
        written_ns=_time(row["written_ns"]),
        end_ns=_time(row["end_ns"]),
        end_tid=_time(row["end_tid"]),
        refs=held,
    )
