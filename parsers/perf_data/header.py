"""The head of a perf.data file: which events it holds, how their samples are laid out, what it says of its machine.

Sources: tools/perf/Documentation/perf.data-file-format.txt, include/uapi/linux/perf_event.h (struct perf_event_attr),
man perf_event_open(2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from mmap import mmap

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.binary.cursor import RECORD_AGAIN, Cursor
from tracereplay.parsers.binary.tracing_data import TracingData, read_tracing_data
from tracereplay.parsers.perf_data.mem_topology import MemoryBlocks, parse_mem_topology

PIPE_HEADER_BYTES = 16
ATTR_MIN_BYTES = 64  # PERF_ATTR_SIZE_VER0
IDS_SECTION_BYTES = 16
MAX_ATTRS = 1 << 14
MAX_FEATURES = 256

# Feature bits (tools/perf/util/header.h names them HEADER_*).
TRACING_DATA, OSRELEASE, ARCH, NRCPUS, EVENT_DESC, MEM_TOPOLOGY, DIR_FORMAT, CLOCK_DATA = 1, 4, 6, 7, 12, 22, 24, 29

TRACEPOINT = 2  # enum perf_type_id
NAMES_BY_TYPE = {
    0: ("cycles", "instructions", "cache-references", "cache-misses", "branches", "branch-misses", "bus-cycles"),
    1: ("cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations", "minor-faults", "major-faults"),
}
CLOCK_DATA_BYTES = 24  # version, clock id, two times
REALTIME = 0
CLOCKS = {0: "realtime", 1: "mono", 4: "mono_raw", 7: "boot", 11: "tai"}

# Bits of the attr's flags word, in the order of their declaration.
_FREQ, _SAMPLE_ID_ALL, _USE_CLOCKID, _WRITE_BACKWARD = 10, 18, 25, 27


@dataclass(slots=True)
class Attr:
    """One event as it was opened (struct perf_event_attr), and the ids its samples carry."""

    type: int
    config: int
    sample_period: int
    sample_type: int
    read_format: int
    freq: bool
    sample_id_all: bool
    write_backward: bool
    clockid: int | None
    ids: list[int] = field(default_factory=list)
    name: str = ""

    @property
    def is_tracepoint(self) -> bool:
        """Whether `config` is the id of an event format."""
        return self.type == TRACEPOINT

    def default_name(self) -> str:
        """A name for an event that the file does not name."""
        known = NAMES_BY_TYPE.get(self.type, ())
        return known[self.config] if self.config < len(known) else f"perf_{self.type}_{self.config:#x}"


@dataclass(slots=True)
class PerfHeader:
    """What the file says besides its records. begin, end -- where records lie, in bytes from the file's start."""

    big_endian: bool
    is_pipe: bool
    begin: int = PIPE_HEADER_BYTES
    end: int = 0
    announced_end: int | None = None
    attrs: list[Attr] = field(default_factory=list)
    features: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)  # by sample id
    tracing: TracingData | None = None
    memory: MemoryBlocks | None = None
    losses: list[Loss] = field(default_factory=list)
    cut: str = ""  # what is missing after all records, at the end of the file

    @property
    def tracing_bytes(self) -> bytes:
        """The TRACING_DATA feature; empty where there is none."""
        return self.features.get(TRACING_DATA, b"")

    def text(self, number: int) -> str | None:
        """A feature that is one string."""
        data = self.features.get(number)
        if data is None or len(data) < 4:
            return None
        return data[4:].split(b"\0")[0].decode("utf-8", "replace") or None

    def clock_data(self) -> tuple[int, int] | None:
        """(clock id, ns to add to its times for ns since 1970), of both clocks read at once (perf record -k, 5.10)."""
        data = self.features.get(CLOCK_DATA)
        if data is None or len(data) < CLOCK_DATA_BYTES:
            return None
        cursor = Cursor(data, big=self.big_endian)
        version, clockid, wall_ns, clock_ns = (cursor.number(kind) for kind in "IIQQ")
        return (clockid, wall_ns - clock_ns) if version == 1 else None

    def cpus(self) -> int | None:
        """CPUs of the machine, offline ones too."""
        data = self.features.get(NRCPUS)
        return None if data is None or len(data) < 8 else Cursor(data[:4], big=self.big_endian).number("I") or None

    def online_cpus(self) -> int | None:
        """CPUs that were online when recording began."""
        data = self.features.get(NRCPUS)
        return None if data is None or len(data) < 8 else Cursor(data[4:8], big=self.big_endian).number("I") or None

    def take_feature(self, number: int, data: bytes) -> None:
        """Enter a feature section."""
        self.features[number] = data
        if number == TRACING_DATA:
            self._take_tracing_data(data)
        elif number == EVENT_DESC:
            self.names.update(_event_names(data, big=self.big_endian))
        elif number == MEM_TOPOLOGY:
            self._take_memory(data)

    def _take_memory(self, data: bytes) -> None:
        try:
            self.memory = parse_mem_topology(data, big=self.big_endian)
        except InputError as error:
            self.losses.append(Loss("layout_incomplete", detail=f"perf.data's memory topology: {error.what}"))

    def _take_tracing_data(self, data: bytes) -> None:
        """The formats up to the first that is cut."""
        self.tracing = TracingData(self.big_endian)
        try:
            read_tracing_data(data, self.tracing)
        except InputError as error:
            self.losses.append(Loss("truncated", detail=f"tracing data: {error.what}"))

    def name_attrs(self) -> None:
        """Give every attr its name, once all features are known."""
        for attr in self.attrs:
            attr.name = next((self.names[i] for i in attr.ids if i in self.names), "") or attr.default_name()


