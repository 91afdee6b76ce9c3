"""Short histories, each of a kind that once misled a rule: what may be said of the page, and how surely.

Every kind has a history in which the claim holds and one that looks alike. The histories of ../shared are others.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import tracereplay
from tests.support.event_histories import (
    ANON_MAPPING,
    BLOCK,
    BLOCK_END,
    DRIVER,
    MS,
    PFN,
    A,
    B,
    C,
    History,
    S,
    Who,
    culprits,
    told,
)
from tracereplay.culprits.table import PAGE_REF
from tracereplay.model.result import Culprit, Result
from tracereplay.reports.holder_wording import story

PROVED = ["task_reference proved, task-a proved"]


def held_by(who: Who = A, history: History | None = None, putter: Who | None = None) -> History:
    """B's page, of which another task takes a reference, keeps it over a failing attempt, and gives it back."""
    h = history or History()
    h.anon(B)
    h.get(who)
    h.failing_cma()
    h.put(putter or who)
    return h


def only(result: Result, pfn: int = PFN) -> Culprit:
    """The one row on the page."""
    (row,) = culprits(result, pfn)
    return row


def test_a_reference_that_a_task_keeps(tmp_path: Path) -> None:
    result = held_by().blame(tmp_path)
    assert told(result) == PROVED
    row = only(result)
    assert (row.taken_by, row.released_by) == (row.holder, row.holder)
    assert row.premises_failed == []


# -- recorded ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAGE_REF)
def test_a_kind_of_reference_event_was_not_recorded(kind: str, tmp_path: Path) -> None:
    result = held_by(history=History(not_recorded=[kind])).blame(tmp_path)
    assert not any(row.verdict == "proved" for row in culprits(result))
    losses = {loss.id: loss for loss in result.data_loss}
    weak = [losses[name].detail for row in culprits(result) for name in row.weakened_by]
    assert weak == ([kind] if kind != "page_ref_mod_unless" else [])  # without it nobody is blamed
    assert [loss.detail for loss in result.data_loss if loss.code == "events_not_recorded"] == [kind]


@pytest.mark.parametrize("kind", ["mm_page_free", "mm_filemap_add_to_page_cache"])
def test_references_are_told_without_these(kind: str, tmp_path: Path) -> None:
    assert told(held_by(history=History(not_recorded=[kind])).blame(tmp_path)) == PROVED


def test_a_cpu_that_says_nothing(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.anon(B)
    h.get(A)
    h.wait(2 * S)
    h.failing_cma()
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded), task-a suggested"]


