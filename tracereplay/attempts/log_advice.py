"""What to look at, and what to record next time, for a call that only a kernel log shows."""

from __future__ import annotations

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.log_calls import Call

CMA_FREE = "Compare CmaFree with CmaTotal in /proc/meminfo when it fails; cma=SIZE at boot makes the area larger."
CMA_DEBUG = "Build with CONFIG_CMA_DEBUG=y: the log then lists the free runs of the area beside each failure."
DUMP_PAGES = (
    "Have the pages dumped that do not migrate (5.12 and later): "
    "echo 'func alloc_contig_dump_pages +p' > /sys/kernel/debug/dynamic_debug/control"
)
OFFLINE_DEBUG = (
    "Have the kernel say why (5.0 and later): "
    "echo 'file mm/memory_hotplug.c +p' > /sys/kernel/debug/dynamic_debug/control, then try again."
)
PAGE_OWNER = "Boot with page_owner=on and copy /sys/kernel/debug/page_owner: --page-owner FILE beside the log."
TRACE = (
    "Record a trace of the next failure: tracereplay record, or trace-cmd record -e cma -e page_isolation -e migrate."
)


def advice(call: Call, draft: DetectedAttempt) -> tuple[str, ...]:
    """Steps that would tell more of this call."""
    if draft.outcome == "succeeded":
        return ()
    if call.operation == "memory_offline":
        return (PAGE_OWNER,) if call.evidence else (OFFLINE_DEBUG, PAGE_OWNER)
    if call.operation == "unknown":
        return (PAGE_OWNER, TRACE)
    if draft.cause == "destination_enomem":
        return ()
    if call.errno == "ENOMEM":
        return (CMA_FREE,) if call.bitmap is not None else (CMA_FREE, CMA_DEBUG)
    return (PAGE_OWNER, TRACE) if call.evidence else (DUMP_PAGES, TRACE)
