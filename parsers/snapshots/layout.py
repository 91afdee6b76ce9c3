"""A directory of copied /proc, /sys and debugfs files -> `LayoutSnapshot`.

The files may lie flat (`zoneinfo`, `cma/<area>/base_pfn`) or as on the machine (`proc/zoneinfo`,
`sys/kernel/debug/cma/<area>/base_pfn`), so `/` itself is a snapshot of the machine at hand. Whatever is absent is
left out; CMA areas without debugfs are inferred from the trace by `layout/`, not guessed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.parsers.snapshots import proc_files as texts
from tracereplay.parsers.snapshots.clocks import parse_btime, parse_clocks
from tracereplay.parsers.snapshots.layout_tables import LayoutSnapshot, layout_tables
from tracereplay.parsers.snapshots.layout_toml import read_layout_toml

__all__ = ["LayoutSnapshot", "read_layout", "read_layout_snapshot", "read_layout_toml"]

# Where each file may lie below the directory: flat copies first, then the machine's own paths.
PLACES: dict[str, tuple[str, ...]] = {
    "zoneinfo": ("zoneinfo", "proc/zoneinfo"),
    "iomem": ("iomem", "proc/iomem"),
    "pagetypeinfo": ("pagetypeinfo", "proc/pagetypeinfo"),
    "buddyinfo": ("buddyinfo", "proc/buddyinfo"),
    "meminfo": ("meminfo", "proc/meminfo"),
    "version": ("version", "proc/version"),
    "stat": ("stat", "proc/stat"),
    "clocks": ("clocks",),
    "uname": ("uname", "uname.txt", "machine", "arch"),
    "page_size": ("page_size", "pagesize"),
    "mountinfo": ("mountinfo", "proc/self/mountinfo", "proc/1/mountinfo"),
    "mounts": ("mounts", "proc/mounts"),
    "ps": ("ps.txt", "ps"),
    "commands": ("commands.txt",),
    "partitions": ("partitions", "proc/partitions"),
    "open_files": ("open_files.txt",),
    "memory_blocks": ("memory_blocks.txt",),
    "block_size_bytes": (
        "block_size_bytes",
        "memory/block_size_bytes",
        "sys/devices/system/memory/block_size_bytes",
    ),
    "memory": ("memory", "sys/devices/system/memory"),
    "cma": ("cma", "sys/kernel/debug/cma"),
}
ADVICE = (
    "make one, as root: mkdir L; cp /proc/zoneinfo /proc/iomem /proc/pagetypeinfo /proc/buddyinfo /proc/meminfo "
    "/proc/version /proc/self/mountinfo /proc/partitions /sys/devices/system/memory/block_size_bytes L; "
    "cp -r /sys/kernel/debug/cma L; ps -eLo pid,tid,comm > L/ps.txt; uname -m > L/uname; getconf PAGESIZE > L/page_size"
)
# No such text is anywhere near this long; what is longer is not what its name says.
FILE_LIMIT_BYTES = 16 << 20
# x86_64, arm64, ppc64 and what else runs Linux (PAGE_SIZE).
PAGE_SIZES_KIB = (4, 8, 16, 32, 64)
_BLOCK_DIRECTORY = re.compile(r"memory(\d{1,9})")
_NODE_LINK = re.compile(r"node(\d{1,5})")


def read_layout(path: str | Path) -> LayoutSnapshot:
    """A layout, however described: a snapshot's directory, or a file written by hand (TOML)."""
    path = Path(path)
    return read_layout_toml(path) if path.is_file() else read_layout_snapshot(path)


def read_layout_snapshot(directory: str | Path) -> LayoutSnapshot:
    """Reads what the directory has of the files in `PLACES`.

    Raises InputError where it is missing, not a directory or has none of them. A file that is there and not
    understood is a `layout_incomplete` loss.
    """
    root = Path(directory)
    if not root.is_dir():
        raise InputError(
            "no such layout directory" if not root.exists() else "not a directory", path=root, advice=ADVICE
        )
    return _Snapshot(root).read()


