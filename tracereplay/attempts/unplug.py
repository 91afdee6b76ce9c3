"""Unplugging of a device's memory: one request of the driver, an attempt for each of its ranges and memory blocks.

virtio-mem (drivers/virtio/virtio_mem.c) takes whole memory blocks or sub-blocks by alloc_contig_range(), each up to
five times, and takes a block offline when all of it is unplugged. A DIMM goes block by block (offline_pages() by an
ACPI worker). Nothing in the trace names the request, so it is known from its worker, its times and its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tracereplay.attempts.block_tests import SMALLEST_BLOCK_PAGES
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.layout.layout import Layout
from tracereplay.tasks import is_kernel_task
from tracereplay.units import NS_PER_S

# The worker goes on to its next range at once; removing an offline block takes longer. It retries only after 50 s.
GAP_NS = NS_PER_S
# Blocks of the device that are not plugged are passed over.
BLOCKS_PASSED_OVER = 8


def name_requests(drafts: Iterable[DetectedAttempt], layout: Layout, comm_of: Callable[[int], str | None]) -> None:
    """Give the attempts of each request its id, unplug-TID-START; an attempt that stands alone is of no request."""
    by_task: dict[int, list[DetectedAttempt]] = {}
    for draft in drafts:
        unplugs = draft.operation in ("contig_alloc", "memory_offline") and draft.basis != "log" and draft.spans
        if unplugs and draft.tid is not None and is_kernel_task(draft.tid, comm_of(draft.tid)):
            by_task.setdefault(draft.tid, []).append(draft)
    near_pages = BLOCKS_PASSED_OVER * (layout.memory_block_pages or SMALLEST_BLOCK_PAGES)
    for tid, its in by_task.items():
        for request in _requests(sorted(its, key=lambda draft: draft.start_ns), near_pages):
            for draft in request if len(request) > 1 else ():
                draft.parent_id = f"unplug-{tid}-{request[0].start_ns}"


def _requests(drafts: list[DetectedAttempt], near_pages: int) -> Iterator[list[DetectedAttempt]]:
    """Attempts that follow each other at once, on ranges near each other."""
    request: list[DetectedAttempt] = []
    low = high = 0
    for draft in drafts:
        start, end = draft.spans[0][0], draft.spans[-1][1]
        ended_ns = request[-1].end_ns if request else None
        at_once = ended_ns is not None and draft.start_ns - ended_ns <= GAP_NS
        if request and not (at_once and start <= high + near_pages and low <= end + near_pages):
            yield request
            request = []
        low, high = (min(low, start), max(high, end)) if request else (start, end)
        request.append(draft)
    if request:
        yield request
