"""The recorded allocator over a whole trace: its self-check, and free blocks by zone, order and type over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from tracereplay.model.result import Counter
from tracereplay.whatif.machine import Machine
from tracereplay.whatif.page_rows import ORDERS, TYPES, Count, MigrateType, Rule
from tracereplay.whatif.recorded_kernels import replay_recorded
from tracereplay.whatif.script import Script
from tracereplay.whatif.seed import Seed, buddy_of


@dataclass(frozen=True, slots=True)
class Recorded:
    """balance int64[events]: see `replay_recorded`; blocks int64[counts, zones, ORDERS, TYPES]; counts by `Count`."""

    balance: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def free_pages(self) -> npt.NDArray[np.int64]:
        """int64[counts, zones]: free pages, isolated ones left out."""
        pages = self.blocks * (1 << np.arange(ORDERS))[None, None, :, None]
        return np.asarray(pages[..., : MigrateType.ISOLATE].sum(axis=(2, 3)))


def stock_rules(whole_frees: bool) -> npt.NDArray[np.int64]:
    """The rules of the kernel that was traced: CMA while it is more than half of what is free."""
    rules = np.zeros(len(Rule), np.int64)
    rules[Rule.NUM], rules[Rule.DEN] = 1, 2
    rules[Rule.WHOLE_FREES] = whole_frees
    return rules


def replay_record(script: Script, seed: Seed, whole_frees: bool, hidden: dict[int, int] | None = None) -> Recorded:
    """Replay every take and drain at its own place."""
    buddy = buddy_of(seed, hidden or {}, stock_rules(whole_frees))
    balance = np.full(len(script.events), np.iinfo(np.int64).min, np.int64)
    rows = np.zeros((len(script.count_ns), len(buddy.lists)), np.int64)
    replay_recorded(buddy, script.events, balance, rows)
    return Recorded(balance, rows.reshape(len(rows), -1, ORDERS, TYPES), buddy.counts)


def free_counters(recorded: Recorded, script: Script, machine: Machine, input_id: str) -> list[Counter]:
    """`free/TYPE/order N` of every zone over time, a row wherever the number of free pages changed."""
    found = []
    names = {int(kind): kind.name.lower() for kind in MigrateType}
    for zone, order, kind in product(range(recorded.blocks.shape[1]), range(ORDERS), range(TYPES)):
        pages = recorded.blocks[:, zone, order, kind] << order
        if not pages.any():
            continue
        found += [
            Counter(
                input_id=input_id,
                scope=machine.zones[zone].name,
                name=f"free/{names[kind]}/order {order}",
                time_ns=int(script.count_ns[at]),
                pages=int(pages[at]),
            )
            for at in np.flatnonzero(np.diff(pages, prepend=-1))
        ]
    return found


def self_check(recorded: Recorded) -> dict[str, int]:
    """What the record and the modelled free lists do not agree on, in pages."""
    return {
        "taken": int(recorded.counts[Count.TAKEN]),
        "taken_not_free": int(recorded.counts[Count.TAKEN_NOT_FREE]),
        "drained_free": int(recorded.counts[Count.DRAINED_FREE]),
        "left_unseen": int(recorded.counts[Count.FREED_FREE]),
        "freed_directly": int(recorded.counts[Count.DIRECT]),
        "ranges": int(recorded.counts[Count.RANGE]),
        "ranges_not_free": int(recorded.counts[Count.RANGE_NOT_FREE]),
    }
