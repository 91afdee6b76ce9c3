"""The texts in which Linux describes its memory, one function per file: lines in, rows of `schema.LAYOUT_TABLES` out.

Every function takes the lines of one file and a list `odd`, to which it adds the numbers (from 1) of lines it did
not understand. Numbers are bounded by the patterns, so that no line can overflow a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tracereplay.dev_t import dev_of

NAMES_AT_END = "at_end"  # folder of a snapshot: tasks, files and mounts at the end of the recording that follows it

Row = dict[str, Any]
Lines = Sequence[str]

_ZONE = re.compile(r"Node\s+(\d{1,5}), zone\s+(\w+)")
_ZONE_VALUE = re.compile(
    r"\s+(?:pages\s+)?(free|min|spanned|present|managed|cma|nr_free_cma|start_pfn:|nr_zone_\w{1,20})\s+(\d{1,15})\s*$"
)
_LRU_LISTS = [
    f"nr_zone_{name}" for name in ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
]
_PCP_COUNT = re.compile(r"\s+count:\s+(\d{1,12})\s*$")
_FREE_LIST = re.compile(r"Node\s+(\d{1,5}), zone\s+(\w+), type\s+(\w+)((?:\s+>?\d{1,15})+)\s*$")
_BUDDY = re.compile(r"Node\s+(\d{1,5}), zone\s+(\w+)((?:\s+\d{1,15})+)\s*$")
_RESOURCE = re.compile(r"(\s*)([0-9a-fA-F]{1,16})-([0-9a-fA-F]{1,16}) : (.*)$")
_MEMINFO = re.compile(r"(MemTotal|CmaTotal):\s+(\d{1,15}) kB")
_BLOCK = re.compile(r"memory(\d{1,9})\s+(.*)$")
_SETTING = re.compile(r'(\w+)=(?:"([^"]*)"|(\S*))')
_PARTITION = re.compile(r"\s*(\d{1,4})\s+(\d{1,7})\s+\d{1,19}\s+(\S+)\s*$")
_OPEN_FILE = re.compile(r"(?:([0-9a-f]{2,3}):([0-9a-f]{2,5})|mnt:(\d{1,9})) (\d{1,19}) (/.*)$")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_MACHINE = re.compile(r"\b(x86_64|aarch64|arm64|armv\w+|i[3-6]86|riscv\d+|ppc64(?:le)?|s390x|loongarch64)\b")


def parse_zoneinfo(lines: Lines, odd: list[int]) -> list[Row]:
    """/proc/zoneinfo: one row per zone that spans any page; `cma` rides along for the page size (not a column)."""
    zones: list[tuple[int, Row]] = []
    for number, line in enumerate(lines, 1):
        if head := _ZONE.match(line):
            zones.append((number, {"node": int(head[1]), "name": head[2]}))
        elif zones and (value := _ZONE_VALUE.match(line)):
            # A zone's own numbers come once; per-node and per-cpu lists use other words.
            zones[-1][1].setdefault(value[1].rstrip(":"), int(value[2]))
        elif zones and (value := _PCP_COUNT.match(line)):
            zones[-1][1]["pcp"] = zones[-1][1].get("pcp", 0) + int(value[1])
    rows = []
    for number, zone in zones:
        if zone.get("spanned") and "start_pfn" in zone:
            rows.append(
                {
                    "node": zone["node"], "name": zone["name"], "start_pfn": zone["start_pfn"],
                    "pages": zone["spanned"], "present_pages": zone.get("present"),
                    "managed_pages": zone.get("managed"), "cma": zone.get("cma", 0),
                    "free_pages": zone.get("free"), "free_cma_pages": zone.get("nr_free_cma"),
                    "min_pages": zone.get("min"), "lru_pages": _lru_pages(zone),
                    "pcp_pages": zone.get("pcp"),
                }
            )  # fmt: skip
        elif zone.get("spanned", 1):
            odd.append(number)
    return rows


def _lru_pages(zone: Row) -> int | None:
    """Pages on the zone's LRU lists (NR_ZONE_LRU_BASE and on): what user space and the page cache have there."""
    lists = [zone[name] for name in _LRU_LISTS if name in zone]
    return sum(lists) if lists else None


