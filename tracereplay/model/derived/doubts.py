"""What keeps a verdict from being `proved`: premises that fail, and the losses that make one of them fail."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.derived.inputs import WORST_FIRST
from tracereplay.model.result import LOSSES_NAMED, Culprit, DataLoss, Result, Verdict

RECORDED = "recorded"  # the premise that losses make fail


def doubted(c: Culprit) -> tuple[str, Verdict] | None:
    """(`verdict` or `holder`, how sure it is): the claim that is not proved; None: nothing says why."""
    if c.verdict != "proved":
        return "verdict", c.verdict
    return None if c.holder_verdict == "proved" or not c.premises_failed else ("holder", c.holder_verdict)


def failed_codes(culprits: Sequence[Culprit], *, lossy: bool) -> list[str]:
    """Codes of the premises that fail, each once, in the order of the result; `recorded` too where events were lost."""
    codes = list(dict.fromkeys(code for c in culprits for code in c.premises_failed))
    return [*codes, RECORDED] if lossy and RECORDED not in codes else codes


def worst_losses(culprits: Sequence[Culprit], result: Result) -> list[DataLoss]:
    """Of the losses that weaken them the worst, and all others of its kind."""
    ids = {loss_id for c in culprits for loss_id in c.weakened_by}
    if any(len(c.weakened_by) == LOSSES_NAMED for c in culprits):  # perhaps not all of them
        attempts = {c.id.rpartition("/")[0] for c in culprits}
        ids |= {loss_id for a in result.attempts if a.id in attempts for loss_id in a.weakened_by}
    losses = sorted((x for x in result.data_loss if x.id in ids), key=lambda x: WORST_FIRST.index(x.severity))
    return [x for x in losses if x.code == losses[0].code]
