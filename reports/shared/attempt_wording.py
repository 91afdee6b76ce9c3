"""One attempt in words, for every report: what was requested, how it ended, what decided, the verdict in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.derived.culprit_groups import Group, effects, group_culprits, is_only_listed
from tracereplay.model.derived.judgement import cause_beside_culprits, has_acted, judgement
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Attempt, Culprit, Result
from tracereplay.reports.shared.holder_wording import whose
from tracereplay.reports.shared.inventory_wording import fit_says, nothing_found
from tracereplay.reports.shared.premise_wording import why
from tracereplay.reports.shared.state_wording import USE_WORDS
from tracereplay.reports.shared.wording import (
    count,
    gfp_mask,
    listing,
    moment,
    page_size_bytes,
    pfn_span,
    size_words,
    task_name,
)
from tracereplay.units import format_bytes, format_duration

VERDICT_GROUPS = 3
_BASIS = {"event": "", "log": " (from the kernel log)", "inferred": " (inferred: no event says so)"}
_EFFECTS: dict[str, str] = {
    "blocked": "blocked migration",
    "delayed": "delayed the attempt",
    "would_block": "{were} not reached (above the first blocking page)",
}
_WAITS = {"folio_lock": "for locked folios", "writeback": "for writeback", "other": "for pages"}
_ENDINGS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "interrupted": "aborted by a signal",
    "unfinished": "no end seen",
    "unknown": "outcome not recorded",
}


def headline_word(attempt: Attempt) -> str:
    """What became of it, in capitals: FAILED, DELAYED and the like."""
    word = judgement(attempt)
    return "OK" if word == "succeeded" else word.upper()


def headline(attempt: Attempt, page_size: int | None) -> str:
    """`cma_alloc "reserved", 65,520 pages (255.9 MiB), by cma-driver (149)`."""
    what: str = "an operation that the log does not name" if attempt.operation == "unknown" else attempt.operation
    if attempt.area is not None:
        what += f" {attempt.area}" if attempt.operation == "memory_offline" else f' "{attempt.area}"'
    requested = ""
    request = attempt.request
    if request.pages is not None:
        size = f" ({format_bytes(request.pages * page_size)})" if page_size else ""
        requested = f", {count(request.pages, 'page')}{size}"
    elif request.pages_at_most is not None:
        requested = f", at most {count(request.pages_at_most, 'page')}"
    elif request.start_pfn is not None and request.end_pfn is not None:
        requested = f", PFN {pfn_span(request.start_pfn, request.end_pfn - request.start_pfn)}"
    return f"{what}{requested}" + ("" if attempt.inventory else f", by {task_name(attempt.task)}")


def took_ns(attempt: Attempt) -> int | None:
    """How long it took; None where that is not known: the first line of a log may be that of the failure itself."""
    start_ns, end_ns = attempt.start_ns, attempt.end_ns
    if attempt.log_line is not None and not attempt.tries and not attempt.culprits:
        return None
    return end_ns - start_ns if start_ns is not None and end_ns is not None and end_ns > start_ns else None


def took_words(attempt: Attempt, unit: str) -> list[str]:
    """How long it took and how many tries, where known: `837 ms`, `17 tries`."""
    took: list[str] = []
    if (elapsed_ns := took_ns(attempt)) is not None and unit == "ns":
        took.append(format_duration(elapsed_ns))
    if len(attempt.tries) > 1:
        took.append(count(len(attempt.tries), "try", "tries"))
    return took


def ending(attempt: Attempt, unit: str) -> str:
    """When it began, how and after how long it ended, and what it waited for."""
    if attempt.inventory:
        when = f"at {moment(attempt.start_ns, unit)}" if attempt.end_ns is not None else "when the snapshot was taken"
        return f"what would block migration, were the range requested {when}"
    took = took_words(attempt, unit)
    after = f" after {listing(took)}" if took else ""
    errno = attempt.errno or ""
    if errno:
        errno = f" ({errno})" if attempt.outcome == "interrupted" else f" with {errno}"
    how = f"{_ENDINGS[attempt.outcome]}{errno}{after}{_BASIS[attempt.outcome_basis]}"
    waited: dict[str, int] = {}
    for wait in attempt.waits:
        waited[wait.kind] = waited.get(wait.kind, 0) + wait.end_ns - wait.start_ns
    waits = [f"{format_duration(ns)} {_WAITS[kind]}" for kind, ns in waited.items()] if unit == "ns" else []
    return f"{_began(attempt, unit)}, {how}" + (f"; it waited {listing(waits)}" if waits else "")


def _began(attempt: Attempt, unit: str) -> str:
    """When it began: since boot, else by the wall clock of the log, else by the line."""
    if attempt.start_ns is not None:
        word = "began at" if attempt.log_line is None else "in the log at"
        began = f"{word} {moment(attempt.start_ns, unit)}"
        return began + (f" ({_wall_clock(attempt)})" if attempt.wall_clock else "")
    line = f"line {attempt.log_line} of the log" if attempt.log_line is not None else "at an unknown time"
    return f"{attempt.wall_clock}, {line}" if attempt.wall_clock else line


def _wall_clock(attempt: Attempt) -> str:
    """What the wall clock was, and how that is known; a log prints its line some time after the attempt began."""
    if attempt.wall_clock_from in (None, "the kernel log"):
        return f"{'' if attempt.log_line is not None else 'in the log at '}{attempt.wall_clock}"
    return f"{attempt.wall_clock} by {attempt.wall_clock_from}"


def when_of(attempt: Attempt, unit: str) -> str:
    """Its start in a word: since boot, by the log's wall clock, or the line."""
    if attempt.start_ns is None and attempt.log_line is not None:
        return attempt.wall_clock or f"line {attempt.log_line}"
    return moment(attempt.start_ns, unit)