def parse_pagetypeinfo(lines: Lines, odd: list[int]) -> tuple[list[Row], int | None, bool | None]:
    """/proc/pagetypeinfo: free lists, pageblock order, and whether there is a CMA list (CONFIG_CMA).

    A count written `>100000` (the kernel stops counting there) is null.
    """
    rows: list[Row] = []
    order: int | None = None
    for number, line in enumerate(lines, 1):
        if line.startswith("Page block order:"):
            order = _small(line.partition(":")[2], limit=30)
            if order is None:
                odd.append(number)
        elif found := _FREE_LIST.match(line):
            rows += _free_areas(int(found[1]), found[2], found[3], found[4])
        elif ", type" in line and line.startswith("Node"):
            odd.append(number)
    has_cma = any(row["migratetype"] == "CMA" for row in rows) if rows else None
    return rows, order, has_cma


def parse_buddyinfo(lines: Lines, odd: list[int]) -> list[Row]:
    """/proc/buddyinfo: free blocks by order, of all migratetypes together."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if found := _BUDDY.match(line):
            rows += _free_areas(int(found[1]), found[2], None, found[3])
        elif line.strip():
            odd.append(number)
    return rows


def _free_areas(node: int, zone: str, migratetype: str | None, counts: str) -> Iterator[Row]:
    for order, blocks in enumerate(counts.split()):
        yield {
            "node": node, "zone": zone, "migratetype": migratetype, "order": order,
            "blocks": None if blocks.startswith(">") else int(blocks),
        }  # fmt: skip


def parse_iomem(lines: Lines, odd: list[int], page_size_bytes: int) -> list[Row]:
    """/proc/iomem: spans in whole pages, those only touched included. Zeros only (not read as root): all odd."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        found = _RESOURCE.match(line)
        start, last = (int(found[2], 16), int(found[3], 16)) if found else (0, 0)
        if found and 0 < last >= start:
            first_page = start // page_size_bytes
            rows.append(
                {
                    "start_pfn": first_page, "pages": last // page_size_bytes - first_page + 1,
                    "name": found[4], "depth": len(found[1]) // 2,
                }
            )  # fmt: skip
        elif line.strip():
            odd.append(number)
    return rows


def parse_meminfo(lines: Lines) -> dict[str, int]:
    """/proc/meminfo: MemTotal and CmaTotal in kB, where present (CmaTotal is there iff CONFIG_CMA)."""
    return {found[1]: int(found[2]) for line in lines if (found := _MEMINFO.match(line))}


def parse_memory_blocks(lines: Lines, odd: list[int]) -> list[Row]:
    """One memory block per line: `memory32 state=online valid_zones="Movable" node=0`."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if found := _BLOCK.match(line):
            said = {name: quoted or plain for name, quoted, plain in _SETTING.findall(found[2])}
            rows.append(memory_block(int(found[1]), said.get("state"), said.get("valid_zones"), said.get("node")))
        elif line.strip():
            odd.append(number)
    return rows


def memory_block(number: int, state: str | None, valid_zones: str | None, node: str | None) -> Row:
    """A row of `memory_blocks`; words that are missing or empty are null."""
    return {
        "block": number, "state": state or None, "valid_zones": valid_zones or None,
        "node": _small(node or "", limit=1 << 16),
    }  # fmt: skip


def parse_tasks(lines: Lines, odd: list[int]) -> list[Row]:
    """`ps` with a header: PID and, with threads, TID, LWP or SPID; the name is the last column.

    Without a thread column every row is a process: its first thread has the same number.
    """
    if not lines:
        return []
    header = lines[0].split()
    if "PID" not in header or header[-1] not in ("COMMAND", "COMM", "CMD"):
        odd.append(1)
        return []
    pid_at = header.index("PID")
    tid_at = next((header.index(name) for name in ("TID", "LWP", "SPID") if name in header), pid_at)
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], 2):
        words = line.split(maxsplit=len(header) - 1)
        tid, pid = (
            (_small(words[at], limit=1 << 31) for at in (tid_at, pid_at)) if len(words) == len(header) else (None,) * 2
        )
        if tid is not None and pid is not None:
            rows.append({"tid": tid, "pid": pid, "comm": words[-1].strip()})
        elif line.strip():
            odd.append(number)
    return rows


def parse_mounts(lines: Lines, odd: list[int]) -> list[Row]:
    """/proc/mounts: `source path fs options 0 0`; it has no device numbers."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) >= 3:
            rows.append({"dev": None, "source": _unescape(words[0]), "path": _unescape(words[1]), "fs": words[2]})
        elif words:
            odd.append(number)
    return rows