def test_a_cpu_that_stops_early(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.chatter((2,))
    h.anon(B)
    h.get(A)
    h.wait(5 * S)
    h.failing_cma()
    assert told(h.blame(tmp_path)) == ["task_reference suggested (recorded), task-a suggested"]


def test_a_cpu_that_stops_later(tmp_path: Path) -> None:
    h = History(cpus=3)
    h.wait(S, cpus=(0, 1, 2))
    h.anon(B)
    h.get(A)
    h.failing_cma()
    h.wait(S, cpus=(0, 1, 2))
    h.put(A)
    h.wait(5 * S)
    assert told(h.blame(tmp_path)) == PROVED


# -- needed ------------------------------------------------------------------------------------------------------------


def test_a_passing_get_at_the_test_explains_nothing(tmp_path: Path) -> None:
    h = History()
    h.old_anon(B)
    h.failing_cma(passing=[(A, PFN)])
    h.put(C)
    assert told(h.blame(tmp_path)) == ["extra_reference proved (whose), task-c suggested"]


def test_a_passing_get_beside_one_that_is_kept(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.failing_cma(passing=[(B, PFN)])
    h.put(A)
    assert told(h.blame(tmp_path)) == PROVED


def test_an_excess_that_remains_after_the_put_is_somebody_elses(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.pages[PFN].count += 1  # taken where no event tells
    h.failing_cma()
    h.put(A)
    h.wait(MS)
    h.put(C)
    assert told(h.blame(tmp_path)) == ["task_reference suggested (needed), task-a suggested"]


def test_an_excess_from_before_the_get_is_somebody_elses(tmp_path: Path) -> None:
    h = History()
    h.old_anon(B)
    h.get(A)
    h.failing_cma()
    h.put(A)
    h.wait(MS)
    h.put(C)
    assert told(h.blame(tmp_path)) == ["extra_reference proved (whose), task-c suggested"]


# -- whose -------------------------------------------------------------------------------------------------------------


def test_of_two_takers_a_third_gives_one_back_before_the_test(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.get(B)
    h.wait(MS)
    h.put(C)
    h.failing_cma()
    h.put(A)
    (line,) = told(h.blame(tmp_path))
    assert line.startswith("task_reference suggested (whose)")


def test_two_takers_that_both_keep_theirs(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.get(C)
    h.failing_cma()
    h.put(A)
    h.put(C)
    assert told(h.blame(tmp_path)) == [*PROVED, "task_reference proved, task-c proved"]


def test_another_task_gives_back_what_one_took(tmp_path: Path) -> None:
    """A pipe handed over: A's reference, which C lets go of."""
    row = only(held_by(putter=C).blame(tmp_path))
    assert (row.verdict, row.holder_verdict) == ("proved", "proved")
    assert [task and task.comm for task in (row.taken_by, row.released_by)] == ["task-a", "task-c"]


@pytest.mark.parametrize("context", ["h", "s", "H"])
def test_in_an_interrupt_the_interrupted_task_takes_nothing(context: str, tmp_path: Path) -> None:
    row = only(held_by(A._replace(context=context)).blame(tmp_path))
    assert (row.cause, row.holder, row.taken_by) == ("extra_reference", None, None)


@pytest.mark.parametrize("context", ["h", "s", "H"])
def test_in_an_interrupt_the_interrupted_task_gives_nothing_back(context: str, tmp_path: Path) -> None:
    result = held_by(putter=C._replace(context=context)).blame(tmp_path)
    assert told(result) == PROVED
    assert (only(result).release, only(result).released_by) == ("seen", None)


@pytest.mark.parametrize("who", [A, B])
def test_the_lru_batch_gives_back_its_own_reference(who: Who, tmp_path: Path) -> None:
    """The put with which PG_lru appears is the batch's, though the task that pinned the page drains it."""
    h = History()
    h.alloc(A)
    page = h.pages[PFN]
    page.mapcount, page.mapping, page.flags = 0, ANON_MAPPING, {"swapbacked", "uptodate"}
    h.mod(A)
    h.get(who)
    h.wait(MS)
    page.flags.add("lru")
    h.put(who)
    h.failing_cma()
    h.put(who)
    assert told(h.blame(tmp_path)) == [f"task_reference proved, {who.comm} proved"]


KERNEL_THREADS = (
    "jbd2/sda1-8", "jbd2/dm-0-8", "xfsaild/dm-0", "xfs-conv/sda1", "kworker/u8:1", "kworker/0:1H",
    "f2fs_gc-8:1", "f2fs_discard-25", "irq/24-xhci_hcd", "md127_raid5", "md_resync", "loop0", "kswapd0", "kcompactd1",
    "khugepaged", "ksmd", "kdamond.0", "writeback", "migration/3", "ksoftirqd/0", "rcu_preempt", "btrfs-transacti",
    "dmcrypt_write/2", "nvme-wq", "zfs_arc_prune", "scsi_eh_0", "oom_reaper", "kthreadd",
)  # fmt: skip
USER_PROGRAMS = (
    "loopback-test", "writeback-test", "kswapd-monitor", "CPU 0/KVM", "migration-helpe", "irqbalance", "looper",
    "mdadm", "nfsdcld", "rcu-torture-cli", "kworkerd", "xfs_repair", "jbd2-dump", "kubelet", "btrfs", "khungry",
    "qemu-system-x86", "postgres: 12/mai", "python3.11",
)  # fmt: skip


@pytest.mark.parametrize("comm", KERNEL_THREADS)
def test_a_kernel_thread_is_no_holder(comm: str, tmp_path: Path) -> None:
    row = only(held_by(Who(comm, 222)).blame(tmp_path))
    assert (row.cause in ("extra_reference", "unknown"), row.holder, row.taken_by) == (True, None, None)


@pytest.mark.parametrize("comm", USER_PROGRAMS)
def test_a_user_program_with_a_similar_name_is(comm: str, tmp_path: Path) -> None:
    assert told(held_by(Who(comm, 222)).blame(tmp_path)) == [f"task_reference proved, {comm} proved"]


def test_a_task_without_a_name_may_be_any(tmp_path: Path) -> None:
    row = only(held_by(Who("<...>", 222)).blame(tmp_path))
    assert (row.verdict, row.holder_verdict, row.premises_failed) == ("suggested", "suggested", ["whose"])


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_task_that_calls_exec_has_the_name_of_its_time(tmp_path: Path) -> None:
    result = held_by(Who("sh", 101), putter=Who("pin-tool", 101)).blame(tmp_path)
    row = only(result)
    assert [task and task.comm for task in (row.taken_by, row.released_by)] == ["sh", "pin-tool"]


def test_a_thread_id_that_a_kernel_thread_had_before(tmp_path: Path) -> None:
    h = History()
    h.event(Who("kworker/0:1", A.tid), "sched_waking: comm=init pid=1 prio=120 target_cpu=000")
    assert told(held_by(history=h).blame(tmp_path)) == PROVED


def test_a_thread_id_that_a_user_task_has_later(tmp_path: Path) -> None:
    h = held_by(Who("kworker/0:1", A.tid))
    h.event(A, "sched_waking: comm=init pid=1 prio=120 target_cpu=000")
    row = only(h.blame(tmp_path))
    assert (row.cause, row.holder) == ("extra_reference", None)


def test_a_pin_whose_end_is_stamped_before_it(tmp_path: Path) -> None:
    """A pin of microseconds on two CPUs with different clocks; later B keeps a plain reference."""
    h = History()
    h.anon(B)
    start_us = h.us + 10
    h.get(A, val=1024, at_us=start_us)
    h.put(A._replace(cpu=1), val=1024, at_us=start_us - 4)
    h.wait(MS)
    h.mod(B)
    h.failing_cma()
    h.put(B)
    row = only(h.blame(tmp_path))
    assert (row.cause, row.taken_by) == ("extra_reference", None)


# -- takers that are gone ----------------------------------------------------------------------------------------------


def outlived(*, exits: bool = True, unmapped: bool = True) -> History:
    """A's own page, of which it takes a reference that outlives its mapping and A itself; C lets go of it."""
    h = History()
    h.anon(A)
    h.get(A)
    if unmapped:
        h.pages[PFN].mapcount = -1
        h.put(A)
    if exits:
        h.event(A, "sched_process_exit: comm=task-a pid=101 prio=120")
    h.failing_cma()
    h.put(C)
    return h


def test_a_taker_that_has_exited_is_said_to(tmp_path: Path) -> None:
    result = outlived().blame(tmp_path)
    assert told(result) == PROVED
    row = only(result)
    assert (row.released_by and row.released_by.comm) == "task-c"
    (gone,) = (item for item in row.evidence if item.event == "sched_process_exit")
    assert (gone.tid, gone.cpu, gone.text) == (A.tid, 0, "the task that took the reference exited; "
                                               "the reference outlived it")  # fmt: skip
    assert story([row], "ns").startswith("held by task-a (101), which has exited since ")


def test_a_taker_that_lives_or_exits_later_is_not(tmp_path: Path) -> None:
    h = outlived(exits=False)
    h.event(A, "sched_process_exit: comm=task-a pid=101 prio=120")
    row = only(h.blame(tmp_path))
    assert not any(item.event == "sched_process_exit" for item in row.evidence)
    assert "exited" not in story([row], "ns")


@pytest.mark.parametrize("unmapped", [True, False])
def test_a_page_that_no_task_maps_any_more_is_said_to(unmapped: bool, tmp_path: Path) -> None:
    row = only(outlived(unmapped=unmapped).blame(tmp_path))
    assert any("no task maps the page any more" in item.text for item in row.evidence) == unmapped


def test_a_reference_that_ended_with_the_page_is_not_given_back(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.get(A)
    h.failing_cma()
    h.event(C, f"mm_page_free: page=00000000deadbeef pfn={PFN:#x} order=0")
    row = only(h.blame(tmp_path))
    assert [item.text for item in row.evidence if item.event == "mm_page_free"] == [
        "pfn 0x1e010: the reference of 1 ended with the page, which was freed, moved or allocated anew"
    ]
    assert row.released_by is None


# -- not_isolation -----------------------------------------------------------------------------------------------------


def isolated_by_a(begin: str | None = None, end: str | None = None) -> History:
    """A isolates B's page for its own ends while the attempt runs, between these events of A."""
    h = History()
    h.anon(B)
    h.wait(MS)
    if begin:
        h.event(A, begin)
    h.isolate(who=A)
    h.failing_cma()
    h.put_back(who=A)
    if end:
        h.event(A, end)
    return h


RECLAIM = (
    "mm_vmscan_{}_reclaim_begin: order=0 gfp_flags=GFP_HIGHUSER_MOVABLE",
    "mm_vmscan_{}_reclaim_end: nr_reclaimed=3",
)


@pytest.mark.parametrize("kind", ["direct", "memcg"])
def test_reclaim_by_a_user_task_is_no_pin(kind: str, tmp_path: Path) -> None:
    result = isolated_by_a(*(text.format(kind) for text in RECLAIM)).blame(tmp_path)
    assert not any(row.taken_by for row in culprits(result))


def test_isolation_without_events_of_its_own_is_no_proved_pin(tmp_path: Path) -> None:
    assert not any("proved" in line for line in told(isolated_by_a().blame(tmp_path)))


def test_isolation_without_events_and_the_page_is_seen_later(tmp_path: Path) -> None:
    h = isolated_by_a()
    h.get(C)
    h.put(C)
    assert not any("proved" in line for line in told(h.blame(tmp_path)))


def test_mbind_of_another_task_is_no_pin(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.wait(MS)
    h.isolate(who=A)
    h.migrate_start("mempolicy_mbind", A)
    h.failing_cma()
    h.migrate_end(1, "mempolicy_mbind", A)
    h.put_back(who=A)
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))


def test_mbind_that_isolates_by_a_plain_reference(tmp_path: Path) -> None:
    h = History()
    h.anon(B)
    h.wait(MS)
    h.get(A)
    h.pages[PFN].flags -= {"lru"}
    h.mod(A)
    h.put(A)
    h.migrate_start("mempolicy_mbind", A)
    h.failing_cma()
    h.migrate_end(1, "mempolicy_mbind", A)
    h.put_back(who=A)
    assert told(h.blame(tmp_path)) == ["extra_reference suggested (not_isolation)"]


def test_the_attempts_own_gets_before_it_is_seen_to_begin(tmp_path: Path) -> None:
    h = History(not_recorded=["cma_alloc_start"])
    h.anon(B)
    h.failing_cma()
    assert not any(row.taken_by for row in culprits(h.blame(tmp_path)))


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


def bdev_page(extra: int) -> History:
    """A page of a block device's cache with buffers, and references of which no event tells."""
    h = History()
    h.cached(B, dev="0:3", ino=0xFE00010, state=("private", "uptodate"))
    h.pages[PFN].count += extra
    h.failing_cma()
    return h


def test_buffers_are_blamed_where_the_count_is_as_expected(tmp_path: Path) -> None:
    assert told(bdev_page(0).blame(tmp_path)) == ["buffer_head proved"]


def test_buffers_are_not_proved_where_the_count_is_too_high(tmp_path: Path) -> None:
    assert told(bdev_page(1).blame(tmp_path)) == ["buffer_head suggested (what)"]


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
