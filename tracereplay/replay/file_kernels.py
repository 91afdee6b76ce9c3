"""Which file a page belongs to, by inode and by mapping pointer; whether it is anonymous."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.replay.ledger_kernels import NONE, Memory, Row
from tracereplay.replay.page_kernels import ANON, COUNT_KNOWN, FILE, GUESSED, HASHED, MAPPING_KNOWN
from tracereplay.replay.state import ReplayCounter

SLOTS_PER_KEY = 4  # short walks to the key or the free slot after it
HASH_MULTIPLIER = np.int64(-7046029254386353131)  # 2^64 / golden ratio, as the kernel's hash_64
T_FILES, T_SLOTS = int(ReplayCounter.FILES), int(ReplayCounter.FILE_SLOTS)


@inlined
def file_slot(slots: npt.NDArray[np.int64], key_a: int, key_b: int) -> int:
    """Slot of the key, or the empty one where it belongs (open addressing)."""
    slot = int(((key_a ^ (key_b << 17)) * HASH_MULTIPLIER) % len(slots))
    while slots[slot, 2] != 0 and not (slots[slot, 0] == key_a and slots[slot, 1] == key_b):
        slot = (slot + 1) % len(slots)
    return slot


@njit
def set_file_slot(slots: npt.NDArray[np.int64], key_a: int, key_b: int, row: int) -> None:
    """Remember the file of this key."""
    slot = file_slot(slots, key_a, key_b)
    slots[slot, 0], slots[slot, 1], slots[slot, 2] = key_a, key_b, row + 1


@inlined
def remember_file(mem: Memory, key_a: int, key_b: int, row: int) -> None:
    """Another key, or another file of this key: an inode dropped and read again has another mapping pointer."""
    if mem.file_slots[file_slot(mem.file_slots, key_a, key_b), 2] == 0:
        mem.tally[T_SLOTS] += 1
    set_file_slot(mem.file_slots, key_a, key_b, row)


@inlined
def file_row(mem: Memory, key_a: int, key_b: int) -> int:
    """Row of a file by (mapping pointer, 0) or (ino, dev + 1); -1 = not known yet."""
    return mem.file_slots[file_slot(mem.file_slots, key_a, key_b), 2] - 1


@inlined
def new_file(mem: Memory, dev: int, ino: int) -> int:
    """A new row of the file table."""
    row = mem.tally[T_FILES]
    mem.tally[T_FILES] += 1
    mem.files[row].dev, mem.files[row].ino = dev, ino
    return row


@inlined
def do_cache_add(mem: Memory, page: Row, dev: int, ino: int, index: int) -> None:
    """mm_filemap_add_to_page_cache: the page belongs to a file."""
    row = file_row(mem, ino, dev + 1)
    if row < 0:
        row = new_file(mem, dev, ino)
        remember_file(mem, ino, dev + 1, row)
    page.file, page.index = row, index
    page.marks = (page.marks | FILE) & ~(ANON | HASHED | MAPPING_KNOWN | GUESSED)


@inlined
def learn_mapping(mem: Memory, page: Row, mapping: int) -> None:
    """What page->mapping says: anonymous (bit 0), or the page cache of a file known by this pointer."""
    if 0 < mapping < (1 << 32):
        # Kernel text prints a hash (%p), which has lost bit 0. A new anonymous page gets mapping and first rmap at
        # once, a page-cache page its mapping before anyone maps it.
        if page.marks & (ANON | FILE | HASHED) == 0:
            if page.marks & COUNT_KNOWN == 0:
                page.marks |= HASHED
            elif page.mapcount >= 0 or page.order > 0:
                page.marks |= ANON | GUESSED
            else:
                page.marks |= FILE | GUESSED
        return
    if mapping & 1:
        page.marks = (page.marks | ANON | MAPPING_KNOWN) & ~(FILE | GUESSED)
        return
    if mapping & 2:
        return  # movable_ops page: neither
    page.marks = (page.marks | FILE | MAPPING_KNOWN) & ~(ANON | GUESSED)
    row = file_row(mem, mapping, 0)
    if page.file < 0:
        if row < 0:
            row = new_file(mem, NONE, NONE)
            remember_file(mem, mapping, 0, row)
        page.file = row
    elif row != page.file:
        remember_file(mem, mapping, 0, page.file)


@inlined
def note_mapping(mem: Memory, page: Row, mapping: int) -> bool:
    """What an event read of page->mapping; returns whether the page has left the page cache (truncation).

    Without a mapping it is in use for as long as somebody holds it.
    """
    if mapping != 0 and not page.marks & MAPPING_KNOWN:
        learn_mapping(mem, page, mapping)
    uncached = mapping == 0 and page.marks & FILE != 0 and page.marks & COUNT_KNOWN != 0
    if uncached:
        page.marks &= ~FILE
    return uncached
