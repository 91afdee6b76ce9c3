"""What the replay oracle keeps: pages, references, files and suspects as plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tracereplay.replay.page_kernels import FlagMask
from tracereplay.replay.state import NO_EXCESS, TYPED_MAPCOUNT, Mark, PageType, RefEnd, RefKind, State
from tracereplay.schema import FLAGS, IrqContext, Op

TYPED_TOP = TYPED_MAPCOUNT + PageType.OTHER
# Names that kernels print for each page flag (include/trace/events/mmflags.h, 4.19 to 7.2).
NAMES: Mapping[FlagMask, tuple[str, ...]] = {
    FlagMask.LOCKED: ("locked",),
    FlagMask.UPTODATE: ("uptodate",),
    FlagMask.WRITEBACK: ("writeback",),
    FlagMask.PRIVATE: ("private", "private_2"),
    FlagMask.SWAPCACHE: ("swapcache", "owner_priv_1"),
    FlagMask.SWAPBACKED: ("swapbacked",),
    FlagMask.HEAD: ("head",),
    FlagMask.LRU: ("lru",),
}


@dataclass(slots=True, eq=False)
class Ref:
    """One reference: who took it and when, and how it ended; the close_ fields are None while it is open."""

    pfn: int
    ns: int
    cpu: int
    tid: int
    op: int
    irq: IrqContext
    val: int
    kind: RefKind
    before: int = NO_EXCESS
    on_lru: bool = False
    met_ns: int | None = None  # the first time that the task of an attempt came to the page
    unmap_ns: int | None = None  # the first time that a put which went with a mapping may have meant it
    shared_ns: int | None = None  # the first time that a put may have meant it although another's was ended
    confirmed: bool = False
    end: RefEnd = RefEnd.OPEN
    close_ns: int | None = None
    close_tid: int | None = None
    close_cpu: int | None = None
    close_op: int | None = None
    close_irq: IrqContext = IrqContext.UNKNOWN


@dataclass(slots=True, eq=False)
class FileId:
    """A file; both -1 where only its mapping pointer is known."""

    dev: int
    ino: int


@dataclass(slots=True, eq=False)
class Suspect:
    """A page in the way of an attempt; times are None where the thing never happened."""

    pfn: int
    attempt: int
    first_ns: int
    last_ns: int = 0
    reasons: int = 0
    no_event_since_probe: bool = False
    min_excess: int = NO_EXCESS
    confirmed: int = -NO_EXCESS
    isolation_refs: int = 0
    count: int = 0
    mapcount: int = -1
    page_flags: int = 0
    marks: int = 0
    order: int = 0
    state: State = State.UNSEEN
    file: FileId | None = None
    index: int = -1
    alloc_ns: int = 0
    alloc_tid: int = 0
    gfp: int = 0
    post_ns: int | None = None
    post_flags: int = 0
    clear_ns: int | None = None
    clear_tid: int = -1
    clear_irq: IrqContext = IrqContext.UNKNOWN
    unlock_ns: int | None = None
    written_ns: int | None = None
    end_ns: int | None = None
    end_tid: int = -1
    claims: list[Ref] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Page:
    """A page frame."""

    state: State = State.UNSEEN
    order: int = 0
    count: int = 0
    mapcount: int = -1
    page_flags: int = 0
    marks: int = 0
    alloc_ns: int = 0
    alloc_tid: int = 0
    gfp: int = 0
    file: FileId | None = None
    index: int = -1
    min_excess: int = NO_EXCESS
    refs: list[Ref] = field(default_factory=list)  # open ones, oldest first
    suspects: list[Suspect] = field(default_factory=list)  # unsettled ones, oldest first

    def is_(self, *marks: Mark) -> bool:
        """Whether it bears any of the marks."""
        return any(self.marks & mark for mark in marks)

    def held(self, *kinds: RefKind) -> int:
        """Sum of open references of these kinds."""
        return sum(ref.val for ref in self.refs if ref.kind in kinds)


@dataclass(slots=True)
class Event:
    """One entry of the page stream, and what its task does just then."""

    ns: int
    cpu: int
    tid: int
    op: Op
    args: list[int]
    irq: IrqContext = IrqContext.UNKNOWN
    isolating: bool = False  # it isolates pages
    attempting: bool = False  # for an attempt that is watched

    @property
    def interrupt(self) -> bool:
        """Whether an interrupt did it: `tid` is only the task that happened to run."""
        return self.irq is IrqContext.INTERRUPT

    @property
    def flags(self) -> int:
        """page->flags that a reference event read."""
        return self.args[FLAGS] & 0xFFFFFFFF


class FlagBits:
    """Page flags of one kernel, by bit number."""

    def __init__(self, bits: Mapping[str, int] | None) -> None:
        self.known = {
            flag: sum(1 << (bits or {})[name] for name in NAMES[flag] if name in (bits or {})) for flag in NAMES
        }

    def has(self, flags: int, flag: FlagMask) -> bool:
        """Whether this word of page->flags has the flag."""
        return bool(flags & self.known[flag])

    def is_large(self, page: Page) -> bool:
        """Whether it is the head of a large folio."""
        return page.order > 0 or self.has(page.page_flags, FlagMask.HEAD)


def page_type(raw_mapcount: int) -> PageType:
    """The type that a _mapcount word names: by its top byte since 6.12, before by the bit that is cleared."""
    top, low = raw_mapcount >> 24 & 0xFF, raw_mapcount & 0xFFF
    if 0xF0 <= top < 0xFF:
        digit = top - 0xF0
        return PageType(digit) if digit in set(PageType) else PageType.OTHER
    by_bit = {0x80: PageType.BUDDY, 0x100: PageType.OFFLINE, 0x200: PageType.TABLE, 0x400: PageType.GUARD,
              0x800: PageType.HUGETLB}  # fmt: skip
    return next((kind for bit, kind in by_bit.items() if not low & bit), PageType.OTHER)


def int32(value: int) -> int:
    """The value as the 32-bit column keeps it."""
    return int(np.int64(np.uint64(value & 0xFFFFFFFFFFFFFFFF)).astype(np.int32))
