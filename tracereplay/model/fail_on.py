"""`--fail-on`: rules on a result, for scripts and CI. Each looks at the whole document and says what it matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tracereplay.errors import UsageError, did_you_mean
from tracereplay.losses import Severity
from tracereplay.model.derived.judgement import FAILURES, has_acted
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Attempt, Culprit, Result

RULES = "failed, cause=CODE, holder=GLOB, proved, loss>=info|notice|loss|error, unexplained>N"
_UNEXPLAINED = (None, "unknown", "preexisting")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its text as given, and `find`, which names what it matches in a result, or None."""

    text: str
    find: Callable[[Result], str | None]


def parse_rules(text: str) -> list[Rule]:
    """The rules of a comma-separated list.

    `failed`: an attempt failed or was aborted by a signal. `cause`, `holder` and `proved` look at culprits that
    blocked or delayed an attempt, not at `would_block`. `unexplained`: failed attempts without a known cause.

    Raises UsageError naming the rule that is wrong and those that exist.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError(f"--fail-on names no rule; valid: {RULES}")
    return [Rule(word, _parse(word)) for word in words]


def first_match(rules: list[Rule], result: Result) -> str | None:
    """`rule: what it matched` of the first rule that matches, or None."""
    for rule in rules:
        if (found := rule.find(result)) is not None:
            return f"{rule.text}: {found}"
    return None


def _parse(word: str) -> Callable[[Result], str | None]:
    match word.partition("=") if ">" not in word else word.partition(">"):
        case ("failed", "", ""):
            return _failed
        case ("proved", "", ""):
            return _culprit(lambda culprit: culprit.verdict == "proved")
        case ("cause", "=", code) if code in EXPLANATIONS:
            return _cause(code)
        case ("holder", "=", pattern) if pattern:
            return _culprit(lambda culprit: any(fnmatchcase(name, pattern) for name in _holder_names(culprit)))
        case ("loss", ">", level) if level.removeprefix("=") in list(Severity) and level.startswith("="):
            return _loss(Severity(level[1:]).rank)
        case ("unexplained", ">", number) if number.isdecimal():
            return _unexplained(int(number))
        case ("cause", "=", code):
            near = did_you_mean(code, EXPLANATIONS)
            raise UsageError(f"--fail-on {word!r}: no cause {code!r}{near}; `tracereplay explain` lists them")
    near = did_you_mean(re.split("[=>]", word)[0], ("failed", "cause", "holder", "proved", "loss", "unexplained"))
    raise UsageError(f"--fail-on: unknown rule {word!r}{near}; valid: {RULES}")


def _failed(result: Result) -> str | None:
    failed = [attempt for attempt in result.attempts if attempt.outcome in FAILURES]
    return f"{_count(len(failed), 'attempt')}, first {failed[0].id}" if failed else None


def _cause(code: str) -> Callable[[Result], str | None]:
    blocking = _culprit(lambda culprit: culprit.cause == code)

    def find(result: Result) -> str | None:
        decided = next((attempt for attempt in result.attempts if attempt.cause == code), None)
        return blocking(result) or (f"attempt {decided.id}" if decided else None)

    return find


def _culprit(test: Callable[[Culprit], bool]) -> Callable[[Result], str | None]:
    def find(result: Result) -> str | None:
        for attempt, culprit in _blocking(result):
            if test(culprit):
                names = _holder_names(culprit)
                held = f" held by {names[0]}" if names else ""
                return f"PFN {culprit.start_pfn:#x} ({culprit.cause}, {culprit.verdict}{held}) in attempt {attempt.id}"
        return None

    return find


def _loss(rank: int) -> Callable[[Result], str | None]:
    def find(result: Result) -> str | None:
        found = [loss for loss in result.data_loss if Severity(loss.severity).rank >= rank]
        return f"{_count(len(found), 'loss', 'losses')}, first {found[0].code}" if found else None

    return find


def _unexplained(limit: int) -> Callable[[Result], str | None]:
    def find(result: Result) -> str | None:
        found = [a for a in result.attempts if a.outcome in FAILURES and a.cause in _UNEXPLAINED]
        return f"{_count(len(found), 'attempt')}, first {found[0].id}" if len(found) > limit else None

    return find


def _blocking(result: Result) -> Iterator[tuple[Attempt, Culprit]]:
    for attempt in result.attempts:
        for culprit in attempt.culprits:
            if has_acted(culprit):
                yield attempt, culprit


def _holder_names(culprit: Culprit) -> list[str]:
    names = [culprit.holder.comm if culprit.holder else None, culprit.holder_name]
    return [name for name in names if name]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
