"""kmem: pages allocated and freed (include/trace/events/kmem.h)."""

from __future__ import annotations

from tracereplay.gfp import GFP
from tracereplay.parsers.catalog.enums import RSS_MEMBERS
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, pfn
from tracereplay.schema import Op

ORDER = count("order", "The allocation covers 2^order pages")
MIGRATETYPE = count("migratetype", "Requested type (from gfp_flags), never the pageblock's")
# `page=` is computed from the PFN: a hashed pointer in kernel text, nonsense in libtraceevent's. It tells one thing:
# the PFN of an allocation that failed (~0) is printed as 0, beside a NULL page.
PAGE = {"page": Spelling(read=Read.DISPLAY)}
MAYBE_PAGE = {"page": Spelling("pfn", Read.NULL_PAGE)}
GFP_FLAGS = {"gfp_flags": Spelling("gfp_flags", Read.FLAGS, GFP)}
FREE_ARGS = {"pfn": "pfn", "order": "order"}

EVENTS = (
    EventSpec(
        "kmem", "mm_page_alloc", "Pages left the allocator; also fires when the allocation failed (pfn ~0)",
        (pfn(), ORDER, bits("gfp_flags", "GFP mask"), MIGRATETYPE),
        Op.ALLOC, {"pfn": "pfn", "order": "order", "flags": "gfp_flags", "mt": "migratetype"},
        spelling=MAYBE_PAGE | GFP_FLAGS,
    ),
    EventSpec(
        "kmem", "mm_page_free", "Pages given back; fires for every free, batched ones too",
        (pfn(), ORDER), Op.FREE, FREE_ARGS, spelling=PAGE,
    ),
    EventSpec(
        "kmem", "mm_page_free_direct", "mm_page_free before 3.3", (pfn(), ORDER), Op.FREE, FREE_ARGS, spelling=PAGE
    ),
    EventSpec(
        "kmem", "mm_page_free_batched", "Repeats mm_page_free for batched frees, always as order 0", (pfn(),),
        spelling=PAGE | {"order": Spelling(read=Read.DISPLAY)},
    ),
    EventSpec(
        "kmem", "mm_page_alloc_zone_locked", "Pages left the buddy lists, to a per-cpu list or to a user",
        (pfn(), ORDER, count("migratetype", "Free list"), count("percpu_refill", "1: to a per-cpu list")),
        Op.BUDDY_TAKE, {"pfn": "pfn", "order": "order", "mt": "migratetype", "ret": "percpu_refill"},
        spelling=MAYBE_PAGE,
    ),
    EventSpec(
        "kmem", "mm_page_pcpu_drain", "Pages went from a per-cpu list back to the buddy lists",
        (pfn(), ORDER, count("migratetype", "Cached type of the pageblock (4 = CMA)")),
        Op.PCP_DRAIN, {"pfn": "pfn", "order": "order", "mt": "migratetype"}, spelling=PAGE,
    ),
    EventSpec(
        "kmem", "mm_page_alloc_extfrag", "An allocation fell back to a free list of another migratetype",
        (pfn(), count("alloc_order", "Order requested"), count("fallback_order", "Order of the block taken"),
         count("pageblock_order", "Order of a pageblock (text only: a constant of the kernel)"),
         count("alloc_migratetype", "Type requested"), count("fallback_migratetype", "Type of the list taken from"),
         count("change_ownership", "1: the pageblock changed its type")),
        Op.EXTFRAG,
        {"pfn": "pfn", "order": "alloc_order", "mt": "alloc_migratetype", "val": "fallback_order",
         "ret": "fallback_migratetype", "flags": "change_ownership"},
        # libtraceevent prints `fragmenting` wrongly (it cannot evaluate the comparison); it follows from the orders.
        spelling=PAGE | {"fragmenting": Spelling(read=Read.DISPLAY)},
    ),
    EventSpec(
        "kmem", "rss_stat", "A counter of a task's memory changed by 64 pages or more",
        (count("mm_id", "Hash of the mm pointer: tells processes apart"), count("curr", "1: it is the running task's"),
         count("member", "0 file, 1 anonymous, 2 swap, 3 shmem"), count("size", "New value", "bytes")),
        text=(r"mm_id=(?P<mm_id>\d+) curr=(?P<curr>\d+) (?:type|member)=(?P<member>\S*) size=(?P<size>-?\d+)B",),
        spelling={"member": Spelling("member", Read.NAME, RSS_MEMBERS)},
    ),
    EventSpec(
        # mm/page_alloc.c of 6.12 passes (migratetype, total_migrated, total_reclaimed, total_mapped) for the parameters
        # (nr_migrated, nr_reclaimed, nr_mapped, migratetype): every value stands one field too far. Columns keep the
        # field names as recorded; read them as the sentences here say. Gone in 7.2.
        "kmem", "mm_alloc_contig_migrate_range_info", "alloc_contig_range() migrated a range (6.10 to 6.18)",
        (pfn("First page", "start"), pfn("End of the range", "end"),
         count("nr_migrated", "Holds the migratetype of the range (4 = CMA), by a bug of the kernel"),
         count("nr_reclaimed", "Holds the pages migrated, by a bug of the kernel", "pages"),
         count("nr_mapped", "Holds the clean file pages dropped, by a bug of the kernel", "pages"),
         count("migratetype", "Holds the number of mapped pages, by a bug of the kernel", "pages")),
    ),
)  # fmt: skip
