"""The tracepoints of a trace: what each kind of event is called, and which of its fields are columns.

A tracepoint that Perfetto knows has a message of its own (`fields.MESSAGES`). Others are generic: with names beside
values in each event, or, in newer traces, with a descriptor in the trace (google.protobuf.DescriptorProto).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.binary.format_text import EventFormat, Field, FieldKind
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.catalog.spec import Read
from tracereplay.parsers.perfetto import event_kernels as kernels
from tracereplay.parsers.perfetto import wire
from tracereplay.parsers.perfetto import wire_kernels as wires
from tracereplay.parsers.perfetto.fields import (
    FIRST_DESCRIBED_EVENT,
    LAST_KNOWN_EVENT,
    MESSAGES,
    Event,
    Generic,
    Message,
    MessageField,
)

MAX_DESCRIBED = 1 << 12
MAX_FIELDS = 60  # of one event; the kernel's tracepoints have fewer, and the bits of what occurred end there
NOT_AN_EVENT = -2
# FieldDescriptorProto.type: what Perfetto writes for fields of generic events (descriptor.proto)
_TYPE_UINT64, _TYPE_STRING = 4, 9


def _known_numbers() -> npt.NDArray[np.int64]:
    numbers = np.full(FIRST_DESCRIBED_EVENT + MAX_DESCRIBED, NOT_AN_EVENT, np.int64)
    numbers[3 : LAST_KNOWN_EVENT + 1] = -1
    numbers[Event.COMMON_FLAGS] = NOT_AN_EVENT
    return numbers


@dataclass(slots=True)
class KindTable:
    """What numbers and names of events mean: numbered as the scan meets them, with what the trace says of them."""

    kind_of_number: npt.NDArray[np.int64] = field(default_factory=_known_numbers)
    slots: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((kernels.SLOTS, kernels.SLOT_COLUMNS), np.int64)
    )
    kinds: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((kernels.MAX_KINDS, kernels.KIND_COLUMNS), np.int64)
    )
    described: dict[int, Message] = field(default_factory=dict)

    def describe(self, descriptor: bytes) -> None:
        """Take a GenericEventDescriptor: a field of FtraceEvent that this trace alone has."""
        known = dict(wire.whole_fields(descriptor))
        number, message = known.get(1), known.get(2)
        if not isinstance(number, int) or not isinstance(message, bytes):
            return
        if not FIRST_DESCRIBED_EVENT <= number < FIRST_DESCRIBED_EVENT + MAX_DESCRIBED:
            return
        if self.kind_of_number[number] == NOT_AN_EVENT:
            self.kind_of_number[number] = -1
        self.described.setdefault(number, _described(number, message))

    def messages(self, count: int, data: npt.NDArray[np.uint8]) -> list[Message]:
        """The first `count` kinds, each with the fields that occurred in its events."""
        return [self._message(row, data) for row in self.kinds[:count].tolist()]

    def _message(self, row: list[int], data: npt.NDArray[np.uint8]) -> Message:
        number, seen = row[kernels.KIND_NUMBER], row[kernels.SEEN]
        if number == Event.GENERIC:
            return _generic(data[row[kernels.FIRST_AT] : row[kernels.FIRST_END]].tobytes())
        known = MESSAGES.get(number) or self.described.get(number)
        if known is None:
            return Message(number, f"perfetto_{number}", ())
        occurred = (one for one in known.fields if seen >> min(one.number, kernels.LAST_SEEN_BIT) & 1)
        return Message(number, known.name, tuple(occurred))


def _distinct(names: Iterable[MessageField]) -> tuple[MessageField, ...]:
    """One field of each name, at most MAX_FIELDS."""
    found: dict[str, MessageField] = {}
    for one in names:
        if one.name and len(found) < MAX_FIELDS:
            found.setdefault(one.name, one)
    return tuple(found.values())


def _described(number: int, descriptor: bytes) -> Message:
    """A DescriptorProto: name = 1, field = 2 with name = 1, number = 3, type = 5."""
    name, found = "", []
    for one, value in wire.whole_fields(descriptor):
        if one == 1:
            name = wire.text(value)
        elif one == 2 and isinstance(value, bytes):
            known = dict(wire.whole_fields(value))
            place, kind = known.get(3, 0), known.get(5, 0)
            if isinstance(place, int) and 0 < place < MAX_FIELDS:
                found.append(
                    MessageField(place, wire.text(known.get(1, b"")), kind == _TYPE_STRING, kind != _TYPE_UINT64)
                )
    return Message(number, name or f"perfetto_{number}", _distinct(found))


def _generic(payload: bytes) -> Message:
    """The fields of the first generic event of a name: every event of a tracepoint has the same.

    A field without a value is a text that was empty.
    """
    name, found = "", []
    for number, value in wire.whole_fields(payload):
        if number == Generic.EVENT_NAME:
            name = name or wire.text(value)
        elif number == Generic.FIELD and isinstance(value, bytes):
            known = dict(wire.whole_fields(value))
            is_text = not known.keys() & {Generic.INT_VALUE, Generic.UINT_VALUE}
            found.append(
                MessageField(0, wire.text(known.get(Generic.FIELD_NAME, b"")), is_text, Generic.UINT_VALUE not in known)
            )
    return Message(Event.GENERIC, name, _distinct(found))


def event_name(message: Message, taken: Iterable[str]) -> str:
    """What tables call its events: two tracepoints of one name (of two groups) are kept apart by their numbers."""
    name = message.name or f"perfetto_{message.number}"
    return name if name not in taken else f"perfetto_{message.number}:{name}"


def format_of(name: str, message: Message) -> EventFormat:
    """The event as `EventTableBuilder` takes it: numbers of 8 bytes, and texts as places in the payload."""
    fields = tuple(
        Field(one.name, "char[]" if one.is_text else "s64" if one.is_signed else "u64", 0, 4 if one.is_text else 8,
              one.is_signed, FieldKind.DATA_LOC if one.is_text else FieldKind.INT, 1 if one.is_text else 8, one.is_text)
        for one in message.fields
    )  # fmt: skip
    return EventFormat(name, 0, (), fields, "")


def readings(name: str, message: Message) -> list[int]:
    """How each field is read: Perfetto hands devices over as user space has them."""
    spec = SPECS.get(name)
    devices = {one.column for one in spec.spelling.values() if one.read is Read.DEV} if spec else set()
    return [
        wires.IS_TEXT if one.is_text else wires.IS_DEVICE if one.name in devices else wires.IS_NUMBER
        for one in message.fields
    ]
