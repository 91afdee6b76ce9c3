"""Small inputs of every decoder, cut from the real captures: what the fuzzer mutates."""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.captures import FIXTURES, SHARED
from tests.support.pack_perf_data import records
from tests.support.perf_data_builder import PerfFile
from tests.support.perfetto_trace import Writer, rows_of
from tests.support.trace_dat_builder import Machine, trace_dat_v6, trace_dat_v7
from tracereplay.dataset import write_dataset
from tracereplay.parsers.trace_dat.reader import TraceDatReader

TRACE = FIXTURES / "offline_dimm_einval" / "trace.dat"
PERF = FIXTURES / "cma_pin_vmsplice_perf" / "perf.data"
PUBLIC = SHARED / "cases"
LARGEST_BYTES = 40_000  # of a seed: smaller ones are tried more often
PAGES = 2  # of each CPU
LINES = 40


def trace_dats() -> Iterator[bytes]:
    """Real pages and formats of a few events, as version 6 and 7, packed and not; and the builder's own, big endian."""
    formats, cpus = _cut()
    yield trace_dat_v6(cpus, formats=formats)
    for compression in ("none", "zstd", "zlib"):
        yield trace_dat_v7(dict(enumerate(cpus)), formats=formats, compression=compression)
    big = Machine(big=True, long_bytes=4)
    yield trace_dat_v6([big.page(5, b"".join(big.record(9, big.free(pfn)) for pfn in range(40)), missed=3)], big)


def _cut() -> tuple[list[str], list[bytes]]:
    """Formats of the events that occur, and the first pages of each CPU."""
    reader = TraceDatReader(TRACE)
    container = reader._container
    texts = [text for _, text in container.formats.by_system]
    used = [text for text in texts if text.split("\n")[0].removeprefix("name: ") in reader.info.by_event]
    blocks = ((stream, stream.blocks[0]) for stream in reader._streams if stream.blocks)
    return used, [stream.bytes_of(block)[: PAGES * 4096] for stream, block in blocks]


def raw_buffers() -> Iterator[tuple[str, bytes]]:
    """(file, content) of a raw capture with these pages."""
    formats, cpus = _cut()
    for cpu, pages in enumerate(cpus):
        yield f"per_cpu/cpu{cpu}/trace_pipe_raw", pages
    for number, text in enumerate(formats):
        yield f"events/s/e{number}/format", text.encode()
    yield "events/header_page", TraceDatReader(TRACE)._container.formats.header_page.encode()
    yield "saved_cmdlines", b"1 init\n7 worker one\n"
    yield "trace_clock", b"[local] global\n"
    yield "per_cpu/cpu0/stats", b"entries: 10\noverrun: 3\ndropped events: 2\nbytes: 99\n"


def perf_datas() -> Iterator[bytes]:
    """The real file with its first records, a built one as file and pipe; other projects', where they lie beside."""
    yield _cut_perf(PERF.read_bytes(), 1)  # packed
    unpacked = SHARED / "captures" / PERF.parent.name / PERF.name
    if unpacked.exists():
        yield _cut_perf(unpacked.read_bytes(), 60)
    usual = PerfFile.usual()
    usual.records = usual.make.record(68, b"")
    yield usual.file()
    yield usual.pipe()
    for path in (*sorted((PUBLIC / "binary").glob("*perf*")), *sorted((PUBLIC / "foreign").glob("P*data"))):
        if path.suffix != ".json" and path.stat().st_size <= LARGEST_BYTES:
            yield path.read_bytes()


def _cut_perf(data: bytes, count: int) -> bytes:
    """A perf.data file with this many samples (or packed records), and its features (formats are among them)."""
    begin, n_bytes = struct.unpack_from("<QQ", data, 40)
    whole = data[begin : begin + n_bytes]
    samples = (record for record in records(whole) if record[0] in {9, 81})  # SAMPLE, COMPRESSED
    kept = b"".join([*itertools.islice(records(whole), 5), *itertools.islice(samples, count)])
    features = int.from_bytes(data[72:104], "little").bit_count()
    table, sections = b"", b""
    at = begin + len(kept) + 16 * features
    for number in range(features):
        place, size = struct.unpack_from("<QQ", data, begin + n_bytes + 16 * number)
        table += struct.pack("<QQ", at + len(sections), size)
        sections += data[place : place + size]
    return data[:48] + struct.pack("<Q", len(kept)) + data[56:begin] + kept + table + sections


def archives() -> Iterator[bytes]:
    """A trace in a zip archive, stored and packed, and a bugreport with a kernel log."""
    text = _lines("cma_bufferhead/trace.head.txt.gz")
    log = next(kernel_logs()).decode("utf-8", "replace")
    dumpstate = f"------ KERNEL LOG (dmesg) ------\n{log}\n------ MEMORY INFO ------\nx\n"
    for method, files in (
        (zipfile.ZIP_STORED, {"trace.txt": text, "readme": b"x"}),
        (zipfile.ZIP_DEFLATED, {"a/trace.txt": text}),
        (zipfile.ZIP_DEFLATED, {"main_entry.txt": b"dump.txt", "dump.txt": dumpstate.encode()}),
    ):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as file:
            for name, content in files.items():
                file.writestr(name, content)
        yield packed.getvalue()


