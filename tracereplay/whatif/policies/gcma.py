"""A CMA area that holds clean page cache only."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy

POLICY = Policy(
    name="gcma",
    sentence="Guaranteed CMA: the area holds clean cache without references only, so nothing in it can block",
    discussed=("GCMA (IEEE TC 2019)", "Baghdasaryan, RFC (linux-mm 2025-03), v1 2025-10-09, v2 2025-10-26"),
    state="posted",
    engine="blockers",
    change=lambda _values: Change(guaranteed=True),
    says="Every allocation that fits the area succeeds. Cost: what the record had in the area has to be elsewhere.",
)
