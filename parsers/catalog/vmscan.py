"""vmscan: reclaim (include/trace/events/vmscan.h). It drops clean pages, and holds isolated ones meanwhile."""

from __future__ import annotations

from tracereplay.gfp import GFP
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn, text
from tracereplay.schema import Column

LRU_LISTS = {"inactive_anon": 0, "active_anon": 1, "inactive_file": 2, "active_file": 3, "unevictable": 4}
RECLAIM_FLAGS = {
    "RECLAIM_WB_NONE": 0, "RECLAIM_WB_ANON": 0x01, "RECLAIM_WB_FILE": 0x02, "RECLAIM_WB_SYNC": 0x04,
    "RECLAIM_WB_ASYNC": 0x08, "RECLAIM_WB_MIXED": 0x10,
}  # fmt: skip
NID = count("nid", "NUMA node")
ZID = count("zid", "Index of the zone (not in text since 5.4)")
ORDER = count("order", "Order wanted")
GFP_FLAGS = bits("gfp_flags", "GFP mask")
MEMCG = bits("memcg_id", "Memory cgroup (7.x)")
FLAGS = bits("reclaim_flags", "1 anonymous, 2 file, 4 sync, 8 async, 16 mixed")
RECLAIMED = count("nr_reclaimed", "Pages freed", "pages")
PRIORITY = count("priority", "12 to 0: how hard reclaim tries")
GFP_SPELLING = {"gfp_flags": Spelling("gfp_flags", Read.FLAGS, GFP)}
FLAGS_SPELLING = {"flags": Spelling("reclaim_flags", Read.FLAGS, RECLAIM_FLAGS), "page": Spelling(read=Read.DISPLAY)}


def counts(*names: str) -> tuple[Column, ...]:
    """Columns that count pages, named as the kernel does: nr_ and what happened to them."""
    return tuple(count(name, f"Pages {name.removeprefix('nr_').replace('_', ' ')}", "pages") for name in names)


def event(
    name: str, doc: str, *fields: Column, spelling: dict[str, Spelling] | None = None, patterns: tuple[str, ...] = ()
) -> EventSpec:
    """An event of this subsystem: none has an entry in the page stream."""
    return EventSpec("vmscan", f"mm_vmscan_{name}", doc, fields, text=patterns, spelling=spelling or {})


# 7.x appends the running task, its cgroup and `(in-irq)` or a blank.
CALLER = r"pid=\d+ memcg_id=(?P<memcg_id>\d+)(?: \(in-irq\))? *"

EVENTS = (
    event("direct_reclaim_begin", "An allocation has to reclaim memory itself",
          ORDER, GFP_FLAGS, MEMCG, count("may_writepage", "1: it may write pages (4.19)"),
          count("classzone_idx", "Highest zone wanted (4.19)"), spelling=GFP_SPELLING,
          patterns=(rf"order=(?P<order>\d+) gfp_flags=(?P<gfp_flags>\S+) {CALLER}",)),
    event("direct_reclaim_end", "It has done so", RECLAIMED, MEMCG,
          patterns=(rf"nr_reclaimed=(?P<nr_reclaimed>\d+) {CALLER}",)),
    event("kswapd_sleep", "kswapd has nothing to do", NID),
    event("kswapd_wake", "kswapd begins", NID, ZID, ORDER),
    event("wakeup_kswapd", "kswapd is requested", NID, ZID, ORDER, GFP_FLAGS, spelling=GFP_SPELLING),
    event("throttled", "A task waits for reclaim to make progress (6.1+)",
          NID, count("usec_timeout", "Longest wait", "us"), count("usec_delayed", "Time waited", "us"),
          bits("reason", "1 << enum vmscan_throttle_state (not in text)"), text("reason_name", "Its name (text only)"),
          spelling={"usect_delayed": Spelling("usec_delayed"), "reason": Spelling("reason_name")}),
    event("lru_isolate", "Pages were taken off an LRU list",
          count("highest_zoneidx", "Highest zone wanted (5.10+)"), count("classzone_idx", "The same, up to 5.4"), ORDER,
          *counts("nr_requested", "nr_scanned", "nr_skipped", "nr_taken"),
          count("isolate_mode", "Which pages (up to 6.6)"), count("lru", "enum lru_list"),
          spelling={"classzone": Spelling("highest_zoneidx"), "lru": Spelling("lru", Read.NAME, LRU_LISTS)}),
    event("lru_shrink_inactive", "What became of a batch of inactive pages",
          NID, *counts("nr_scanned", "nr_reclaimed", "nr_dirty", "nr_writeback", "nr_congested", "nr_immediate",
                       "nr_activate0", "nr_activate1", "nr_activate", "nr_ref_keep", "nr_unmap_fail"),
          PRIORITY, FLAGS,
          spelling=FLAGS_SPELLING | {"nr_activate_anon": Spelling("nr_activate0"),
                                     "nr_activate_file": Spelling("nr_activate1")}),
    event("lru_shrink_active", "What became of a batch of active pages",
          NID, *counts("nr_taken", "nr_active", "nr_deactivated", "nr_referenced"), PRIORITY, FLAGS,
          spelling=FLAGS_SPELLING),
    event("write_folio", "Reclaim writes a folio (6.1+)", pfn(), FLAGS, spelling=FLAGS_SPELLING),
    event("writepage", "The same, up to 5.15", pfn(), FLAGS, spelling=FLAGS_SPELLING),
)  # fmt: skip
