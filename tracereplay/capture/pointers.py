"""Lines in which the kernel prints page pointers beside page frames: they tell where vmemmap begins, on any machine."""

from __future__ import annotations

import mmap

from tracereplay.capture.tracefs import Tracefs
from tracereplay.parsers.probes.pointers import PAIR

EVENT = "kmem/mm_page_alloc"
PAGES = 256
MOST_LINES = 512


def page_pointers(tracefs: Tracefs, name: str) -> str:
    """`page=POINTER pfn=PFN` lines of EVENT, by an instance of this name that is gone afterwards; "" if hidden."""
    place = f"instances/{name}"
    try:
        (tracefs.root / place).mkdir()
    except OSError:
        return ""
    try:
        if not tracefs.try_write(f"{place}/options/hash-ptr", "0"):
            return ""
        if not tracefs.try_write(f"{place}/events/{EVENT}/enable", "1"):
            return ""
        with mmap.mmap(-1, PAGES * mmap.PAGESIZE) as memory:
            for at in range(0, len(memory), mmap.PAGESIZE):
                memory[at] = 1
        tracefs.try_write(f"{place}/events/enable", "0")
        pairs = [found[0] for found in PAIR.finditer(tracefs.read(f"{place}/trace"))]
        return "".join(f"{pair}\n" for pair in pairs[-MOST_LINES:])
    finally:
        tracefs.remove_instance(name)
