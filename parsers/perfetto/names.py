"""Names of tasks from switches: compact ones, which number the names of a bundle, and events of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.perfetto import event_kernels as kernels
from tracereplay.parsers.perfetto import wire_kernels as wires
from tracereplay.parsers.perfetto.events import Batch
from tracereplay.parsers.perfetto.fields import Message
from tracereplay.parsers.perfetto.packets import Packets

# CompactSched: names, then (tasks, numbers of their names) of switches and of wakings.
INTERN_TABLE, SWITCH_NEXT_PID, SWITCH_NEXT_COMM, WAKING_PID, WAKING_COMM = 5, 3, 6, 8, 11
_PAIRS = ((SWITCH_NEXT_PID, SWITCH_NEXT_COMM), (WAKING_PID, WAKING_COMM))

Ints = npt.NDArray[np.int64]


def compact_names(packets: Packets, places: Sequence[tuple[int, int]]) -> dict[int, str]:
    """The last name of each task in compact scheduling events. places -- (first byte, end) of each."""
    names: dict[int, str] = {}
    data, row = packets.data, np.zeros(4, np.int64)
    for begin, end in places:
        place = np.array([begin], np.int64)
        table: list[str] = []
        columns: dict[int, Ints] = {}
        while wires.next_extra(data, place, end, 0, row):
            number, at, stop = row[:3].tolist()
            if number == INTERN_TABLE:
                table.append(data[at:stop].tobytes().decode("utf-8", "replace"))
            else:
                numbers = np.empty(stop - at, np.int64)
                columns[number] = numbers[: kernels.packed_numbers(data, at, stop, numbers)]
        for tasks, comms in _PAIRS:
            if tasks in columns and comms in columns:
                names |= _last_names(columns[tasks], columns[comms], table)
    return names


def _last_names(tids: Ints, numbers: Ints, table: Sequence[str]) -> dict[int, str]:
    n = min(len(tids), len(numbers))
    tids, numbers = tids[:n], numbers[:n]
    usable = (numbers >= 0) & (numbers < len(table)) & (tids > 0) & (tids <= wires.MAX_TID)
    pairs: list[tuple[int, int]] = list(zip(tids[usable].tolist(), numbers[usable].tolist(), strict=True))
    return {tid: table[number] for tid, number in pairs}


def switch_names(packets: Packets, message: Message, batches: Iterable[Batch]) -> dict[int, str]:
    """The last name of each task that a sched_switch event names; batches -- of this event alone."""
    columns = {one.name: place for place, one in enumerate(message.fields)}
    names: dict[int, str] = {}
    for batch in batches:
        for task, comm in (("prev_pid", "prev_comm"), ("next_pid", "next_comm")):
            if task in columns and comm in columns and message.fields[columns[comm]].is_text:
                names |= _texts(packets, batch, columns[task], columns[comm])
    return names


def _texts(packets: Packets, batch: Batch, task: int, comm: int) -> dict[int, str]:
    tids, places = batch.fields[:, task], batch.fields[:, comm]
    last, from_end = np.unique(tids[::-1], return_index=True)
    names: dict[int, str] = {}
    for tid, row in zip(last.tolist(), (len(tids) - 1 - from_end).tolist(), strict=True):
        at, size = int(batch.payload[row, 0] + (places[row] & 0xFFFF)), int(places[row] >> 16)
        if 0 < tid <= wires.MAX_TID and size:
            names[tid] = bytes(packets.mapped[at : at + size]).decode("utf-8", "replace")
    return names
