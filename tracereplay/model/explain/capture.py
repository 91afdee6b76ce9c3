"""Recording steps that several causes ask for, worded once."""

from __future__ import annotations

PAGE_REF = (
    "Record references of the range, on a kernel with CONFIG_DEBUG_PAGE_REF: trace-cmd record -b 65536 "
    "-e kmem -e cma -e migrate -e page_isolation -e compaction -e filemap "
    "-e page_ref -f 'pfn >= START && pfn < END'"
)
REF_STACKS = (
    "Record stacks of the references taken, to name the call: trace-cmd record -b 65536 "
    "-e kmem -e cma -e migrate -e page_isolation -e compaction -e filemap "
    "-e page_ref -f 'pfn >= START && pfn < END' -e page_ref:page_ref_mod_unless "
    "-f 'pfn >= START && pfn < END' -R stacktrace"
)
CALLER_STACK = "While the attempt hangs, read where it sleeps: cat /proc/TID/stack (or echo w > /proc/sysrq-trigger)"
PAGE_OWNER = (
    "Boot with page_owner=on and keep /sys/kernel/debug/page_owner from before the attempt: it names the allocating "
    "stack of every page, also of those older than the trace"
)
KERNEL_LOG = "Keep the kernel log (dmesg) of the attempt and pass it with --kernel-log"
DUMP_CONTIG = (
    "Make CMA dump the pages that did not migrate: "
    "echo 'func alloc_contig_dump_pages +p' > /sys/kernel/debug/dynamic_debug/control, then read the kernel log"
)
DUMP_HOTPLUG = (
    "Make the kernel log the reason: echo 'file mm/memory_hotplug.c +p' > /sys/kernel/debug/dynamic_debug/control, "
    "then read the kernel log"
)
WRITEBACK = "Record -e writeback -e filemap -e migrate -e cma as well: who waits for what"
EARLIER = "Start recording before the pages of the range are allocated (at boot: trace_event= on the command line)"
LARGER_BUFFER = "Record with a larger buffer (trace-cmd record -b KIB, per CPU), or fewer events, until none are lost"
