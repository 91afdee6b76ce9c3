"""Small words that every text report shares: tasks, page frame numbers, files, counts."""

from __future__ import annotations

from collections.abc import Iterable

from tracereplay.gfp import gfp_words, kernel_of_masks
from tracereplay.model.page_runs import join_runs
from tracereplay.model.result import Allocation, Attempt, File, Result, Task
from tracereplay.units import format_pfn, format_seconds

MINOR_BITS = 20  # of dev_t within the kernel (include/linux/kdev_t.h)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 page`, `1,200 pages`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listing(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def task_name(task: Task | Allocation | None) -> str:
    """`cma-driver (149)`; `task 149` without a name."""
    if task is None:
        return "an unknown task"
    if task.comm is None:
        return "an unknown task" if task.tid is None else f"task {task.tid}"
    return task.comm if task.tid is None else f"{task.comm} ({task.tid})"


def device(dev: int) -> str:
    """`254:16`, from a device number as the kernel keeps it."""
    return f"{dev >> MINOR_BITS}:{dev & ((1 << MINOR_BITS) - 1)}"


def file_name(file: File) -> str:
    """`ext4 254:16 inode 12 (0xc)`: whatever of it is known."""
    parts = [file.fs] if file.fs else []
    if file.dev is not None:
        parts.append(f"dev {device(file.dev)}")
    if file.ino is not None:
        parts.append(f"inode {file.ino}" + (f" ({file.ino:#x})" if file.ino > 9 else ""))
    return " ".join(parts) or "a file"


def pfn_span(start_pfn: int, pages: int) -> str:
    """`0x1e403`, or first-last, both included, as `/proc/iomem` writes ranges."""
    last = start_pfn + max(pages, 1) - 1
    return format_pfn(start_pfn) if last == start_pfn else f"{format_pfn(start_pfn)}-{format_pfn(last)}"


def pfn_spans(runs: Iterable[tuple[int, int]], limit: int | None) -> str:
    """The runs joined, at most `limit` of them (None: all)."""
    joined = join_runs(runs)
    shown = [pfn_span(*run) for run in joined[:limit]]
    more = len(joined) - len(shown)
    return "PFN " + ", ".join(shown) + (f" and {count(more, 'more place')}" if more else "")


def clock_unit(result: Result, attempt: Attempt) -> str:
    """`ns` or `tick`: what the times of this attempt are in."""
    return next((i.clock_unit for i in result.inputs if i.id == attempt.input_id), "ns")


def gfp_mask(mask: int, attempt: Attempt, result: Result) -> str:
    """A GFP mask of an attempt by names: `GFP_KERNEL|__GFP_ZERO`."""
    source = next((i for i in result.inputs if i.id == attempt.input_id), None)
    return gfp_words(mask, kernel_of_masks(source.format, source.kernel) if source is not None else None)


def moment(ns: int | None, unit: str = "ns", digits: int = 3) -> str:
    """A time stamp: seconds, or ticks where the clock has no known unit; a log may tell none."""
    if ns is None:
        return "an unknown time"
    return format_seconds(ns, digits) if unit == "ns" else f"tick {ns}"
