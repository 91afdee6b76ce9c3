"""Short histories of paths in the kernel that look like a held reference, or hide one.

Each says in a sentence what happens and where the kernel does it. What may be proved of the page is the assertion.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.event_histories import (
    ANON_MAPPING,
    AREA,
    AREA_END,
    BLOCK,
    BLOCK_END,
    DRIVER,
    FILE_MAPPING,
    MS,
    PFN,
    PROVED,
    A,
    B,
    C,
    History,
    Page,
    S,
    Who,
    culprits,
    held_by,
    only,
    told,
)

SHMEM = ("dirty", "swapbacked", "uptodate")
BDEV = {"dev": "0:3", "ino": 0xFE00010, "state": ("private", "uptodate")}


def proved(lines: list[str]) -> bool:
    """Whether anything is claimed for certain."""
    return any(" proved" in line for line in lines)


# -- unmapping ---------------------------------------------------------------------------------------------------------


def test_a_get_given_back_while_another_unmaps(tmp_path: Path) -> None:
    """zap_pte_range() drops B's mapping at once and its reference with the batch: A's put comes between."""
    h = History()
    h.anon(B)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(A)
    h.failing_cma()
    h.put(B)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (whose), task-a suggested"]


@pytest.mark.parametrize("putter", [C, Who("kworker/0:1", 60)])
def test_a_get_given_back_by_a_third_while_another_unmaps(putter: Who, tmp_path: Path) -> None:
    """B's mapping has gone, its reference not yet: the end of A's get, by who drains the pipe, looks like an unmap."""
    h = History()
    h.anon(B)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(putter)
    h.failing_cma()
    h.put(B)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (whose), task-a suggested"]


def test_a_get_given_back_while_a_child_unmaps(tmp_path: Path) -> None:
    """A has a mapping of its own, but it is that of its child C which goes."""
    h = History()
    h.anon(A)
    h.mod(A)
    h.rmap(1)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(A)
    h.failing_cma()
    h.put(C)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (whose), task-a suggested"]


def test_a_get_that_outlives_another_s_mapping(tmp_path: Path) -> None:
    """C unmaps its share of the page; what A gives back after the attempt can only have been A's."""
    h = History()
    h.anon(B)
    h.mod(B)
    h.rmap(1)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(C)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_a_task_that_unmaps_its_own_page_keeps_its_get(tmp_path: Path) -> None:
    """munmap() after vmsplice(): the put that takes the mapping along is the mapping's."""
    h = History()
    h.anon(A)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(A)
    h.failing_cma()
    h.put(C)
    assert told(h.blame(tmp_path)) == PROVED


def test_a_pin_given_back_while_another_unmaps(tmp_path: Path) -> None:
    """An unmap gives back no 1024: the pin is over, whatever became of the mapping."""
    h = History()
    h.anon(B)
    h.get(A, val=1024)
    h.wait(MS)
    h.rmap(-1)
    h.put(A, val=1024)
    h.get(C)
    h.failing_cma()
    h.put(C)
    assert not any(row.cause == "pin_short" for row in culprits(h.blame(tmp_path)))


def test_no_interrupt_unmaps(tmp_path: Path) -> None:
    """A bio that ends gives A's get back just when B's mapping has gone."""
    h = History()
    h.anon(B)
    h.get(A)
    h.wait(MS)
    h.rmap(-1)
    h.put(C._replace(context="s"))
    h.failing_cma()
    h.put(B)
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))


# -- large folios ------------------------------------------------------------------------------------------------------


def test_a_get_of_a_folio_that_a_pmd_maps(tmp_path: Path) -> None:
    """One reference for the mapping, one that A keeps."""
    h = History()
    h.folio(B, 4)
    h.get(A)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_a_get_of_a_folio_mapped_in_parts(tmp_path: Path) -> None:
    """A's put is stamped before its get (two CPUs' clocks), and C keeps a plain reference: nothing counts that up."""
    h = History()
    h.folio(B, 4, count=16, mapcount=0)
    start_us = h.us + 10
    h.get(A, at_us=start_us)
    h.put(A._replace(cpu=1), at_us=start_us - 4)
    h.wait(MS)
    h.mod(C)
    h.failing_cma()
    h.put(C)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (counted), task-a suggested"]


def test_a_folio_in_the_swap_cache(tmp_path: Path) -> None:
    """do_swap_page() keeps the get of the lookup as the mapping of one page of it."""
    h = History()
    h.folio(B, 4)
    h.pages[PFN].flags.add("swapcache")
    h.mod(B, val=16)
    h.get(A)
    h.failing_cma()
    assert not proved(told(h.blame(tmp_path)))