def offline_range(attempt: Attempt, page_size: int | None) -> str | None:
    """The range of an offline, as page frames and as the log and lsmem spell addresses; None where it is not known."""
    request = attempt.request
    if attempt.operation != "memory_offline" or attempt.inventory:
        return None
    named = []
    low, high = request.start_address, request.end_address
    if request.start_pfn is not None and request.end_pfn is not None:
        named.append(f"PFN {pfn_span(request.start_pfn, request.end_pfn - request.start_pfn)}")
        if low is None and page_size is not None:
            low, high = request.start_pfn * page_size, request.end_pfn * page_size
    if low is not None:
        named.append(f"[mem {low:#x}-{high - 1:#x}]" if high is not None else f"memory at {low:#x}")
    return f"range {', '.join(named)}" if named else None


def tried_ranges(attempt: Attempt, limit: int | None) -> str | None:
    """The ranges that were busy, of a call that only a log shows; None where none is known."""
    if attempt.log_line is None or attempt.operation == "memory_offline":
        return None
    spans = [(t.start_pfn, t.end_pfn - t.start_pfn) for t in attempt.tries if t.start_pfn is not None and t.end_pfn]
    if not spans:
        return None
    shown = [pfn_span(start, pages) for start, pages in spans[:limit]]
    more = f" and {count(len(spans) - len(shown), 'more range')}" if len(spans) > len(shown) else ""
    return f"busy: PFN {', '.join(shown)}{more}"


def bitmap_says(attempt: Attempt) -> str | None:
    """The area's bitmap after the failure, where the log lists it."""
    bitmap = attempt.bitmap
    if bitmap is None:
        return None
    longest = f", the longest free run {count(bitmap.largest_run, 'page')}" if bitmap.largest_run is not None else ""
    fits = {True: "; a run that holds the request was free", False: "; none holds the request", None: ""}[bitmap.fits]
    return f"of {count(bitmap.total_pages, 'page')} of the area {bitmap.free_pages:,} were free{longest}{fits}"


def movable_free_says(attempt: Attempt, result: Result) -> str | None:
    """How much memory was free that only movable allocations may use, and what was wanted."""
    if attempt.movable_free_pages is None:
        return None
    gfp = f" ({gfp_mask(attempt.request.gfp, attempt, result)})" if attempt.request.gfp is not None else ""
    free = count(attempt.movable_free_pages, "movable-only page")
    return f"not movable{gfp}, while at least {free} {_were(free)} free"


def not_excluded(attempt: Attempt) -> str | None:
    """Other causes that are possible, most likely first."""
    return f"not excluded: {', '.join(attempt.candidates)}" if attempt.candidates else None


def log_facts(attempt: Attempt, result: Result, limit: int | None) -> list[str]:
    """What a log tells of an attempt beyond its outcome, a line each."""
    facts = (
        offline_range(attempt, page_size_bytes(result)),
        tried_ranges(attempt, limit),
        bitmap_says(attempt),
        movable_free_says(attempt, result),
        not_excluded(attempt),
    )
    return [fact for fact in facts if fact is not None]


