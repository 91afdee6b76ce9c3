"""Page table entries of set_migration_pte and remove_migration_pte -> page frame numbers, per architecture."""

from __future__ import annotations

import numpy as np

from tracereplay.schema import MAPPING, PFN, Op, PageStream

X86_PFN_MASK = 0x000F_FFFF_FFFF_F000  # PTE_PFN_MASK with 52 physical bits
X86_SWAP_OFFSET_SHIFT = 9  # bits 9..58 hold the inverted offset (arch/x86/include/asm/pgtable_64.h)
SWAP_PFN_BITS = 40  # above are the young and dirty bits of the entry (include/linux/swapops.h, since 6.1)


def decode_ptes(chunk: PageStream, machine: str | None) -> None:
    """Write the pfn of each migration entry and restored mapping into `chunk.args` (in place).

    Only x86-64 is known; on other machines, and where the machine is unknown, pfn becomes -1 and the entry is unused.
    """
    entries = np.flatnonzero((chunk.op == Op.SET_MIGRATION_PTE) | (chunk.op == Op.REMOVE_MIGRATION_PTE))
    if not len(entries):
        return
    if machine != "x86_64":
        chunk.args[entries, PFN] = -1
        return
    pte = chunk.args[entries, MAPPING]
    swap = (~pte >> X86_SWAP_OFFSET_SHIFT) & ((1 << SWAP_PFN_BITS) - 1)
    present = (pte & X86_PFN_MASK) >> 12
    chunk.args[entries, PFN] = np.where(chunk.op[entries] == Op.SET_MIGRATION_PTE, swap, present)
