"""What a whole analysis knows, shared by all its suspects: machine, names, losses, logs, records of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt, Moment
from tracereplay.culprits.probe_events import ProbeEvents
from tracereplay.gfp import gfp_names
from tracereplay.layout.layout import Layout
from tracereplay.loss_index import LossIndex
from tracereplay.losses import Loss
from tracereplay.model.result import Task
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.tasks import is_user_task
from tracereplay.units import NS_PER_S

LOG_DELAY_NS = 2 * NS_PER_S


@dataclass(slots=True)
class AnalysisContext:
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
    has_stacks: bool = False  # whether any event has one
    comm_at: Callable[[int, int], str | None] | None = None  # a task's name at a time; None: names have no times
    gfp_words: Callable[[int], str] = gfp_names  # a mask of an event of this trace by names
    renamed_ns: Sequence[int] = ()  # when the names of tasks that took or released references changed
    _landmarks_ns: npt.NDArray[np.int64] | None = field(default=None, init=False)
    _loss_indexes: dict[tuple[str, ...], LossIndex] = field(default_factory=dict, init=False)  # by kinds of events

    @property
    def landmarks_ns(self) -> npt.NDArray[np.int64]:
        """Ascending times at which answers may change for any attempt: bounds of losses, new names of tasks."""
        if self._landmarks_ns is None:
            bounds = [ns for _, loss in self.losses for ns in (loss.start_ns, loss.end_ns) if ns is not None]
            self._landmarks_ns = np.unique(np.array([*bounds, *self.renamed_ns], np.int64))
        return self._landmarks_ns

    def recorded_pfns(self, pfns: Iterable[int]) -> set[int]:
        """Those of which a log, page_owner or page_pinner says something."""
        known = (self.dumps, self.migrate_failures, self.owners, self.pinners)
        return {pfn for pfn in pfns if any(pfn in records for records in known)} if any(known) else set()

    def task(self, tid: int | None, time_ns: int | None = None) -> Task | None:
        """The task with its name, at a time where one is given; pid only where a listing has it."""
        if tid is None or tid < 0:
            return None
        comm = self.name_of(tid, time_ns)
        part_of = self.layout.names.part_of(tid, comm)
        return Task(tid=tid, pid=self.layout.pids.get(tid), comm=comm, part_of=part_of)

    def name_of(self, tid: int, time_ns: int | None = None) -> str | None:
        """A task's name; a thread id can be used again, so the time matters where names have times."""
        timed = self.comm_at if time_ns is not None else None
        comm = self.comm_of(tid) if timed is None or time_ns is None else timed(tid, time_ns)
        return comm or self.layout.comms.get(tid)

    def is_user(self, tid: int, time_ns: int | None = None) -> bool:
        """Whether the task is known to be a user's."""
        return is_user_task(tid, self.name_of(tid, time_ns))

    def dump_of(self, pfn: int, draft: DetectedAttempt) -> Mapping[str, Any] | None:
        """The kernel's dump of the page printed during the attempt, by its task where the line tells.

        Lines of a log file have no task and another clock: they may be this far off.
        """
        for row in self.dumps.get(pfn, ()):
            mine = row["tid"] is None or draft.tid is None or row["tid"] == draft.tid
            slack_ns = LOG_DELAY_NS if row["tid"] is None or draft.basis == "log" else 0
            if mine and (row["time_ns"] is None or draft.covers(row["time_ns"], slack_ns)):
                return row
        return None

    def named_by_log(self, pfn: int, draft: DetectedAttempt) -> Mapping[str, Any] | None:
        """The line that says that the page did not migrate, of an attempt that only the log shows."""
        rows = self.migrate_failures.get(pfn, ()) if draft.basis == "log" else ()
        return next((row for row in rows if row["kind"] != "soft_offline"), None)

    def hiding(self, start_ns: int, end_ns: int, names: Sequence[str]) -> Sequence[str]:
        """Losses that may have hidden events of these kinds in this interval."""
        kinds = tuple(names)
        if kinds not in self._loss_indexes:
            self._loss_indexes[kinds] = LossIndex((name, loss) for name, loss in self.losses if loss.may_hide(kinds))
        return self._loss_indexes[kinds].touching(start_ns, end_ns)
