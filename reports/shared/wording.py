"""Small words that every text report shares: tasks, page frame numbers, files, counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracereplay.dev_t import device_number
from tracereplay.gfp import gfp_words, kernel_of_masks
from tracereplay.model.derived.folios import counts_by_order
from tracereplay.model.file_words import named_file
from tracereplay.model.page_runs import join_runs
from tracereplay.model.result import Allocation, Attempt, Culprit, File, Result, Task
from tracereplay.units import format_bytes, format_pfn, format_seconds

MOST_FOLIO_SIZES = 2


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
    if task.tid is None:
        return task.comm
    return f"{task.comm} ({task.tid}{f': {task.part_of}' if task.part_of else ''})"


def file_name(file: File) -> str:
    """`/mnt/a (ext4 on /dev/vdb)`, or `ext4 dev 254:16 inode 12 (0xc)`: whatever of it is known."""
    named = named_file(file)
    if named is not None:
        return named
    parts = [file.fs] if file.fs else []
    if file.dev is not None:
        parts.append(f"dev {device_number(file.dev)}")
    if file.ino is not None:
        parts.append(f"inode {file.ino}" + (f" ({file.ino:#x})" if file.ino > 9 else ""))
    return " ".join(parts) or "a file"


def address_page_size(result: Result) -> int | None:
    """The size of a page, where it is known so surely that page frames may be written as addresses."""
    return result.layout.page_size if result.layout is not None and result.layout.page_size_known else None


def address_words(runs: Sequence[tuple[int, int]], page_size: int | None) -> str:
    """`[mem 0x1e403000-0x1e403fff]`, as the kernel prints resources; several runs give the span of all."""
    if page_size is None or not runs:
        return ""
    low, high = min(start for start, _ in runs), max(start + pages for start, pages in runs)
    span = f"[mem {low * page_size:#x}-{high * page_size - 1:#x}]"
    return span if sum(pages for _, pages in join_runs(runs)) == high - low else f"within {span}"


def folio_words(number: int, order: int, page_size: int | None, *, brief: bool = False) -> str:
    """`1 folio of 2 MiB (order 9)`; `brief`: without its order; single pages where the order is 0."""
    if not order:
        return count(number, "page")
    of_order = "" if brief and page_size is not None else f" (order {order})"
    return f"{count(number, 'folio')} of {_size_of(order, page_size)}{of_order}"


def _size_of(order: int, page_size: int | None) -> str:
    return f"{1 << order:,} pages" if page_size is None else format_bytes(page_size << order).replace(".0 ", " ")


def size_words(culprits: Iterable[Culprit], page_size: int | None, *, brief: bool = False) -> str:
    """`1 folio of 2 MiB (order 9) and 3 pages`; `brief`: without orders. Each page is counted once.

    Folios of more than two sizes are one number: `28 folios of 64 KiB to 2 MiB (orders 4 to 9)`.
    """
    counts = counts_by_order(culprits) or [(0, 0)]
    folios = [(order, number) for order, number in counts if order]
    if len(folios) <= MOST_FOLIO_SIZES:
        return listing([folio_words(number, order, page_size, brief=brief) for order, number in counts])
    largest, smallest = folios[0][0], folios[-1][0]
    total = count(sum(number for _, number in folios), "folio")
    of_orders = "" if brief else f" (orders {smallest} to {largest})"
    words = f"{total} of {_size_of(smallest, page_size)} to {_size_of(largest, page_size)}{of_orders}"
    return listing([words, *(count(number, "page") for order, number in counts if not order)])


def page_size_bytes(result: Result) -> int | None:
    """None where no layout tells."""
    return result.layout.page_size if result.layout else None


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
