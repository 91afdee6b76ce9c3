"""What to do about what blocked: one step for each cause, those that blocked most attempts first."""

from __future__ import annotations

from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Result
from tracereplay.reports.shared.selection import causes_of, notable_attempts


def advice(result: Result) -> list[tuple[str, str]]:
    """(cause, step) for each cause that is explained."""
    ranked = [blocker.cause for summary in result.summary for blocker in summary.blockers]
    codes = dict.fromkeys([*ranked, *causes_of(notable_attempts(result))])
    return [(code, EXPLANATIONS[code].what_to_do[0]) for code in codes if code in EXPLANATIONS]
