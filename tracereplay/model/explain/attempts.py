"""Causes that blame no page: the attempt failed for a reason of its own."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

ATTEMPTS = {
    "destination_enomem": Explanation(
        title="no memory to move pages to",
        says="The pages could be moved, but no free page was left outside the range; the whole attempt failed "
        "with ENOMEM.",
        proves="mm_page_alloc with pfn ~0 (a failed allocation) by the attempt's task, then the finish with -12.",
        suggests="-12 with migrations before it, and little free memory in the counters.",
        confused_with="bitmap_full (ENOMEM before anything is tried); unsplittable_folio (only a high order is "
        "missing).",
        what_to_do=(
            "Free memory outside the area first, or shrink the request: MemFree without CmaFree is what counts.",
            "Raise vm.min_free_kbytes; drop caches (echo 1 > /proc/sys/vm/drop_caches); find the task that holds the "
            "memory.",
            "Offline: memory of the other nodes allowed by the cpuset must hold what the block holds.",
        ),
        capture_next=(
            "Record -e kmem:mm_page_alloc -e oom -e vmscan, and keep /proc/zoneinfo from before the attempt",
        ),
    ),
    "bitmap_full": Explanation(
        title="no free run in the CMA bitmap",
        says="The area has no free run of that size and alignment: earlier cma_alloc users hold it. No page is to "
        "blame.",
        proves="cma_alloc_finish with pfn ~0 (up to 6.12); cma_alloc_start that asks for more than is available (since "
        "6.16); no retry, scan or migration although these were recorded; or the kernel log's 'number of available "
        "pages' line, where no run of free pages is as long as the request.",
        suggests="-12 at once, and live allocations of the area in the trace that leave no room.",
        confused_with="destination_enomem, where pages were tried first. In 7.3 the error is -EBUSY.",
        what_to_do=(
            "See who holds the area: cat /sys/kernel/debug/cma/NAME/{count,used,maxchunk,bitmap}; release it, or ask "
            "for less.",
            "Make the area larger (cma=SIZE, or the reserved-memory node of the device tree), or give the user its "
            "own.",
            "A large alignment wastes room: CONFIG_CMA_ALIGNMENT caps it.",
        ),
        capture_next=("Record -e cma from boot, so that every live allocation of the area is known",),
    ),
    "isolation_conflict": Explanation(
        title="another task isolates the same blocks",
        says="A pageblock of the range was already being isolated by another allocation or offline.",
        proves="The attempt ends with EBUSY without a single scan or test, although both were recorded, and another "
        "task's attempt on the same pageblocks overlaps in time.",
        suggests="The same, without an event of the other attempt.",
        confused_with="not_isolatable (also ends before isolation, but always).",
        what_to_do=(
            "Serialise the users, or retry: the conflict ends with the other attempt.",
            "Give them areas of their own: isolation works on whole pageblocks.",
        ),
        capture_next=("Record -e cma -e page_isolation -e migrate on all CPUs",),
    ),
    "not_isolatable": Explanation(
        title="the range cannot be isolated",
        says="The range has holes, spans zones, or an unmovable page straddles its boundary; the kernel refuses at "
        "once.",
        proves="The kernel log's reason ('memory holes', 'multizone range', 'failure to isolate range') for this "
        "attempt, or the layout: a block with holes.",
        suggests="EINVAL or EBUSY with no isolation in the trace.",
        confused_with="unmovable_allocation: if the log dumps an 'unmovable page', that page is the cause.",
        what_to_do=(
            "A block with holes (EINVAL) or with boot memory cannot go offline: choose another block "
            "(/sys/devices/system/memory/memoryN/valid_zones).",
            "Online added memory into ZONE_MOVABLE: memhp_default_state=online_movable",
        ),
        capture_next=(capture.DUMP_HOTPLUG, "Pass --layout with /proc/zoneinfo and /proc/iomem"),
    ),
    "notifier_veto": Explanation(
        title="a driver refused",
        says="A memory notifier (virtio-mem, hv_balloon, s390 ...) refused that the block goes offline.",
        proves="The kernel log's 'failed due to notifier failure' for this attempt.",
        suggests="The offline fails at once with the driver's errno, without isolation events.",
        confused_with="not_isolatable.",
        what_to_do=("Use the driver's own way to shrink memory (virtio-mem: requested-size on the hypervisor).",),
        capture_next=(capture.DUMP_HOTPLUG, capture.KERNEL_LOG),
    ),
    "movable_only_free": Explanation(
        title="memory is free, but only for movable pages",
        says="A kernel allocation found no page, or the OOM killer ran for it, while ZONE_MOVABLE or CMA areas had "
        "free pages that it may not use.",
        proves="mm_page_alloc with pfn ~0 and a GFP mask without __GFP_MOVABLE, or mark_victim by a task that reclaims "
        "for such a mask, while the counters show more free movable-only pages than the request and the watermark.",
        suggests="'invoked oom-killer' with a GFP_KERNEL mask in the log, and much MemFree in ZONE_MOVABLE or CmaFree.",
        confused_with="An allocation of high order that falls back to less (__GFP_NORETRY): it is listed, harmless; "
        "destination_enomem, where a movable page finds no room.",
        what_to_do=(
            "Make ZONE_MOVABLE smaller (movablecore=, fewer blocks online_movable): at most 3 to 4 times the rest "
            "(memory-hotplug.rst).",
            "Make the CMA area smaller, or let movable pages use it first, so that they leave room elsewhere: "
            "`tracereplay whatif --policy cma-ratio:first`.",
            "Find what grows outside: slabtop, /proc/meminfo (SUnreclaim, PageTables, Percpu, Secretmem).",
        ),
        capture_next=(
            "Record -e kmem -e oom -e vmscan from before the pressure, and keep /proc/zoneinfo from then (--layout)",
        ),
    ),
    "interrupted": Explanation(
        title="aborted by a signal",
        says="The attempt's task received a signal and the kernel aborted the attempt; the pages that kept it looping "
        "until then are listed with it.",
        proves="errno -EINTR (-4) in the finish event or the log's 'signal backoff'.",
        suggests="An offline without end in the trace, after which its task does other things.",
        confused_with="unfinished. Offline has no retry limit: one page that cannot move makes it loop until a signal.",
        what_to_do=(
            "Look at the pages listed: without them the loop would have ended by itself.",
            "Use a time limit around the offline (timeout 30 sh -c 'echo offline > .../state').",
        ),
        capture_next=(capture.KERNEL_LOG,),
    ),
    "unfinished": Explanation(
        title="no end in the trace",
        says="The trace ends, or loses events, before the attempt does; its outcome is not known.",
        proves="Never proved: it is the absence of an end.",
        suggests="A start event without its finish.",
        confused_with="A hang: look whether the task does anything after its last event here.",
        what_to_do=(
            "Record until the attempt has ended, with a buffer that does not overflow.",
            "If the task still hangs: cat /proc/TID/stack",
        ),
        capture_next=(capture.LARGER_BUFFER, capture.CALLER_STACK),
    ),
}
