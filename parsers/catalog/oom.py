"""oom: allocations that find no memory (include/trace/events/oom.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.enums import COMPACT_PRIORITIES
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, count, text

PID = count("pid", "Process")
# The result is that of compact_result_to_feedback(), not enum compact_result.
FEEDBACK = {"failed": 1, "withdrawn": 2, "progress": 3}

EVENTS = (
    EventSpec(
        "oom", "mark_victim", "The OOM killer chose a process; its name is in comm_field",
        (PID, count("total_vm", "Virtual memory", "KiB"), count("anon_rss", "Anonymous memory", "KiB"),
         count("file_rss", "File memory", "KiB"), count("shmem_rss", "Shared memory", "KiB"),
         count("uid", "User"), count("pgtables", "Page tables", "KiB"), count("oom_score_adj", "Its adjustment")),
        text=(r"pid=(?P<pid>\d+) comm=(?P<comm>.*) total-vm=(?P<total_vm>\d+)kB anon-rss=(?P<anon_rss>\d+)kB "
              r"file-rss:(?P<file_rss>\d+)kB shmem-rss:(?P<shmem_rss>\d+)kB uid=(?P<uid>\d+) "
              r"pgtables=(?P<pgtables>\d+)kB oom_score_adj=(?P<oom_score_adj>-?\d+)",),
    ),
    EventSpec(
        "oom", "oom_score_adj_update", "A process changed its adjustment; its name is in comm_field",
        (PID, count("oom_score_adj", "New value")),
    ),
    EventSpec(
        "oom", "compact_retry", "Whether an allocation should compact once more",
        (count("order", "Order wanted"), count("priority", "0 SYNC_FULL, 1 SYNC_LIGHT, 2 ASYNC"),
         count("result", "1 failed, 2 withdrawn, 3 progress"), count("retries", "Tries so far"),
         count("max_retries", "Limit"), count("ret", "1: once more")),
        spelling={"priority": Spelling("priority", Read.NAME, COMPACT_PRIORITIES),
                  "compaction_result": Spelling("result", Read.NAME, FEEDBACK), "should_retry": Spelling("ret")},
    ),
    EventSpec(
        "oom", "reclaim_retry_zone", "Whether an allocation should reclaim once more",
        (count("node", "NUMA node"), count("zone_idx", "Index of the zone (not in text)"),
         text("zone", "Name of the zone (text only)"), count("order", "Order wanted"),
         count("reclaimable", "Pages that might be freed", "pages"), count("available", "With those free", "pages"),
         count("min_wmark", "Watermark", "pages"), count("no_progress_loops", "Tries without progress"),
         count("wmark_check", "1: there would be enough")),
    ),
    *(
        EventSpec("oom", name, doc, (PID,))
        for name, doc in (
            ("wake_reaper", "A victim is handed to the reaper"),
            ("start_task_reaping", "The reaper frees a victim's memory"),
            ("finish_task_reaping", "It has done so"),
            ("skip_task_reaping", "It cannot"),
        )
    ),
)  # fmt: skip
