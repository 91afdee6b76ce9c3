"""Ring-buffer pages copied by hand, from a machine where trace-cmd cannot run: a directory of files of tracefs.

    per_cpu/cpuN/trace_pipe_raw, or cpuN.raw       pages as the kernel hands them out (KERNEL 2.1), packed or not
    per_cpu/cpuN/stats                             entries, overrun, dropped events
    events/SYSTEM/EVENT/format, or formats/SYSTEM.EVENT
    events/header_page, saved_cmdlines, trace_clock, kallsyms, uname or version
    page_pointers                                  lines with page pointers beside page frames (probes/pointers.py)
    instances/NAME/per_cpu/...                     further buffers

The pages are those of a trace.dat, and are read as such; only where they lie differs. Nothing in them says where they
come from: formats of another boot make nonsense of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError, path_in_errors
from tracereplay.parsers.binary.format_text import PageHeader, parse_header_page
from tracereplay.parsers.binary.tracing_data import FormatTexts
from tracereplay.parsers.files.mapped import OpenFile
from tracereplay.parsers.files.packed import mappable, read_chunks
from tracereplay.parsers.ring_buffer.pages import Block, CpuPages
from tracereplay.parsers.trace_dat.chunks import RAW_BLOCK_BYTES
from tracereplay.parsers.trace_dat.raw_files import raw_cpu_files
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.parsers.trace_dat.sections import (
    CPUSTAT,
    TRACECLOCK,
    UNAME,
    Buffer,
    Container,
    CpuData,
    selected_clock,
)

FORMAT_FILES = ("events/*/*/format", "formats/*.*", "formats/*/*/format")
# Metadata of tracefs is small; kallsyms is the largest with some 20 MiB.
LARGEST_TEXT_BYTES = 1 << 26
PAGES_LOOKED_AT = 64
MISSED_FLAGS = 3 << 30  # in the commit word
BYTE_ORDERS: tuple[Literal["little"], Literal["big"]] = ("little", "big")
COPY_AGAIN = "copy per_cpu/cpu*/trace_pipe_raw, events/ and saved_cmdlines of /sys/kernel/tracing again"


@dataclass(frozen=True, slots=True)
class _CpuFile:
    """One CPU's pages; None where it has none."""

    cpu: int
    path: Path
    data: OpenFile | None

    @classmethod
    def of(cls, cpu: int, path: Path) -> _CpuFile:
        with mappable(path) as plain:
            # nor is anything read from a live tracefs, whose files have no size
            return cls(cpu, path, OpenFile(plain, path) if plain.stat().st_size else None)

    @property
    def size(self) -> int:
        return 0 if self.data is None else len(self.data)


