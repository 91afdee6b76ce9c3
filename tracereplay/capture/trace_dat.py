"""Raw pages of a recording as trace.dat version 6, which every trace-cmd reads (man trace-cmd.dat.v6)."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from tracereplay.errors import InputError
from tracereplay.parsers.binary.tracing_data import MAGIC
from tracereplay.parsers.trace_dat.raw_files import raw_cpu_files
from tracereplay.parsers.trace_dat.sections import DONE, TRACECLOCK, UNAME

PAGE_BYTES = 4096
OFFSET_PAIR = struct.Struct("=QQ")


def write_trace_dat(folder: Path, target: Path) -> None:
    """Write the raw capture of `folder`, made on this machine, as one file. Raises InputError without pages."""
    files = raw_cpu_files(folder)
    if not files:
        raise InputError("no page in it", path=folder)
    cpus = files[-1][0] + 1
    with target.open("wb") as out:
        out.write(MAGIC + b"6\0" + bytes([sys.byteorder == "big", struct.calcsize("l")]) + _u32(PAGE_BYTES))
        for name in ("header_page", "header_event"):
            out.write(name.encode() + b"\0" + _sized(_read(folder / "events" / name), "Q"))
        _write_formats(out, folder / "events")
        for name, size in (("kallsyms", "I"), ("printk_formats", "I"), ("saved_cmdlines", "Q")):
            out.write(_sized(_read(folder / name), size))
        out.write(_u32(cpus) + b"options  \0")
        for number, data in ((TRACECLOCK, _read(folder / "trace_clock")), (UNAME, _read(folder / "uname"))):
            out.write(struct.pack("=HI", number, len(data) + 1) + data + b"\0")
        out.write(struct.pack("=H", DONE) + b"flyrecord\0")
        _write_pages(out, dict(files), cpus)


def _write_formats(out: BinaryIO, events: Path) -> None:
    out.write(_u32(0))  # formats of the tracers' own records: none are in our buffer
    systems = sorted(place for place in events.iterdir() if place.is_dir())
    out.write(_u32(len(systems)))
    for system in systems:
        formats = sorted(system.glob("*/format"))
        out.write(system.name.encode() + b"\0" + _u32(len(formats)))
        for path in formats:
            out.write(_sized(path.read_bytes(), "Q"))


def _write_pages(out: BinaryIO, files: dict[int, Path], cpus: int) -> None:
    """Where each CPU's pages lie, aligned to pages, then the pages."""
    table = out.tell()
    at = -(-(table + cpus * OFFSET_PAIR.size) // PAGE_BYTES) * PAGE_BYTES
    sizes = [files[cpu].stat().st_size if cpu in files else 0 for cpu in range(cpus)]
    for size in sizes:
        out.write(OFFSET_PAIR.pack(at, size))
        at += -(-size // PAGE_BYTES) * PAGE_BYTES
    for cpu, size in enumerate(sizes):
        out.seek(-(-out.tell() // PAGE_BYTES) * PAGE_BYTES)
        if size:
            with files[cpu].open("rb") as pages:
                shutil.copyfileobj(pages, out, 1 << 20)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _sized(data: bytes, code: str) -> bytes:
    return struct.pack(f"={code}", len(data)) + data
