"""`corpus gate`: rules over a whole corpus, for CI. Each says what it counted, whether it matched or not.

    broken[>N|>N%]        traces that could not be analysed
    failed[>...]          attempts that failed
    unexplained[>...]     failed attempts without a known cause
    proved[>...]          attempts with a proved culprit
    cause=CODE[>...]      attempts with that cause, holder=GLOB likewise
    loss>=SEVERITY[>...]  traces that lost data
    new, more             against a base: what is met that was not, or significantly more often

Without a bound, one is enough to match. A share is of traces (broken, loss) or attempts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tracereplay import __version__
from tracereplay.corpus.compare import compare
from tracereplay.corpus.query import Selection
from tracereplay.corpus.tables import ANALYSED
from tracereplay.errors import UsageError, did_you_mean
from tracereplay.losses import Severity
from tracereplay.model.corpus import Change, CorpusGate, RuleResult
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Tool

RULES = "broken, failed, unexplained, proved, cause=CODE, holder=GLOB, loss>=SEVERITY, each with >N or >N%; new, more"
EXAMPLES = 5
_RULE = re.compile(
    r"(?P<what>broken|failed|unexplained|proved|cause=(?P<cause>\w+)|holder=(?P<holder>[^>]+)|loss>=(?P<loss>\w+))"
    r"(?:>(?P<bound>\d+(?:\.\d+)?)(?P<percent>%)?)?"
)
_AGAINST = ("new", "more")
WORDS = (*_AGAINST, "broken", "failed", "unexplained", "proved", "cause", "holder", "loss")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. found -- SQL of the paths it is about, one row each attempt or trace, with the values it takes; of --
    SQL that counts what a share is of; kind -- what a row is; change -- instead: a kind of change against a base."""

    text: str
    found: str = ""
    values: tuple[str, ...] = ()
    of: str = "SELECT count(*) FROM tried"
    kind: str = "attempt"
    bound: Decimal = Decimal(0)
    is_share: bool = False
    change: str | None = None


def parse_gate(text: str) -> list[Rule]:
    """The rules of a comma-separated list. Raises UsageError naming the one that is wrong."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError(f"--fail-on names no rule; valid: {RULES}")
    return [_parse(word) for word in words]


def _parse(word: str) -> Rule:
    if word in _AGAINST:
        return Rule(word, change=word)
    match = _RULE.fullmatch(word)
    if match is None:
        near = did_you_mean(re.split("[=>]", word)[0], WORDS)
        raise UsageError(f"--fail-on: unknown rule {word!r}{near}; valid: {RULES}")
    bound, is_share = Decimal(match["bound"] or 0), match["percent"] is not None
    incidents = "SELECT DISTINCT path, attempt_id FROM incidents WHERE "
    if match["cause"] is not None:
        if match["cause"] not in EXPLANATIONS:
            raise UsageError(f"--fail-on {word!r}: no cause {match['cause']!r}; `tracereplay explain` lists them")
        return Rule(word, f"{incidents} cause = ?", (match["cause"],), bound=bound, is_share=is_share)
    if match["holder"] is not None:
        return Rule(word, f"{incidents} holder GLOB ?", (match["holder"],), bound=bound, is_share=is_share)
    if match["loss"] is not None:
        if match["loss"] not in list(Severity):
            raise UsageError(f"--fail-on {word!r}: no severity {match['loss']!r}; valid: {', '.join(Severity)}")
        worse = [level.value for level in Severity if level.rank >= Severity(match["loss"]).rank]
        found = "SELECT DISTINCT path FROM losses JOIN analyses USING (key) WHERE list_contains(?, severity)"
        traces = "SELECT count(*) FROM analyses"
        return Rule(word, found, tuple(worse), of=traces, kind="trace", bound=bound, is_share=is_share)
    if match["what"] == "broken":
        found = f"SELECT path FROM chosen WHERE status <> '{ANALYSED}'"
        return Rule(word, found, of="SELECT count(*) FROM chosen", kind="trace", bound=bound, is_share=is_share)
    if match["what"] == "proved":
        return Rule(word, f"{incidents} verdict = 'proved'", bound=bound, is_share=is_share)
    return Rule(word, f"SELECT path, attempt_id FROM tried WHERE {match['what']}", bound=bound, is_share=is_share)


def gate(rules: Sequence[Rule], selection: Selection, base: Selection | None, argv: Sequence[str] = ()) -> CorpusGate:
    """What every rule says. Raises UsageError where one needs a base and there is none."""
    changes: list[Change] | None = None
    results = []
    for rule in rules:
        if rule.change is None:
            results.append(_counted(rule, selection))
            continue
        if base is None:
            raise UsageError(f"--fail-on {rule.text}: needs --against STORE to compare with")
        changes = compare(base, selection).changes if changes is None else changes
        results.append(_changed(rule, changes))
    return CorpusGate(
        tool=Tool(version=__version__, argv=list(argv)),
        store=selection.store.url,
        where=[str(one) for one in selection.where],
        rules=results,
    )


def _counted(rule: Rule, selection: Selection) -> RuleResult:
    values: list[object] = [list(rule.values)] if "list_contains" in rule.found else list(rule.values)
    ((number,),) = selection.ask(f"SELECT count(*) FROM ({rule.found})", values)
    ((of,),) = selection.ask(rule.of)
    examples = selection.ask(f"SELECT DISTINCT path FROM ({rule.found}) ORDER BY path LIMIT {EXAMPLES}", values)
    count, total = int(str(number)), int(str(of))
    share = Decimal(100 * count) / total if total else Decimal(0)
    plural = "" if total == 1 else "s"
    return RuleResult(
        rule=rule.text,
        matched=(share if rule.is_share else count) > rule.bound,
        says=f"{count:,} of {total:,} {rule.kind}{plural} ({share:.1f} %)",
        examples=[str(path) for (path,) in examples],
    )


def _changed(rule: Rule, changes: Sequence[Change]) -> RuleResult:
    """`new`: met in no trace of the base; `more`: in some; both only where chance does not explain it."""
    found = [change for change in changes if change.significant and change.kind == rule.change]
    names = [" ".join(filter(None, (c.subject, c.cause, c.holder))) for c in found]
    return RuleResult(
        rule=rule.text,
        matched=bool(found),
        says=f"{', '.join(names)}" if names else "nothing that chance does not explain",
        examples=[example.path for change in found for example in change.examples][:EXAMPLES],
    )
