"""The whole document from what a session hands over."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tracereplay.model.result import Result
from tracereplay.model.whatif import BlameOf, WhatIf
from tracereplay.whatif.answer import answer_policy, examine, policy_run, ranked, summarise
from tracereplay.whatif.question import Asked
from tracereplay.whatif.replay import Replay, TraceFacts


def make_document(blamed: Result, traces: Sequence[TraceFacts], asked: Sequence[Asked], runs: int) -> WhatIf:
    """Self-check and fit of every trace, and its attempts under every policy asked for."""
    replays = [Replay(facts) for facts in traces]
    parts = [examine(replay) for replay in replays]
    by_event = [facts.by_event for facts in traces]
    policies = [policy_run(one, number, by_event) for number, one in enumerate(asked)]
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
    for policy, one in zip(policies, asked, strict=True):
        answers = [answer_policy(replay, policy, one, runs) for replay in replays]
        document.results += [result for answer in answers for result in answer.results]
        document.placement += [answer.placement for answer in answers if answer.placement is not None]
    document.summary = ranked([summarise(policy, document.results) for policy in policies])
    return document


def _digest(blamed: Result) -> str:
    """SHA-256 of the document of `blame` without `tool` and `inputs`: the same however the inputs are named."""
    plain = msgspec.to_builtins(blamed)
    del plain["tool"], plain["inputs"]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
