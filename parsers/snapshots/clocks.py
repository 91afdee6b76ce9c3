"""What a snapshot says of clocks: both read at its time (`clocks`), or when the machine began (btime of /proc/stat)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tracereplay.units import NS_PER_S
from tracereplay.wall_clock import WallClock

_BTIME = re.compile(r"btime (\d{1,12})")
_CLOCK = re.compile(r"([a-z_]{1,16}) (\d{1,20})")


def parse_btime(lines: Sequence[str]) -> dict[str, WallClock]:
    """/proc/stat: the wall clock when the boot clock was 0, in whole seconds (fs/proc/stat.c, getboottime64)."""
    for line in lines:
        if found := _BTIME.fullmatch(line.strip()):
            return {"boot": WallClock(int(found[1]) * NS_PER_S, "btime of the snapshot, to a second", NS_PER_S)}
    return {}


def parse_clocks(lines: Sequence[str]) -> dict[str, WallClock]:
    """`realtime NS` and the clocks of traces, as `tracereplay snapshot` reads them at once."""
    read_ns = {found[1]: int(found[2]) for line in lines if (found := _CLOCK.fullmatch(line.strip()))}
    wall_ns = read_ns.pop("realtime", None)
    if wall_ns is None:
        return {}
    return {name: WallClock(wall_ns - ns, "the clocks of the snapshot") for name, ns in read_ns.items()}
