"""Allocations of chosen tasks are not movable."""

from __future__ import annotations

import numpy as np

from tracereplay.errors import UsageError
from tracereplay.whatif.policies.spec import Change, Key, Policy, Values
from tracereplay.whatif.requests import Bytes, Requests, without_movable


def _change(values: Values) -> Change:
    if values["comm"] is None and values["gfp"] is None:
        raise UsageError("nomovable takes comm=NAME or gfp=MASK")

    def request(requests: Requests) -> Bytes:
        chosen = requests.allocs()
        if values["comm"] is not None:
            chosen &= requests.by_comm(values["comm"])
        if values["gfp"] is not None:
            chosen &= np.asarray(requests.script.events["gfp"] & values["gfp"] == values["gfp"])
        return without_movable(requests, chosen)

    return Change(request=request)


POLICY = Policy(
    name="nomovable",
    sentence="Allocations of tasks of this name lose __GFP_MOVABLE",
    discussed=("RFC: mm: introduce MADV_NOMOVABLE (Baolin Wang, linux-mm 2022-10), NAKed by Hildenbrand",),
    state="rejected",
    engine="blockers",
    change=_change,
    keys=(
        Key("comm", "text", "Name of the tasks"),
        Key("gfp", "count", "Only allocations with all these GFP bits (a number)"),
    ),
    says="Pages allocated within the trace are neither in CMA nor in ZONE_MOVABLE: they block nothing there, and a "
    "long-term pin of them needs no migration. Cost: unmovable pages.",
)
