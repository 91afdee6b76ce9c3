"""Placement by superpageblocks: not modelled yet."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy

POLICY = Policy(
    name="superpageblock",
    sentence="Unmovable allocations are kept together in 1 GiB superpageblocks",
    discussed=("van Riel, RFC (linux-mm 2026-04-30 and 2026-05-20)",),
    state="posted",
    engine="guided",
    change=lambda _values: Change(not_modelled="not_modelled"),
    says="Listed because its absence would look like an answer.",
)