def more_attempts(left_out: Sequence[tuple[Attempt, Sequence[Attempt]]]) -> str:
    """`3 more attempts of other kinds`: representatives that a report leaves out, and those like them."""
    number = sum(1 + len(like_it) for _, like_it in left_out)
    return f"{count(number, 'more attempt')} of {'another kind' if len(left_out) == 1 else 'other kinds'}"


def pages_of_last_try(attempt: Attempt) -> str | None:
    """`in the last try, of 65,520 pages: 928 free, 6,911 moved ...`; None without counts."""
    pages = attempt.pages
    if pages is None or not pages.requested:
        return None
    parts = [
        (pages.free, "free"),
        (pages.moved, "moved"),
        (pages.held, "not migrated"),
        (pages.not_seen, "without events"),
    ]
    last = "last failing try" if attempt.outcome == "succeeded" else "last try"
    which = f"in the {last}, " if len(attempt.tries) > 1 else ""
    numbers = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    words = [(f"{one.pages:,}", USE_WORDS.get(one.use, one.use)) for one in pages.uses]
    uses = f"all {words[0][1]}" if len(words) == 1 else ", ".join(" ".join(one) for one in words)
    copied = f"; {pages.from_snapshot:,} of them by kpageflags alone" if pages.from_snapshot else ""
    copied += f": {uses}" if copied and uses else ""
    return f"{which}of {count(pages.requested, 'page')}: {numbers}{copied}"


def cause_says(code: str) -> str:
    """The sentence that explains a cause; empty for a code of a later version."""
    explanation = EXPLANATIONS.get(code)
    return explanation.says if explanation else ""


def pages_by_effect(attempt: Attempt, page_size: int | None) -> str:
    """How many pages did what; each page is counted once per effect."""
    sizes = [(size_words(g.culprits, page_size), g.first.effect) for g in effects(attempt) if g.pages]
    said = [f"{size} {_did(effect, attempt, size)}" for size, effect in sizes]
    return listing(said) if said else ""


def _did(effect: str, attempt: Attempt, subject: str) -> str:
    """What pages did; subject -- the words for them, `1 page` or `1 folio of 2 MiB and 3 pages`."""
    if effect == "would_block" and all(is_only_listed(c) for c in attempt.culprits if c.effect == effect):
        return f"of the range {_were(subject)} in use when page_owner was read"
    return "would block migration" if attempt.inventory else _EFFECTS[effect].format(were=_were(subject))


def _were(subject: str) -> str:
    return "was" if subject.startswith("1 ") and " and " not in subject else "were"


def verdict(attempt: Attempt, result: Result) -> str:
    """One sentence: what decided this attempt, and how sure that is; before it the answer to --pages."""
    return " ".join(filter(None, [fit_says(attempt), _decided(attempt, result)]))


def _decided(attempt: Attempt, result: Result) -> str:
    if (cause := cause_beside_culprits(attempt)) is not None:
        says = cause_says(cause)
        return f"{cause}: {says}" if says else cause
    groups = [g for g in group_culprits(attempt.culprits) if attempt.inventory or has_acted(g.first)]
    if not groups:
        if attempt.inventory:
            return nothing_found(attempt)
        return "What decided is not known." if attempt.outcome == "failed" else "No page blocked migration."
    by_effect: dict[str, list[Group]] = {}
    for group in groups:
        by_effect.setdefault(group.first.effect, []).append(group)
    said = []
    for effect, alike in by_effect.items():
        subject = _summary(alike, result)
        said.append(f"{subject} {_did(effect, attempt, subject)}")
    return "; ".join(said) + "."


def _summary(groups: list[Group], result: Result) -> str:
    """The first few of them, and how many more there are."""
    shown = [
        f"{size_words(g.culprits, page_size_bytes(result))} {words}" for words, g in _distinct(groups, result).items()
    ]
    if len(shown) > VERDICT_GROUPS:
        shown = [*shown[:VERDICT_GROUPS], f"{len(shown) - VERDICT_GROUPS} more"]
    return listing(shown)


def _distinct(groups: list[Group], result: Result) -> dict[str, Group]:
    """Groups by the words for them; those with the same words are one."""
    alike: dict[str, list[Culprit]] = {}
    for group in groups:
        c = group.first
        reason = why(group.culprits, result) or c.verdict
        sure = f"proved, {reason}" if c.verdict == "proved" != reason else reason
        known = ", ".join(dict.fromkeys((c.cause, sure)))  # both may be `unknown`
        alike.setdefault(f"{whose(c) or 'with an unknown holder'} ({known})", []).extend(group.culprits)
    return {words: Group(culprits) for words, culprits in alike.items()}
