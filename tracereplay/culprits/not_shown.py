"""What the inputs of an inventory cannot show: without it one may not conclude that nothing blocks migration."""

from __future__ import annotations

from tracereplay.attempts.events import AttemptEvents
from tracereplay.culprits.context import AnalysisContext
from tracereplay.model.result import NotShown


def not_shown(context: AnalysisContext, events: AttemptEvents) -> list[NotShown]:
    """References (pins) without page_ref events; allocations and page cache where a trace did not record them."""
    missing: list[NotShown] = [] if context.has_page_ref else ["references"]
    if not events.recorded("mm_page_alloc"):
        missing.append("allocations")
    if not events.recorded("mm_filemap_add_to_page_cache"):
        missing.append("page_cache")
    return missing
