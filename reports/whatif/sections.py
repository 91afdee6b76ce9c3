"""What would have helped, as sections: the ranked table first, then attempts, placement, fit, the record itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tracereplay.model.whatif import Cost, Fit, HiddenPages, Model, Outcome, Placement, Summary, WhatIf
from tracereplay.reports.shared.sections import Section, numeric
from tracereplay.reports.shared.style import Style
from tracereplay.reports.shared.wording import count
from tracereplay.units import format_duration, format_seconds

FEW_RESULTS = 12
WHY = {
    "model_unfit": "the model does not reproduce this trace",
    "events_not_recorded": "events it needs were not recorded",
    "loss_in_interval": "events were lost",
    "culprit_unknown": "what blocked is not all known",
    "release_unknown": "when the page was released is not known (record page_ref)",
    "runs_disagree": "the runs disagree: it hangs on the order of the free lists, or on pages that block at times",
    "needs_closed_loop": "the workload itself would have gone on differently",
    "not_modelled": "not modelled",
    "bitmap_full": "no room in the area",
}
ANSWERS = {
    "succeeds": "succeeds", "still_fails": "still fails", "newly_fails": "NEWLY FAILS", "unknown": "unknown",
}  # fmt: skip


def whatif_sections(document: WhatIf, style: Style) -> list[Section]:
    """The first screen first."""
    sections = [_summary(document)] if document.policies else []
    if document.results and (style.full or len(document.results) <= FEW_RESULTS):
        sections.append(_results(document))
    if document.placement:
        sections.append(_placement(document, style))
    if document.sizing:
        sections.append(_sizing(document))
    sections += [_fit(model, style) for model in document.model]
    if document.self_check:
        sections.append(_self_check(document))
    return sections


def _summary(document: WhatIf) -> Section:
    names = {policy.id: policy for policy in document.policies}
    rows = [_summary_row(one, names[one.policy_id].name, document.results) for one in document.summary]
    failed = max((one.failed for one in document.summary), default=0)
    saved = max((one.saved for one in document.summary), default=0)
    title = f"What would have helped: {count(failed, 'attempt')} failed, {saved} of them saved by the best of these"
    return Section(
        title,
        lines=[*_notes(document)],
        columns=(
            "this one change",
            numeric("failed"),
            numeric("saved"),
            numeric("still"),
            numeric("unknown"),
            numeric("newly"),
            "cost; why unknown",
        ),
        rows=rows,
        ok=None if not failed else saved > 0,
    )


def _notes(document: WhatIf) -> Iterator[str]:
    for policy in document.policies:
        if policy.missing:
            yield f"{policy.name}: needs {', '.join(policy.missing)}, not recorded"
    if any(one.saved_upper for one in document.summary):
        yield "at best: of each range the record names the first page that blocked; page_ref events show the others"


def _summary_row(one: Summary, name: str, results: Sequence[Outcome]) -> tuple[str, ...]:
    saved = f"{one.saved}" + (" at best" if one.saved_upper else "")
    mine = [result for result in results if result.policy_id == one.policy_id and result.answer == "unknown"]
    why = [f"unknown: {WHY.get(code, code)}" for code in sorted({result.why for result in mine if result.why})]
    return (
        name, str(one.failed), saved, str(one.still_fails), str(one.unknown), str(one.newly_fails),
        "; ".join([*_costs(one.cost), *why]) or "-",
    )  # fmt: skip


def _costs(cost: Cost) -> Iterator[str]:
    if cost.wait_ns is not None:
        yield f"{format_duration(abs(cost.wait_ns))} {'later' if cost.wait_ns > 0 else 'less waiting'}"
    if cost.pages_kept_out_of_cma:
        more = "fewer" if cost.pages_kept_out_of_cma > 0 else "more"
        yield f"{abs(cost.pages_kept_out_of_cma):,} {more} movable pages in CMA"
    if cost.unmovable_pages_added:
        yield f"{count(cost.unmovable_pages_added, 'more unmovable page')}"
    if cost.allocations_failed:
        yield f"{count(cost.allocations_failed, 'page')} find no memory"
    if cost.direct_map_splits:
        less = "fewer" if cost.direct_map_splits < 0 else "more"
        yield f"{abs(cost.direct_map_splits):,} {less} splits of the direct map, at most"
    if cost.pages_refused:
        yield f"{count(cost.pages_refused, 'page')} beyond the pool's limit"
    if cost.blocks_not_free:
        yield f"{count(cost.blocks_not_free, 'block')} of the pool not free"
    if cost.pages_moved:
        yield f"{count(cost.pages_moved, 'page')} to migrate"
    if cost.pages_displaced:
        yield f"room elsewhere for {count(cost.pages_displaced, 'page')} that are no page cache"
    if cost.longest_ns is not None:
        yield f"{format_duration(cost.longest_ns)} at most for an allocation"


def _results(document: WhatIf) -> Section:
    names = {policy.id: policy.name for policy in document.policies}
    return Section(
        "Attempts",
        columns=("attempt", "under", "was", "answer", numeric("runs"), "why"),
        rows=[
            (
                attempt_name(one.attempt_id),
                names[one.policy_id],
                one.recorded,
                _answer(one),
                _runs(one),
                _why(one),
            )
            for one in document.results
        ],
    )


def attempt_name(attempt_id: str) -> str:
    """`cma_alloc at 6.440 s` of an id, which is operation-tid-start_ns."""
    operation, _, start = attempt_id.partition("-")
    start_ns = start.rpartition("-")[2]
    return f"{operation} at {format_seconds(int(start_ns))}" if start_ns.isdecimal() else attempt_id


def _runs(one: Outcome) -> str:
    return f"{one.runs_succeeding}/{one.runs}"


def _answer(one: Outcome) -> str:
    bound = " (at best)" if one.bound == "upper" and one.recorded != "succeeded" else ""
    return ANSWERS[one.answer] + bound


def _why(one: Outcome) -> str:
    if one.why is not None:
        return WHY.get(one.why, one.why)
    if one.blocked_by:
        return f"{count(len(one.blocked_by), 'run')} of pages still in the way"
    if one.cost.wait_ns is None:
        return ""
    return f"{format_duration(abs(one.cost.wait_ns))} {'later' if one.cost.wait_ns > 0 else 'less waiting'}"


def _placement(document: WhatIf, style: Style) -> Section:
    names = {policy.id: policy.name for policy in document.policies}
    same = [one for one in document.placement if one.predicted == one.record and not style.full]
    return Section(
        "Share of movable allocations in CMA",
        lines=[_unchanged(same, names)] if same else [],
        columns=("under", numeric("recorded"), numeric("predicted"), "over the runs"),
        rows=[
            (names[one.policy_id], _percent(one.record), _percent(one.predicted), _range(one))
            for one in document.placement
            if one not in same
        ],
    )


def _unchanged(same: Sequence[Placement], names: Mapping[str, str]) -> str:
    """Policies that change no share, in one line."""
    records = {one.record for one in same}
    share = f"{_percent(records.pop())}, " if len(records) == 1 else ""
    return f"{share}as recorded, under {', '.join(dict.fromkeys(names[one.policy_id] for one in same))}"


SIZES = {
    "asked": "the size in question", "fits_up_to": "fits the kernel's needs up to",
    "starves_from": "starves the kernel from", "holds_from": "held all ranges at once from",
}  # fmt: skip
SCOPES = {"movable": "ZONE_MOVABLE", "cma": "CMA areas"}


def _sizing(document: WhatIf) -> Section:
    return Section(
        "Sizes of memory for movable pages alone",
        columns=("of", "quantity", numeric("pages"), "verdict", "decided at"),
        rows=[
            (
                SCOPES[one.scope], SIZES[one.quantity], "-" if one.pages is None else f"{one.pages:,}", one.verdict,
                "-" if one.time_ns is None else format_seconds(one.time_ns),
            )
            for one in document.sizing
        ],
    )  # fmt: skip


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _range(one: Placement) -> str:
    return "-" if one.low is None or one.high is None else f"{one.low:.1%} to {one.high:.1%}"


def _fit(model: Model, style: Style) -> Section:
    why = f": {WHY.get(model.why, model.why)}" if model.why is not None else ""
    hidden = [_hidden(one) for one in model.hidden_pages if one.decisions]
    shown = [fit for fit in model.fit if style.full or not fit.ok or fit.measure in ("cma_share", "free_pages")]
    return Section(
        f"Model fit of {model.input_id}: {model.verdict}{why}",
        lines=hidden,
        columns=("measure", "of", numeric("recorded"), numeric("model"), numeric("error"), numeric("limit")),
        rows=[_fit_row(fit) for fit in shown],
        ok=model.verdict != "unfit",
    )


def _hidden(one: HiddenPages) -> str:
    """Pages that the snapshot counts as free and that are not, or the other way round; how well that is known."""
    if one.value < 0:
        text = f"zone {one.zone} had {-one.value:,} pages more free than the snapshot counts"
    else:
        text = f"{one.value:,} pages of zone {one.zone} had left the free lists unseen"
    low, high = ("no limit" if bound is None else f"{bound:,}" for bound in (one.low, one.high))
    between = f"between {low} and {high}; " if one.low != one.high else ""
    return f"{text} ({between}{one.violated:,} of {one.decisions:,} choices of the kernel say otherwise)"


def _fit_row(fit: Fit) -> tuple[str, ...]:
    numbers = tuple(f"{value:,.3f}".rstrip("0").rstrip(".") for value in (fit.record, fit.model, fit.error, fit.limit))
    return (fit.measure + ("" if fit.ok else " !"), fit.scope, *numbers)


CHECKED = {
    "taken": numeric("pages taken"),
    "taken_not_free": numeric("not free"),
    "drained_free": numeric("drained free"),
    "left_unseen": numeric("left unseen"),
    "freed_directly": numeric("freed past pcp"),
    "ranges": numeric("in ranges"),
    "ranges_not_free": numeric("not free"),
}


def _self_check(document: WhatIf) -> Section:
    return Section(
        "Free lists as recorded, in pages",
        columns=("input", *CHECKED.values()),
        rows=[(one.input_id, *(f"{getattr(one, name):,}" for name in CHECKED)) for one in document.self_check],
        ok=all(one.taken_not_free == 0 for one in document.self_check),
    )
