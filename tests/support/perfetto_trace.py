"""A trace.dat or perf.data as Perfetto would have recorded it: bundles of each CPU, in its own words.

Written with the protobuf classes of the `perfetto` package, so that the reader is measured by what others wrote.
Tracepoints without a message of their own become generic events, in the older or the newer encoding.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from tracereplay.opening import open_reader
from tracereplay.parsers.base import TraceReader
from tracereplay.schema import EVENT_COLUMNS

FIRST_DESCRIBED = 65536
BUNDLE_EVENTS = 300
COMMON = {column.name for column in EVENT_COLUMNS}
KNOWN = {field.name: field for field in protos.FtraceEvent.DESCRIPTOR.fields}
DEVICES = {"s_dev", "dev"}
Row = dict[str, Any]


def user_device(kernel: int) -> int:
    """major << 20 | minor -> dev_t as makedev(3) makes it."""
    major, minor = kernel >> 20, kernel & 0xFFFFF
    return (major & 0xFFFFF000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFFFF00) << 12 | minor & 0xFF


def rows_of(reader: TraceReader) -> Iterator[tuple[str, Row]]:
    """Events in time order, without stacks and lists, which Perfetto does not record."""
    tables = {name: table for name, table in reader.tables().items() if name != "kernel_stack"}
    rows = []
    for name, table in tables.items():
        plain = [one.name for one in table.schema if not pa.types.is_list(one.type)]
        rows += [(row["seq"], name, row) for row in table.select(plain).to_pylist()]
    for _, name, row in sorted(rows, key=lambda row: row[0]):
        yield name, row


def fields_of(row: Row) -> Row:
    """An event's own fields as Perfetto writes them: a pfn of null is all ones."""
    fields = {}
    for name, value in sorted(row.items()):
        if name in COMMON:
            continue
        kept = name.removesuffix("_field")
        known = ((1 << 64) - 1 if kept == "pfn" else 0) if value is None else value
        fields[kept] = user_device(known) if kept in DEVICES else known
    return fields


@dataclass
class Writer:
    """Makes a trace. described -- generic events in the newer encoding, by numbers that the trace describes."""

    described: bool = False
    flags: bool = False

    def __post_init__(self) -> None:
        self.trace = protos.Trace()
        self._numbers: dict[str, int] = {}

    def packet(self) -> Any:
        """One more packet."""
        packet = self.trace.packet.add()
        packet.trusted_packet_sequence_id = 7
        return packet

    def machine(self, reader: TraceReader) -> None:
        """SystemInfo, trace id and the names of tasks."""
        info = self.packet().system_info
        info.utsname.release = reader.info.kernel or ""
        info.utsname.machine = reader.info.machine or ""
        info.page_size = reader.info.page_size_bytes or 4096
        info.num_cpus = reader.info.cpus or 1
        tree = self.packet().process_tree
        for tid, comm in reader.comms.items():
            if tid:
                tree.threads.add(tid=tid, name=comm, tgid=tid)

    def event(self, bundle: Any, name: str, row: Row) -> None:
        """One event of a bundle."""
        event = bundle.event.add(timestamp=row["time_ns"])
        if row["tid"] is not None:
            event.pid = row["tid"]
        if self.flags and row["common_flags"] is not None:
            event.common_flags = row["common_flags"]
        fields = fields_of(row)
        known = KNOWN.get(name)
        if known is not None:
            message = getattr(event, name)
            message.SetInParent()
            for one in message.DESCRIPTOR.fields:
                if one.name in fields:
                    setattr(message, one.name, _fitting(fields[one.name], one))
        elif self.described:
            event.MergeFromString(_sized(self._number(bundle, name, fields), _described_payload(fields)))
        else:
            event.generic.event_name = name
            for key, value in fields.items():
                one = event.generic.field.add(name=key)
                if isinstance(value, str):
                    one.str_value = value
                elif value >= 1 << 63:
                    one.uint_value = value
                else:
                    one.int_value = value

    def _number(self, bundle: Any, name: str, fields: Row) -> int:
        if name not in self._numbers:
            self._numbers[name] = FIRST_DESCRIBED + len(self._numbers)
            message = descriptor_pb2.DescriptorProto(name=name)
            for number, (key, value) in enumerate(fields.items(), 1):
                kind = 9 if isinstance(value, str) else 3
                message.field.add(name=key, number=number, type=kind)
            data = message.SerializeToString()
            bundle.generic_event_descriptors.add(field_id=self._numbers[name], event_descriptor=data)
        return self._numbers[name]

    def bundles(self, rows: Iterable[tuple[str, Row]], size: int = BUNDLE_EVENTS) -> None:
        """Events as bundles, each of one CPU, written when full, as they are read out."""
        open_ones: dict[int, Any] = {}
        for name, row in rows:
            cpu = row["cpu"]
            if cpu not in open_ones or len(open_ones[cpu].event) >= size:
                open_ones[cpu] = self.packet().ftrace_events
                open_ones[cpu].cpu = cpu
            self.event(open_ones[cpu], name, row)

    def written(self, *, compressed: bool = False) -> bytes:
        """The file; with several packets in each compressed one."""
        if not compressed:
            data: bytes = self.trace.SerializeToString()
            return data
        packets = list(self.trace.packet)
        outer = protos.Trace()
        for begin in range(0, len(packets), 5):
            inner = protos.Trace()
            inner.packet.extend(packets[begin : begin + 5])
            outer.packet.add().compressed_packets = zlib.compress(inner.SerializeToString())
        packed: bytes = outer.SerializeToString()
        return packed


def as_perfetto(path: Path, *, described: bool = False, compressed: bool = False, flags: bool = True) -> bytes:
    """A whole trace."""
    reader = open_reader(path)
    writer = Writer(described, flags)
    writer.machine(reader)
    writer.bundles(rows_of(reader))
    return writer.written(compressed=compressed)


def _fitting(value: Any, one: Any) -> Any:
    """A number that the field's type takes: 32 bits, signed or not."""
    if isinstance(value, str):
        return value
    bits = 32 if one.type in (one.TYPE_INT32, one.TYPE_UINT32) else 64
    value &= (1 << bits) - 1
    is_signed = one.type in (one.TYPE_INT32, one.TYPE_INT64)
    return value - (1 << bits) if is_signed and value >> (bits - 1) else value


def _described_payload(fields: Row) -> bytes:
    out = b""
    for number, value in enumerate(fields.values(), 1):
        if isinstance(value, str):
            out += _sized(number, value.encode())
        else:
            out += varint(number << 3) + varint(value & (1 << 64) - 1)
    return out


def varint(value: int) -> bytes:
    """A number in protobuf's wire format."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _sized(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data