class RawBuffersReader(TraceDatReader):
    """A directory of raw ring-buffer pages, opened and scanned once. Implements `base.TraceReader`.

    Errors: InputError where it holds no pages or no event formats; damaged pages become `losses`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with path_in_errors(self.path):
            self._open()

    def _read_container(self) -> Container:
        header_text = _text(self.path, "events/header_page", "header_page", "formats/header_page")
        header = parse_header_page(header_text) if header_text else PageHeader()
        # sub-buffers may be larger than a page (buffer_subbuf_size_kb, 6.8)
        page_bytes = header.data_offset + header.data_bytes
        if not 64 <= page_bytes <= 1 << 24 or page_bytes % 4:
            raise InputError(f"header_page says that pages have {page_bytes} bytes", advice=COPY_AGAIN)
        names = ["", *sorted(entry.name for entry in self.path.glob("instances/*") if entry.is_dir())]
        roots = {name: self.path / "instances" / name if name else self.path for name in names}
        found = {name: [_CpuFile.of(*file) for file in raw_cpu_files(root)] for name, root in roots.items()}
        self._files = [files for files in found.values() if any(file.size for file in files)]
        if not self._files:
            raise InputError("no page in it", advice=COPY_AGAIN)
        container = Container(
            version=0,
            big_endian=_is_big_endian([file for files in self._files for file in files], header, page_bytes),
            long_bytes=header.commit_bytes,
            page_bytes=page_bytes,
            formats=FormatTexts(header_text, events=list(self._format_texts())),
            cmdlines=_text(self.path, "saved_cmdlines"),
        )
        if not container.formats.events:
            raise InputError("it holds no event formats", advice=COPY_AGAIN)
        for name, files in found.items():
            if files in self._files:
                clock = selected_clock(_text(roots[name], "trace_clock").encode() or None)
                places = [CpuData(file.cpu, 0, file.size) for file in files]
                container.buffers.append(Buffer(name, clock, page_bytes, places))
                container.options += _statistics(name, roots[name], files)
        container.options += [(TRACECLOCK, _text(self.path, "trace_clock").encode())]
        container.options += [(UNAME, _uname(self.path).encode())]
        return container

    @property
    def page_pointers(self) -> str:
        """Lines that the kernel printed with page pointers beside page frames; "" where none were copied."""
        return _text(self.path, "page_pointers")

    def _format_name(self) -> str:
        return "raw ring buffers"

    def _cpu_pages(self, number: int, buffer: Buffer, place: CpuData) -> CpuPages:
        (file,) = (file for file in self._files[number] if file.cpu == place.cpu)
        data, page = file.data, buffer.page_bytes
        step = max(RAW_BLOCK_BYTES // page, 1) * page
        sizes = ((at, min(step, place.size - at)) for at in range(0, place.size, step))

        def load(block: Block, out: npt.NDArray[np.uint8]) -> None:
            if data is None:
                raise ValueError("no pages")
            data.copy(block.offset, out)

        return CpuPages(place.cpu, number, page, [Block(at, size, size) for at, size in sizes], load)

    def _read_kallsyms(self) -> str:
        return _text(self.path, "kallsyms", "proc/kallsyms")

    def _format_texts(self) -> Iterator[tuple[str, str]]:
        """(system, text) of every event."""
        seen: set[tuple[str, str]] = set()
        for pattern in FORMAT_FILES:
            for path in sorted(self.path.glob(pattern)):
                system, event = _event_of(path)
                if path.is_file() and event and (system, event) not in seen:
                    seen.add((system, event))
                    yield system, _text(path.parent, path.name)


def _event_of(path: Path) -> tuple[str, str]:
    """(system, event) by the file's place; they only keep apart events of one name."""
    if path.name == "format":
        return path.parent.parent.name, path.parent.name
    system, _, event = path.name.partition(".")
    return system, event.removesuffix(".format")


def _text(root: Path, *names: str) -> str:
    """The first of these files that is there, plain or packed; "" for none."""
    for name in names:
        for path in (root / name, root / f"{name}.txt", root / f"{name}.gz"):
            if path.is_file():
                return _whole_text(path)
    return ""


def _whole_text(path: Path) -> str:
    text = b""
    for piece in read_chunks(path, []):
        text += piece
        if len(text) > LARGEST_TEXT_BYTES:
            raise InputError(f"larger than {LARGEST_TEXT_BYTES} bytes", path=path)
    return text.decode("utf-8", "replace")


def _statistics(buffer: str, root: Path, files: Sequence[_CpuFile]) -> list[tuple[int, bytes]]:
    """per_cpu/cpuN/stats as a trace.dat holds them."""
    options = [(CPUSTAT, f"Buffer: {buffer}\n".encode())] if buffer else []
    for file in files:
        text = _text(root, f"per_cpu/cpu{file.cpu}/stats", f"cpu{file.cpu}/stats", f"cpu{file.cpu}.stats")
        if text:
            options.append((CPUSTAT, f"CPU: {file.cpu}\n{text}".encode()))
    return options


def _uname(root: Path) -> str:
    """`Linux HOST RELEASE VERSION MACHINE` out of `uname -a` or /proc/version; "" where neither is there."""
    words = _text(root, "uname").split()
    if words:
        return " ".join(words[:-1] if words[-1] == "GNU/Linux" else words)
    version = re.match(r"Linux version (\S+)", _text(root, "version", "proc/version"))
    return f"Linux ? {version[1]}" if version else ""


def _is_big_endian(files: Sequence[_CpuFile], header: PageHeader, page_bytes: int) -> bool:
    """By the bytes that pages say they hold: in the wrong order they hold more than a page."""
    votes = 0
    for file in files:
        for at in range(0, min(file.size, PAGES_LOOKED_AT * page_bytes), page_bytes):
            begin = at + header.commit_offset
            commit = os.pread(file.data.fd, header.commit_bytes, begin) if file.data else b""
            sizes = [int.from_bytes(commit, order) & ~MISSED_FLAGS for order in BYTE_ORDERS]
            fits = [size <= header.data_bytes for size in sizes]
            votes += fits[1] - fits[0]
    return votes > 0
