"""cma_alloc goes on after the page that blocked."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy

POLICY = Policy(
    name="step",
    sentence="After EBUSY the next range begins after the page that blocked, not one alignment step further",
    discussed=(),
    state="none",
    engine="blockers",
    change=lambda _values: Change(past_blocker=True),
    says="How many tries are saved; the outcome is that of the stock walk, which tries a superset of the ranges.",
)
