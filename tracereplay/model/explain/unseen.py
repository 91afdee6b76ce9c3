"""What is said where the trace does not show a cause. Both are answers; neither is a guess."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

UNSEEN = {
    "preexisting": Explanation(
        title="allocated before the trace began",
        says="The page was in use before recording began, so neither its owner nor what holds it was seen.",
        proves="Never proved: the absence of an allocation is all there is.",
        suggests="The kernel named the page (fin_pfn) or left it behind, and no mm_page_alloc of it is in the trace.",
        confused_with="Any cause. A boot-time allocation, a file system's metadata and an old pin look alike from "
        "here.",
        what_to_do=(
            "Pass a page_owner dump, or record from before the page is allocated.",
            "Look at the page on the running machine: tools/mm/page-types -r -a PFN",
        ),
        capture_next=(capture.PAGE_OWNER, capture.EARLIER, capture.DUMP_CONTIG),
    ),
    "unknown": Explanation(
        title="cause not visible",
        says="Nothing that was recorded says why.",
        proves="Never proved.",
        suggests="Nothing. The causes not excluded are listed as candidates.",
        confused_with="Any cause whose events were not recorded: `tracereplay info` lists those.",
        what_to_do=("Record what `tracereplay explain unknown` lists, and run the attempt again.",),
        capture_next=(capture.PAGE_REF, capture.KERNEL_LOG, capture.DUMP_CONTIG),
    ),
}
