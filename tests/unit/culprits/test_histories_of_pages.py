"""Short histories of what a page is: unmovable, with buffers, locked, under writeback, in the swap cache, hashed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracereplay
from tests.support.event_histories import (
    BLOCK,
    BLOCK_END,
    DRIVER,
    MS,
    PFN,
    PROVED,
    A,
    B,
    C,
    History,
    S,
    Who,
    only,
    told,
)

# -- what --------------------------------------------------------------------------------------------------------------


def block_page(gfp: str = "GFP_KERNEL", *, isolated: bool = True, tracked: str = "allocated") -> History:
    """An offline of a block with a page that was allocated so.

    isolated -- the range was isolated before; else the kernel dumps the page, of which page_owner says `tracked`.
    """
    h, shell = History(), Who("sh", 150, 1)
    unmovable, other = BLOCK + 0x100, BLOCK + 0x200
    h.alloc(B, unmovable, gfp, 0)
    h.anon(C, other)
    h.wait(MS)
    if not isolated:
        for text in (
            "page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x18100",
            "flags: 0x0(node=0|zone=1)",
            "page dumped because: unmovable page",
            f"page_owner tracks the page as {tracked}",
            f"page last allocated via order 0, migratetype Unmovable, gfp_mask 0xcc0({gfp}), pid 77, tgid 77 (old-task)"
            ", ts 1000004000, free_ts 0",
            "memory offlining [mem 0x18000000-0x1fffffff] failed due to failure to isolate range",
        ):
            h.event(shell, f"console: {text}")
        return h
    for _ in range(2):
        h.isolate([other], shell)
        h.migrate_start("memory_hotplug", shell)
        h.migrate_end(1, "memory_hotplug", shell)
        h.put_back([other], shell)
        h.wait(MS)
    h.event(shell, f"test_pages_isolated: start_pfn={BLOCK:#x} end_pfn={BLOCK_END:#x} fin_pfn={unmovable:#x} ret=fail")
    return h


def test_what_isolation_passed_over_is_not_unmovable(tmp_path: Path) -> None:
    assert told(block_page().blame(tmp_path), BLOCK + 0x100) == ["unmovable_allocation suggested (what)"]


def test_what_isolation_stumbled_over_is(tmp_path: Path) -> None:
    assert told(block_page(isolated=False).blame(tmp_path), BLOCK + 0x100) == ["unmovable_allocation proved"]


def test_user_memory_may_move_whatever_it_was_allocated_for(tmp_path: Path) -> None:
    assert told(block_page("GFP_HIGHUSER").blame(tmp_path), BLOCK + 0x100) == ["unmovable_allocation suggested (what)"]


def bdev_page(extra: int, dev: str = "0:3", ino: int = 0xFE00010) -> History:
    """A page of a block device's cache with buffers, and references of which no event tells."""
    h = History()
    h.cached(B, dev=dev, ino=ino, state=("private", "uptodate"))
    h.pages[PFN].count += extra
    h.failing_cma()
    return h


def test_buffers_are_blamed_where_the_count_is_as_expected(tmp_path: Path) -> None:
    assert told(bdev_page(0).blame(tmp_path)) == ["buffer_head proved"]


def test_buffers_are_not_proved_where_the_count_is_too_high(tmp_path: Path) -> None:
    assert told(bdev_page(1).blame(tmp_path)) == ["buffer_head suggested (recorded, what)"]


@pytest.mark.parametrize("dev", ["0:1", "0:24", "0:52"])
def test_an_inode_number_may_look_like_a_device(dev: str, tmp_path: Path) -> None:
    """NFS and btrfs have no device of their own either, keep private data on pages, and number inodes past 2^20."""
    (row,) = bdev_page(0, dev, 0x12D687).blame(tmp_path).attempts[0].culprits
    assert (row.cause, row.verdict) == ("buffer_head", "suggested")
    assert "no_migration_handler" in row.candidates
    assert row.file is not None
    assert row.file.block_dev is None
    assert "metadata" not in str(row.holder_name)


