"""The kernel's own rules: a check of the tool, not of a kernel."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy

POLICY = Policy(
    name="none",
    sentence="Nothing changes: answers are the record's own",
    discussed=(),
    state="none",
    engine="record",
    change=lambda _values: Change(),
    says="Placement under it is the model's, beside the record's: how well the trace is reproduced.",
)