def parse_mountinfo(lines: Lines, odd: list[int]) -> list[Row]:
    """/proc/PID/mountinfo (proc_pid_mountinfo(5)): `id parent major:minor root path options [tags] - fs source ...`."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            rest = words[words.index("-", 6) + 1 :]
            major, minor = (_small(part, limit=1 << 20) for part in words[2].split(":"))
            if major is None or minor is None or major >= 1 << 12:
                raise ValueError(words[2])
            rows.append(
                {
                    "mount_id": _small(words[0], limit=1 << 31),
                    "root": _unescape(words[3]),
                    "dev": dev_of(major, minor),
                    "source": _unescape(rest[1]),
                    "path": _unescape(words[4]),
                    "fs": rest[0],
                }
            )
        except (ValueError, IndexError):
            if words:
                odd.append(number)
    return rows


def parse_partitions(lines: Lines, odd: list[int]) -> list[Row]:
    """/proc/partitions: `major minor #blocks name` below a header."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if found := _PARTITION.match(line):
            rows.append({"dev": dev_of(int(found[1]), int(found[2])), "name": found[3]})
        elif line.strip() and not line.startswith("major"):
            odd.append(number)
    return rows


def parse_commands(lines: Lines, odd: list[int]) -> list[Row]:
    """PID, command line and control groups of each process, with tabs between (`tracereplay snapshot`)."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        words = line.split("\t")
        pid = _small(words[0], limit=1 << 31)
        if pid is None or len(words) != 3:
            odd.append(number)
            continue
        cmdline, cgroup = (word.strip() or None for word in words[1:])
        rows.append({"pid": pid, "cmdline": cmdline, "cgroup": cgroup})
    return rows


def parse_open_files(lines: Lines, odd: list[int], devices: Mapping[int, int]) -> list[Row]:
    """`fe:10 12 /path` (device as maps prints it) or `mnt:29 12 /path`; devices -- device numbers by mount.

    Files of a mount that is not listed (another mount namespace) are left out.
    """
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        found = _OPEN_FILE.match(line)
        if not found:
            if line.strip():
                odd.append(number)
            continue
        major, minor, mount, ino, path = found.groups()
        dev = devices.get(int(mount)) if mount else dev_of(int(major, 16), int(minor, 16))
        if dev is not None and int(ino) < 1 << 63:
            rows.append({"dev": dev, "ino": int(ino), "path": _unescape(path)})
    return rows


def parse_release(lines: Lines) -> str | None:
    """/proc/version: `Linux version 6.12.117 (gcc ...)`, or the bare release."""
    words = lines[0].split() if lines else []
    return words[2] if words[:2] == ["Linux", "version"] and len(words) > 2 else words[0] if len(words) == 1 else None


def parse_machine(lines: Lines) -> str | None:
    """`uname -m` or `uname -a`: x86_64, aarch64 ..."""
    return next((found[1] for line in lines if (found := _MACHINE.search(line))), None)


def parse_words(lines: Iterable[str], limit: int) -> list[int] | None:
    """Decimal numbers separated by blanks, each below `limit`; None when anything else is found."""
    numbers = [_small(word, limit) for line in lines for word in line.split()]
    return None if None in numbers else [number for number in numbers if number is not None]


def _small(text: str, limit: int) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) < limit else None


def _unescape(text: str) -> str:
    """The kernel writes blanks in mount tables as octal (`\\040`)."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
