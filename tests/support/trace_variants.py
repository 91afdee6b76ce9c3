"""Variants of a real trace.dat: page frames, tasks, names and times moved, all other fields as recorded.

Each record of the ring buffers is found once; a variant adds to the numbers at their places. PFNs move together (by
whole memory blocks, in the layout too), tids move together, a task's name changes wherever it stands, times shift.
The file is written anew as version 7 with zstd, as trace-cmd does, but without the kernel's symbols.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import zstandard

from tracereplay.parsers.binary.load_kernels import load
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.ring_buffer import page_kernels as kernels
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.parsers.trace_dat.sections import BUFFER, CMDLINES, DONE, KALLSYMS
from tracereplay.replay.migration_entries import X86_SWAP_OFFSET_SHIFT

CHUNK_PAGES = 64
PAGE_SHIFT = 12
TID_FIELDS = ("common_pid", "pid", "tgid", "prev_pid", "next_pid", "parent_pid", "child_pid")
ARMOURED = 100  # tids below are the kernel's own threads: they stay
BLOCK_PAGES = 1 << 15  # a memory block of the captures: 128 MiB
# The capture whose task gets another name in planted corpora: who is to be found there.
PLANTED_CAPTURE, PLANTED_TASK, PLANTED = "cma_pin_aio", "aio-odirect", "camera-hal"
Places = npt.NDArray[np.int64]


@numba.njit(cache=False)
def _records(words: Any, n_bytes: int, page_bytes: int, layout: Any, ids: Any, places: Any) -> int:
    """Event id and payload's byte of every record; how many there are."""
    found = 0
    for page in range(0, n_bytes, page_bytes):
        state, end, _ = kernels._open_page(words, page, page_bytes, min(page_bytes, n_bytes - page), layout)
        if state != kernels.PAGE_OK:
            continue
        time: Any = 0
        at: Any = page + layout[kernels.DATA_OFFSET]
        while True:
            what, at, time, payload, _ = kernels._step(words, at, end, time, 0)
            if what != kernels.RECORD:
                break
            ids[found] = load(words, payload + layout[kernels.ID_OFFSET], 2, 0)
            places[found] = payload
            found += 1
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What a variant moves; names -- new comms by old ones, at most 15 bytes."""

    pfn: int = 0
    tid: int = 0
    time_ns: int = 0
    names: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Cpu:
    """One CPU's pages as 32-bit words, and the places (in words) of what a variant changes."""

    number: int
    words: npt.NDArray[np.uint32]
    times: Places
    pfns: Places
    swap_ptes: Places
    ptes: Places
    tids: Places
    comms: Places


class Original:
    """A capture's trace.dat, its records found once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = TraceDatReader(path)
        self.container = self.reader._container
        self.page_bytes = self.container.buffers[0].page_bytes
        self.cpus = [self._cpu(pages) for pages in self.reader._streams]

    def _cpu(self, pages: Any) -> _Cpu:
        data = b"".join(pages.bytes_of(block) for block in pages.blocks)
        words = np.frombuffer(data + b"\0" * 8, np.uint32).copy()
        room = len(data) // 8
        ids, payloads = np.zeros(room, np.int64), np.zeros(room, np.int64)
        number = _records(words, len(data), self.page_bytes, self.reader._layout, ids, payloads)
        ids, payloads = ids[:number], payloads[:number]
        places: dict[str, list[Places]] = {name: [] for name in ("pfns", "swap_ptes", "ptes", "tids", "comms")}
        for event_id in np.unique(ids).tolist():
            name = self.reader._names.get(event_id)
            if name is None:
                continue
            mine, form, spec = payloads[ids == event_id], self.reader.formats[name], SPECS.get(name)
            pfns = {column.name for column in spec.fields if column.unit == "pfn"} if spec is not None else set()
            for one in (*form.common, *form.fields):
                at = (mine + one.offset) // 4
                if one.name in pfns:
                    places["pfns"].append(at)
                elif one.name == "pte" and name in ("set_migration_pte", "remove_migration_pte"):
                    places["swap_ptes" if name == "set_migration_pte" else "ptes"].append(at)
                elif one.name in TID_FIELDS and one.size == 4:
                    places["tids"].append(at)
                elif one.name.endswith("comm") and one.size == 16:
                    places["comms"].append(at)
        times = np.arange(0, len(data), self.page_bytes, dtype=np.int64) // 4
        joined = {name: np.concatenate(found) if found else np.zeros(0, np.int64) for name, found in places.items()}
        return _Cpu(pages.cpu, words, times, **joined)

    def variant(self, change: Change) -> bytes:
        """The trace.dat of a variant."""
        return self._file([(cpu.number, self._moved(cpu, change)) for cpu in self.cpus], self._cmdlines(change))

    def _moved(self, cpu: _Cpu, change: Change) -> bytes:
        words = cpu.words.copy()
        _add(words, cpu.times, change.time_ns)
        known = (words[cpu.pfns] != 0xFFFFFFFF) & (words[cpu.pfns] != 0)
        words[cpu.pfns[known]] += np.uint32(change.pfn)
        _add(words, cpu.swap_ptes, -(change.pfn << X86_SWAP_OFFSET_SHIFT))  # the entry holds the inverted offset
        _add(words, cpu.ptes, change.pfn << PAGE_SHIFT)
        tids = words[cpu.tids].astype(np.int32)
        words[cpu.tids[tids > ARMOURED]] += np.uint32(change.tid)
        for old, new in change.names.items():
            _rename(words, cpu.comms, old, new)
        return words.tobytes()[:-8]

    def _cmdlines(self, change: Change) -> bytes:
        lines = []
        for tid, comm in self.reader._comms.items():
            lines.append(f"{tid + change.tid if tid > ARMOURED else tid} {change.names.get(comm, comm)}\n")
        return "".join(lines[1:]).encode()

    def _file(self, cpus: Sequence[tuple[int, bytes]], cmdlines: bytes) -> bytes:
        """The original's head and options, with other command lines and other pages."""
        packer = zstandard.ZstdCompressor(level=1)
        # Magic, version, byte order, sizes, then how sections are packed: all as in the original.
        head = self.path.read_bytes()[:64]
        out = bytearray(head[: head.index(b"\0", head.index(b"zstd\0") + 5) + 1] + b"\0" * 8)
        pointer = len(out) - 8

        def section(number: int, body: bytes) -> int:
            at, packed = len(out), packer.compress(body)
            out.extend(struct.pack("<HHIQII", number, 1, 0, len(packed) + 8, len(packed), len(body)) + packed)
            return at

        options = b""
        for number, option in self.container.options:
            if number in (BUFFER, KALLSYMS, DONE):
                continue
            if 16 <= number <= CMDLINES:
                body = struct.pack("<Q", len(cmdlines)) + cmdlines if number == CMDLINES else self._section(option)
                option = struct.pack("<Q", section(number, body))  # noqa: PLW2901
            options += struct.pack("<HI", number, len(option)) + option
        buffer_at = len(out)
        out.extend(struct.pack("<HHIQ", BUFFER, 1, 0, 0))
        rows = b""
        for number, data in cpus:
            out.extend(b"\0" * (-len(out) % 4096))
            at, step = len(out), CHUNK_PAGES * self.page_bytes
            chunks = [data[begin : begin + step] for begin in range(0, len(data), step)]
            out.extend(struct.pack("<I", len(chunks)))
            for chunk in chunks:
                packed = packer.compress(chunk)
                out.extend(struct.pack("<II", len(packed), len(chunk)) + packed)
            rows += struct.pack("<IQQ", number, at, len(out) - at - 4)
        clock = (self.container.buffers[0].clock or "local").encode()
        place = (
            struct.pack("<Q", buffer_at) + b"\0" + clock + b"\0" + struct.pack("<II", self.page_bytes, len(cpus)) + rows
        )
        options += struct.pack("<HI", BUFFER, len(place)) + place + struct.pack("<HIQ", DONE, 8, 0)
        out[pointer : pointer + 8] = struct.pack("<Q", len(out))
        out.extend(struct.pack("<HHIQ", 0, 0, 0, len(options)) + options)
        return bytes(out)

    def _section(self, option: bytes) -> bytes:
        from tracereplay.parsers.trace_dat.v7 import section_body  # noqa: PLC0415

        return section_body(self.reader._data, struct.unpack("<Q", option[:8])[0], self.container)


