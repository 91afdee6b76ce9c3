"""Whether a file is a Perfetto trace: it has no magic, but is nothing but packets."""

from __future__ import annotations

from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto.fields import TRACE_PACKET_FIELD, Packet

TAG = bytes([TRACE_PACKET_FIELD << 3 | wire.BYTES])
# Fields that Perfetto writes into packets of every kind: none of a text that begins with an empty line.
_SIGNS = frozenset(
    {Packet.FTRACE_EVENTS, Packet.TIMESTAMP, Packet.SEQUENCE_ID, Packet.TRACE_CONFIG, Packet.FTRACE_STATS,
     Packet.SYSTEM_INFO, Packet.COMPRESSED_PACKETS, Packet.TRACE_UUID}
)  # fmt: skip
_SNIFFED = 8  # packets


def looks_like_trace(head: bytes) -> bool:
    """Whether a file that begins so is nothing but packets: the first ones can be read, and one says what they do."""
    at, numbers = 0, set[int]()
    for _ in range(_SNIFFED):
        if at >= len(head):
            break
        if head[at : at + 1] != TAG:
            return False
        try:
            size, begin = wire.varint(head, at + 1)
            packet = head[begin : begin + size]
            if size > len(packet):
                numbers.update(number for number, _, _ in wire.split_cut(packet))
                break
            numbers.update(number for number, _ in wire.fields(packet))
        except wire.DamagedMessageError:
            return False
        at = begin + size
    return not numbers.isdisjoint(_SIGNS)
