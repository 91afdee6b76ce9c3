"""Policies requested on the command line: `NAME[:key=value,...]`, several joined by `+`, as one change."""

from __future__ import annotations

# The names of engines are those of the policies, which are literals.
# pyright: reportReturnType=false
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracereplay.errors import UsageError, did_you_mean
from tracereplay.model.whatif import Engine
from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.policies.spec import Change, Key, Policy
from tracereplay.whatif.policies.table import POLICIES
from tracereplay.whatif.requests import Bytes, Requests

UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
LIMIT = 1 << 62
ENGINES: tuple[Engine, ...] = ("record", "blockers", "guided")


@dataclass(frozen=True, slots=True)
class RequestedPolicy:
    """One `--policy`: its text, the policies in it with their keys, and the change they make together."""

    text: str
    parts: Sequence[tuple[Policy, Mapping[str, Any]]]
    change: Change

    @property
    def engine(self) -> Engine:
        """The strongest engine one of its policies needs."""
        return max((policy.engine for policy, _ in self.parts), key=ENGINES.index)

    @property
    def needs(self) -> list[str]:
        """Events that its policies cannot do without."""
        return sorted({event for policy, _ in self.parts for event in policy.needs})

    @property
    def parameters(self) -> dict[str, str]:
        """Every key that has a value, as text; of several policies with the policy's name."""
        several = len(self.parts) > 1
        return {
            f"{policy.name}.{key}" if several else key: str(value)
            for policy, values in self.parts
            for key, value in values.items()
            if value is not None and value is not False
        }


def parse_policy(text: str) -> RequestedPolicy:
    """Raises UsageError for a policy or key that does not exist, a value that cannot be, or rules that conflict."""
    parts = [_parse_one(part.strip()) for part in text.split("+")]
    return RequestedPolicy(text, parts, _merge(text, [policy.change(values) for policy, values in parts]))


def every_policy() -> list[RequestedPolicy]:
    """`--all`: each policy that does something without keys of its own."""
    found = []
    for name in POLICIES:
        try:
            one = parse_policy(name)
        except UsageError:
            continue
        if one.change.not_modelled is None and name not in ("none", "size-cma", "size-movable"):
            found.append(one)
    return [*found, parse_policy("cma-ratio:never"), parse_policy("cma-ratio:first")]


def _parse_one(text: str) -> tuple[Policy, Mapping[str, Any]]:
    name, _, rest = text.partition(":")
    policy = POLICIES.get(name)
    if policy is None:
        raise UsageError(f"no policy {name!r}{did_you_mean(name, POLICIES)}; `tracereplay whatif --list` has them")
    values: dict[str, Any] = {key.name: False if key.kind == "flag" else key.default for key in policy.keys}
    known = {key.name: key for key in policy.keys}
    for word in filter(None, rest.split(",")):
        given, equals, value = word.partition("=")
        key = known.get(given)
        if key is None:
            near = did_you_mean(given, known)
            raise UsageError(f"policy {name} has no key {given!r}{near}; it has {', '.join(known) or 'none'}")
        if (key.kind == "flag") == bool(equals):
            raise UsageError(f"policy {name}: {given} {'is a word alone' if equals else 'needs a value'}")
        values[given] = True if key.kind == "flag" else _value(name, key, value)
    return policy, values


def _value(policy: str, key: Key, text: str) -> Any:
    """The value of a key by its kind."""
    if key.choices and text not in key.choices:
        near = did_you_mean(text, key.choices)
        raise UsageError(f"policy {policy}: {key.name} is one of {', '.join(key.choices)}, not {text!r}{near}")
    if key.kind == "text":
        return text
    if key.kind == "duration":
        return _duration(policy, key, text)
    try:
        number = int(text, 0)
    except ValueError:
        raise UsageError(f"policy {policy}: {key.name} is a number, not {text!r}") from None
    if not 0 <= number < (101 if key.kind == "percent" else LIMIT):
        raise UsageError(f"policy {policy}: {key.name}={text} is out of range")
    return number


def _duration(policy: str, key: Key, text: str) -> int:
    digits = text.rstrip("nsum")
    unit = UNITS_NS.get(text[len(digits) :])
    if unit is None or not digits.replace(".", "", 1).isdecimal() or len(digits) > 12:
        raise UsageError(f"policy {policy}: {key.name} is a duration like 100ms or 2s, not {text!r}")
    return round(float(digits) * unit)


def _merge(text: str, changes: Sequence[Change]) -> Change:
    """All changes as one; two that set one thing differently are an error."""
    rules: dict[Rule, int] = {}
    single: dict[str, Any] = {}
    for change in changes:
        for rule, number in change.rules.items():
            if rules.setdefault(rule, number) != number:
                raise UsageError(f"--policy {text}: two policies set {rule.name.lower()} differently")
        for name in ("retry", "drop_ns", "area_pages", "movable_pages", "pool", "migratable", "not_modelled"):
            value = getattr(change, name)
            if value is not None and single.setdefault(name, value) != value:
                raise UsageError(f"--policy {text}: two policies set {name} differently")
    requests = [change.request for change in changes if change.request is not None]
    return Change(
        rules=rules,
        request=_one_after_the_other(requests) if requests else None,
        gone=frozenset().union(*(change.gone for change in changes)),
        past_blocker=any(change.past_blocker for change in changes),
        guaranteed=any(change.guaranteed for change in changes),
        split_destinations=any(change.split_destinations for change in changes),
        **single,
    )


def _one_after_the_other(requests: Sequence[Any]) -> Any:
    """Several changes of requests: each sees the record's; the first that changes an allocation decides it."""
    if len(requests) == 1:
        return requests[0]

    def all_of_them(record: Requests) -> Bytes:
        want = record.want.copy()
        for request in reversed(requests):
            new = request(record)
            changed = new != record.want
            want[changed] = new[changed]
        return want

    return all_of_them
