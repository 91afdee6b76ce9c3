"""The codes for pages whose cause the trace does not show. Both are answers; neither is a guess."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

UNSEEN = {
    "preexisting": Explanation(
        title="allocated before the trace began",
        says="The page was in use before recording began, so neither its owner nor what holds it was seen.",
        proves="Never proved: the absence of an allocation is all there is.",
        suggests="The kernel named the page (fin_pfn) or did not migrate it, and the trace has no mm_page_alloc of it.",
        confused_with="Any cause. A boot-time allocation, a file system's metadata and an old pin look alike in "
        "the trace.",
        what_to_do=(
            "Pass a page_owner dump, or record from before the page is allocated.",
            "Look at the page on the running machine: tools/mm/page-types -r -a PFN",
        ),
        capture_next=(capture.PAGE_OWNER, capture.EARLIER, capture.DUMP_CONTIG),
    ),
    "unknown": Explanation(
        title="cause not visible",
        says="No recorded event shows why the page was not migrated.",
        proves="Never proved.",
        suggests="Nothing. The causes not excluded are listed as candidates.",
        confused_with="Any cause whose events were not recorded: `tracereplay info` lists those.",
        what_to_do=("Record what `tracereplay explain unknown` lists, and run the attempt again.",),
        capture_next=(capture.PAGE_REF, capture.KERNEL_LOG, capture.DUMP_CONTIG),
    ),
}
