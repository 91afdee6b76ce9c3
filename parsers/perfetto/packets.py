"""The packets of use of a trace, found in one walk; compressed ones are unpacked into a file without a name."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.files.bomb import refuse_bomb
from tracereplay.parsers.files.mapped import Mapped
from tracereplay.parsers.files.packed import PIECE_BYTES
from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto import wire_kernels as kernels
from tracereplay.parsers.perfetto.fields import TRACE_PACKET_FIELD, Packet
from tracereplay.parsers.perfetto.signs import TAG

ROWS = 1 << 12
MAX_CUT_BYTES = 1 << 26  # packets have some KiB; what claims to be so much larger is damage
# In the order of the columns SEQUENCE, DROPPED, IS_FIRST and MACHINE of a row.
NUMBERS = np.array(
    [Packet.SEQUENCE_ID, Packet.PREVIOUS_PACKET_DROPPED, Packet.FIRST_PACKET_ON_SEQUENCE, Packet.MACHINE_ID], np.int64
)
WANTED = np.array(
    [Packet.FTRACE_EVENTS, Packet.PROCESS_TREE, Packet.TRACE_CONFIG, Packet.FTRACE_STATS, Packet.SYSTEM_INFO,
     Packet.COMPRESSED_PACKETS, Packet.TRACE_UUID, Packet.CLOCK_SNAPSHOT],
    np.int64,
)  # fmt: skip

Bytes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Packets:
    """Rows int64[n, PACKET_COLUMNS] of the packets with a field that is wanted, and where their bytes are."""

    mapped: Mapped
    rows: npt.NDArray[np.int64]
    losses: list[Loss] = field(default_factory=list)
    ends: list[Loss] = field(default_factory=list)  # what is missing after the last packet
    is_packed: bool = False
    is_cut: bool = False  # the last row is what is left of a bundle

    @property
    def data(self) -> Bytes:
        """All bytes of the trace."""
        return np.frombuffer(self.mapped, np.uint8)

    def of(self, what: Packet) -> Iterator[bytes]:
        """The messages of one kind, in the order of the file."""
        for row in self.rows[self.rows[:, kernels.WHAT] == what]:
            yield bytes(self.mapped[int(row[kernels.AT]) : int(row[kernels.END])])


def read_packets(path: Path) -> Packets:
    """The packets of a trace.

    Raises InputError where the file is none, or cannot be read.
    """
    mapped = Mapped.of(path)
    found = _find(mapped)
    if not len(found.rows):
        raise InputError("no ftrace events and no description is in its packets", advice="pass the whole trace")
    if (found.rows[:, kernels.WHAT] == Packet.COMPRESSED_PACKETS).any():
        with _unpacked(found) as file:  # its mapping outlives it
            inner = _find(Mapped.of(Path(f"/proc/self/fd/{file.fileno()}"), path))
        if (inner.rows[:, kernels.WHAT] == Packet.COMPRESSED_PACKETS).any():
            inner.losses.append(Loss("corrupt_chunk", detail="compressed packets within compressed packets"))
        return Packets(inner.mapped, inner.rows, found.losses + inner.losses, found.ends + inner.ends, is_packed=True)
    return found


def _find(mapped: Mapped) -> Packets:
    data = np.frombuffer(mapped, np.uint8)
    state = np.zeros(4, np.int64)
    parts: list[npt.NDArray[np.int64]] = []
    rows = np.zeros((ROWS, kernels.PACKET_COLUMNS), np.int64)
    ended = kernels.FULL
    while ended == kernels.FULL:
        begin = int(state[0])
        ended = kernels.find_packets(data, NUMBERS, WANTED, state, rows)
        parts.append(rows[: int(state[1])].copy())
        mapped.reading(begin, int(state[0]))
    losses: list[Loss] = []
    ends: list[Loss] = []
    at, is_cut = int(state[0]), False
    if ended == kernels.CUT:
        ends.append(Loss("truncated", detail=f"the packet at byte {at} is cut: {len(data) - at} bytes of it are here"))
        parts.append(_cut_packet(mapped, at))
        is_cut = len(parts[-1]) > 0
        if is_cut and not parts[-1][0, kernels.SEQUENCE]:  # it stands at the end of a packet
            before = [row for part in parts[:-1] for row in part[-1:].tolist()]
            parts[-1][0, kernels.SEQUENCE] = before[-1][kernels.SEQUENCE] if before else 0
    elif ended == kernels.NO_PACKET:
        ends.append(Loss("corrupt_record", detail=f"no packet begins at byte {at}: {len(data) - at} bytes left out"))
    if state[2]:
        losses.append(Loss("corrupt_record", int(state[2]), detail="packets that cannot be read"))
    if not state[3] and ended != kernels.CUT:
        raise InputError("not a Perfetto trace", offset_bytes=at)
    return Packets(mapped, np.concatenate(parts), losses, ends, is_cut=is_cut)


def _cut_packet(mapped: Mapped, at: int) -> npt.NDArray[np.int64]:
    """The row of the packet that the end of the file cuts, if what is left of it has events."""
    row = np.zeros((1, kernels.PACKET_COLUMNS), np.int64)
    if len(mapped) - at > MAX_CUT_BYTES:
        return row[:0]
    head = bytes(mapped[at + 1 : at + 11])
    with suppress(wire.DamagedMessageError):
        begin = at + 1 + wire.varint(head, 0)[1]
        found = wire.split_cut(bytes(mapped[begin:]))
        known = {number: value for number, value, _ in found}
        for column, number in enumerate(NUMBERS.tolist(), kernels.SEQUENCE):
            value = known.get(number, 0)
            row[0, column] = value if isinstance(value, int) and value < 1 << 63 else 0
        for number, value, place in found:
            if number in (Packet.FTRACE_EVENTS, Packet.COMPRESSED_PACKETS) and isinstance(value, bytes):
                row[0, [kernels.PACKET_AT, kernels.PACKET_END]] = at, len(mapped)
                row[0, kernels.WHAT :] = number, begin + place, begin + place + len(value)
                return row
    return row[:0]


def _unpacked(found: Packets) -> IO[bytes]:
    """The same packets, those that were compressed in their places."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    fed = made = 0
    for place, row in enumerate(found.rows.tolist()):
        at, end = row[kernels.AT], row[kernels.END]
        if row[kernels.WHAT] == Packet.COMPRESSED_PACKETS:
            fed += end - at
            inner, error = _inflated(bytes(found.mapped[at:end]), made, fed)
            made += len(inner)
            file.write(inner)
            if error:
                detail = f"compressed packets at byte {at} cannot be unpacked: {error}"
                found.losses.append(Loss("corrupt_chunk", detail=detail))
            continue
        packet = bytes(found.mapped[row[kernels.PACKET_AT] : row[kernels.PACKET_END]])
        if found.is_cut and place == len(found.rows) - 1:  # its lengths go beyond the end
            sequence = wire.encoded(Packet.SEQUENCE_ID << 3) + wire.encoded(row[kernels.SEQUENCE])
            packet = sequence + _sized(Packet.FTRACE_EVENTS, bytes(found.mapped[at:end]))
        file.write(_sized(TRACE_PACKET_FIELD, packet))
    file.flush()
    return file


def _inflated(data: bytes, made: int, fed: int) -> tuple[bytes, str]:
    """The whole packets in some compressed ones, and what is wrong with the rest.

    made, fed -- bytes unpacked so far, and packed ones with these. Raises InputError where more comes out than could.
    """
    inflate, pieces, error = zlib.decompressobj(), list[bytes](), ""
    try:
        while data:
            pieces.append(inflate.decompress(data, PIECE_BYTES))
            data = inflate.unconsumed_tail
            made += len(pieces[-1])
            refuse_bomb(made, fed)
    except zlib.error as damage:
        error = str(damage)
    whole = b"".join(pieces)
    if not error and inflate.eof:
        return whole, ""
    at = 0
    with suppress(wire.DamagedMessageError):
        while whole[at : at + 1] == TAG:
            size, begin = wire.varint(whole, at + 1)
            if size > len(whole) - begin:
                break
            at = begin + size
    return whole[:at], error or "they end early"


def _sized(number: int, data: bytes) -> bytes:
    """A field with a length."""
    return wire.encoded(number << 3 | wire.BYTES) + wire.encoded(len(data)) + data
