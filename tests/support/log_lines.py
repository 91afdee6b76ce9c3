"""Lines of a kernel log that many cases begin or end with."""

from __future__ import annotations

UNMOVABLE = "page dumped because: unmovable page\n"
FAILED = "cma: cma_alloc: reserved: alloc failed, req-size: {n} pages, ret: -{e}\n"
X86 = "[    0.000000] BIOS-e820: [mem 0x0-0x9fbff] usable\n"