def waiting(pages: int, *, state: str, event: bool = False) -> History:
    """An attempt that sleeps 5 s over these file pages, and succeeds."""
    h, pfns = History(), [PFN + number for number in range(pages)]
    for number, pfn in enumerate(pfns):
        h.cached(B, pfn, state=(state,), index=number)
    h.cma_start()
    h.isolate(pfns)
    h.scan(pages)
    h.migrate_start()
    if event:
        h.event(DRIVER, "folio_wait_writeback: bdi 254:0: ino=12 index=0")
    h.wait(5 * S)
    flusher = Who("kworker/u8:1", 60)
    for pfn in pfns:
        if state == "writeback":
            h.mod(flusher, pfn)
            h.pages[pfn].flags -= {"writeback"}
            h.put(flusher, pfn)
        h.pages[pfn].flags = {"uptodate"}
        h.freeze(DRIVER, pfn)
    h.migrate_end(0, moved=pages)
    h.cma_end(None)
    return h


def test_one_locked_page_is_what_the_task_sleeps_on(tmp_path: Path) -> None:
    assert told(waiting(1, state="locked").blame(tmp_path)) == ["locked_folio proved"]


def test_of_two_locked_pages_it_sleeps_on_one(tmp_path: Path) -> None:
    result = waiting(2, state="locked").blame(tmp_path)
    assert [told(result, pfn) for pfn in (PFN, PFN + 1)] == [["locked_folio suggested (what)"]] * 2


@pytest.mark.parametrize("event", [False, True])
def test_pages_that_stay_under_writeback_are_all_in_the_way(event: bool, tmp_path: Path) -> None:
    result = waiting(2, state="writeback", event=event).blame(tmp_path)
    assert [told(result, pfn) for pfn in (PFN, PFN + 1)] == [["writeback proved"]] * 2


@pytest.mark.parametrize("flag", ["owner_priv_1", "swapcache"])
def test_the_swap_cache_has_a_reference_of_its_own(flag: str, tmp_path: Path) -> None:
    h = History()
    h.anon(B, flags=[flag])
    h.mod(B)
    h.failing_cma()
    assert not any("reference" in line for line in told(h.blame(tmp_path)))


@pytest.mark.parametrize("flag", ["owner_priv_1", "swapcache"])
def test_a_reference_beside_that_of_the_swap_cache(flag: str, tmp_path: Path) -> None:
    h = History()
    h.anon(B, flags=[flag])
    h.mod(B)
    h.get(A)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


DUMP = """\
[  100.000000] migrating pfn 1083f5 failed ret:1
[  100.000100] page: refcount:{refcount} mapcount:1 mapping:0000000000000000 index:0x7ff6ed7fb pfn:0x1083f5
[  100.000300] anon flags: 0x20000000002040c(referenced|uptodate|{flags}swapbacked|node=0|zone=2)
[  100.000600] page dumped because: migration failure
"""


def logged(tmp_path: Path, refcount: int, flags: str = "") -> list[str]:
    """What a log with such a dump tells."""
    (tmp_path / "dmesg.txt").write_text(DUMP.format(refcount=refcount, flags=flags))
    return told(tracereplay.open(kernel_log=tmp_path / "dmesg.txt").blame(), 0x1083F5)


@pytest.mark.parametrize("flag", ["owner_priv_1|", "swapcache|"])
def test_a_dump_of_a_page_in_the_swap_cache(flag: str, tmp_path: Path) -> None:
    assert not any("reference" in line for line in logged(tmp_path, 3, flag))
    assert logged(tmp_path, 4, flag) == ["extra_reference proved"]
    assert logged(tmp_path, 3) == ["extra_reference proved"]


