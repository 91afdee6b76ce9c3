"""For every cause a stream of events, or lines of a kernel log, that a machine may record and that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import tracereplay
from tests.support.event_histories import (
    AREA,
    AREA_END,
    BLOCK,
    DRIVER,
    LAYOUT,
    MS,
    PFN,
    A,
    B,
    C,
    History,
    S,
    Who,
    held_by,
)
from tracereplay.model.result import Result

Stream = Callable[[Path], Result]
HUGETLB, OFFLINE = 0xF4000000 - (1 << 32), 0xF1000000 - (1 << 32)  # page_type words since 6.12, as _mapcount
SHELL = Who("sh", 150, 1)


def of_log(text: str) -> Stream:
    """A kernel log without a trace."""

    def blame(folder: Path) -> Result:
        (folder / "dmesg.txt").write_text(text)
        return tracereplay.open(kernel_log=folder / "dmesg.txt").blame()

    return blame


def failed(text: str) -> Stream:
    """The last lines of cma_alloc() in a kernel log."""
    return of_log(f"[   10.000001] cma: cma_alloc: reserved: alloc failed, req-size: 64 pages, ret: {text}\n")


def offline(reason: str) -> Stream:
    """The last line of offline_pages() in a kernel log."""
    return of_log(f"[   12.000001] memory offlining [mem 0x200000000-0x20fffffff] failed due to {reason}\n")


def dumped(lines: Iterable[str]) -> Stream:
    """A page-cache page that migration refuses; the kernel dumps it within the attempt, with these lines."""
    h = History()
    h.cached(B)
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    head = f"page: refcount:2 mapcount:0 mapping:0000000012345678 index:0x0 pfn:{PFN:#x}"
    for line in (head, *lines, "page dumped because: migration failure"):
        h.event(DRIVER, f"console: {line}")
    h.migrate_end(1)
    h.put_back()
    h.cma_end()
    return h.blame


FLAGS = "flags: 0x4000000000000004(uptodate|zone=1)"


def of_type(word: int) -> Stream:
    """A page whose reference events print a page type in place of a mapcount."""
    h = History()
    h.alloc(B)
    h.pages[PFN].mapcount = word
    h.mod(B)
    h.put(B)
    h.failing_cma()
    return h.blame


def isolated(prepare: Callable[[History], None], after: Callable[[History], None] | None = None) -> Stream:
    """A failing attempt on what is prepared."""
    h = History()
    prepare(h)
    h.failing_cma()
    if after is not None:
        after(h)
    return h.blame


def named(prepare: Callable[[History], None]) -> Stream:
    """An attempt that scans the area, isolates nothing, and whose test names the page."""
    h = History()
    prepare(h)
    h.cma_start()
    h.scan(0)
    h.cma_end()
    return h.blame


def unmovable(h: History) -> None:
    """A page of the kernel, that an offline of its block meets and dumps."""
    h.alloc(B, BLOCK + 0x100, "GFP_KERNEL", 0)
    for line in (
        f"page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:{BLOCK + 0x100:#x}",
        "flags: 0x0(node=0|zone=1)",
        "page dumped because: unmovable page",
        "page_owner tracks the page as allocated",
        "page last allocated via order 0, migratetype Unmovable, gfp_mask 0xcc0(GFP_KERNEL), pid 77, tgid 77 (old)"
        ", ts 1000004000, free_ts 0",
        "memory offlining [mem 0x18000000-0x1fffffff] failed due to failure to isolate range",
    ):
        h.event(SHELL, f"console: {line}")


def waited_for(state: str) -> Stream:
    """An attempt that sleeps over a file page in this state, and succeeds."""
    h = History()
    h.cached(B, state=(state,))
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    if state == "writeback":
        h.event(DRIVER, "folio_wait_writeback: bdi 254:0: ino=12 index=0")
    h.wait(5 * S)
    if state == "writeback":
        flusher = Who("kworker/u8:1", 60)
        h.mod(flusher)
        h.pages[PFN].flags -= {"writeback"}
        h.put(flusher)
    h.pages[PFN].flags = {"uptodate"}
    h.freeze(DRIVER)
    h.migrate_end(0, moved=1)
    h.cma_end(None)
    return h.blame


def pinned(h: History) -> None:
    """Anonymous memory pinned once by A."""
    h.anon(B)
    h.get(A, val=1024)


def registered(h: History) -> None:
    """The same, for RDMA: the pin has a stack."""
    pinned(h)
    h.event(A, "kernel_stack: <stack trace >\n => try_grab_folio+0x1/0x2\n => ib_umem_get+0x1/0x2")


def in_a_batch(h: History) -> None:
    """Fresh anonymous memory that is in a batch of new LRU pages still."""
    h.alloc(B)
    page = h.pages[PFN]
    page.mapcount, page.mapping, page.flags = 0, 0xFFFF888004A1C201, {"dirty", "swapbacked", "uptodate"}
    h.mod(B)


def large_file_folio() -> Stream:
    """A large folio of a file that is neither moved nor split, for want of memory."""
    h = History(not_recorded=["test_pages_isolated"])
    h.event(
        B, f"mm_page_alloc: page=00000000deadbeef pfn={PFN:#x} order=4 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE"
    )
    h.event(B, f"mm_filemap_add_to_page_cache: dev 254:0 ino c pfn={PFN:#x} ofs=0 order=4")
    h.cma_start()
    h.scan(16)
    h.migrate_start()
    h.migrate_end(16)
    h.event(
        DRIVER, f"cma_alloc_finish: name=reserved pfn={AREA:#x} page=(null) count=1024 align=0 errorno=-12"
    )  # fmt: skip
    h.wait(MS)
    return h.blame


def bdev(h: History) -> None:
    """A page of a block device's cache with buffers."""
    h.cached(B, dev="0:3", ino=0xFE00010, state=("private", "uptodate"))