def test_1024_references_of_a_large_folio_are_no_pin(tmp_path: Path) -> None:
    """With pages of 16 KiB a THP has 2048 parts, and add_to_swap_cache() takes as many references at once."""
    h = History()
    h.folio(B, 4)
    h.mod(A, val=2048)
    h.failing_cma()
    assert not any(row.cause == "pin_short" for row in culprits(h.blame(tmp_path)))


# -- the page cache ----------------------------------------------------------------------------------------------------


def test_a_page_truncated_while_it_is_held(tmp_path: Path) -> None:
    """A's pipe keeps a page of a file that is cut off: no cache holds it, and A's reference is one too many still."""
    h = History()
    h.cached(B)
    h.get(A)
    h.wait(MS)
    h.truncate(C)
    h.cma_start()
    h.pass_over()
    h.scan(0)
    h.cma_end()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_a_truncated_page_is_no_kernel_allocation(tmp_path: Path) -> None:
    """A page of a block device is allocated by GFP_USER; out of the cache it stays on the LRU while A holds it."""
    h, shell, pfn = History(), Who("sh", 150, 1), BLOCK + 0x100
    h.cached(B, pfn, dev="0:3", ino=0xFE00010)
    h.lines = [(us, line.replace("GFP_NOFS|__GFP_MOVABLE|__GFP_HARDWALL", "GFP_USER")) for us, line in h.lines]
    h.get(A, pfn)
    h.wait(MS)
    h.truncate(C, pfn)
    for _ in range(2):
        h.migrate_start("memory_hotplug", shell)
        h.migrate_end(1, "memory_hotplug", shell)
        h.wait(MS)
    h.event(shell, f"test_pages_isolated: start_pfn={BLOCK:#x} end_pfn={BLOCK_END:#x} fin_pfn={pfn:#x} ret=fail")
    assert not any(row.cause == "unmovable_allocation" for row in culprits(h.blame(tmp_path), pfn))


def test_private_2_stands_for_a_reference(tmp_path: Path) -> None:
    """folio_start_private_2() takes one, and folio_expected_refs() knows of it (netfs, fscache)."""
    h = History()
    h.cached(B)
    h.mod(B)
    h.pages[PFN].flags.add("private_2")
    h.failing_cma()
    h.put(B)
    assert not any("reference" in line for line in told(h.blame(tmp_path)))


def test_an_aio_ring_keeps_a_reference_and_migrates(tmp_path: Path) -> None:
    """aio_migrate_folio() expects it; it fails while somebody has the ring's mutex, which no event shows."""
    h = History()
    h.alloc(B, gfp="GFP_USER|__GFP_ZERO")
    page = h.pages[PFN]
    page.mapping = FILE_MAPPING
    h.mod(B)
    h.event(B, f"mm_filemap_add_to_page_cache: dev 0:12 ino 4d pfn={PFN:#x} ofs=0 order=0")
    page.flags = {"dirty", "uptodate"}
    h.mod(B)
    page.flags.add("lru")
    h.put(B)
    h.failing_cma()
    assert told(h.blame(tmp_path)) == ["extra_reference suggested (what)"]


def test_a_shmem_fault_keeps_its_get_as_the_mapping(tmp_path: Path) -> None:
    """C's plain reference is what stands in the way; A's get may be."""
    h = History()
    h.cached(B, state=SHMEM)
    h.mod(C)
    h.get(A)
    h.rmap(1)
    h.wait(MS)
    h.failing_cma()
    h.put(C)
    assert not any(row.holder_verdict == "proved" for row in culprits(h.blame(tmp_path)))


def test_a_page_with_more_mappings_than_a_model_keeps(tmp_path: Path) -> None:
    """40,000 mappings are no page type (_mapcount of typed pages is negative)."""
    h = History()
    h.pages[PFN] = Page(40_001, 39_999, FILE_MAPPING, {"lru", "referenced", "uptodate"})
    h.get(A)
    h.failing_cma()
    h.put(A)
    (line,) = told(h.blame(tmp_path))
    assert line.startswith(("preexisting", "unknown"))


# -- taken off the LRU, or only looked at ------------------------------------------------------------------------------


def beside_a_held_page(who: Who, *, lru: bool) -> History:
    """The driver passes over a block device's page; another, which A holds, is the one that migration failed on."""
    h = History()
    h.cached(B, **BDEV)  # type: ignore[arg-type]
    h.anon(C, PFN + 1)
    h.get(A, PFN + 1)
    if not lru:
        h.get(who)
        h.pages[PFN].flags -= {"lru"}
    h.cma_start()
    h.pass_over()
    h.isolate([PFN + 1])
    h.scan(1)
    h.migrate_start()
    h.migrate_end(1)
    h.put_back([PFN + 1])
    h.cma_end()
    h.put(A, PFN + 1)
    return h


