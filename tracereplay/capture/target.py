"""The CMA area or memory block that a recording is about, as page frames."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from tracereplay.errors import CaptureError

MEMORY = Path("/sys/devices/system/memory")


@dataclass(frozen=True, slots=True)
class Target:
    """Page frames [low, high)."""

    low: int
    high: int

    @property
    def filter_by_pfn(self) -> str:
        """For events with a field pfn."""
        return f"pfn >= {self.low} && pfn < {self.high}"

    def filter_by_pointer(self, field: str, base: int, page_bytes: int) -> str:
        """For probes with a page pointer; base -- vmemmap_base. Tail pages lie in their folio's range."""
        low, high = (base + pfn * page_bytes for pfn in (self.low, self.high))
        return f"{field} >= {low:#x} && {field} < {high:#x}"


def target_of(area: str | None, block: int | None, debug: Path | None) -> Target | None:
    """The requested range; None where none was. Raises CaptureError where the machine does not have it."""
    if area is not None:
        return _area(area, debug)
    if block is not None:
        return _block(block)
    return None


def _area(name: str, debug: Path | None) -> Target:
    known = sorted(path.name for path in (debug / "cma").iterdir()) if debug and (debug / "cma").is_dir() else []
    if debug is None or name not in known:
        have = f"there are {', '.join(known)}" if known else "CONFIG_CMA_DEBUGFS and debugfs tell of areas"
        raise CaptureError(f"no CMA area {name!r}", advice=have)
    place = debug / "cma" / name
    first = place / "base_pfn"
    low = int((first if first.exists() else place / "ranges" / "0" / "base_pfn").read_text())  # ranges: since 6.15
    return Target(low, low + int((place / "count").read_text()))


def _block(number: int) -> Target:
    if not (MEMORY / f"memory{number}").is_dir():
        raise CaptureError(f"no memory block {number}", advice=f"the blocks are {MEMORY}/memory*")
    pages = int((MEMORY / "block_size_bytes").read_text(), 16) // mmap.PAGESIZE
    return Target(number * pages, (number + 1) * pages)
