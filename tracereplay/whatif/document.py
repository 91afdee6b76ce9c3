"""The whole document from what a session hands over."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tracereplay.model.result import Result
from tracereplay.model.whatif import BlameOf, SizeScope, WhatIf
from tracereplay.whatif.answer import answer_policy, examine, policy_run, ranked, summarise
from tracereplay.whatif.policies.spec import Change
from tracereplay.whatif.question import RequestedPolicy
from tracereplay.whatif.replay import Replay, TraceFacts


def make_document(
    blamed: Result,
    traces: Sequence[TraceFacts],
    requested: Sequence[RequestedPolicy],
    runs: int,
    sizes: Sequence[SizeScope] = (),
) -> WhatIf:
    """Self-check and fit of every trace, and its attempts under every policy. sizes -- kinds of memory to size."""
    replays = [Replay(facts) for facts in traces]
    parts = [examine(replay) for replay in replays]
    by_event = [facts.by_event for facts in traces]
    policies = [policy_run(one, number, by_event) for number, one in enumerate(requested)]
    document = WhatIf(
        tool=blamed.tool,
        inputs=blamed.inputs,
        data_loss=blamed.data_loss,
        blame=BlameOf(sha256=_digest(blamed)),
        rules=[part.rules for part in parts if part.rules is not None],
        self_check=[part.check for part in parts if part.check is not None],
        model=[part.model for part in parts],
        policies=policies,
        counters=[counter for part in parts for counter in part.counters],
    )
    for policy, one in zip(policies, requested, strict=True):
        answers = [answer_policy(replay, policy, one, runs) for replay in replays]
        document.results += [result for answer in answers for result in answer.results]
        document.placement += [answer.placement for answer in answers if answer.placement is not None]
    document.sizing = [row for replay in replays for scope in sizes for row in replay.sizing(scope)]
    document.sizing += [
        replay.requested_size(scope, pages)
        for replay in replays
        for one in requested
        for scope, pages in _sizes_of(one.change)
    ]
    document.summary = ranked([summarise(policy, document.results) for policy in policies])
    return document


def _sizes_of(change: Change) -> list[tuple[SizeScope, int]]:
    """The sizes that a policy sets."""
    found: list[tuple[SizeScope, int]] = []
    if change.movable_pages is not None:
        found.append(("movable", change.movable_pages))
    if change.area_pages is not None:
        found.append(("cma", change.area_pages))
    return found


def _digest(blamed: Result) -> str:
    """SHA-256 of the document of `blame` without `tool` and `inputs`: the same however the inputs are named."""
    plain = msgspec.to_builtins(blamed)
    del plain["tool"], plain["inputs"]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
