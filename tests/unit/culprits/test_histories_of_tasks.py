"""Short histories of who takes and gives back a reference: names, interrupts, several takers, takers that are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.event_histories import (
    ANON_MAPPING,
    MS,
    PFN,
    PROVED,
    A,
    B,
    C,
    History,
    Who,
    held_by,
    only,
    told,
)
from tracereplay.reports.shared.holder_wording import story

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


@pytest.mark.parametrize(("putter", "expected"), [(A, "task-a"), (C, None)])
def test_a_text_that_does_not_tell_of_interrupts(putter: Who, expected: str | None, tmp_path: Path) -> None:
    """Without the column of flags C may have been interrupted by the bio that ended."""
    h = held_by(putter=putter)
    h.lines = [(us, line.replace(" ..... ", " ", 1)) for us, line in h.lines]
    row = only(h.blame(tmp_path))
    assert (row.verdict, row.release) == ("proved", "seen")
    assert (row.released_by and row.released_by.comm) == expected


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
