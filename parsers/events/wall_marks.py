"""Marks of `tracereplay record` in a trace, which say what the wall clock was: they tie it to any trace clock."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracereplay.units import NS_PER_S
from tracereplay.wall_clock import WallClock

if TYPE_CHECKING:
    from tracereplay.parsers.base import TraceReader

MOST_PRINTS = 1 << 16  # a program may print millions; those marks are not searched for
_MARK = re.compile(r"tracereplay: this CPU is recorded, realtime_(ns|s)=(\d{1,20})\s*")


def marked_wall_clock(reader: TraceReader) -> WallClock | None:
    """By the first mark. It is written within microseconds after its clock was read; the script's are whole seconds."""
    if not 0 < reader.info.by_event.get("print", 0) <= MOST_PRINTS or reader.info.clock_unit != "ns":
        return None
    table = reader.tables(["print"]).get("print")
    if table is None or "buf" not in table.column_names:
        return None
    for time_ns, text in zip(table["time_ns"].to_pylist(), table["buf"].to_pylist(), strict=True):
        found = _MARK.fullmatch(text) if isinstance(text, str) else None
        if found is not None and time_ns is not None:
            step_ns = 1 if found[1] == "ns" else NS_PER_S
            source = "a mark of tracereplay record" + (", to a second" if step_ns == NS_PER_S else "")
            return WallClock(int(found[2]) * step_ns - time_ns, source, max(step_ns, NS_PER_S // 1000))
    return None