def test_page_owner_of_a_page_that_it_holds_to_be_free(tmp_path: Path) -> None:
    """It has no record of the page's present life: what follows is of the last one."""
    row = only(block_page(isolated=False, tracked="freed").blame(tmp_path), BLOCK + 0x100)
    assert (row.verdict, row.premises_failed) == ("suggested", ["shown"])
    assert row.allocated_by is not None
    assert row.allocated_by.comm == B.comm  # as the trace saw, not as page_owner says


# -- hashed pointers ---------------------------------------------------------------------------------------------------

HASHED_ANON, HASHED_FILE = 0x4A1C201, 0x5B00000
SHMEM = ("dirty", "swapbacked", "uptodate")


def hashed(state: tuple[str, ...], *, cached: bool = True, taken: bool = True) -> History:
    """A file's page whose mapping is printed as a hash; cached -- the event that tells its file was recorded."""
    h = History(not_recorded=[] if cached else ["mm_filemap_add_to_page_cache"])
    h.cached(B, state=state, mapping=HASHED_FILE)
    if taken:
        h.get(A)
    h.failing_cma()
    if taken:
        h.put(A)
    return h


def test_a_hashed_anonymous_page(tmp_path: Path) -> None:
    h = History()
    h.anon(B, mapping=HASHED_ANON)
    h.get(A)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


@pytest.mark.parametrize("state", [("uptodate",), SHMEM], ids=["file", "shmem"])
def test_a_hashed_page_of_a_file_that_is_told(state: tuple[str, ...], tmp_path: Path) -> None:
    assert told(hashed(state).blame(tmp_path)) == PROVED


@pytest.mark.parametrize("state", [("uptodate",), SHMEM], ids=["file", "shmem"])
def test_a_hashed_page_of_which_nothing_is_told(state: tuple[str, ...], tmp_path: Path) -> None:
    """The cache's own reference is no excess, and one that may be the cache's is not proved."""
    assert not any("reference" in line for line in told(hashed(state, cached=False, taken=False).blame(tmp_path)))
    assert not any(" proved" in line for line in told(hashed(state, cached=False).blame(tmp_path)))


# -- looks held, or looks waited for -----------------------------------------------------------------------------------


def test_a_poisoned_page_is_no_task_s(tmp_path: Path) -> None:
    """memory_failure() keeps the reference of madvise(MADV_HWPOISON), which A called."""
    h = History()
    h.anon(A)
    h.get(A)
    h.pages[PFN].flags.add("hwpoison")
    h.rmap(-1)
    h.put(A)
    h.cma_start()
    h.pass_over()
    h.scan(0)
    h.cma_end()
    assert told(h.blame(tmp_path)) == ["offline_or_hwpoison suggested (established, shown)"]


@pytest.mark.parametrize("later", [0, 2 * S])
def test_a_page_still_locked_after_the_sleep_was_not_slept_for(later: int, tmp_path: Path) -> None:
    """folio_lock() returns with the lock: the driver goes on with another page, of whose writeback no event tells."""
    h = History()
    h.cached(B, state=("locked",))
    h.anon(C, PFN + 1)
    h.cma_start()
    h.isolate([PFN, PFN + 1])
    h.scan(2)
    h.migrate_start()
    h.wait(5 * S)
    h.freeze(DRIVER, PFN + 1)
    h.wait(later)
    if not later:
        h.get(B)
        h.put(B)
    h.pages[PFN].flags = {"uptodate"}
    h.freeze(DRIVER)
    h.migrate_end(0, moved=2)
    h.cma_end(None)
    assert told(h.blame(tmp_path)) == ["locked_folio suggested (what)"]


def test_buffers_that_somebody_held_while_they_were_tried(tmp_path: Path) -> None:
    """A's get lasts from before migrate_pages() to its end: the buffers may be in no one's way."""
    h = History()
    h.cached(B, dev="0:3", ino=0xFE00010, state=("private", "uptodate"))
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.get(A)
    h.migrate_start()
    h.migrate_end(1)
    h.put(A)
    h.put_back()
    h.cma_end()
    assert told(h.blame(tmp_path)) == ["buffer_head suggested (what)"]
