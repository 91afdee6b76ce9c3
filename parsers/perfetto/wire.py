"""Protobuf's wire format in Python, for the few messages that describe a trace; events are read by `wire_kernels`.

Source: protobuf.dev/programming-guides/encoding. Every length is checked against the end of its message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
U64 = (1 << 64) - 1

Value = int | bytes


class DamagedMessageError(Exception):
    """The bytes are no protobuf message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, next byte). Raises DamagedMessageError where it has no end."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & U64, at
        shift += 7
    raise DamagedMessageError


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field in order: numbers are unsigned, everything with a length is bytes.

    Raises DamagedMessageError at the first that cannot be read.
    """
    at = 0
    while at < len(data):
        number, kind, at = _key(data, at)
        if kind == BYTES:
            size, at = varint(data, at)
            if size > len(data) - at:
                raise DamagedMessageError
            yield number, data[at : at + size]
            at += size
        else:
            value, at = _number(data, at, kind)
            yield number, value


def split_cut(data: bytes) -> list[tuple[int, Value, int]]:
    """(number, value, first byte) of the fields of a message that the end of the data cuts.

    Of the last one, if it has a length, the value is what is left of it.
    """
    found: list[tuple[int, Value, int]] = []
    at = 0
    with suppress(DamagedMessageError):
        while at < len(data):
            number, kind, at = _key(data, at)
            if kind == BYTES:
                size, at = varint(data, at)
                found.append((number, data[at : at + size], at))
                at += size
            else:
                value, at = _number(data, at, kind)
                found.append((number, value, at))
    return found


def _key(data: bytes, at: int) -> tuple[int, int, int]:
    """(number, wire type, next byte)."""
    key, at = varint(data, at)
    if not 0 < key >> 3 < 1 << 29:
        raise DamagedMessageError
    return key >> 3, key & 7, at


def _number(data: bytes, at: int, kind: int) -> tuple[int, int]:
    """(value, next byte) of a field without a length."""
    if kind == VARINT:
        return varint(data, at)
    size = {FIXED64: 8, FIXED32: 4}.get(kind)
    if size is None or size > len(data) - at:
        raise DamagedMessageError
    return int.from_bytes(data[at : at + size], "little"), at + size


def encoded(value: int) -> bytes:
    """A number as a varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def whole_fields(data: bytes) -> list[tuple[int, Value]]:
    """The fields up to the first damaged one."""
    found: list[tuple[int, Value]] = []
    with suppress(DamagedMessageError):
        for field in fields(data):
            found.append(field)  # noqa: PERF402 (what comes before the damage counts)
    return found


def text(value: Value) -> str:
    """A string field."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def packed(value: Value) -> list[int]:
    """The numbers of a packed field, or the one of a plain field."""
    if isinstance(value, int):
        return [value]
    numbers: list[int] = []
    at = 0
    with suppress(DamagedMessageError):
        while at < len(value):
            number, at = varint(value, at)
            numbers.append(number)
    return numbers
