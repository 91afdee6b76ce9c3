"""Pipe mode: what a file's head says comes as records among the others (PERF_RECORD_HEADER_*)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tracereplay.errors import InputError
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.perf_data import record_kernels as kernels
from tracereplay.parsers.perf_data.header import (
    ATTR_MIN_BYTES,
    MAX_ATTRS,
    TRACING_DATA,
    PerfHeader,
    parse_attr,
    read_ids,
)
from tracereplay.parsers.perf_data.records import (
    CUSTOM_SPLIT,
    CUSTOM_SPLIT_END,
    CUSTOM_TRACING_DATA,
    HEADER_TRACING_DATA,
    MAX_SPLIT_BYTES,
    TRACING_DATA_AT,
    Block,
    Records,
)

HEADER_ATTR, EVENT_UPDATE, HEADER_FEATURE = 64, 78, 80
UPDATE_NAME = 2  # enum: PERF_EVENT_UPDATE__NAME
MAX_HEADER_RECORDS = 1 << 16
_WANTED = np.zeros(256, np.uint8)
_WANTED[[HEADER_ATTR, HEADER_TRACING_DATA, EVENT_UPDATE, HEADER_FEATURE]] = 1


def take_header_records(records: Records, header: PerfHeader) -> None:
    """Find these records wherever they are, and enter them."""
    big = int(records.big_endian)
    places = np.zeros(MAX_HEADER_RECORDS, np.int64)
    for block in records.header_blocks():  # they are never compressed
        # a block that begins with tracing data holds one record, and those data
        kind = _kind(block, big=header.big_endian)
        if kind >= kernels.CUSTOM_TYPES:
            continue
        room = places[:1] if kind == HEADER_TRACING_DATA else places
        n = kernels.find_records(block.words, block.begin, block.end, big, _WANTED, room)
        for place in places[:n].tolist():
            _take(block, place, header)
        if len(header.attrs) > MAX_ATTRS:
            raise InputError(f"it describes more than {MAX_ATTRS} events", advice=RECORD_AGAIN)


def take_tracing_records(records: Records, header: PerfHeader) -> None:
    """simpleperf writes the formats of events as a record into a file, too; a large one in parts, at its beginning."""
    parts = bytearray()
    for block in records.header_blocks():
        kind, whole = _kind(block, big=header.big_endian), block.bytes_at(block.begin, block.end - block.begin)
        if kind == CUSTOM_SPLIT and len(parts) + len(whole) <= MAX_SPLIT_BYTES:
            parts += whole[kernels.HEADER_BYTES :]
        elif kind == CUSTOM_SPLIT_END:
            kind = int.from_bytes(parts[:4], "big" if header.big_endian else "little")
            whole, parts = bytes(parts), bytearray()
        if kind in (HEADER_TRACING_DATA, CUSTOM_TRACING_DATA):
            length = int.from_bytes(whole[8:TRACING_DATA_AT], "big" if header.big_endian else "little")
            header.take_feature(TRACING_DATA, whole[TRACING_DATA_AT : TRACING_DATA_AT + length])
            return


def _kind(block: Block, *, big: bool) -> int:
    return int.from_bytes(block.bytes_at(block.begin, 4), "big" if big else "little")


def _take(block: Block, at: int, header: PerfHeader) -> None:
    big = header.big_endian
    head = Cursor(block.bytes_at(at, 8), big=big)
    kind, _misc, size = head.number("I"), head.number("H"), head.number("H")
    record = block.bytes_at(at, size)
    order: Literal["big", "little"] = "big" if big else "little"
    if kind == HEADER_TRACING_DATA:
        length = int.from_bytes(record[8:TRACING_DATA_AT], order)
        begin = TRACING_DATA_AT if size >= TRACING_DATA_AT + length else size
        header.take_feature(TRACING_DATA, block.bytes_at(at + begin, length))
    elif kind == HEADER_ATTR and size >= 8 + ATTR_MIN_BYTES:
        attr_bytes = int.from_bytes(record[12:16], order) or ATTR_MIN_BYTES
        attr = parse_attr(record[8 : 8 + attr_bytes].ljust(ATTR_MIN_BYTES, b"\0"), big=big)
        attr.ids = read_ids(record[8 + attr_bytes :], big=big)
        header.attrs.append(attr)
    elif kind == HEADER_FEATURE and size >= 16:
        header.take_feature(int.from_bytes(record[8:16], order), record[16:])
    elif kind == EVENT_UPDATE and size >= 24 and int.from_bytes(record[8:16], order) == UPDATE_NAME:
        name = record[24:].split(b"\0")[0].decode("utf-8", "replace")
        header.names.setdefault(int.from_bytes(record[16:24], order), name)
