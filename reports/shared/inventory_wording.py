"""What an inventory says beyond its culprits: holes, whether pages fit, and what its inputs cannot show."""

from __future__ import annotations

from collections.abc import Iterator

from tracereplay.model.derived.judgement import has_blind_spots
from tracereplay.model.inventory import FitRange
from tracereplay.model.result import Attempt
from tracereplay.reports.shared.wording import count, listing, pfn_span, pfn_spans

_NOT_SHOWN = {
    "references": "no page_ref events: pins and other references do not show",
    "allocations": "no mm_page_alloc events: kernel allocations do not show",
    "page_cache": "no mm_filemap_add_to_page_cache events: which pages are file system metadata hardly shows",
}
BLOCKERS_NAMED = 3


def source_of(attempt: Attempt) -> str:
    """Where it knows from."""
    return "trace" if attempt.end_ns is not None else "snapshot"


def nothing_found(attempt: Attempt) -> str:
    """Of an inventory without culprits; that nothing blocks migration is said only where everything would show."""
    if has_blind_spots(attempt):
        return f"No page is known to block migration; what blocks it may not show in the {source_of(attempt)}."
    return f"Nothing would block migration, as far as the {source_of(attempt)} shows."


def inventory_lines(attempt: Attempt) -> list[str]:
    """Sentences for below the headline; empty for an attempt that was made."""
    if not attempt.inventory:
        return []
    lines = []
    if attempt.holes:
        spans = pfn_spans([(hole.start_pfn, hole.pages) for hole in attempt.holes], 4)
        pages = count(sum(hole.pages for hole in attempt.holes), "page")
        lines.append(f"{attempt.area} can never go offline: {pages} of it are no memory ({spans})")
    if attempt.given_out:
        lines.append(f"{count(attempt.given_out, 'page')} are taken by cma_alloc()")
    return lines + [f"not shown: {spot}" for spot in _blind_spots(attempt)]


def _blind_spots(attempt: Attempt) -> Iterator[str]:
    yield from (_NOT_SHOWN[name] for name in attempt.not_shown)
    if attempt.uncounted:
        yield f"references of {count(attempt.uncounted, 'page')}, which have no page_ref event up to then"
    if attempt.pages is not None and attempt.pages.not_seen:
        yield f"what {count(attempt.pages.not_seen, 'page')} are, which have no event up to then"


def fit_says(attempt: Attempt) -> str | None:
    """The answer to --pages in a sentence; None without --pages."""
    fit = attempt.fit
    if fit is None:
        return None
    what = f"{count(fit.pages, 'contiguous page')} aligned to {count(1 << fit.align_order, 'page')}"
    if not fit.candidates:
        return f"{what} fit nowhere: no range of this size is aligned so."
    if fit.fits:
        known = ", as far as is known" if has_blind_spots(attempt) else ""
        return f"{what} fit{known}: PFN {listing(_fitting(one) for one in fit.ranges)}."
    nearest = listing(_blocked(one, attempt) for one in fit.ranges)
    return f"{what} do not fit in any of {count(fit.candidates, 'range')}; fewest pages in the way: PFN {nearest}."


def _fitting(one: FitRange) -> str:
    parts = [(one.free, "free"), (one.to_move, "to move"), (one.not_seen, "not seen")]
    return f"{pfn_span(one.start_pfn, one.pages)} ({', '.join(f'{pages:,} {what}' for pages, what in parts if pages)})"


def _blocked(one: FitRange, attempt: Attempt) -> str:
    named = [c for c in attempt.culprits if c.id in set(one.culprit_ids)]
    said = [f"{c.cause} at {pfn_span(c.start_pfn or 0, c.pages)}" for c in named[:BLOCKERS_NAMED]]
    if len(named) > BLOCKERS_NAMED:
        said.append(f"{len(named) - BLOCKERS_NAMED} more")
    if one.given_out:
        said.append(f"{count(one.given_out, 'page')} taken by cma_alloc()")
    return f"{pfn_span(one.start_pfn, one.pages)} ({', '.join(said)})"
