"""Whether probes fire: a page of our own is pinned and released, and must be seen at its own page frame.

A function that the kernel lets us probe may still be inlined where it matters: accepted is not fires.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import re
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tracereplay.capture.instance import Instance
from tracereplay.parsers.catalog.probes import PageLayout

TAKES = ("getf", "get", "get1")
RELEASES = {"vmsplice": ("pcpbr",), "O_DIRECT": ("upf", "gput", "unpin", "biorel")}
VALUE = re.compile(r"\b(\w+)=(0x[0-9a-f]+|-?\d+)")
EVENT = re.compile(r": (\w+): \(")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was seen of references of our own; base -- vmemmap_base, None where it is not known.

    seen -- by way (vmsplice, O_DIRECT): whether take and release were seen; None = could not be tried.
    """

    base: int | None
    seen: dict[str, bool | None]
    at_own_frame: bool | None

    @property
    def notes(self) -> list[str]:
        """What a recording cannot prove, one sentence each."""
        notes = [
            f"references taken by {way} are not seen taken and released here: their holders will be missing"
            for way, seen in self.seen.items()
            if seen is False
        ]
        if self.at_own_frame is False:
            notes.append("page pointers do not lead to the page frames of our own pages: struct page is different here")
        return notes


def self_test(instance: Instance, page: PageLayout, folder: Path, base: int | None = None) -> SelfTest:
    """Take and release references of this process while tracing, and look for them. Empties the buffer.

    base -- vmemmap_base, where it is known already; else a probe may fetch it.
    """
    seen: dict[str, bool | None] = {}
    frames: list[bool] = []
    for way, act in (("vmsplice", _vmsplice), ("O_DIRECT", lambda: _direct(folder))):
        instance.set("trace", "")
        instance.set("tracing_on", "1")
        with contextlib.suppress(OSError):
            Path("/proc/self/environ").read_bytes()  # get_user_pages_remote(): the slow path, which fetches the base
        frame = act()
        instance.set("tracing_on", "0")
        lines = [line for line in instance.read("trace").splitlines() if f"-{os.getpid()} " in line]
        events = [(found[1], dict(VALUE.findall(line))) for line in lines if (found := EVENT.search(line))]
        base = next((int(values["vb"], 0) for _, values in events if "vb" in values), base)
        if frame is None:
            seen[way] = None
            continue
        names = {name for name, _ in events}
        seen[way] = bool(names & set(TAKES)) and bool(names & set(RELEASES[way]))
        pointers = [int(v.get("page") or v["folio"], 0) for name, v in events if name in TAKES]
        if base is not None and frame and pointers:
            frames.append(any((pointer - base) // page.size == frame for pointer in pointers))
    instance.set("trace", "")
    return SelfTest(base, seen, any(frames) if frames else None)


def _vmsplice() -> int | None:
    """Give one page to a pipe and take it out again; its page frame (0 = not known)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        memory.write(b"\1" * mmap.PAGESIZE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        frame = _frame(address)
        ends = os.pipe()
        try:
            vector = struct.pack("NN", address, mmap.PAGESIZE)
            done = libc.vmsplice(ends[1], vector, 1, 0)
            if done == mmap.PAGESIZE:
                os.read(ends[0], mmap.PAGESIZE)
        finally:
            os.close(ends[0])
            os.close(ends[1])
        return frame if done == mmap.PAGESIZE else None


def _direct(folder: Path) -> int | None:
    """Read one page with O_DIRECT from a file of the recording's disk; its page frame, None where that cannot be."""
    with tempfile.NamedTemporaryFile(dir=folder) as file, mmap.mmap(-1, mmap.PAGESIZE) as memory:
        file.write(b"\1" * mmap.PAGESIZE)
        file.flush()
        os.fsync(file.fileno())
        memory.write(b"\1" * mmap.PAGESIZE)
        frame = _frame(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
        try:
            handle = os.open(file.name, os.O_RDONLY | os.O_DIRECT)
        except OSError:  # tmpfs and others have no O_DIRECT
            return None
        try:
            return frame if os.preadv(handle, [memory], 0) == mmap.PAGESIZE else None
        except OSError:
            return None
        finally:
            os.close(handle)


def _frame(address: int) -> int:
    """Page frame of an address of ours, by pagemap (bits 0 to 54)."""
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(address // mmap.PAGESIZE * 8)
        return int(struct.unpack("Q", pagemap.read(8))[0]) & ((1 << 55) - 1)
