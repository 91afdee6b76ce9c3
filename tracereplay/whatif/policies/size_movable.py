"""A ZONE_MOVABLE of another size."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy

POLICY = Policy(
    name="size-movable",
    sentence="ZONE_MOVABLE has so many pages",
    discussed=("boot option movablecore=", "Documentation/admin-guide/mm/memory-hotplug.rst: 3:1 to 4:1 are fine"),
    state="merged",
    engine="blockers",
    change=lambda values: Change(movable_pages=values["pages"]),
    keys=(Key("pages", "pages", "Size of the zone", 0),),
    says="Whether the kernel's own allocations would have fitted beside it; outcomes of offlines are not modelled.",
)
