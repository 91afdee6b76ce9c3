"""What to do about what blocked: by cause and by the call that took the reference, most attempts blocked first."""

from __future__ import annotations

from tracereplay.model.derived.selection import causes_of, notable_attempts
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.explain.mechanism_steps import MECHANISM_STEPS
from tracereplay.model.result import Result


def advice(result: Result, *, full: bool = False) -> list[tuple[str, str]]:
    """(cause, step): for each cause that is explained the step that fits its mechanism, else the first; full: all."""
    mechanisms: dict[str, dict[str | None, None]] = {}
    for blocker in (blocker for summary in result.summary for blocker in summary.blockers):
        mechanisms.setdefault(blocker.cause, {})[blocker.mechanism] = None
    causes = causes_of(notable_attempts(result))
    # An attempt of a log that nothing explains has steps of its own (`capture_next`).
    found = dict.fromkeys(code for code in (*mechanisms, *causes) if code != "unknown" or code in causes)
    codes = sorted(found, key=lambda code: code == "unknown")
    steps = {code: _steps(code, list(mechanisms.get(code, {})), full=full) for code in codes if code in EXPLANATIONS}
    return [(code, step) for code, listed in steps.items() for step in listed]


def _steps(code: str, mechanisms: list[str | None], *, full: bool) -> list[str]:
    known = [MECHANISM_STEPS[name] for name in mechanisms if name in MECHANISM_STEPS]
    usual = EXPLANATIONS[code].what_to_do
    if full:
        return list(dict.fromkeys([*known, *usual]))
    all_known = known and len(known) == len(mechanisms)
    return list(dict.fromkeys(known if all_known else [*known, usual[0]]))
