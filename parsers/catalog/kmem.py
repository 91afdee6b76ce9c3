"""kmem: pages allocated and freed (include/trace/events/kmem.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, bits, count, pfn
from tracereplay.schema import Op

ORDER = count("order", "The allocation covers 2^order pages")
MIGRATETYPE = count("migratetype", "Requested type (from gfp_flags), never the pageblock's")

EVENTS = (
    EventSpec(
        "kmem", "mm_page_alloc", "Pages left the allocator; also fires when the allocation failed (pfn ~0)",
        (pfn(), ORDER, bits("gfp_flags", "GFP mask"), MIGRATETYPE),
        Op.ALLOC, {"pfn": "pfn", "order": "order", "flags": "gfp_flags", "mt": "migratetype"},
    ),
    EventSpec(
        "kmem", "mm_page_free", "Pages given back; fires for every free, batched ones too",
        (pfn(), ORDER), Op.FREE, {"pfn": "pfn", "order": "order"},
    ),
    EventSpec("kmem", "mm_page_free_batched", "Repeats mm_page_free for batched frees, always as order 0", (pfn(),)),
    EventSpec(
        "kmem", "mm_page_alloc_zone_locked", "Pages left the buddy lists, to a per-cpu list or to a user",
        (pfn(), ORDER, count("migratetype", "Free list"), count("percpu_refill", "1: to a per-cpu list")),
        Op.BUDDY_TAKE, {"pfn": "pfn", "order": "order", "mt": "migratetype", "ret": "percpu_refill"},
    ),
    EventSpec(
        "kmem", "mm_page_pcpu_drain", "Pages went from a per-cpu list back to the buddy lists",
        (pfn(), ORDER, count("migratetype", "Cached type of the pageblock (4 = CMA)")),
        Op.PCP_DRAIN, {"pfn": "pfn", "order": "order", "mt": "migratetype"},
    ),
)
