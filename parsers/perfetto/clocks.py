"""Clock snapshots of a Perfetto trace: what ties the clock of its events to the wall clock."""

from __future__ import annotations

from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto.fields import CLOCK_IDS, ClockSnapshot, Packet
from tracereplay.parsers.perfetto.packets import Packets
from tracereplay.wall_clock import WallClock


def read_wall_clock(packets: Packets, clock: str | None, origin_ns: int) -> WallClock | None:
    """By the first snapshot that has both clocks. clock -- of the events; None where its name is not known."""
    wanted = CLOCK_IDS.get(clock or "")
    for message in packets.of(Packet.CLOCK_SNAPSHOT):
        read_ns = _clocks(message)
        if wanted in read_ns and CLOCK_IDS["realtime"] in read_ns:
            offset_ns = read_ns[CLOCK_IDS["realtime"]] - read_ns[wanted]
            return WallClock(origin_ns + offset_ns, "the clock snapshot of the trace")
    return None


def _clocks(message: bytes) -> dict[int, int]:
    """Times in ns by clock id; of a damaged snapshot none. A clock that counts in other units is left out."""
    found: dict[int, int] = {}
    try:
        for number, value in wire.fields(message):
            if number != ClockSnapshot.CLOCKS or not isinstance(value, bytes):
                continue
            of_clock = dict(wire.fields(value))
            clock_id, time_ns = of_clock.get(ClockSnapshot.CLOCK_ID), of_clock.get(ClockSnapshot.TIMESTAMP)
            plain = of_clock.get(ClockSnapshot.UNIT_MULTIPLIER_NS, 1) in (0, 1)
            if isinstance(clock_id, int) and isinstance(time_ns, int) and plain:
                found[clock_id] = time_ns
    except wire.DamagedMessageError:
        return {}
    return found
