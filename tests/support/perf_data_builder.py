"""perf.data files made by hand: attrs, features and records in either byte order, as a file or a pipe."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import zstandard

IP, TID, TIME, ADDR, READ, CALLCHAIN, ID, CPU, PERIOD, STREAM_ID, RAW = (1 << bit for bit in range(11))
IDENTIFIER = 1 << 16
USUAL = IP | TID | TIME | CPU | PERIOD | RAW | IDENTIFIER
SAMPLE_ID_ALL, FREQ, WRITE_BACKWARD, USE_CLOCKID = 18, 10, 27, 25
KERNEL, USER = (1 << 64) - 128, (1 << 64) - 512

FORMATS: tuple[tuple[str, int, str, tuple[tuple[str, int, int, int], ...]], ...] = (
    ("kmem", 541, "mm_page_alloc", (("unsigned long pfn", 8, 8, 0), ("unsigned int order", 16, 4, 0),
     ("unsigned long gfp_flags", 24, 8, 0), ("int migratetype", 32, 4, 1))),
    ("kmem", 543, "mm_page_free", (("unsigned long pfn", 8, 8, 0), ("unsigned int order", 16, 4, 0))),
    ("printk", 300, "console", (("__data_loc char[] msg", 8, 4, 0),)),
)  # fmt: skip


def format_text(event_id: int, name: str, fields: tuple[tuple[str, int, int, int], ...]) -> bytes:
    """A format file as the kernel prints it."""
    common = (
        ("unsigned short common_type", 0, 2, 0), ("unsigned char common_flags", 2, 1, 0),
        ("unsigned char common_preempt_count", 3, 1, 0), ("int common_pid", 4, 4, 1),
    )  # fmt: skip
    rows = [
        "".join(f"\tfield:{d};\toffset:{o};\tsize:{s};\tsigned:{g};\n" for d, o, s, g in part)
        for part in (common, fields)
    ]
    names = [declaration.split()[-1] for declaration, *_ in fields]
    printed = " ".join(f"{name}=0x%lx" for name in names)
    shown = '%s", __get_str(msg)' if "msg" in names else f'{printed}", ' + ", ".join(f"REC->{name}" for name in names)
    return f'name: {name}\nID: {event_id}\nformat:\n{rows[0]}\n{rows[1]}\nprint fmt: "{shown}\n'.encode()


@dataclass(slots=True)
class Maker:
    """Packs everything in one byte order."""

    big: bool = False
    sample_type: int = USUAL
    read_format: int = 0

    def pack(self, codes: str, *values: int | bytes) -> bytes:
        return struct.pack((">" if self.big else "<") + codes, *values)

    def record(self, kind: int, body: bytes, misc: int = 0) -> bytes:
        return self.pack("IHH", kind, misc, 8 + len(body)) + body

    def trailer(self, time: int, cpu: int, sample_id: int = 0, tid: int = 0) -> bytes:
        """The sample_id behind records that are no samples."""
        parts = (
            (TID, self.pack("II", tid, tid)), (TIME, self.pack("Q", time)), (ID, self.pack("Q", sample_id)),
            (STREAM_ID, self.pack("Q", 0)), (CPU, self.pack("II", cpu, 0)), (IDENTIFIER, self.pack("Q", sample_id)),
        )  # fmt: skip
        return b"".join(data for bit, data in parts if self.sample_type & bit)

    def sample(
        self, time: int, cpu: int, tid: int, raw: bytes, *, sample_id: int = 10, chain: tuple[int, ...] = (),
        period: int = 1, read: tuple[int, ...] = (),
    ) -> bytes:  # fmt: skip
        parts = (
            (IDENTIFIER, self.pack("Q", sample_id)), (IP, self.pack("Q", 0xFFFF)), (TID, self.pack("ii", tid, tid)),
            (TIME, self.pack("Q", time)), (ADDR, self.pack("Q", 7)), (ID, self.pack("Q", sample_id)),
            (STREAM_ID, self.pack("Q", 0)), (CPU, self.pack("II", cpu, 0)), (PERIOD, self.pack("Q", period)),
            (READ, self.pack(f"{len(read)}Q", *read)), (CALLCHAIN, self.pack(f"Q{len(chain)}Q", len(chain), *chain)),
        )  # fmt: skip
        body = b"".join(data for bit, data in parts if self.sample_type & bit)
        if self.sample_type & RAW:
            padded = raw + bytes(-(len(raw) + 4) % 8)
            body += self.pack("I", len(padded)) + padded
        return self.record(9, body)

    def entry(self, event_id: int, tid: int, flags: int = 1, preempt: int = 2) -> bytes:
        return self.pack("HBBi", event_id, flags, preempt, tid)

    def alloc(self, tid: int, pfn: int, order: int = 0, gfp: int = 0x440DC0, migratetype: int = 1) -> bytes:
        return self.entry(541, tid) + self.pack("QIIQi", pfn, order, 0, gfp, migratetype)

    def free(self, tid: int, pfn: int, order: int = 0) -> bytes:
        return self.entry(543, tid) + self.pack("QI", pfn, order)

    def console(self, tid: int, text: bytes) -> bytes:
        return self.entry(300, tid) + self.pack("I", len(text) << 16 | 12) + text

    def comm(self, time: int, tid: int, name: bytes, cpu: int = 0) -> bytes:
        text = name + bytes(8 - len(name) % 8)
        return self.record(3, self.pack("II", tid, tid) + text + self.trailer(time, cpu, tid=tid))

    def fork(self, time: int, tid: int, parent: int) -> bytes:
        return self.record(7, self.pack("IIIIQ", tid, parent, tid, parent, time) + self.trailer(time, 0, tid=parent))

    def lost(self, time: int, cpu: int, count: int) -> bytes:
        return self.record(2, self.pack("QQ", 10, count) + self.trailer(time, cpu))

    def lost_samples(self, time: int, cpu: int, count: int, sample_id: int = 10, misc: int = 0) -> bytes:
        return self.record(13, self.pack("Q", count) + self.trailer(time, cpu, sample_id), misc)

    def round(self) -> bytes:
        return self.record(68, b"")

    def id_index(self, *entries: tuple[int, int]) -> bytes:
        """(id, cpu) pairs."""
        rows = b"".join(self.pack("QQQq", sample_id, 0, cpu & (1 << 64) - 1, -1) for sample_id, cpu in entries)
        return self.record(69, self.pack("Q", len(entries)) + rows)

    def thread_map(self, *pids: int) -> bytes:
        """The tasks that were recorded; -1: all."""
        rows = b"".join(self.pack("Q", pid & (1 << 64) - 1) + b"task".ljust(16, b"\0") for pid in pids)
        return self.record(73, self.pack("Q", len(pids)) + rows)

    def attr(self, config: int, *, kind: int = 2, flags: tuple[int, ...] = (SAMPLE_ID_ALL,), period: int = 1,
             clockid: int = 0) -> bytes:  # fmt: skip
        word = sum(1 << (63 - flag if self.big else flag) for flag in flags)
        head = self.pack("IIQQQQQ", kind, 128, config, period, self.sample_type, self.read_format, word)
        return (head.ljust(92, b"\0") + self.pack("i", clockid)).ljust(128, b"\0")

    def tracing_data(self) -> bytes:
        rows = (("u64 timestamp", 0, 8), ("local_t commit", 8, 8), ("int overwrite", 8, 1), ("char data", 16, 4080))
        page = "".join(f"\tfield: {d};\toffset:{o};\tsize:{s};\tsigned:0;\n" for d, o, s in rows).encode()
        out = b"\x17\x08\x44tracing0.6\0" + bytes([self.big, 8]) + self.pack("I", 4096)
        out += b"header_page\0" + self.pack("Q", len(page)) + page + b"header_event\0" + self.pack("Q", 0)
        out += self.pack("II", 0, len({system for system, *_ in FORMATS}))
        for system in dict.fromkeys(system for system, *_ in FORMATS):
            texts = [format_text(number, name, fields) for of, number, name, fields in FORMATS if of == system]
            out += system.encode() + b"\0" + self.pack("I", len(texts))
            out += b"".join(self.pack("Q", len(text)) + text for text in texts)
        symbols = b"ffffffff81000000 T _text\nffffffff81000100 T try_get_folio\n"
        return out + self.pack("I", len(symbols)) + symbols + self.pack("I", 0) + self.pack("Q", 0)

    def text(self, value: str) -> bytes:
        data = value.encode() + b"\0"
        return self.pack("I", len(data)) + data


@dataclass(slots=True)
class PerfFile:
    """A file: attrs with their ids, features by number, records."""

    make: Maker = field(default_factory=Maker)
    attrs: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    features: dict[int, bytes] = field(default_factory=dict)
    records: bytes = b""

    @classmethod
    def usual(cls, make: Maker | None = None, records: bytes = b"") -> PerfFile:
        """Three tracepoints, two ids each (one per CPU), on a machine of two CPUs."""
        make = make or Maker()
        attrs: list[tuple[bytes, tuple[int, ...]]] = [
            (make.attr(event_id), (10 + 2 * n, 11 + 2 * n)) for n, event_id in enumerate((541, 543, 300))
        ]
        features = {1: make.tracing_data(), 4: make.text("6.12.1"), 6: make.text("x86_64"), 7: make.pack("II", 2, 2)}
        return cls(make, attrs, features, records)

    def file(self, data_size: int | None = None) -> bytes:
        """As perf record -o writes it; data_size -- what the header says of the records, 0 = perf was killed."""
        pack = self.make.pack
        ids_at, ids = 104, b""
        entries = b""
        for attr, numbers in self.attrs:
            entries += attr + pack("QQ", ids_at + len(ids), 8 * len(numbers))
            ids += pack(f"{len(numbers)}Q", *numbers)
        attrs_at = ids_at + len(ids)
        begin = attrs_at + len(entries)
        size = len(self.records) if data_size is None else data_size
        flags = sum(1 << number for number in self.features)
        magic = b"2ELIFREP" if self.make.big else b"PERFILE2"
        attr_bytes = len(self.attrs[0][0]) + 16 if self.attrs else 144
        head = magic + pack("QQQQQQQQQQQQ", 104, attr_bytes, attrs_at, len(entries), begin, size, 0, 0, flags, 0, 0, 0)
        out = head + ids + entries + self.records
        if data_size == 0:
            return out
        at = len(out) + 16 * len(self.features)
        table, sections = b"", b""
        for number in sorted(self.features):
            table += pack("QQ", at + len(sections), len(self.features[number]))
            sections += self.features[number]
        return out + table + sections

    def pipe(self) -> bytes:
        """As perf record -o - writes it."""
        make = self.make
        out = (b"2ELIFREP" if make.big else b"PERFILE2") + make.pack("Q", 16)
        for number, data in self.features.items():
            if number != 1:
                out += make.record(80, make.pack("Q", number) + data + bytes(-len(data) % 8))
        for attr, numbers in self.attrs:
            out += make.record(64, attr + make.pack(f"{len(numbers)}Q", *numbers))
        tracing = self.features.get(1)
        if tracing is not None:
            padded = tracing + bytes(-len(tracing) % 8)
            out += make.record(66, make.pack("II", len(padded), 0)) + padded
        return out + self.records


def compressed(make: Maker, records: bytes, pieces: int = 3, kind: int = 81) -> bytes:
    """The records as one zstd stream in several compressed records, cut anywhere."""
    packer = zstandard.ZstdCompressor().compressobj()
    out = b""
    step = len(records) // pieces + 1
    for at in range(0, len(records), step):
        packed = packer.compress(records[at : at + step]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        if kind == 81:
            out += make.record(81, packed)
        else:
            out += make.record(83, make.pack("Q", len(packed)) + packed + bytes(-len(packed) % 8))
    return out
