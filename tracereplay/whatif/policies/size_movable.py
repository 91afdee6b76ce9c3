"""A ZONE_MOVABLE of another size."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import PLACING, Change, Key, Policy

POLICY = Policy(
    name="size-movable",
    sentence="ZONE_MOVABLE has so many pages",
    discussed=("boot option movablecore=", "Documentation/admin-guide/mm/memory-hotplug.rst: 3:1 to 4:1 are fine"),
    state="merged",
    engine="guided",
    needs=PLACING,
    change=lambda values: Change(movable_pages=values["pages"]),
    keys=(Key("pages", "pages", "Size of the zone", 0),),
    says="Whether the kernel's own allocations of this trace would have had room. Where pages would lie is not known, "
    "nor what an offline would meet: those attempts are unknown.",
)