def test_a_caller_that_may_not_enter_file_systems_passes_over_buffers(tmp_path: Path) -> None:
    """isolate_migratepages_block() without __GFP_FS: the page is got and left, its buffers are not asked."""
    result = beside_a_held_page(B, lru=True).blame(tmp_path)
    assert told(result) == ["nofs_skipped suggested (established, shown)"]
    assert told(result, PFN + 1) == PROVED


def test_buffers_of_a_page_that_kswapd_has_isolated(tmp_path: Path) -> None:
    """The driver finds it off the LRU: its buffers are not asked either."""
    lines = told(beside_a_held_page(Who("kswapd0", 30), lru=False).blame(tmp_path))
    assert not proved(lines)
    assert not any("buffer_head" in line for line in lines)


# -- when --------------------------------------------------------------------------------------------------------------


def retried(h: History) -> None:
    """The range is tested in vain, and tried again."""
    h.event(DRIVER, f"test_pages_isolated: start_pfn={AREA:#x} end_pfn={AREA_END:#x} fin_pfn={PFN:#x} ret=fail")
    h.event(DRIVER, f"cma_alloc_busy_retry: name=reserved pfn={AREA:#x} page=00000000deadbeef count=1024 align=0")


def test_a_get_after_the_last_migration_stopped_nothing(tmp_path: Path) -> None:
    """C's plain reference was why it failed; A's get is there when the driver puts the page back."""
    h = History()
    h.anon(B)
    h.mod(C)
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    h.migrate_end(1)
    h.put(C)
    h.get(A)
    h.put_back()
    h.cma_end()
    h.put(A)
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))


def test_a_page_let_go_between_two_tries_blocked_the_first(tmp_path: Path) -> None:
    """Two pages, both met by the first try; one of them only by that."""
    h = History()
    other = PFN + 8
    for pfn, who in ((PFN, A), (other, C)):
        h.anon(B, pfn)
        h.get(who, pfn)
    h.cma_start()
    h.isolate([PFN, other])
    h.scan(2)
    h.migrate_start()
    h.migrate_end(2)
    h.put_back([PFN, other])
    retried(h)
    h.put(A)
    h.isolate([PFN, other])
    h.scan(2)
    h.migrate_start()
    h.freeze(DRIVER)
    h.migrate_end(1, moved=1)
    h.put_back([other])
    h.cma_end(other)
    h.put(C, other)
    result = h.blame(tmp_path)
    assert [only(result, pfn).blocked_tries for pfn in (PFN, other)] == [[(0, 0)], [(0, 1)]]


def test_isolation_by_another_between_two_tries(tmp_path: Path) -> None:
    """NUMA balancing by A takes the page off the LRU (folio_isolate_lru(), a plain reference) before the second try."""
    h = History()
    h.anon(B)
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    h.migrate_end(1)
    h.put_back()
    retried(h)
    h.mod(A)
    h.pages[PFN].flags -= {"lru"}
    h.pass_over()
    h.scan(0)
    h.cma_end()
    h.pages[PFN].flags |= {"lru"}
    h.put(A)
    assert not proved(told(h.blame(tmp_path)))


def test_the_allocator_s_name_is_that_of_its_time(tmp_path: Path) -> None:
    """The thread id is another task's later."""
    old = Who("old-task", A.tid)
    h = History()
    h.anon(old)
    h.get(B)
    h.wait(MS)
    h.event(old, "sched_process_exit: comm=old-task pid=101 prio=120")
    h.event(Who("new-task", A.tid), "sched_waking: comm=init pid=1 prio=120 target_cpu=000")
    h.failing_cma()
    h.put(B)
    by = only(h.blame(tmp_path)).allocated_by
    assert (by and by.comm) == "old-task"


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_a_swap_read_that_has_not_ended(tmp_path: Path) -> None:
    """swap_cluster_readahead(): locked, in the swap cache, and of no mapping yet."""
    h = History()
    h.alloc(B)
    page = h.pages[PFN]
    page.flags = {"locked", "swapbacked", "swapcache"}
    h.mod(B)
    h.mod(B)
    page.flags.add("lru")
    h.put(B)
    h.put(B)
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    h.wait(5 * S)
    page.flags = {"swapbacked", "swapcache", "uptodate"}
    h.freeze(DRIVER)
    h.migrate_end(0, moved=1)
    h.cma_end(None)
    assert told(h.blame(tmp_path)) == ["locked_folio proved"]


