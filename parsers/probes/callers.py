"""Which calls of a probed function came from the function that gives the event its meaning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tracereplay.parsers.catalog.probes import CALLERS, Slot
from tracereplay.parsers.probes.rows import ProbeRows


def from_their_callers(rows: ProbeRows, name_of: Callable[[int], str | None]) -> ProbeRows:
    """The rows whose return address is in the caller that the catalogue names; all rows of other probes.

    name_of -- symbol of an address (`function+0x2a`), None where the trace has no symbols: such rows are dropped.
    """
    wanted = CALLERS.get(rows.name)
    if wanted is None:
        return rows
    if rows.callers:
        return rows.take(np.array([_function(name) == wanted for name in rows.callers], bool))
    addresses = rows.get(Slot.CALLER, 0)
    known = {address: _function(name_of(address & (1 << 64) - 1)) for address in np.unique(addresses).tolist()}
    return rows.take(np.array([known[address] == wanted for address in addresses.tolist()], bool))


def _function(symbol: str | None) -> str:
    """`isolate_migratepages_block.isra.0+0x3a1/0xde0` -> its name in the source."""
    return (symbol or "").partition("+")[0].partition(".")[0].strip()
