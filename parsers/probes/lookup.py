"""The recorded probe events that entries of the page stream are made from, for evidence: names, times, tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tracereplay.parsers.catalog.probes import FUNCTIONS, REFERENCE_PROBES, Role, Slot
from tracereplay.parsers.probes.moves import BY_DUMP, BY_ISOLATION, BY_UNMAP
from tracereplay.parsers.probes.rows import Ints, ProbeRows
from tracereplay.schema import COUNT, MAPCOUNT, PFN, RET, VAL, Op, PageStream, Window

ROLES_OF = {
    Op.PROBE_GET: (Role.TAKE,),
    Op.PROBE_PIN: (Role.TAKE,),
    Op.PROBE_PUT: (Role.DROP, Role.BIO_DROP),
    Op.PROBE_UNPIN: (Role.DROP, Role.BIO_DROP),
}
_Entry: TypeAlias = tuple[int, int, tuple[int, ...]]  # time_ns, tid, args
REFUSING = {BY_UNMAP: (Role.UNMAP_RESULT, Role.UNMAP), BY_DUMP: (Role.DUMP,), BY_ISOLATION: (Role.ISOLATE_TEST,)}


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """One event of a probe: its name as recorded, the function probed, and what it says.

    longterm -- it took a reference with FOLL_LONGTERM.
    """

    name: str
    function: str
    time_ns: int
    tid: int
    cpu: int
    text: str = ""
    longterm: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A migration that was refused, and the count it was refused with (the isolation's own reference left out)."""

    event: ProbeEvent
    count: int
    mapcount: int


class ProbeLookup:
    """Finds events by time and task.

    rows -- the probe events of a window; stream -- the entries of probes in a window; longterm -- FOLL_LONGTERM there.
    """

    def __init__(
        self,
        rows: Callable[[Window], Sequence[ProbeRows]],
        stream: Callable[[Window], Iterable[PageStream]],
        longterm: int,
    ) -> None:
        self._rows, self._stream, self._longterm = rows, stream, longterm
        self._places: dict[tuple[int, int], dict[int, tuple[_Entry, _Entry]]] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the events of references."""
        return tuple(sorted(REFERENCE_PROBES))

    def event_at(self, time_ns: int, tid: int, op: Op) -> ProbeEvent | None:
        """The event that became this entry; None where no probe's event is of that time and task."""
        return self._named(time_ns, tid, ROLES_OF[op])

    def refusals(self, pfn: int, start_ns: int, end_ns: int) -> list[Refusal]:
        """The first and the last refused migration of this folio between these times, with their events."""
        entries = self._refused(start_ns, end_ns).get(pfn, ())
        found = [self._refusal(*entry) for entry in dict.fromkeys(entries)]
        return [one for one in found if one is not None]

    def _refused(self, start_ns: int, end_ns: int) -> dict[int, tuple[_Entry, _Entry]]:
        """The first and the last entry of each folio that was refused between these times."""
        if (start_ns, end_ns) not in self._places:
            found: dict[int, tuple[_Entry, _Entry]] = {}
            for chunk in self._stream(Window(start_ns, end_ns)):
                at = np.flatnonzero(chunk.op == Op.PROBE_REFUSED)
                for pfn, place in _ends(chunk.args[at, PFN]):
                    args = chunk.args[at[place]].tolist()
                    entry = int(chunk.time_ns[at[place]]), int(chunk.tid[at[place]]), tuple(args)
                    found[pfn] = found[pfn][0] if pfn in found else entry, entry
            self._places[start_ns, end_ns] = found
        return self._places[start_ns, end_ns]

    def _refusal(self, time_ns: int, tid: int, args: tuple[int, ...]) -> Refusal | None:
        count, mapcount = args[COUNT], args[MAPCOUNT]
        if args[VAL] == BY_DUMP:
            text = f"dumped because it did not migrate: {count} of its references are pins"
        elif args[VAL] == BY_UNMAP:
            text = f"try_to_migrate() left it mapped with {count} references, mapcount {mapcount}"
        elif args[VAL] == BY_ISOLATION:
            text = f"isolate_migratepages_block() skipped it with {count} references, mapcount {mapcount}"
        else:
            text = f"not moved (errno {-args[RET]}) with {count} references, mapcount {mapcount}"
        event = self._named(time_ns, tid, REFUSING.get(args[VAL], (Role.MOVE,)), text)
        return None if event is None else Refusal(event, count, mapcount)

    def _named(self, time_ns: int, tid: int, roles: Sequence[Role], text: str = "") -> ProbeEvent | None:
        for one in self._rows(Window(time_ns, time_ns)):
            if one.role not in roles:
                continue
            low, high = (int(np.searchsorted(one.time_ns, time_ns, side)) for side in ("left", "right"))
            for at in range(low, high):
                if one.tid[at] == tid:
                    longterm = one.role is Role.TAKE and bool(one.get(Slot.FLAGS, 0)[at] & self._longterm)
                    return ProbeEvent(one.name, FUNCTIONS[one.name], time_ns, tid, int(one.cpu[at]), text, longterm)
        return None


def _ends(pfns: Ints) -> Iterator[tuple[int, int]]:
    """(pfn, place) of the first and the last occurrence of each, places ascending."""
    first = np.unique(pfns, return_index=True)[1]
    last = len(pfns) - 1 - np.unique(pfns[::-1], return_index=True)[1]
    for place in np.unique(np.concatenate([first, last])).tolist():
        yield int(pfns[place]), place
