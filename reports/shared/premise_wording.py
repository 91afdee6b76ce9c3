"""Why a verdict is not `proved`, in words: the premises that fail, and what was lost where one rests on all events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.premises import PREMISES
from tracereplay.model.result import LOSSES_NAMED, Culprit, DataLoss, Result
from tracereplay.reports.shared.wording import count, listing, moment

RECORDED = "recorded"
MAX_REASONS_LENGTH = 90  # of several reasons in one line; longer, they are counted
MAX_CPUS = 4
_WORST_FIRST = ("error", "loss", "notice", "info")


def why(culprits: Sequence[Culprit], result: Result) -> str | None:
    """`suggested: CPU 1 recorded nothing`: the claim that is not proved, and why; None where nothing says why.

    culprits -- alike in verdict and failed premises; at least one.
    """
    c = culprits[0]
    claim: str = c.verdict
    if c.verdict == "proved":
        if c.holder_verdict == "proved" or not c.premises_failed:
            return None
        claim = f"holder {c.holder_verdict}"
    found = reasons(culprits, result)
    return f"{claim}: {_short(found)}" if found else None


def reasons(culprits: Sequence[Culprit], result: Result) -> list[str]:
    """A few words for each premise that fails, in the order of the result; losses stand for `recorded`."""
    lost = _lost(culprits, result)
    codes = list(dict.fromkeys(code for c in culprits for code in c.premises_failed))
    if lost and RECORDED not in codes:
        codes.append(RECORDED)
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


def _lost(culprits: Sequence[Culprit], result: Result) -> str | None:
    """The worst of the losses that weaken them, those of its kind taken together; None where no row is named."""
    ids = {loss_id for c in culprits for loss_id in c.weakened_by}
    if any(len(c.weakened_by) == LOSSES_NAMED for c in culprits):  # perhaps not all of them
        attempts = {c.id.rpartition("/")[0] for c in culprits}
        ids |= {loss_id for a in result.attempts if a.id in attempts for loss_id in a.weakened_by}
    losses = sorted((x for x in result.data_loss if x.id in ids), key=lambda x: _WORST_FIRST.index(x.severity))
    if not losses:
        return None
    return _of_one_kind([x for x in losses if x.code == losses[0].code], _units(result))


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
