"""Causes that are references: somebody holds the page beyond what the page cache and the page tables account for."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

REFERENCES = {
    "pin_longterm": Explanation(
        title="pinned for long-term DMA",
        says="A driver or io_uring keeps the page pinned for DMA (FOLL_LONGTERM); it stays until unpinned.",
        proves="iommu:map of the page's physical address without an unmap before the failure; or a FOLL_PIN reference "
        "(+1024 on a small page, pincount on a large one) that is still open and whose stack or probe shows "
        "FOLL_LONGTERM (VFIO, RDMA, io_uring fixed buffers, XDP umem, vDPA, V4L2, iommufd).",
        suggests="A FOLL_PIN reference held for seconds; mm_migrate_pages reason=longterm_pin by the same task shortly "
        "before, with nr_failed > 0: the kernel tried to move the page out of the area first and could not.",
        confused_with="pin_short (O_DIRECT takes the same FOLL_PIN: duration and stack tell), lru_batch. Since 5.13 "
        "FOLL_LONGTERM moves pages out of CMA and ZONE_MOVABLE first, so one inside means: pinned before "
        "the block became movable, an older kernel, or a driver that uses plain FOLL_PIN or FOLL_GET.",
        what_to_do=(
            "Let the holder release the page: close the VFIO group or the guest, deregister the RDMA memory region, "
            "unregister the io_uring buffers (io_uring_unregister_buffers).",
            "Take the contiguous memory before the pinning task starts, or keep that task's memory out of the area.",
            "If a driver pins with FOLL_PIN or FOLL_GET but keeps the page, it must pass FOLL_LONGTERM.",
        ),
        capture_next=(
            "Record -e iommu:map -e iommu:unmap as well: cheap, and proves VFIO and iommufd",
            capture.REF_STACKS,
        ),
    ),
    "pin_short": Explanation(
        title="pinned for I/O in flight",
        says="A task pinned the page (FOLL_PIN: O_DIRECT, AIO, zero-copy I/O) and the I/O has not ended; a pinned page "
        "cannot be migrated.",
        proves="page_ref: a reference of 1024 (GUP_PIN_COUNTING_BIAS), or one whose stack shows pin_user_pages, taken "
        "by a user task and still open at the failing test, with every premise of `explain premises` holding. The "
        "taker is then proved as taker.",
        suggests="The same where a premise fails; a page dump whose refcount is 1024 or more above the expected one.",
        confused_with="pin_longterm (the same FOLL_PIN: stack and duration differ), task_reference (a plain reference, "
        "counts in steps of 1).",
        what_to_do=(
            "Wait for the I/O (cat /sys/block/*/inflight); a device that does not complete keeps its pages pinned.",
            "Give the task buffers outside the area: memory allocated without __GFP_MOVABLE is never placed in CMA.",
            "If the pin is brief, retry the allocation after some milliseconds: cma_alloc does not wait between tries.",
        ),
        capture_next=(capture.REF_STACKS,),
    ),
    "task_reference": Explanation(
        title="held by a task's reference",
        says="A task took a plain reference to the page (get_user_pages with FOLL_GET, vmsplice, splice, process_vm) "
        "and keeps it; a page with an extra reference cannot be migrated.",
        proves="page_ref: a reference taken by a user task (mod_unless +1 with ret=1) that is still open at the "
        "failing test, and a count above the expected one that this reference explains, confirmed by other events of "
        "the page. The taker is then proved as taker; a stack names the call.",
        suggests="The same where a premise fails: lost events, a nameless task, several takers; without page_ref, an "
        "anonymous page that the migration scanner visited and did not isolate, and that moves in a later attempt.",
        confused_with="lru_batch (a +1 by mod, drained later), isolation by reclaim or compaction (the same event), a "
        "page fault on a file page (its get becomes the mapping), the isolating task's own reference.",
        what_to_do=(
            "Have the holder release it: let its call or I/O end, or stop the task. vmsplice and splice: read or "
            "close the pipe, whose other end may belong to another process: ls -l /proc/[0-9]*/fd | grep pipe:",
            "The reference can outlive the task that took it: a pipe keeps its pages until it is read or closed.",
            "If the reference is brief, retry the allocation after some milliseconds; cma_alloc does not wait between "
            "tries.",
            "Keep such buffers out of the area: memory that a driver allocates without __GFP_MOVABLE is never placed "
            "in CMA.",
        ),
        capture_next=(capture.REF_STACKS,),
    ),
    "extra_reference": Explanation(
        title="more references than expected",
        says="The page has more references than its mappings and the page cache explain; who took them was not seen.",
        proves="page_ref events of the page show a count above mapcount + cache + private at the failing test, "
        "confirmed by the events before and after. The page is proved, a holder is not named.",
        suggests="A page dump in the kernel log whose refcount exceeds mapcount and cache by more than the isolation's "
        "own reference. A user task that drops it later is a suggested holder. In kpageflags: an anonymous page on an "
        "LRU list that is mapped nowhere and not in the swap cache.",
        confused_with="task_reference, pin_short and pin_longterm (the same, with the taking seen), lru_batch, and a "
        "mapcount read before the rmap was updated: the last event of a mapped page can show one too many.",
        what_to_do=(
            "Record again from before the reference is taken; the taker is then named.",
            "Retry: if the page moves in a later attempt, the reference was brief.",
        ),
        capture_next=(capture.EARLIER, capture.PAGE_REF, capture.REF_STACKS),
    ),
    "aio_ring": Explanation(
        title="AIO completion ring",
        says="The page is a completion ring of io_setup(2); it is migrated only when its lock is free.",
        proves="A page dump with aops:aio_ctx_aops, or the page's add to the cache of the anonymous [aio] inode.",
        suggests="A page-cache page on an anonymous inode, allocated by a task that does io_submit, failing with "
        "-EAGAIN.",
        confused_with="An ordinary file page. The failure is transient: aio_migrate_folio gives up only while "
        "ring_lock is taken.",
        what_to_do=(
            "Retry: the ring migrates once its lock is free.",
            "If it fails always, the ring's owner hangs inside io_submit or io_destroy: cat /proc/TID/stack",
        ),
        capture_next=(capture.DUMP_CONTIG, capture.KERNEL_LOG),
    ),
    "lru_batch": Explanation(
        title="waiting in a per-CPU LRU batch",
        says="Another CPU's folio batch holds a reference to the freshly used page until it is drained.",
        proves="page_ref: a +1 by mod (folio_get) on another CPU, dropped later by the drain (release_pages, "
        "lru_add_drain) and no other taker.",
        suggests="The page was allocated under 100 ms before the attempt and no mm_lru_insertion was seen yet.",
        confused_with="task_reference: a +1 without a stack may be either. Mostly closed since 5.13 and 5.15, where "
        "lru_cache_disable empties the batches for the time of the attempt.",
        what_to_do=(
            "Retry: batches drain within milliseconds to seconds; echo 1 > /proc/sys/vm/compact_memory drains them "
            "all.",
            'Kernels before 5.13: take lru_cache_disable (commit d479960e44f2, "mm: disable LRU pagevec during the '
            'migration temporarily").',
        ),
        capture_next=(capture.PAGE_REF, "Record -e pagemap:mm_lru_insertion as well"),
    ),
}
