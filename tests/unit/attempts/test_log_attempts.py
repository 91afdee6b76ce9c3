"""Kernel logs as kernels print them and people paste them -> attempts. One case a kind; none is a public log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.log_lines import FAILED, UNMOVABLE, X86
from tracereplay.model.result import Attempt


def told(attempt: Attempt) -> tuple[Any, ...]:
    """What a case compares."""
    ranges = [(t.start_pfn, t.end_pfn) for t in attempt.tries]
    return (
        attempt.operation,
        attempt.outcome,
        attempt.errno,
        attempt.area,
        attempt.request.pages,
        attempt.cause,
        ranges,
    )


def failed(
    pages: int, errno: str | None, cause: str, area: str | None = "reserved", ranges: Any = ()
) -> tuple[Any, ...]:
    return ("cma_alloc", "failed", errno, area, pages, cause, list(ranges))


def offline(outcome: str, errno: str | None, cause: str | None, area: str | None = None, pages: int | None = None,
            ranges: Any = ()) -> tuple[Any, ...]:  # fmt: skip
    return ("memory_offline", outcome, errno, area, pages, cause, list(ranges))


def busy(*ranges: tuple[int, int], pages: int | None = None) -> tuple[Any, ...]:
    return ("contig_alloc", "unknown", None, None, pages, "unknown", list(ranges))


CMA = {
    "two tasks": (
        "[   10.000001][   T11] alloc_contig_range: [100, 140) PFNs busy\n"
        "[   10.000002][   T12] alloc_contig_range: [a00, a10) PFNs busy\n"
        "[   10.000003][   T11] alloc_contig_range: [140, 180) PFNs busy\n"
        "[   10.000004][   T11] " + FAILED.format(n=64, e=16) + "[   10.000005][   T12] " + FAILED.format(n=16, e=16),
        [failed(64, "EBUSY", "unknown", ranges=[(0x100, 0x140), (0x140, 0x180)]),
         failed(16, "EBUSY", "unknown", ranges=[(0xA00, 0xA10)])],
    ),
    "ranges that do not fit the request": (
        "[   10.000001] alloc_contig_range: [100, 101) PFNs busy\n[   10.000002] " + FAILED.format(n=64, e=16),
        [busy((0x100, 0x101), pages=1), failed(64, "EBUSY", "unknown")],
    ),
    "debug lines": (
        "cma: cma_alloc(cma 00000000aaaaaaaa, name: reserved, count 64, align 6)\n"
        "cma: cma_alloc(): memory range at pfn 0x9c480 0000000012345678 is busy, retrying\n"
        "cma: cma_alloc(): memory range at pfn 0x9c4c0 0000000012345678 is busy, retrying\n"
        + FAILED.format(n=64, e=16) + "cma: cma_alloc(): returned (null)\n"
        "cma: cma_alloc(cma 00000000aaaaaaaa, name: reserved, count 1, align 0)\n"
        "cma: cma_alloc(): returned 0000000012345678\ncma: cma_release(page 0000000012345678, count 1)\n",
        [failed(64, "EBUSY", "unknown", ranges=[(0x9C480, 0x9C4C0), (0x9C4C0, 0x9C500)]),
         ("cma_alloc", "succeeded", None, "reserved", 1, None, [])],
    ),
    "before 3.17": (
        "cma: dma_alloc_from_contiguous(cma c1234567, count 8, align 3)\n"
        "cma: dma_alloc_from_contiguous(): returned 00000000\n",
        [("cma_alloc", "failed", None, None, 8, "unknown", [])],
    ),
    "begins with the pages used, as posted in 2024": (
        "cma: cma_alloc(cma (____ptrval____), name: a, total pages: 16384, used pages: 64, request pages: 8, align 3)\n"
        "cma: cma_alloc(): returned 0000000012345678\n"
        "cma: cma_alloc(cma (____ptrval____), name: a, total count 16384, used count: 64, request count 1, align 0)\n",
        [("cma_alloc", "succeeded", None, "a", 8, None, []), ("cma_alloc", "unknown", None, "a", 1, "unknown", [])],
    ),
    "begins in a vendor's words": (
        "cma_alloc([1][init]:cma(ffffffff00b50000:total 8192) a,b(ffffffe89d084cf0), count 2, align 1 gfp_mask 0xcc0)\n"
        "cma_alloc(): memory range at ffffffff00b62880 is busy, retrying\n",
        [("cma_alloc", "unknown", None, "a,b", 2, "unknown", [(None, None)])],
    ),
    "killed": (FAILED.format(n=4, e=4), [("cma_alloc", "interrupted", "EINTR", "reserved", 4, "interrupted", [])]),
    "a name with a colon": (
        "cma: cma_alloc: heap: a: alloc failed, req-size: 4 pages, ret: -12\n",
        [failed(4, "ENOMEM", "bitmap_full", area="heap: a")],
    ),
    "repeated by rsyslog": (
        "Nov 20 12:00:00 host kernel: " + FAILED.format(n=4, e=16)
        + "Nov 20 12:00:09 host kernel: message repeated 2 times: [ " + FAILED.format(n=4, e=16).strip() + "]\n",
        [failed(4, "EBUSY", "unknown")] * 3,
    ),
    "repeated by syslogd": (
        "Nov 20 12:00:20 host kernel: alloc_contig_range: [10, 11) PFNs busy\n"
        "Nov 20 12:00:21 host last message repeated 2 times\n",
        [busy((0x10, 0x11), pages=1)] * 3,
    ),
    "wrapped by a terminal within a word": (
        "[   10.000001] cma: cma_alloc: reserved: alloc failed, req-si\nze: 64 pages, ret: -12\n",
        [failed(64, "ENOMEM", "bitmap_full")],
    ),
    "behind a prompt": ("root@b:~# [   10.000001] " + FAILED.format(n=4, e=12), [failed(4, "ENOMEM", "bitmap_full")]),
    "HTML": ("&gt; [   10.000001] " + FAILED.format(n=4, e=12), [failed(4, "ENOMEM", "bitmap_full")]),
    "a null pointer of a 32-bit machine": (
        "cma: dma_alloc_from_contiguous(cma c1234567, count 8, align 3)\n"
        "cma: dma_alloc_from_contiguous(): memory range at c0701000 is busy, retrying\n"
        "cma: dma_alloc_from_contiguous(): returned   (null)\n",
        [("cma_alloc", "failed", None, None, 8, "unknown", [(None, None)])],
    ),
    "busy at a page frame without a pointer": (
        "cma: cma_alloc(cma c1234567, count 16, align 4)\n"
        "cma: cma_alloc(): memory range at pfn 0x2f2a0 is busy, retrying\n"
        "cma: cma_alloc(): memory range at pfn 0x2f2b0 is busy, retrying\n"
        "cma: cma_alloc(): returned c7654321\n",
        [("cma_alloc", "succeeded", None, None, 16, None, [(0x2F2A0, 0x2F2B0), (0x2F2B0, 0x2F2C0)])],
    ),
    "a null pointer that is not shown": (
        "cma: cma_alloc(cma (____ptrval____), count 64, align 6)\n" + FAILED.format(n=64, e=12)
        + "cma: number of available pages: => 3 free of 4096 total pages\ncma: cma_alloc(): returned (____ptrval____)\n"
        "cma: cma_alloc(cma (____ptrval____), count 1, align 0)\ncma: cma_alloc(): returned (____ptrval____)\n",
        [failed(64, "ENOMEM", "bitmap_full"), ("cma_alloc", "succeeded", None, None, 1, None, [])],
    ),
    "line ends lost": (
        "It says [   10.000001] alloc_contig_range: [100, 140) PFNs busy [   10.000002] "
        + FAILED.format(n=64, e=16).strip()
        + " [   10.000003] x: failed [   20.000004] " + FAILED.format(n=32, e=12).strip() + " what now?\n",
        [failed(64, "EBUSY", "unknown", ranges=[(0x100, 0x140)]), failed(32, "ENOMEM", "bitmap_full")],
    ),
    "line ends and stamps lost": (
        FAILED.format(n=64, e=16).strip() + " " + FAILED.format(n=32, e=12).strip() + "\n",
        [failed(64, "EBUSY", "unknown"), failed(32, "ENOMEM", "bitmap_full")],
    ),
    "line ends of HTML": (
        "<pre>[   10.000001] alloc_contig_range: [100, 140) PFNs busy<br>[   10.000002] "
        + FAILED.format(n=64, e=16).strip() + "<br/></pre>\n",
        [failed(64, "EBUSY", "unknown", ranges=[(0x100, 0x140)])],
    ),
    "cut before the errno": (
        "It says `cma: __cma_alloc_frozen: reserved: alloc failed, req-size: 16 pages` and no more.\n",
        [failed(16, None, "unknown")],
    ),
    "wrapped before the errno": (
        "> [   10.000001] cma: cma_alloc: reserved: alloc failed, req-size: 64\n> pages, ret: -16\n"
        "> [   10.000002] cma: cma_alloc: reserved: alloc failed, req-size: 32 pages,\n> ret: -12\n"
        "> [   10.000003] cma: cma_alloc: reserved: alloc failed, req-size: 16 pages, ret:\n> -16\n",
        [failed(64, "EBUSY", "unknown"), failed(32, "ENOMEM", "bitmap_full"), failed(16, "EBUSY", "unknown")],
    ),
    "dmesg -H, the time since the line before": (
        "[Nov20 12:00] alloc_contig_range: [100, 140) PFNs busy\n"
        "[  +0.000021] alloc_contig_range: [140, 180) PFNs busy\n"
        "[  +4.200000] alloc_contig_range: [180, 1c0) PFNs busy\n"
        "[Nov20 12:07] alloc_contig_range: [1c0, 200) PFNs busy\n",
        [busy((0x100, 0x140), (0x140, 0x180)), busy((0x180, 0x1C0)), busy((0x1C0, 0x200))],
    ),
    "stamps shortened by hand": (
        "[411.6] alloc_contig_range: [100, 140) PFNs busy\n[416.72] alloc_contig_range: [140, 180) PFNs busy\n",
        [busy((0x100, 0x140)), busy((0x140, 0x180))],
    ),
    "the size that a driver names, where the page size is not known": (
        "[    1.000001] alloc_contig_range: [2f100, 2f20a) PFNs busy\n"
        "[    1.000002] alloc_contig_range: [2f200, 2f30a) PFNs busy\n"
        "[    1.000003] x: failed to allocate buffer with size 1089536\n",
        [busy((0x2F100, 0x2F20A), (0x2F200, 0x2F30A), pages=266)],
    ),
    "typed from a picture": (
        "cma:cma_alloc:alloc failed,req-size:64 pages,reg: -16\n",
        [failed(64, "EBUSY", "unknown", area=None)],
    ),
    "a sentence without the errno": (
        "It ends with `cma_alloc failed, req-size: 16 pages` each time.\n",
        [failed(16, None, "unknown", area=None)],
    ),
    "two callers": ("[   69.494324][ 5] [  T887] " + FAILED.format(n=8, e=12), [failed(8, "ENOMEM", "bitmap_full")]),
    "quoted again in a reply, wrapped otherwise": (
        "[   10.000001] " + FAILED.format(n=64, e=16) + "[   10.000002] " + FAILED.format(n=32, e=16)
        + "Why?\n> [   10.000001] cma: cma_alloc: reserved: alloc failed, req-size: 64 pages,\n> ret: -16\n"
        "> [   10.000002] " + FAILED.format(n=32, e=16) + "Because.\n>> [   10.000001] " + FAILED.format(n=64, e=16),
        [failed(64, "EBUSY", "unknown"), failed(32, "EBUSY", "unknown")],
    ),
    "quoted again, stamps of seconds": (
        ("Nov 20 12:00:00 host kernel: alloc_contig_range: [10, 11) PFNs busy\n" * 2
         + "Nov 20 12:00:09 host kernel: " + FAILED.format(n=4, e=12))
        + ("> Nov 20 12:00:00 host kernel: alloc_contig_range: [10, 11) PFNs busy\n" * 2
           + "> Nov 20 12:00:09 host kernel: " + FAILED.format(n=4, e=12)),
        [busy((0x10, 0x11), pages=1)] * 2 + [failed(4, "ENOMEM", "bitmap_full")],
    ),
    "quoted again by somebody who logs to syslog": (
        "[   10.000001] " + FAILED.format(n=4, e=12)
        + "Nov 20 12:00:00 host kernel: [   10.000001] " + FAILED.format(n=4, e=12),
        [failed(4, "ENOMEM", "bitmap_full")],
    ),
    "the same boot message of two boots, stamped by jiffies": (
        ("[    0.000000] Linux version 5.10.1\n[    0.080000] " + FAILED.format(n=4, e=12)) * 2,
        [failed(4, "ENOMEM", "bitmap_full")] * 2,
    ),
    "quoted again, without stamps": (
        FAILED.format(n=64, e=16) * 2 + "Why?\n" + ("> " + FAILED.format(n=64, e=16)) * 2
        + "Because.\n>> " + FAILED.format(n=64, e=16) + "And mine:\n" + FAILED.format(n=8, e=12),
        [failed(64, "EBUSY", "unknown")] * 2 + [failed(8, "ENOMEM", "bitmap_full")],
    ),
    "wrapped twice": (
        "> [   10.000001] cma: cma_alloc: reserved: alloc failed, req-size: 64\n> pages,\n> ret: -16\n",
        [failed(64, "EBUSY", "unknown")],
    ),
    "the beginning of a call before 3.17, wrapped": (
        "> [    0.26] cma: dma_alloc_from_contiguous(cma db474f80, count\n> 64, align 6)\n"
        "> [    0.28] cma: dma_alloc_from_contiguous(): memory range at\n> c09d7000 is busy, retrying\n",
        [("cma_alloc", "unknown", None, None, 64, "unknown", [(None, None)])],
    ),
    "two boots by their wall clocks": (
        "Nov 20 12:00:00 host kernel: [   10.000001] " + FAILED.format(n=4, e=12)
        + "Nov 20 13:00:00 host kernel: [   10.000001] " + FAILED.format(n=4, e=12),
        [failed(4, "ENOMEM", "bitmap_full")] * 2,
    ),
    "a title, the log, a sentence": (
        "# Board 3 cma_alloc: alloc failed, req-size: 64 pages, ret: -16\n\n[   10.000001] " + FAILED.format(n=64, e=16)
        + "What does `cma: cma_alloc: reserved: alloc failed, req-size: 64 pages, ret: -16` say?\n",
        [failed(64, "EBUSY", "unknown")],
    ),
    "a title above lines without stamps": (
        "Subject: " + FAILED.format(n=64, e=16) + "\n" + FAILED.format(n=64, e=16) * 2,
        [failed(64, "EBUSY", "unknown")] * 2,
    ),
    "a title that tells of another": (
        "# " + FAILED.format(n=32, e=16) + "[   10.000001] " + FAILED.format(n=64, e=16),
        [failed(32, "EBUSY", "unknown"), failed(64, "EBUSY", "unknown")],
    ),
    "comments": (("# " + FAILED.format(n=64, e=16)) * 2, [failed(64, "EBUSY", "unknown")] * 2),
    "source and words": (
        'The line "cma: %s: alloc failed, req-size: %zu pages, ret: %d" says that cma_alloc() failed.\n'
        "cma: Reserved 64 MiB at 0x3b000000\ncma: Failed to reserve 512 MiB\n",
        [],
    ),
}  # fmt: skip

OFFLINES = {
    "ACPI says it twice": (
        X86 + "[   50.000001] memory offlining [mem 0x140000000-0x147ffffff] failed due to failure to isolate range\n"
        "[   50.000040] memory memory40: Offline failed.\n"
        "[   50.100001] memory offlining [mem 0x148000000-0x14fffffff] failed due to signal backoff\n",
        [offline("failed", "EBUSY", "unknown", "memory40", 0x8000, [(0x140000, 0x148000)]),
         offline("interrupted", "EINTR", "interrupted", None, 0x8000, [(0x148000, 0x150000)])],
    ),
    "pseries, a page each": (
        "page:c00c000001ca8000 refcount:1 mapcount:0 mapping:c0000007a801e380 index:0xc0000007a2ec0000\n"
        "flags: 0x7ffff000000200(slab)\n" + UNMOVABLE
        + "page:c00c000003fec000 refcount:1 mapcount:0 mapping:0000000018c4a547 index:0x0\n"
        "flags: 0x37ffff000000000()\n" + UNMOVABLE
        + "pseries-hotplug-mem: Memory hot-remove failed, adding LMB's back\n"
        'dlpar: Could not handle DLPAR request "memory remove count 10"\n',
        [offline("failed", "EBUSY", "unmovable_allocation")] * 2,
    ),
    "pseries, nothing but the request": (
        "[   88.2] pseries-hotplug-mem: Memory hot-remove failed, adding LMB's back\n"
        '[   88.3] dlpar: Could not handle DLPAR request "memory remove count 1"\n'
        "[   99.200000] Offlined Pages 4096\n[   99.300000] pseries-hotplug-mem: Memory at 7f0000000 was hot-removed\n",
        [offline("failed", None, "unknown"), offline("succeeded", None, None, pages=4096)],
    ),
    "virtio-mem with dynamic debug": (
        X86 + "[   50.000001] virtio_mem virtio0: offlining and removing memory: 0x140000000 - 0x147ffffff\n"
        "[   50.100001] virtio_mem virtio0: offlining and removing memory failed: -16\n",
        [offline("failed", "EBUSY", "unknown", None, 0x8000, [(0x140000, 0x148000)])],
    ),
    "boot memory of arm64": (
        "[   50.000001] Boot memory [40000000 80000000] offlining attempted\n"
        "[   50.000004] memory offlining [mem 0x40000000-0x7fffffff] failed due to notifier failure\n",
        [offline("failed", None, "notifier_veto")],
    ),
    "page frames of 2.6": (
        "memory offlining 1c0000 to 1c8000 failed\n",
        [offline("failed", None, "unknown", None, 0x8000, [(0x1C0000, 0x1C8000)])],
    ),
    "a shell, and dmesg after it": (
        "root@vm:~# echo offline > /sys/devices/system/memory/memory33/state\n"
        "-bash: echo: write error: Device or resource busy\nroot@vm:~# dmesg | tail -3\n"
        "[  456.789012] page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x108123\n"
        "[  456.789013] flags: 0x17ffffc0000000(node=0|zone=2)\n[  456.789014] " + UNMOVABLE,
        [offline("failed", "EBUSY", "unmovable_allocation", "memory33")],
    ),
    "a shell, its page in the log, and who says it again": (
        "# echo offline > /sys/devices/system/memory/memory33/state\nbash: echo: write error: Device or resource busy\n"
        "[  456.789012] page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x108123\n"
        "[  456.789013] flags: 0x17ffffc0000000(node=0|zone=2)\n[  456.789014] " + UNMOVABLE
        + "tee: /sys/devices/system/memory/memory33/state: Device or resource busy\n",
        [offline("failed", "EBUSY", "unmovable_allocation", "memory33")],
    ),
    "a shell in the folder of the block": (
        "root@vm:/sys/devices/system/memory/memory33# time echo 0 > online\n"
        "-bash: echo: write error: Device or resource busy\n",
        [offline("failed", "EBUSY", "unknown", "memory33")],
    ),
    "a block by the folder of its node": (
        "# echo 0 > /sys/devices/system/node/node1/memory56/online\n[  135.099947] Offlined Pages 32768\n"
        "vm:/sys/devices/system/node/node1# echo offline > memory57/state\n"
        "bash: echo: write error: Device or resource busy\n",
        [offline("succeeded", None, None, "memory56", pages=32768), offline("failed", "EBUSY", "unknown", "memory57")],
    ),
    "the selftest, in the log of a harness": (
        "[stdlog] # online->offline memory0\n[stdlog] # -> Failure\n"
        "[stdlog] # online->offline memory1\n[stdlog] # -> Success\n",
        [offline("failed", None, "unknown", "memory0"), offline("succeeded", None, None, "memory1")],
    ),
    "avocado": (
        "ERROR| memory99 : Resource is busy\nERROR| ERROR: unable to hot-unplug memory99 block. Device busy?\n",
        [offline("failed", None, "unknown", "memory99")],
    ),
    "an offline that is quoted again": (
        "Subject: memory offlining [mem 0x140000000-0x147ffffff] failed due to signal backoff\n"
        + X86 + "[   50.000001] memory offlining [mem 0x140000000-0x147ffffff] failed due to signal backoff\n"
        ">> [   50.000001] memory offlining [mem 0x140000000-0x147ffffff] failed due to signal backoff\n",
        [offline("interrupted", "EINTR", "interrupted", None, 0x8000, [(0x140000, 0x148000)])],
    ),
    "the selftest": (
        "# online->offline memory0\n# ./mem-on-off-test.sh: line 78: echo: write error: Invalid argument\n"
        "# offline_memory_expect_success 0: unexpected fail\n# online->offline memory1\n"
        "# online->offline memory2\n# -> Success\n# online->offline memory3\n# -> Failure\n"
        "# offline->online memory1\n# -> Success\n",
        [offline("failed", "EINVAL", "unknown", "memory0"), offline("succeeded", None, None, "memory2"),
         offline("failed", None, "unknown", "memory3")],
    ),
    "lsmem beside it": (
        "Memory block size:       128M\nTotal online memory:       4G\n\n"
        "# echo 0 > /sys/devices/system/memory/memory39/online\nbash: echo: write error: Device or resource busy\n"
        + "page:0000000076a3e320 refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x13ff00\n"
        "flags: 0x1fffffc0001000(reserved|node=0|zone=3)\n" + UNMOVABLE,
        [offline("failed", "EBUSY", "unmovable_allocation", "memory39", 0x8000, [(0x138000, 0x140000)])],
    ),
    "a kexec image in the way": (
        "kexec_core: Memory region in use\nmemory memory39: Offline failed.\n",
        [offline("failed", None, "notifier_veto", "memory39")],
    ),
    "memory added, not taken away": (
        "pseries-hotplug-mem: Attempting to hot-add 10 LMB(s)\n"
        "pseries-hotplug-mem: Memory hot-add failed, removing any added LMBs\n"
        'dlpar: Could not handle DLPAR request "memory add count 10"\n',
        [],
    ),
    "tee and zsh": (
        "$ echo offline | sudo tee /sys/devices/system/memory/memory40/state\noffline\n"
        "tee: /sys/devices/system/memory/memory40/state: Device or resource busy\n"
        "# echo 0 > /sys/devices/system/memory/memory41/online\necho: write error: device or resource busy\n"
        "# echo online > /sys/devices/system/memory/memory42/state\n"
        "tee: /sys/devices/system/memory/memory42/state: Invalid argument\n",
        [offline("failed", "EBUSY", "unknown", "memory40"), offline("failed", "EBUSY", "unknown", "memory41")],
    ),
    "chmem, wrapped": (
        "> chmem: Memory Block 27 (0x00000000d8000000-0x00000000dfffffff) disable\n> failed: Invalid argument\n",
        [offline("failed", "EINVAL", "unknown", "memory27")],
    ),
    "a command alone": ("Try `echo offline > /sys/devices/system/memory/memory33/state`.\n", []),
    "daxctl": (
        "libdaxctl: offline_one_memblock: dax0.0: Failed to offline /sys/devices/system/node/node2/memory85/state: "
        "Device or resource busy\n",
        [offline("failed", "EBUSY", "unknown", "memory85")],
    ),
    "it goes offline in the end": (
        "[ 3000.000001] migrating pfn 1083e9 failed ret:1\n[ 3003.000001] Offlined Pages 32768\n",
        [offline("succeeded", None, None, pages=32768)],
    ),
    "the page size by page frames": (
        "[   10.000001] migrating pfn 20005 failed ret:1\n"
        "[   12.000001] memory offlining [mem 0x200000000-0x20fffffff] failed due to signal backoff\n",
        [offline("interrupted", "EINTR", "interrupted", None, 0x1000, [(0x20000, 0x21000)])],
    ),
    "the page size by a hash table": (
        "[    0.0] Dentry cache hash table entries: 65536 (order: 3, 524288 bytes, linear)\n"
        "[   12.000001] memory offlining [mem 0x200000000-0x20fffffff] failed due to memory holes\n",
        [offline("failed", "EINVAL", "not_isolatable", None, 0x1000, [(0x20000, 0x21000)])],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [*CMA.values(), *OFFLINES.values()], ids=[*CMA, *OFFLINES])
def test_kinds(blame: Any, text: str, expected: list[tuple[Any, ...]]) -> None:
    result = blame(text)
    assert [told(attempt) for attempt in result.attempts] == expected
    assert len({attempt.id for attempt in result.attempts}) == len(expected)
