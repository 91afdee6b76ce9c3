"""Suspects of equal facts: one of them is decided, and the answer holds for all.

What each page has of its own are its PFN, its place in a file and its times; everything else in the replay's tables is
a fact. Of times only the order counts (see `landmarks`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tracereplay.culprits.landmarks import Ints, Landmarks
from tracereplay.culprits.replayed import ReplayedSuspects
from tracereplay.culprits.suspect import FRESH_NS, Suspect
from tracereplay.replay.state import REF, SUSPECT

SUSPECT_TIMES = ("alloc_ns", "post_ns", "clear_ns", "unlock_ns", "written_ns", "end_ns")
REF_TIMES = ("ns", "close_ns", "met_ns", "shared_ns", "unmap_ns")
# Details of one page, which no decision rests on. The CPU of a reference finds its stack, which is a fact.
SUSPECT_OWN = (*SUSPECT_TIMES, "pfn", "index", "next")
REF_OWN = (*REF_TIMES, "pfn", "next", "kept", "cpu", "close_cpu")
SUSPECT_FACTS: Final = tuple(name for name in SUSPECT.names or () if name not in SUSPECT_OWN)
REF_FACTS: Final = tuple(name for name in REF.names or () if name not in REF_OWN)
# Fewer suspects are decided one by one: comparing them costs more than it saves.
FEWEST_COMPARED = 8


@dataclass(slots=True)
class Alike:
    """Suspects of equal facts. pfns -- int64[n], in the order in which the replay met them; first -- of pfns[0]."""

    first: Suspect
    pfns: Ints
    _source: ReplayedSuspects | None = None  # None: the first is the only one
    _rows: Ints | None = None

    @classmethod
    def alone(cls, suspect: Suspect) -> Alike:
        """A suspect that is like no other."""
        return cls(suspect, np.array([suspect.pfn], np.int64))

    @classmethod
    def of(cls, source: ReplayedSuspects, rows: Ints) -> Alike:
        """The suspects in these rows of the replay's table."""
        return cls(source.suspect(int(rows[0])), source.rows["pfn"][rows], source, rows)

    def __len__(self) -> int:
        return len(self.pfns)

    def suspect(self, number: int) -> Suspect:
        """One of them, with what an attempt's pages as a whole show of the first."""
        if number == 0 or self._source is None or self._rows is None:
            return self.first
        made = self._source.suspect(int(self._rows[number]))
        made.secret_file, made.locked_rivals = self.first.secret_file, self.first.locked_rivals
        return made

    def times_like(self, time_ns: int) -> Ints:
        """int64[n]: of each the time that for the first is `time_ns`.

        Times that coincide on the first coincide on all, so any column that holds it will do; what no column holds is
        a time of the attempt.
        """
        for times in self._columns() if len(self) > 1 else ():
            if times[0] == time_ns:
                return times
        return np.full(len(self), time_ns, np.int64)

    def _columns(self) -> Iterator[Ints]:
        """int64[n] each: the times that the tables hold, of the pages and of their references."""
        source, rows = self._source, self._rows
        if source is None or rows is None:
            return
        for name in ("first_ns", "last_ns", *SUSPECT_TIMES):
            yield source.rows[name][rows]
        starts = source.claim_starts[rows]
        for place in range(int(source.claim_starts[rows[0] + 1] - starts[0])):
            refs = source.refs[source.claimed[starts + place]]
            yield from (refs[name] for name in REF_TIMES)


def group_alike(
    source: ReplayedSuspects, rows: Ints, landmarks: Callable[[], Landmarks], own_facts: Collection[int]
) -> list[Alike]:
    """The suspects in these rows (of one attempt), in groups; by the first of each in the order given.

    own_facts -- PFNs of which something is known that is not in the replay's tables: each is a group of its own.
    """
    if len(rows) < FEWEST_COMPARED or source.context.probes is not None:
        return [Alike.of(source, rows[at : at + 1]) for at in range(len(rows))]
    apart = np.isin(source.rows["pfn"][rows], np.fromiter(own_facts, np.int64, len(own_facts)))
    facts = _facts(source, rows, landmarks())
    groups: dict[object, list[int]] = {}
    for at, (fact, own) in enumerate(zip(facts, apart.tolist(), strict=True)):
        groups.setdefault((at, fact) if own else fact, []).append(at)
    return [Alike.of(source, rows[places]) for places in groups.values()]