class _Snapshot:
    """One reading of one directory: finds files, keeps what was read and what was odd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[Path] = []
        self.losses: list[Loss] = []

    def read(self) -> LayoutSnapshot:
        meminfo = texts.parse_meminfo(self._lines("meminfo"))
        zones = self._parse("zoneinfo", texts.parse_zoneinfo)
        page_size_bytes = self._page_size_bytes() or _page_size_bytes(meminfo, zones)
        odd: list[int] = []
        free_lists, pageblock_order, has_cma_list = texts.parse_pagetypeinfo(self._lines("pagetypeinfo"), odd)
        self._report("pagetypeinfo", odd)
        areas = self._cma_areas()
        mounts = self._parse("mountinfo", texts.parse_mountinfo) or self._parse("mounts", texts.parse_mounts)
        at_end = self._names_at_end()
        names = {
            "processes": self._parse("commands", texts.parse_commands) + at_end["processes"],
            "open_files": self._open_files(mounts) + at_end["open_files"],
        }
        rows = names | {
            "zones": zones,
            "memory_blocks": self._parse("memory_blocks", texts.parse_memory_blocks) or self._memory_directory(),
            "cma_areas": areas,
            "free_areas": free_lists + self._parse("buddyinfo", texts.parse_buddyinfo),
            "memory_spans": self._parse(
                "iomem", lambda lines, odd: texts.parse_iomem(lines, odd, page_size_bytes or 4096)
            ),
            "tasks": self._parse("ps", texts.parse_tasks),
            "tasks_at_end": at_end["tasks"],
            "block_devices": self._parse("partitions", texts.parse_partitions),
            "mounts": mounts,
        }
        has_cma = True if areas else has_cma_list
        if has_cma is None and meminfo:
            has_cma = "CmaTotal" in meminfo
        snapshot = LayoutSnapshot(
            path=self.root,
            source="snapshot",
            tables=layout_tables(rows),
            page_size_bytes=page_size_bytes,
            memory_block_bytes=self._block_size_bytes(),
            pageblock_order=pageblock_order,
            has_cma=has_cma,
            kernel=texts.parse_release(self._lines("version")),
            machine=texts.parse_machine(self._lines("uname")),
            clocks=parse_btime(self._lines("stat")) | parse_clocks(self._lines("clocks")),
            files=self.files,
            losses=self.losses,
        )
        if not self.files:
            raise InputError("no file of a layout snapshot is in this directory", path=self.root, advice=ADVICE)
        return snapshot

    def _names_at_end(self) -> dict[str, list[texts.Row]]:
        """What names tasks and files at the end of the recording that this snapshot was taken before."""
        folder = self.root / texts.NAMES_AT_END
        if not folder.is_dir():
            return {"tasks": [], "processes": [], "open_files": []}
        later = _Snapshot(folder)
        rows = {
            "tasks": later._parse("ps", texts.parse_tasks),
            "processes": later._parse("commands", texts.parse_commands),
            "open_files": later._open_files(later._parse("mountinfo", texts.parse_mountinfo)),
        }
        self.losses += later.losses
        return rows

    def _open_files(self, mounts: Sequence[texts.Row]) -> list[texts.Row]:
        devices = {row["mount_id"]: row["dev"] for row in mounts if row.get("mount_id") is not None}
        return self._parse("open_files", lambda lines, odd: texts.parse_open_files(lines, odd, devices))

    def _find(self, name: str) -> Path | None:
        return next((self.root / place for place in PLACES[name] if (self.root / place).exists()), None)

    def _lines(self, name: str) -> list[str]:
        path = self._find(name)
        return self._read_lines(path) if path is not None else []

    def _read_lines(self, path: Path) -> list[str]:
        """Lines of a small text; unreadable or oversized: a loss and no lines."""
        try:
            # Files of /proc and /sys say size 0: only reading tells.
            with path.open("rb") as file:
                content = file.read(FILE_LIMIT_BYTES + 1)
        except OSError as error:
            self._lose(path, f"cannot be read: {error.strerror}")
            return []
        if len(content) > FILE_LIMIT_BYTES:
            self._lose(path, f"longer than {FILE_LIMIT_BYTES} bytes")
            return []
        self.files.append(path)
        return content.decode("utf-8", "replace").splitlines()

    def _parse(self, name: str, parse: Callable[[list[str], list[int]], list[texts.Row]]) -> list[texts.Row]:
        lines, odd = self._lines(name), list[int]()
        rows = parse(lines, odd)
        self._report(name, odd)
        if lines and not rows and not odd:
            self._lose(self.root / name, "holds nothing of what its name promises")
        return rows

    def _report(self, name: str, odd: list[int]) -> None:
        if odd:
            self._lose(self._find(name) or self.root / name, f"line {odd[0]} not understood", count=len(odd))

    def _lose(self, path: Path, what: str, count: int = 1) -> None:
        self.losses.append(Loss("layout_incomplete", count=count, detail=f"{path}: {what}"))

    def _word(self, path: Path) -> str | None:
        """The one word of a sysfs or debugfs file, None where there is no such file."""
        lines = self._read_lines(path) if path.exists() else []
        return lines[0].strip() if lines else None

    def _number(self, path: Path, limit: int) -> int | None:
        numbers = texts.parse_words(self._read_lines(path), limit) if path.exists() else None
        return numbers[0] if numbers else None

    def _page_size_bytes(self) -> int | None:
        """`getconf PAGESIZE`, where the snapshot has it."""
        path = self._find("page_size")
        size_bytes = self._number(path, limit=1 << 20) if path else None
        if path and (size_bytes is None or size_bytes >> 10 not in PAGE_SIZES_KIB or size_bytes & 1023):
            self._lose(path, "not the size of a page")
            return None
        return size_bytes

    def _block_size_bytes(self) -> int | None:
        """Hexadecimal without 0x (Documentation/admin-guide/mm/memory-hotplug.rst)."""
        path = self._find("block_size_bytes")
        word = self._word(path) if path else None
        if word is None or path is None:
            return None
        size_bytes = int(word, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,12}", word) else 0
        if size_bytes < 4096 or size_bytes & size_bytes - 1:
            self._lose(path, f"not a hexadecimal power of two: {word[:40]!r}")
            return None
        return size_bytes

    def _memory_directory(self) -> list[texts.Row]:
        """Memory blocks from a copy of /sys/devices/system/memory."""
        folder = self._find("memory")
        rows = []
        for block in _directories(folder):
            if not (number := _BLOCK_DIRECTORY.fullmatch(block.name)):
                continue
            # A copied link may dangle, so it is looked for by name.
            nodes = [link[1] for entry in os.listdir(block) if (link := _NODE_LINK.fullmatch(entry))]
            rows.append(
                texts.memory_block(
                    int(number[1]), self._word(block / "state"), self._word(block / "valid_zones"),
                    nodes[0] if nodes else None,
                )
            )  # fmt: skip
        return sorted(rows, key=lambda row: int(row["block"]))

    def _cma_areas(self) -> list[texts.Row]:
        """CMA areas from debugfs (mm/cma_debug.c); one row per range where an area has several (since 6.15)."""
        rows: list[texts.Row] = []
        for area in _directories(self._find("cma")):
            count = self._number(area / "count", limit=1 << 52)
            order_per_bit = self._number(area / "order_per_bit", limit=64) or 0
            places = sorted(_directories(area / "ranges"), key=lambda place: (len(place.name), place.name)) or [area]
            ranges = [(self._number(place / "base_pfn", 1 << 52), self._bitmap(place)) for place in places]
            if count is None or any(start_pfn is None for start_pfn, _ in ranges):
                self._lose(area, "base_pfn or count missing or not a number")
                continue
            left_pages = count
            for index, (start_pfn, bitmap) in enumerate(ranges):
                # debugfs gives no size of a range: the last has what is left, the others what their bitmap covers.
                covered = len(bitmap or ()) * 32 << order_per_bit
                pages = left_pages if index == len(ranges) - 1 else min(left_pages, covered)
                left_pages -= pages
                rows.append(_area(area.name, start_pfn, pages, order_per_bit, bitmap))
        return rows

    def _bitmap(self, place: Path) -> list[int] | None:
        path = place / "bitmap"
        if not path.exists():
            return None
        words = texts.parse_words(self._read_lines(path), limit=1 << 32)
        if words is None:
            self._lose(path, "not a list of 32-bit numbers")
        return words


def _area(name: str, start_pfn: int | None, pages: int, order_per_bit: int, bitmap: list[int] | None) -> dict[str, Any]:
    return {
        "name": name, "start_pfn": start_pfn, "pages": pages, "order_per_bit": order_per_bit, "bitmap": bitmap,
    }  # fmt: skip


def _directories(folder: Path | None) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder is not None else []
    except OSError:
        return []


def _page_size_bytes(meminfo: dict[str, int], zones: list[texts.Row]) -> int | None:
    """Page size from the two files that count the same memory, one in kB and one in pages."""
    for total, column in (("CmaTotal", "cma"), ("MemTotal", "managed_pages")):
        pages = sum(zone[column] or 0 for zone in zones)
        for kib in PAGE_SIZES_KIB:
            # The two are one number, read moments apart; where they differ by more (seen in a virtual machine that
            # grew by hot-plug), neither is trusted.
            if pages and abs(meminfo.get(total, 0) / pages / kib - 1) < 0.02:
                return kib << 10
    return None
