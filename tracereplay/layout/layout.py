"""The layout of one machine's memory. Pages and PFNs, never bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracereplay.layout.names import Names

# uname -m of machines whose base pages have 4 KiB in every kernel (PAGE_SHIFT 12 in arch/x86, arch/s390, arch/riscv).
ONE_PAGE_SIZE = ("x86_64", "i386", "i486", "i586", "i686", "s390x", "riscv64", "riscv32")


@dataclass(frozen=True, slots=True)
class Span:
    """A named run of page frames [start_pfn, start_pfn + pages)."""

    name: str
    start_pfn: int
    pages: int
    node: int = 0

    @property
    def end_pfn(self) -> int:
        """First page frame after it."""
        return self.start_pfn + self.pages

    def contains(self, pfn: int) -> bool:
        """Whether the page frame is in it."""
        return self.start_pfn <= pfn < self.end_pfn

    def overlaps(self, start_pfn: int, end_pfn: int) -> bool:
        """Whether it shares a page with [start_pfn, end_pfn)."""
        return self.start_pfn < end_pfn and start_pfn < self.end_pfn


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a machine's memory; empty tuples and None where nothing is.

    source -- "snapshot", "file" (written by hand) or "inferred" (from the trace alone; what its header tells is said).
    isolate_migratetype -- number of MIGRATE_ISOLATE: 5 with CONFIG_CMA, 4 without.
    file_systems -- device number (major << 20 | minor) -> file system type.
    cma_taken -- spans that the areas' bitmaps say are allocated, where a snapshot has the bitmaps.
    ram -- spans of System RAM in whole pages (/proc/iomem), merged.
    free_movable_pages, free_cma_pages -- free in all Movable zones, and in CMA areas elsewhere, when the snapshot was
    taken; movable_min_pages -- min watermarks of the zones these lie in.
    pids, comms -- tid -> process id and name, from a task listing; names -- of devices, files and processes.
    assumed -- names of the attributes above that are the architecture's usual value, not seen on this machine.
    """

    source: str
    page_size_bytes: int = 4096
    zones: tuple[Span, ...] = ()
    cma_areas: tuple[Span, ...] = ()
    cma_taken: tuple[tuple[int, int], ...] = ()
    ram: tuple[tuple[int, int], ...] = ()
    memory_block_pages: int | None = None
    memory_blocks: tuple[int, ...] = ()  # numbers of the blocks present
    pageblock_pages: int | None = None
    isolate_migratetype: int | None = None
    machine: str | None = None
    free_movable_pages: int | None = None
    free_cma_pages: int | None = None
    movable_min_pages: int | None = None
    file_systems: dict[int, str] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    comms: dict[int, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    assumed: tuple[str, ...] = ()

    @property
    def page_size_known(self) -> bool:
        """Whether PFNs give addresses: the size of a page was seen, or the architecture has one only."""
        return "page_size_bytes" not in self.assumed or self.machine in ONE_PAGE_SIZE

    def zone_of(self, pfn: int) -> Span | None:
        """The zone spanning this page frame (zones may interleave: the smallest span wins)."""
        inside = [zone for zone in self.zones if zone.contains(pfn)]
        return min(inside, key=lambda zone: zone.pages, default=None)

    def area_of(self, pfn: int) -> Span | None:
        """The CMA area holding this page frame."""
        return next((area for area in self.cma_areas if area.contains(pfn)), None)

    def area_named(self, name: str) -> Span | None:
        """The CMA area of this name."""
        return next((area for area in self.cma_areas if area.name == name), None)

    def block_of(self, pfn: int) -> Span | None:
        """The memory block holding this page frame, where the block size is known."""
        if not self.memory_block_pages:
            return None
        number = pfn // self.memory_block_pages
        return Span(f"memory{number}", number * self.memory_block_pages, self.memory_block_pages)
