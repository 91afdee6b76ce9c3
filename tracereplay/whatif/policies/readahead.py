"""Reads that have not ended do not hold up a migration."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy

POLICY = Policy(
    name="readahead",
    sentence="Folios locked for a read that has not ended are dropped or skipped, not waited for",
    discussed=("LSF/MM 2025 topic (Hildenbrand, linux-fsdevel 2025-01): FUSE readahead",),
    state="discussed",
    engine="blockers",
    change=lambda _values: Change(gone=frozenset({"locked_folio"})),
    says="Waits for locked folios vanish.",
)
