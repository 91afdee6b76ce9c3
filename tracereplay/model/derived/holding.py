"""Which of the tasks that a culprit names are the same, and by whom its pages are known."""

from __future__ import annotations

from tracereplay.model.result import Allocation, Culprit, Task

TaskKey = tuple[int | None, str | None]


def is_same_task(one: Task | Allocation | None, other: Task | Allocation | None) -> bool:
    """Whether both are known and the same."""
    return one is not None and other is not None and task_key(one) == task_key(other)


def task_key(task: Task | Allocation | None) -> TaskKey | None:
    """What tells tasks apart: the thread and its name."""
    return None if task is None else (task.tid, task.comm)


def taker(c: Culprit) -> Task | None:
    """Who took the reference, where that is not the holder."""
    return None if is_same_task(c.taken_by, c.holder) else c.taken_by


def releaser(c: Culprit) -> Task | None:
    """Who released the reference, where that is neither the holder nor, without a holder, the taker."""
    return None if is_same_task(c.released_by, c.holder or c.taken_by) else c.released_by


def has_holder(c: Culprit) -> bool:
    """Whether a task, a driver or a file is named that keeps it."""
    return c.holder is not None or c.holder_name is not None


def known_by_allocator(c: Culprit) -> bool:
    """Whether who allocated the page says who keeps it: memory of the kernel has no other holder."""
    return c.cause == "unmovable_allocation" and c.allocated_by is not None


def outlived(c: Culprit, task: Task | None) -> bool:
    """Whether the reference outlived this task, as the evidence shows."""
    return task is not None and any(e.event == "sched_process_exit" and e.tid == task.tid for e in c.evidence)
