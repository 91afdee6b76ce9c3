"""Dirty large folios are split when no page of their order is free."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import PLACING, Change, Policy

POLICY = Policy(
    name="split-dirty",
    sentence="A folio for which no destination of its order is free is split and moved page by page, dirty or not",
    discussed=("LSF/MM 2025 topic [3] (linux-fsdevel 2025-01)", "Zi Yan: non-uniform folio split"),
    state="discussed",
    engine="blockers",
    needs=PLACING,
    change=lambda _values: Change(split_destinations=True),
    says="Attempts that failed for a destination (ENOMEM) are saved where single pages were free, as recorded.",
)
