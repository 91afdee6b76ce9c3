"""Units, and how numbers and texts are written. Names carry the units: `_ns`, `_bytes`, `_pages`."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
NOT_UTF8 = "the libraries that write tables take no path that is not UTF-8; name another"


def format_seconds(ns: int, digits: int = 3) -> str:
    """A time stamp in seconds: `6.437 s`."""
    return f"{ns / NS_PER_S:.{digits}f} s"


def format_duration(ns: int) -> str:
    """A duration in the unit that reads best: `840 ms`, `1.2 s`, `35 us`."""
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if abs(ns) >= size:
            value = ns / size
            form = ".0f" if abs(value) >= 100 else ".1f" if abs(value) >= 10 else ".2g"
            return f"{value:{form}} {unit}"
    return f"{ns} ns"


def format_bytes(size_bytes: float) -> str:
    """A size in binary units: `255.9 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size_bytes) < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def format_pfn(pfn: int) -> str:
    """A page frame number as the kernel prints it: `0x1e403`."""
    return f"{pfn:#x}"


def to_valid_utf8(text: object) -> str:
    """A text as documents and tables can hold it: what of a file's name is not UTF-8 is shown as an escape."""
    return str(text).encode("utf-8", "backslashreplace").decode()
