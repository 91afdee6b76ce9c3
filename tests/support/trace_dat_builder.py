"""Small trace.dat files made by hand: pages, records, both versions, both byte orders, both sizes of long."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import zstandard

FORMAT = """name: {name}
ID: {id}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

{fields}
print fmt: "x"
"""


def format_text(name: str, event_id: int, fields: Sequence[tuple[str, int, int, int]]) -> str:
    """A format text; fields are (declaration, offset, size, signed)."""
    lines = (f"\tfield:{decl};\toffset:{at};\tsize:{size};\tsigned:{signed};\n" for decl, at, size, signed in fields)
    return FORMAT.format(name=name, id=event_id, fields="".join(lines))


# Two events of the page stream, one unknown to the catalogue, with a text.
FREE = format_text("mm_page_free", 500, [("unsigned long pfn", 8, 8, 0), ("unsigned int order", 16, 4, 0)])
DRAIN = format_text(
    "mm_page_pcpu_drain",
    501,
    [("unsigned long pfn", 8, 8, 0), ("unsigned int order", 16, 4, 0), ("int migratetype", 20, 4, 1)],
)
NOTE = format_text("note", 502, [("__data_loc char[] msg", 8, 4, 0), ("s16 level", 12, 2, 1), ("u8 raw[4]", 14, 4, 0)])
FORMATS = (FREE, DRAIN, NOTE)


@dataclass(frozen=True)
class Machine:
    """Byte order and size of long."""

    big: bool = False
    long_bytes: int = 8

    @property
    def order(self) -> str:
        return ">" if self.big else "<"

    def pack(self, codes: str, *values: int) -> bytes:
        return struct.pack(self.order + codes, *values)

    @property
    def header_page(self) -> str:
        data = 8 + self.long_bytes
        return (
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
            f"\tfield: local_t commit;\toffset:8;\tsize:{self.long_bytes};\tsigned:1;\n"
            f"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
            f"\tfield: char data;\toffset:{data};\tsize:{4096 - data};\tsigned:0;\n"
        )

    def free(self, pfn: int, order: int = 0, tid: int = 7) -> bytes:
        return self.pack("HBBiQI", 500, 1, 2, tid, pfn, order)

    def drain(self, pfn: int, order: int, migratetype: int, tid: int = 7) -> bytes:
        return self.pack("HBBiQIi", 501, 0, 0, tid, pfn, order, migratetype)

    def note(self, text: bytes, level: int, tid: int = 7) -> bytes:
        body = text + b"\0"
        body += b"\0" * (-(18 + len(body)) % 4)
        return self.pack("HBBiIh", 502, 0, 0, tid, (len(text) + 1) << 16 | 18, level) + b"\1\2\3\4" + body

    def word(self, type_len: int, delta: int) -> bytes:
        return self.pack("I", type_len << 27 | delta if self.big else delta << 5 | type_len)

    def record(self, delta: int, payload: bytes, *, long_form: bool = False) -> bytes:
        """One record: the short form up to 112 bytes, else (or if asked) type_len 0; a time extend where needed."""
        before = b""
        if delta >= 1 << 27:
            before, delta = self.time_extend(delta), 0
        payload += b"\0" * (-len(payload) % 4)
        if len(payload) <= 112 and not long_form:
            return before + self.word(len(payload) // 4, delta) + payload
        return before + self.word(0, delta) + self.pack("I", len(payload) + 4) + payload

    def time_extend(self, delta: int) -> bytes:
        return self.word(30, delta & ((1 << 27) - 1)) + self.pack("I", delta >> 27)

    def time_stamp(self, stamp: int) -> bytes:
        return self.word(31, stamp & ((1 << 27) - 1)) + self.pack("I", stamp >> 27 & 0xFFFFFFFF)

    def padding(self, delta: int, length: int) -> bytes:
        """A discarded record of `length` bytes behind its first word."""
        return self.word(29, delta) + self.pack("I", length) + b"\0" * (length - 4)

    def page(
        self, base: int, data: bytes, *, missed: int | None = None, size: int = 4096, commit: int | None = None
    ) -> bytes:
        """A page; missed: -1 lost without number, else the number that is stored behind the data."""
        word = len(data) if commit is None else commit
        behind = b""
        if missed is not None:
            word |= 1 << 31
            if missed >= 0:
                word |= 1 << 30
                behind = self.pack("Q" if self.long_bytes == 8 else "I", missed)
        code = "Q" if self.long_bytes == 8 else "I"
        return (self.pack("Q", base) + self.pack(code, word) + data + behind).ljust(size, b"\0")


@dataclass
class Sparse:
    """What else a container may hold."""

    options: list[tuple[int, bytes]] = field(default_factory=list)
    cmdlines: str = "7 worker one\n"
    instances: dict[str, Mapping[int, bytes]] = field(default_factory=dict)
    clock: str = "local"
    page_bytes: int = 4096


def _start(version: int, machine: Machine) -> bytes:
    return b"\x17\x08\x44tracing%d\0" % version + machine.pack("BBI", machine.big, machine.long_bytes, 4096)


def _texts(machine: Machine, formats: Sequence[str]) -> tuple[bytes, bytes, bytes]:
    def sized(text: str) -> bytes:
        return machine.pack("Q", len(text)) + text.encode()

    header = b"header_page\0" + sized(machine.header_page) + b"header_event\0" + sized("# compressed entry header\n")
    events = machine.pack("I", 1) + b"kmem\0" + machine.pack("I", len(formats)) + b"".join(map(sized, formats))
    return header, machine.pack("I", 0), events


def trace_dat_v6(
    cpus: Sequence[bytes], machine: Machine | None = None, formats: Sequence[str] = FORMATS, extra: Sparse | None = None
) -> bytes:
    """A version 6 file; instances as options that point behind the top level's data."""
    machine, extra = machine or Machine(), extra or Sparse()
    head = _start(6, machine) + b"".join(_texts(machine, formats))
    head += machine.pack("I", 0) + machine.pack("I", 0)  # kallsyms, printk
    head += machine.pack("Q", len(extra.cmdlines)) + extra.cmdlines.encode() + machine.pack("I", len(cpus))
    options = [*extra.options, (4, f"[{extra.clock}] other\n".encode())]
    buffers: list[tuple[str, Sequence[bytes]]] = [("", cpus)]
    buffers += [(name, [data.get(cpu, b"") for cpu in range(len(cpus))]) for name, data in extra.instances.items()]
    size = len(head) + 10 + sum(6 + len(data) for _, data in options) + 2 + 10 + 16 * len(cpus)
    size += sum(6 + 8 + len(name) + 1 for name in extra.instances)
    at = -(-size // 4096) * 4096
    tables: list[bytes] = []
    body = b""
    for number, (name, places) in enumerate(buffers):
        table = b""
        if number:
            options.append((3, machine.pack("Q", at + len(body)) + name.encode() + b"\0"))
            body += b"\0" * 4096  # room for the instance's own table
        for data in places:
            table += machine.pack("QQ", at + len(body), len(data))
            body += data + b"\0" * (-len(data) % 4096)
        tables.append(table)
        if number:
            offset = struct.unpack(machine.order + "Q", options[-1][1][:8])[0] - at
            piece = b"flyrecord\0" + table
            body = body[:offset] + piece + body[offset + len(piece) :]
    packed = b"".join(machine.pack("HI", number, len(data)) + data for number, data in options)
    head += b"options  \0" + packed + machine.pack("H", 0) + b"flyrecord\0" + tables[0]
    assert len(head) <= at
    return head.ljust(at, b"\0") + body


def _compress(data: bytes, compression: str) -> bytes:
    if compression == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    return zlib.compress(data) if compression == "zlib" else data


def trace_dat_v7(
    cpus: Mapping[int, bytes],
    machine: Machine | None = None,
    formats: Sequence[str] = FORMATS,
    compression: str = "zstd",
    extra: Sparse | None = None,
    *,
    data_first: bool = False,
) -> bytes:
    """A version 7 file with sparse CPU numbers; sections and data compressed alike, in chunks of two pages.

    data_first -- the options that say where data is come after it, as trace-cmd writes them.
    """
    machine, extra = machine or Machine(), extra or Sparse()
    out = _start(7, machine) + compression.encode() + b"\0" + b"1.0\0" + machine.pack("Q", 0)
    pointer = len(out) - 8
    packs = compression != "none"

    def section(number: int, body: bytes) -> bytes:
        if packs:
            packed = _compress(body, compression)
            body = machine.pack("II", len(packed), len(body)) + packed
        return machine.pack("HHIQ", number, int(packs), 0, len(body)) + body

    def option(number: int, data: bytes) -> bytes:
        return machine.pack("HI", number, len(data)) + data

    header, ftrace, events = _texts(machine, formats)
    cmdlines = machine.pack("Q", len(extra.cmdlines)) + extra.cmdlines.encode()
    options = b""
    for number, body in ((16, header), (17, ftrace), (18, events), (21, cmdlines)):
        options += option(number, machine.pack("Q", len(out)))
        out += section(number, body)
    options += b"".join(option(number, data) for number, data in extra.options)
    buffers: list[tuple[str, Mapping[int, bytes]]] = [("", cpus), *extra.instances.items()]
    first = len(out)
    plain = options + option(0, machine.pack("Q", 0))
    # the next section lies behind this one: its place is known once this one's size is
    size = len(machine.pack("HHIQ", 0, 0, 0, 0)) + len(plain)
    following = first + size
    begun = out + machine.pack("HHIQ", 0, 0, 0, len(plain)) + options
    out = begun + option(0, machine.pack("Q", following))
    out = out[:pointer] + machine.pack("Q", first) + out[pointer + 8 :]
    # the buffers' options point behind themselves; sizes do not depend on the values, so they are laid out twice
    tail = data_bytes = b""
    for _ in range(2):
        base = following + (0 if data_first else 16 + len(tail))
        data_bytes, tail = b"", b""
        for name, places in buffers:
            begin = base + len(data_bytes)
            data_bytes += machine.pack("HHIQ", 3, int(packs), 0, 0)
            rows = b""
            for cpu, data in places.items():
                at = -(-(base + len(data_bytes)) // 4096) * 4096
                data_bytes += b"\0" * (at - base - len(data_bytes))
                step = 2 * extra.page_bytes
                if packs:
                    chunks = [data[i : i + step] for i in range(0, len(data), step)]
                    stored = machine.pack("I", len(chunks))
                    for chunk in chunks:
                        packed = _compress(chunk, compression)
                        stored += machine.pack("II", len(packed), len(chunk)) + packed
                else:
                    stored = data
                rows += machine.pack("IQQ", cpu, at, len(stored) - 4 * packs)
                data_bytes += stored
            body = machine.pack("Q", begin) + name.encode() + b"\0" + extra.clock.encode() + b"\0"
            tail += option(3, body + machine.pack("II", extra.page_bytes, len(places)) + rows)
        tail += option(0, machine.pack("Q", 0))
    section_of_data = machine.pack("HHIQ", 0, 0, 0, len(tail)) + tail
    if data_first:
        out = begun + option(0, machine.pack("Q", following + len(data_bytes)))
        out = out[:pointer] + machine.pack("Q", first) + out[pointer + 8 :]
        return out + data_bytes + section_of_data
    return out + section_of_data + data_bytes
