"""Why a verdict is not `proved`, in words: the premises that fail, and what was lost where one rests on all events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.derived.doubts import RECORDED, doubted, failed_codes, worst_losses
from tracereplay.model.premises import PREMISES
from tracereplay.model.result import Culprit, DataLoss, Result
from tracereplay.reports.shared.wording import count, listing, moment

MAX_REASONS_LENGTH = 90  # of several reasons in one line; longer, they are counted
MAX_CPUS = 4


def why(culprits: Sequence[Culprit], result: Result) -> str | None:
    """`suggested: CPU 1 recorded nothing`: the claim that is not proved, and why; None where nothing says why.

    culprits -- alike in verdict and failed premises; at least one.
    """
    doubt = doubted(culprits[0])
    found = reasons(culprits, result) if doubt is not None else []
    if doubt is None or not found:
        return None
    claim, sure = doubt
    return f"{'holder ' if claim == 'holder' else ''}{sure}: {_short(found)}"


def reasons(culprits: Sequence[Culprit], result: Result) -> list[str]:
    """A few words for each premise that fails, in the order of the result; losses stand for `recorded`."""
    losses = worst_losses(culprits, result)
    lost = _of_one_kind(losses, _units(result)) if losses else None
    codes = failed_codes(culprits, lossy=bool(losses))
    return [lost if code == RECORDED and lost else _reason(code) for code in codes]


def failed_premises(c: Culprit) -> list[str]:
    """In full, for each premise that fails: `premise recorded does not hold: Every kind of event ...`."""
    sentences = {code: f": {PREMISES[code].sentence}" for code in c.premises_failed if code in PREMISES}
    return [f"premise {code} does not hold{sentences.get(code, '')}" for code in c.premises_failed]


def _reason(code: str) -> str:
    return PREMISES[code].reason if code in PREMISES else code


def _short(found: Sequence[str]) -> str:
    joined = ", ".join(found)
    if len(found) == 1 or len(joined) <= MAX_REASONS_LENGTH:
        return joined
    return f"{found[0]}, and {len(found) - 1} more"


def _of_one_kind(losses: Sequence[DataLoss], units: dict[str, str]) -> str:
    kind = LOSS_KINDS.get(losses[0].code)
    if kind is None:
        return losses[0].code
    if not kind.reason:
        return kind.doc[:1].lower() + kind.doc[1:]
    numbers = [x.count for x in losses if x.count is not None]
    cpu = _cpus(x.cpu for x in losses)
    ends = [x.end_ns for x in losses]
    until = max((end for end in ends if end is not None), default=None) if all(e is not None for e in ends) else None
    since = min((x.start_ns for x in losses if x.start_ns is not None), default=None)
    unit = units.get(losses[0].input_id or "", "ns")
    return kind.reason.format(
        count=count(sum(numbers), "event") if numbers else "events",
        cpu=cpu or "a CPU",
        on=f" on {cpu}" if cpu else "",
        before="" if until is None else f" before {moment(until, unit)}",
        after="" if since is None else f" after {moment(since, unit)}",
        detail=next((x.detail for x in losses if x.detail), "a kind of event"),
    )


def _cpus(cpus: Iterable[int | None]) -> str | None:
    known = sorted({cpu for cpu in cpus if cpu is not None})
    if not known:
        return None
    return f"CPU {listing(map(str, known))}" if len(known) <= MAX_CPUS else f"{len(known)} CPUs"


def _units(result: Result) -> dict[str, str]:
    return {source.id: source.clock_unit for source in result.inputs}
