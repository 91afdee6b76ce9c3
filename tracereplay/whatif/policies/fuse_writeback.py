"""FUSE writes back through temporary pages, or its writeback ends."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy

POLICY = Policy(
    name="fuse-writeback",
    sentence="Writeback pages of FUSE are copied to temporary pages: the folio itself is not under writeback meanwhile",
    discussed=("Koong, v5 and v6: fuse: remove temp page copies in writeback (linux-fsdevel 2024-11); merged in 6.16",),
    state="merged",
    engine="blockers",
    change=lambda _values: Change(gone=frozenset({"writeback"})),
    keys=(Key("temp-pages", "flag", "As before 6.16 (the only form)", True),),
    says=(
        "Waits for writeback vanish where the file system is FUSE, or has no block device and no mount names it. "
        "Cost: an unmovable page for each."
    ),
)
