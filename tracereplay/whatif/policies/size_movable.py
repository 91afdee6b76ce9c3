"""A ZONE_MOVABLE of another size."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy

POLICY = Policy(
    name="size-movable",
    sentence="ZONE_MOVABLE has so many pages",
    discussed=("boot option movablecore=", "Documentation/admin-guide/mm/memory-hotplug.rst: 3:1 to 4:1 are fine"),
    state="merged",
    engine="blockers",
    change=lambda _values: Change(not_modelled="not_modelled"),
    keys=(Key("pages", "pages", "Size of the zone", 0),),
    says="Not modelled yet: every answer is unknown. It takes the kernel's own allocations and their watermarks.",
)
