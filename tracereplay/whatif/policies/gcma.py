"""A CMA area that holds clean page cache only."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy

POLICY = Policy(
    name="gcma",
    sentence="Guaranteed CMA: the area holds clean cache without references only, so nothing in it can block",
    discussed=("GCMA (IEEE TC 2019)", "Baghdasaryan, RFC (linux-mm 2025-03), v1 2025-10-09, v2 2025-10-26"),
    state="posted",
    engine="blockers",
    change=lambda values: Change(guaranteed=True, drop_ns=values["drop"]),
    keys=(Key("drop", "duration", "Time to drop one clean page; left out: as the trace frees page cache"),),
    says="Every allocation that fits the area succeeds. Cost: what the record had there that is no page cache has to "
    "find room elsewhere; at most the time to drop every page of the request. Reads of dropped pages are not modelled.",
)