def _facts(source: ReplayedSuspects, rows: Ints, landmarks: Landmarks) -> Sequence[object]:
    """What decisions on each row rest on; equal where they rest on the same."""
    records = source.rows[rows]
    starts, ends = source.claim_starts[rows], source.claim_starts[rows + 1]
    owner = np.repeat(np.arange(len(rows)), ends - starts)
    first = np.cumsum(ends - starts) - (ends - starts)
    refs = source.refs[source.claimed[np.arange(len(owner)) - first[owner] + starts[owner]]]
    times, ref_times = _columns(records, SUSPECT_TIMES), _columns(refs, REF_TIMES)
    seen = _columns(records, ("first_ns", "last_ns"))
    ranks, ref_ranks = _ranks(np.hstack([seen, times]), ref_times, owner)
    pfns = records["pfn"]
    last_pfns = pfns + (np.int64(1) << records["order"].astype(np.int64))
    fresh = records["last_ns"] - records["alloc_ns"] <= FRESH_NS
    own = np.column_stack(
        [
            _columns(records, SUSPECT_FACTS),
            ranks,
            landmarks.time_places(times),
            landmarks.pfn_places(np.column_stack([pfns, last_pfns])),
            fresh.astype(np.int64),
        ]
    )
    taken = np.column_stack(
        [_columns(refs, REF_FACTS), ref_ranks, landmarks.time_places(ref_times), _stacks(source, refs)]
    )
    of_refs = _as_bytes(taken)
    first_of = [*first.tolist(), len(owner)]
    return [
        (fact, *of_refs[low:high]) for fact, low, high in zip(_as_bytes(own), first_of[:-1], first_of[1:], strict=True)
    ]


def _columns(records: npt.NDArray[np.void], names: Iterable[str]) -> Ints:
    return np.column_stack([records[name].astype(np.int64) for name in names])


def _as_bytes(table: Ints) -> Sequence[object]:
    """Each row as one value that can be compared."""
    table = np.ascontiguousarray(table, np.int64)
    return table.view(np.dtype((np.void, table.shape[1] * table.itemsize))).ravel().tolist()


def _ranks(times: Ints, ref_times: Ints, owner: Ints) -> tuple[Ints, Ints]:
    """The order of all times of a suspect, its references' included: 0 is the earliest, equal times have one rank."""
    values = np.concatenate([times.ravel(), ref_times.ravel()])
    whose = np.concatenate([np.repeat(np.arange(len(times)), times.shape[1]), np.repeat(owner, ref_times.shape[1])])
    order = np.lexsort((values, whose))
    values, whose = values[order], whose[order]
    another = np.concatenate([[True], whose[1:] != whose[:-1]])
    later = np.concatenate([[False], values[1:] != values[:-1]]) & ~another
    counted = np.cumsum(later)
    firsts = np.flatnonzero(another)
    dense = counted - np.repeat(counted[firsts], np.diff(np.append(firsts, len(values))))
    ranks = np.empty(len(values), np.int64)
    ranks[order] = dense
    return ranks[: times.size].reshape(times.shape), ranks[times.size :].reshape(ref_times.shape)


def _stacks(source: ReplayedSuspects, refs: npt.NDArray[np.void]) -> Ints:
    """A number for the stack with which each reference was taken, 0 where none was recorded."""
    if not source.context.has_stacks:
        return np.zeros(len(refs), np.int64)
    numbers: dict[object, int] = {None: 0}
    keys = zip(refs["ns"].tolist(), refs["cpu"].tolist(), refs["tid"].tolist(), strict=True)
    return np.array([numbers.setdefault(source.context.stack_of(*key), len(numbers)) for key in keys], np.int64)