def perfetto_traces() -> Iterator[bytes]:
    """The first events of a real capture in each encoding, with all that a trace says beside them."""
    reader = TraceDatReader(TRACE)
    rows = list(itertools.islice(rows_of(reader), 400))
    for described, compressed in ((False, False), (True, False), (False, True)):
        writer = Writer(described, flags=described)
        writer.machine(reader)
        config = writer.packet().trace_config.data_sources.add().config.ftrace_config
        config.ftrace_events.extend(["kmem/mm_page_alloc", "cma/*"])
        writer.bundles(rows, size=60)
        bundle = writer.trace.packet[-1].ftrace_events
        bundle.lost_events = True
        bundle.error.add(timestamp=5, status=8)
        bundle.compact_sched.intern_table.extend(["pin-a", "pin-b"])
        bundle.compact_sched.switch_next_pid.extend([13, 14])
        bundle.compact_sched.switch_next_comm_index.extend([1, 9])
        stats = writer.packet().ftrace_stats
        stats.phase = 2
        stats.cpu_stats.add(cpu=1, overrun=7)
        yield writer.written(compressed=compressed)


def _lines(name: str, start: int = 0, lines: int = LINES) -> bytes:
    with gzip.open(FIXTURES / name, "rb") as file:
        return b"".join(itertools.islice(file, start, start + lines))


def trace_texts() -> Iterator[bytes]:
    """ftrace text and reports of trace-cmd, as captured and as people posted them."""
    yield _lines("cma_bufferhead/trace.head.txt.gz")
    yield _lines("cma_bufferhead/report.head.txt.gz")
    yield from _posted("text", "perf-script", wanted=False)
    yield from _posted("fragments", "", wanted=True)


def perf_scripts() -> Iterator[bytes]:
    """perf script text."""
    yield _lines("cma_pin_vmsplice_perf/perf_script.txt.gz")
    yield from _posted("text", "perf-script", wanted=True)


def kernel_logs() -> Iterator[bytes]:
    """Kernel logs."""
    yield (FIXTURES / "offline_pin_nopageref" / "dmesg.txt").read_bytes()[-6000:]
    yield from _posted("dmesg", "", wanted=True)
    yield from _posted("logs", "", wanted=True)


def _posted(folder: str, part: str, *, wanted: bool) -> Iterator[bytes]:
    for path in sorted((PUBLIC / folder).glob("*.txt")):
        if (part in path.name) == wanted:
            yield path.read_bytes()[:6000]


def page_owners() -> Iterator[bytes]:
    """page_owner, and its form with handles."""
    yield _lines("cma_bufferhead/page_owner.txt.gz", 150_000, 120)
    yield b"Page allocated via order 0, mask 0x8(x), tgid 1 (a b), ts 5 ns\nPFN 0x1f type Movable Block 1 type CMA "
    yield b" f+0x1/0x2\n g+0x3/0x4 [m]\nhandle: 7\n\n h+0x5/0x6\nhandle: 8\nnr_base_pages: 3\n\n"


def page_pinners() -> Iterator[bytes]:
    """page_pinner, in the shapes of Android 12 to 14."""
    yield b"Page pinned for 3 us\nPFN 0x1f Block 1 count 2 mapcount 0 mapping 00000 Flags 0x1(lru)\n f+0x1/0x2\n\n"
    yield b"Freed at [1.000001]\nPFN 31 Block 1 count 2 mapcount 0 mapping 0 Flags 0x0()\n f+0x1/0x2\n\n"


def kpageflags() -> Iterator[bytes]:
    """Words of kpageflags, plain and packed."""
    path = next((FIXTURES / "cma_bufferhead").glob("kpageflags.before.*"))
    words = gzip.decompress(path.read_bytes())[: 8 * 256]
    yield words
    yield gzip.compress(words)


def layout_files() -> Iterator[bytes]:
    """A layout written by hand."""
    yield (
        b'page_size = 4096\nmemory_block_size = "128MiB"\nmachine = "x86_64"\n'
        b'[[zone]]\nname = "Normal"\nnode = 0\nstart_pfn = 0x1000\npages = 65536\n'
        b'[[cma]]\nname = "reserved"\nstart_pfn = 0xfc00\npages = 65536\n'
    )


def layout_snapshots() -> Iterator[tuple[str, bytes]]:
    """(file, content) of a layout snapshot."""
    folder = FIXTURES / "cma_bufferhead" / "layout_before"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def datasets() -> Iterator[tuple[str, bytes]]:
    """(file, content) of a small dataset: its description, and a few tables."""
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "trace.dat"
        small.write_bytes(next(iter(trace_dats())))
        folder = Path(scratch) / "dataset"
        write_dataset(TraceDatReader(small), folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.relative_to(folder).as_posix(), path.read_bytes()