def _add(words: npt.NDArray[np.uint32], places: Places, number: int) -> None:
    """Add to the 64-bit numbers that begin at these words."""
    value = words[places].astype(np.uint64) | words[places + 1].astype(np.uint64) << np.uint64(32)
    value += np.uint64(number & (2**64 - 1))
    words[places] = (value & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    words[places + 1] = (value >> np.uint64(32)).astype(np.uint32)


def _rename(words: npt.NDArray[np.uint32], places: Places, old: str, new: str) -> None:
    """Put another name where a comm field holds the old one."""
    if not len(places):
        return
    was, becomes = (np.frombuffer(name.encode().ljust(16, b"\0")[:16], np.uint32) for name in (old, new))
    length = len(old) // 4 + 1  # up to and with the NUL: what stands behind it is left over from others
    same = np.all([words[places + n] == was[n] for n in range(min(length, 4))], axis=0)
    for n in range(4):
        words[places[same] + n] = becomes[n]


_ZONE_START = re.compile(r"(start_pfn:\s+)(\d+)")
_SPAN = re.compile(r"^(\s*)([0-9a-f]{8,})-([0-9a-f]{8,})( : )", re.MULTILINE)
_STAMP = re.compile(r"^(<\d+>)?\[\s*(\d+\.\d+)\]", re.MULTILINE)
_LOG_PFN = re.compile(r"(\bpfn:?\s?)(0x)?([0-9a-f]{3,})")


def moved_layout(folder: Path, change: Change, block_pages: int) -> Iterator[tuple[str, str]]:
    """(name, text) of each file of a layout snapshot that the analysis reads, with its PFNs moved."""
    blocks, extra = change.pfn // block_pages, change.pfn << PAGE_SHIFT
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        name, text = str(path.relative_to(folder)), path.read_text(errors="replace")
        if path.name == "zoneinfo":
            text = _ZONE_START.sub(lambda m: f"{m[1]}{int(m[2]) + change.pfn}", text)
        elif path.name == "iomem":
            text = _SPAN.sub(lambda m: f"{m[1]}{int(m[2], 16) + extra:08x}-{int(m[3], 16) + extra:08x}{m[4]}", text)
        elif path.name == "base_pfn":
            text = f"{int(text, 0) + change.pfn}\n"
        elif path.name == "memory_blocks.txt":
            text = re.sub(r"^memory(\d+)", lambda m: f"memory{int(m[1]) + blocks}", text, flags=re.MULTILINE)
        yield name, text


def moved_log(text: str, change: Change) -> str:
    """A kernel log with its PFNs and times moved."""
    text = _STAMP.sub(lambda m: f"{m[1] or ''}[{float(m[2]) + change.time_ns / 1e9:12.6f}]", text)
    return _LOG_PFN.sub(lambda m: f"{m[1]}{m[2] or ''}{int(m[3], 16) + change.pfn:x}", text)