def read_header(data: mmap) -> PerfHeader:
    """Read the head of a file. In pipe mode attrs and features come as records, see `perf_data_records`.

    Raises InputError where the file is none of perf's, or its head is cut or contradicts itself.
    """
    magic = bytes(data[:8])
    if magic not in {b"PERFILE2", b"2ELIFREP", b"PERFFILE"}:
        raise InputError("not a perf.data file: its magic is missing", offset_bytes=0)
    big = magic == b"2ELIFREP"
    size = Cursor(data, 8, big=big).number("Q")
    if magic == b"PERFFILE" and size >> 32:  # version 1 does not tell its byte order
        big, size = True, int.from_bytes(size.to_bytes(8, "little"), "big")
    header = PerfHeader(big, size == PIPE_HEADER_BYTES, end=len(data))
    if header.is_pipe:
        return header
    cursor = Cursor(data, 16, big=big)
    attr_bytes, attrs_at, attrs_bytes, begin, n_bytes = (cursor.number("Q") for _ in range(5))
    cursor.take(16)  # event_types, gone since 3.x
    flags = b"".join(cursor.number("Q").to_bytes(8, "little") for _ in range(4))
    header.attrs = _read_attrs(data, attr_bytes, attrs_at, attrs_bytes, big=big)
    if begin > len(data):
        raise InputError(f"its records would begin at byte {begin}, beyond its end", advice=RECORD_AGAIN)
    header.begin = begin
    header.announced_end = begin + n_bytes if n_bytes else None
    header.end = min(begin + n_bytes, len(data)) if n_bytes else len(data)
    if 0 < n_bytes <= len(data) - begin:  # else the records themselves are cut
        _take_features(header, data, begin + n_bytes, flags)
    return header


def _read_attrs(data: mmap, attr_bytes: int, at: int, n_bytes: int, *, big: bool) -> list[Attr]:
    if not ATTR_MIN_BYTES + IDS_SECTION_BYTES <= attr_bytes <= 1 << 16:
        raise InputError(f"its header gives attributes {attr_bytes} bytes", offset_bytes=16, advice=RECORD_AGAIN)
    if n_bytes % attr_bytes or n_bytes // attr_bytes > MAX_ATTRS:
        raise InputError(f"its header announces {n_bytes} bytes of attributes", offset_bytes=32, advice=RECORD_AGAIN)
    cursor = Cursor(data, at, big=big)
    attrs = []
    for _ in range(n_bytes // attr_bytes):
        attr = parse_attr(cursor.take(attr_bytes - IDS_SECTION_BYTES), big=big)
        ids_at, ids_bytes = cursor.number("Q"), cursor.number("Q")
        attr.ids = read_ids(Cursor(data, ids_at, big=big).take(ids_bytes), big=big)
        attrs.append(attr)
    return attrs


def parse_attr(data: bytes, *, big: bool) -> Attr:
    """One struct perf_event_attr; fields after its own `size` are absent."""
    cursor = Cursor(data, big=big)
    kind, size, config, period, sample_type, read_format, word = (cursor.number(code) for code in "IIQQQQQ")

    def flag(number: int) -> bool:
        """Bitfields begin at the lowest bit, on big-endian machines at the highest."""
        return bool(word >> (63 - number if big else number) & 1)

    clockid = None
    if flag(_USE_CLOCKID) and min(size or ATTR_MIN_BYTES, len(data)) >= 96:
        clockid = int.from_bytes(data[92:96], "big" if big else "little", signed=True)
    return Attr(
        kind, config, period, sample_type, read_format,
        flag(_FREQ), flag(_SAMPLE_ID_ALL), flag(_WRITE_BACKWARD), clockid,
    )  # fmt: skip


def read_ids(data: bytes, *, big: bool) -> list[int]:
    """An array of u64; a rest shorter than one is left out."""
    return [int.from_bytes(data[at : at + 8], "big" if big else "little") for at in range(0, len(data) - 7, 8)]


def _take_features(header: PerfHeader, data: mmap, table_at: int, flags: bytes) -> None:
    """Enter the features whose section is within the file; they stand after the records."""
    numbers = [number for number in range(MAX_FEATURES) if flags[number // 8] >> number % 8 & 1]
    missing = table_at + 16 * len(numbers) - len(data)
    if missing > 0:
        header.cut = f"{missing} bytes of the table of features are missing"
        return
    cursor, end = Cursor(data, table_at, big=header.big_endian), len(data)
    for number in numbers:
        at, size = cursor.number("Q"), cursor.number("Q")
        end = max(end, at + size)
        if at + size <= len(data):
            header.take_feature(number, bytes(data[at : at + size]))
    if end > len(data):
        header.cut = f"{end - len(data)} bytes of its features are missing"


def _event_names(data: bytes, *, big: bool) -> dict[int, str]:
    """EVENT_DESC: the name of each event by the ids of its samples; up to the first that is cut."""
    names: dict[int, str] = {}
    cursor = Cursor(data, big=big)
    try:
        count, attr_bytes = cursor.number("I"), cursor.number("I")
        for _ in range(count):
            cursor.take(attr_bytes)
            n_ids = cursor.number("I")
            name = cursor.sized_text("I").split("\0")[0]
            names.update(dict.fromkeys(read_ids(cursor.take(8 * n_ids), big=big), name))
    except InputError:
        pass
    return names
