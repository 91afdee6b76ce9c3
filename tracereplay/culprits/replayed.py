"""Suspects as the replay's tables hold them: a row for each, with the rows of the references claimed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.suspect import Ref, Suspect
from tracereplay.model.result import File
from tracereplay.replay.engine import Engine
from tracereplay.replay.state import Mark, RefEnd, RefKind, State
from tracereplay.schema import IrqContext

Ints = npt.NDArray[np.int64]
KINDS = {one.value: one for one in RefKind}
ENDS = {one.value: one for one in RefEnd}
CONTEXTS = {one.value: one for one in IrqContext}
STATES = {one.value: one for one in State}


@dataclass(slots=True)
class FlagSets:
    """Names of the page flags set in a word; words are few, so each is taken apart once."""

    names: Sequence[tuple[int, str]]  # (mask, name)
    _known: dict[int, frozenset[str]] = field(default_factory=dict, init=False)

    def of(self, word: int) -> frozenset[str]:
        """The names of the flags that are set."""
        if word not in self._known:
            self._known[word] = frozenset(name for mask, name in self.names if word & mask)
        return self._known[word]


class ReplayedSuspects:
    """The tables of suspects, references and claims of a replay that has ended (dtypes in replay.state).

    rows -- SUSPECT[n]; refs -- REF[m]; claimed -- row of `refs`, by suspect; claims of row i are
    claimed[claim_starts[i]:claim_starts[i + 1]].
    """

    def __init__(self, engine: Engine, context: AnalysisContext, drafts: Sequence[DetectedAttempt]) -> None:
        self.context, self.drafts = context, drafts
        self.rows, self.refs = engine.table("suspects"), engine.table("refs")
        claims = engine.table("claims")  # ascending by suspect
        self.claimed = claims["ref"].astype(np.int64)
        self.claim_starts = np.searchsorted(claims["suspect"], np.arange(len(self.rows) + 1))
        self._files = engine.table("files")
        self._flags = FlagSets([(1 << bit, name) for name, bit in context.flag_bits.items()])
        attempts = ProbeKey.attempts_of(self.rows["attempt"])
        self._order = np.argsort(attempts, kind="stable")
        self._starts = np.searchsorted(attempts[self._order], np.arange(len(drafts) + 1))

    def of_attempt(self, number: int) -> Ints:
        """Rows of the suspects of this attempt, in the order in which the replay met them."""
        return self._order[self._starts[number] : self._starts[number + 1]]

    def suspect(self, row: int) -> Suspect:
        """The suspect in this row, with the references claimed for it."""
        values = dict(zip(self._names, self.rows[row].item(), strict=True))
        key = ProbeKey.decode(values["attempt"])
        held = self.refs[self.claimed[self.claim_starts[row] : self.claim_starts[row + 1]]]
        names = held.dtype.names or ()
        refs = [_ref(dict(zip(names, one, strict=True))) for one in held.tolist()]
        return self._suspect(self.drafts[key.attempt], key.in_wait, values, refs)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return self.rows.dtype.names or ()

    def _suspect(self, draft: DetectedAttempt, seen_in_wait: bool, row: dict[str, Any], held: list[Ref]) -> Suspect:
        born = bool(row["marks"] & Mark.ALLOC_SEEN)
        return Suspect(
            context=self.context,
            draft=draft,
            seen_in_wait=seen_in_wait,
            pfn=row["pfn"],
            pages=1 << row["order"] if row["state"] == State.ALLOCATED else 1,
            first_ns=row["first_ns"],
            last_ns=row["last_ns"],
            reasons=row["reasons"],
            marks=row["marks"],
            state=STATES[row["state"]],
            order=row["order"],
            count=row["count"],
            mapcount=row["mapcount"],
            flags=self._flags.of(row["page_flags"]),
            post_flags=self._flags.of(row["post_flags"]),
            gfp=row["gfp"],
            alloc_ns=row["alloc_ns"] if born else None,
            alloc_tid=row["alloc_tid"] if born else None,
            file=self._file(row["file"], row["index"]),
            min_excess=row["min_excess"],
            confirmed=row["confirmed"],
            no_event_since_probe=bool(row["no_event_since_probe"]),
            isolation_refs=row["isolation_refs"],
            post_ns=_known(row["post_ns"]),
            clear_ns=_known(row["clear_ns"]),
            clear_tid=_known(row["clear_tid"]),
            clear_irq=CONTEXTS[row["clear_irq"]],
            unlock_ns=_known(row["unlock_ns"]),
            written_ns=_known(row["written_ns"]),
            end_ns=_known(row["end_ns"]),
            end_tid=_known(row["end_tid"]),
            refs=held,
        )

    def _file(self, number: int, index: int) -> File | None:
        if number < 0:
            return None
        dev, ino = (_known(value) for value in self._files[number].item())
        if dev is None and ino is None:
            return None
        layout = self.context.layout
        fs = layout.file_systems.get(dev) if dev is not None else None
        return layout.names.file(dev, ino, _known(index), fs)


def _known(value: int) -> int | None:
    """Times, tasks and places of the tables are negative where not known."""
    return None if value < 0 else value


def _ref(row: dict[str, Any]) -> Ref:
    return Ref(
        ns=row["ns"],
        close_ns=_known(row["close_ns"]),
        tid=row["tid"],
        close_tid=_known(row["close_tid"]),
        val=row["val"],
        cpu=row["cpu"],
        op=row["op"],
        kind=KINDS[row["kind"]],
        confirmed=bool(row["confirmed"]),
        end=ENDS[row["end"]],
        close_op=row["close_op"],
        before=row["before"],
        met_ns=_known(row["met_ns"]),
        on_lru=bool(row["on_lru"]),
        shared_ns=_known(row["shared_ns"]),
        unmap_ns=_known(row["unmap_ns"]),
        irq=CONTEXTS[row["irq"]],
        close_irq=CONTEXTS[row["close_irq"]],
        close_cpu=None if row["close_ns"] < 0 else row["close_cpu"],
    )