def freed(event: str) -> Callable[[History], None]:
    """A page on a free list."""
    tail = "" if event == "mm_page_free" else " migratetype=1"

    def prepare(h: History) -> None:
        h.event(B, f"{event}: page=00000000deadbeef pfn={PFN:#x} order=0{tail}")

    return prepare


def without_destination() -> Stream:
    """Migration finds no page to move to."""
    h = History()
    h.anon(B)
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    h.event(DRIVER, "mm_page_alloc: page=(null) pfn=-1 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE")
    h.migrate_end(1)
    h.put_back()
    h.event(DRIVER, f"cma_alloc_finish: name=reserved pfn={AREA:#x} page=(null) count=1024 align=0 errorno=-12")
    h.wait(MS)
    return h.blame


def never_isolated() -> Stream:
    """Another task has a pageblock of the range isolated: nothing is scanned, nothing tested."""
    h = History()
    h.event(C, f"mm_compaction_isolate_migratepages: range=({BLOCK:#x} ~ {BLOCK + 64:#x}) nr_scanned=64 nr_taken=0")
    h.event(C, f"test_pages_isolated: start_pfn={BLOCK:#x} end_pfn={BLOCK + 64:#x} fin_pfn={BLOCK + 64:#x} ret=success")
    h.cma_start()
    h.event(DRIVER, f"cma_alloc_busy_retry: name=reserved pfn={AREA:#x} page=00000000deadbeef count=1024 align=0")
    h.event(DRIVER, f"cma_alloc_finish: name=reserved pfn={AREA_END:#x} page=(null) count=1024 align=0 errorno=-16")
    h.wait(MS)
    return h.blame


def only_movable_free() -> Stream:
    """An unmovable allocation finds no page, while pages of a CMA area that were freed before are free."""
    h = History()
    for pfn in range(AREA, AREA + 64):
        h.anon(B, pfn)
        h.freeze(B, pfn)
    h.wait(MS)
    h.event(C, "mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_KERNEL")
    h.event(C, "mm_page_alloc: page=(null) pfn=0xffffffffffffffff order=0 migratetype=0 gfp_flags=GFP_KERNEL")
    h.wait(MS)
    h.chatter((0, 1))

    def blame(folder: Path) -> Result:
        (folder / "trace.txt").write_text(h.text())
        area = f'[[cma]]\nname = "reserved"\nstart_pfn = {AREA:#x}\npages = {AREA_END - AREA:#x}\n'
        (folder / "layout.toml").write_text(LAYOUT + area)
        return tracereplay.open(folder / "trace.txt", layout=folder / "layout.toml").blame()

    return blame


def begun() -> Stream:
    """The trace ends within the attempt."""
    h = History()
    h.cma_start()
    h.cma_end(None)
    h.cma_start()
    return h.blame


def recorded(prepare: Callable[[History], None]) -> Stream:
    """What is prepared, as it stands."""
    h = History()
    prepare(h)
    return h.blame


STREAMS: dict[str, Stream] = {
    "hugetlb": of_type(HUGETLB),
    "offline_or_hwpoison": of_type(OFFLINE),
    "secretmem": dumped(["secretmem_aops ino:1", FLAGS]),
    "aio_ring": dumped(["aio_ctx_aops ino:1", FLAGS]),
    "unmovable_allocation": recorded(unmovable),
    "percpu_free": named(freed("mm_page_free")),
    "writeback": waited_for("writeback"),
    "locked_folio": waited_for("locked"),
    "pin_longterm": isolated(registered, lambda h: h.put(A, val=1024)),
    "pin_short": isolated(pinned, lambda h: h.put(A, val=1024)),
    "task_reference": held_by().blame,
    "lru_batch": named(in_a_batch),
    "unsplittable_folio": large_file_folio(),
    "buffer_head": isolated(bdev),
    "no_migration_handler": dumped(["some_fs_aops ino:1", FLAGS]),
    "nofs_skipped": named(lambda h: h.cached(B)),
    "extra_reference": isolated(lambda h: h.old_anon(B)),
    "preexisting": named(lambda _h: None),
    "unknown": named(freed("mm_page_pcpu_drain")),
    "destination_enomem": without_destination(),
    "bitmap_full": failed("-12"),
    "isolation_conflict": never_isolated(),
    "not_isolatable": offline("memory holes"),
    "notifier_veto": offline("notifier failure"),
    "movable_only_free": only_movable_free(),
    "interrupted": failed("-4"),
    "unfinished": begun(),
}