@pytest.mark.parametrize("written", [PFN, PFN + 1])
def test_two_file_systems_have_an_inode_of_that_number(written: int, tmp_path: Path) -> None:
    """folio_wait_writeback names bdi, inode and index; the bdi is the disk's, not the partition's."""
    h, pfns = History(), (PFN, PFN + 1)
    for number, pfn in enumerate(pfns):
        state = ("uptodate", "writeback") if pfn == written else ("uptodate",)
        h.cached(B, pfn, dev=f"25{number + 3}:1", state=state, mapping=FILE_MAPPING + 0x1000 * number)
    h.cma_start()
    h.isolate(pfns)
    h.scan(2)
    h.migrate_start()
    h.event(DRIVER, "folio_wait_writeback: bdi 254:0: ino=12 index=0")
    h.wait(5 * S)
    for pfn in pfns:
        h.pages[pfn].flags = {"uptodate"}
        h.freeze(DRIVER, pfn)
    h.migrate_end(0, moved=2)
    h.cma_end(None)
    result = h.blame(tmp_path)
    assert [pfn for pfn in pfns if proved(told(result, pfn))] == [written]


@pytest.mark.parametrize(("rest", "expected"), [(2 * S, "suggested (what)"), (0, "proved")])
def test_a_page_unlocked_long_before_the_sleep_ends(rest: int, expected: str, tmp_path: Path) -> None:
    """folio_unlock() wakes the migrator, which goes on with this page: it sleeps for something else."""
    h = History()
    h.cached(B, state=("locked",))
    h.cma_start()
    h.isolate()
    h.scan(1)
    h.migrate_start()
    h.wait(3 * S)
    h.pages[PFN].flags = {"uptodate"}
    h.get(B)
    h.put(B)
    h.wait(rest)
    h.freeze(DRIVER)
    h.migrate_end(0, moved=1)
    h.cma_end(None)
    assert told(h.blame(tmp_path)) == [f"locked_folio {expected}"]


# -- more of the same, which were right before -------------------------------------------------------------------------


def test_three_at_once_of_which_two_are_given_back(tmp_path: Path) -> None:
    """try_grab_folio() with refs > 1."""
    h = History()
    h.anon(B)
    h.get(A, val=3)
    h.put(A, val=2)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_an_io_worker_gives_back_what_its_process_pinned(tmp_path: Path) -> None:
    """io_uring: the request ends in iou-wrk-N."""
    row = only(held_by(putter=Who("iou-wrk-101", 333)).blame(tmp_path))
    assert (row.verdict, row.taken_by and row.taken_by.comm) == ("proved", "task-a")


def test_what_an_io_worker_takes_is_no_task_s(tmp_path: Path) -> None:
    """Its thread id says nothing of the process that keeps it."""
    row = only(held_by(Who("iou-wrk-101", 333), putter=A).blame(tmp_path))
    assert (row.cause, row.taken_by) == ("extra_reference", None)


def test_a_ksm_page_is_anonymous(tmp_path: Path) -> None:
    """Bits 0 and 1 of its mapping."""
    h = History()
    h.anon(B, mapping=ANON_MAPPING | 2)
    h.get(A)
    h.failing_cma()
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_a_reference_of_the_driver_s_own_task(tmp_path: Path) -> None:
    """dma-buf heaps call cma_alloc() in the task that may hold pages itself."""
    h = History()
    h.anon(B)
    h.get(DRIVER)
    h.wait(MS)
    h.failing_cma()
    h.put(DRIVER)
    assert told(h.blame(tmp_path)) == ["task_reference proved, cma-driver proved"]


def test_a_page_that_two_drivers_try_at_once(tmp_path: Path) -> None:
    """The second finds it isolated by the first, which moves it."""
    other = Who("other-driver", 501)
    h = History()
    h.anon(B)
    h.cma_start()
    h.event(other, "cma_alloc_start: name=reserved count=1024 align=0")
    h.isolate()
    h.scan(1)
    h.get(other)
    h.put(other)
    h.event(other, f"test_pages_isolated: start_pfn={AREA:#x} end_pfn={AREA_END:#x} fin_pfn={PFN:#x} ret=fail")
    h.event(other, f"cma_alloc_finish: name=reserved pfn={AREA:#x} page=(null) count=1024 align=0 errorno=-16")
    h.migrate_start()
    h.freeze(DRIVER)
    h.migrate_end(0, moved=1)
    h.cma_end(None)
    assert not proved(told(h.blame(tmp_path)))


def test_what_was_overwritten_may_have_been_the_put(tmp_path: Path) -> None:
    """CPU 1's buffer begins later than CPU 0's, and the header counts more events than there are."""
    h = History()
    h.lines.clear()
    h.anon(B)
    h.get(A)
    for _ in range(20):
        h.chatter((0,))
        h.us += 10 * MS
    h._another_page()
    h.failing_cma()
    h.put(C)
    h.wait(2 * S)
    text, number = h.text(), len(h.lines)
    h.text = lambda: text.replace(f"{number}/{number}", f"{number}/{3 * number}")  # type: ignore[method-assign]
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded), task-a suggested"]
