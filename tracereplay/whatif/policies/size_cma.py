"""A CMA area of another size."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import PLACING, Change, Key, Policy

POLICY = Policy(
    name="size-cma",
    sentence="The CMA area has so many pages",
    discussed=("boot option cma=",),
    state="merged",
    engine="guided",
    needs=PLACING,
    change=lambda values: Change(area_pages=values["pages"]),
    keys=(Key("pages", "pages", "Size of the area", 0),),
    says="Requests larger than the area fail, but for those made from its size. Where its first page would be is not "
    "known, nor what would be in it.",
)
