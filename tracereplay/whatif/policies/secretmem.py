"""Where secretmem's pages are."""

from __future__ import annotations

import numpy as np

from tracereplay.whatif.guided_kernels import CMA_ALLOWED, STUCK
from tracereplay.whatif.page_rows import MigrateType
from tracereplay.whatif.policies.spec import PLACING, Change, Key, Policy, Values
from tracereplay.whatif.requests import Bytes, Requests, without_movable

PLACES = ("movable", "unmovable", "migratable")
STUCK_MOVABLE = MigrateType.MOVABLE | CMA_ALLOWED | STUCK


def _in_movable(requests: Requests) -> Bytes:
    """As before 5.14: GFP_HIGHUSER_MOVABLE; secretmem_migrate_folio() returns -EBUSY."""
    return np.where(requests.secretmem(), STUCK_MOVABLE, requests.want).astype(np.uint8)


def _elsewhere(requests: Requests) -> Bytes:
    return without_movable(requests, requests.secretmem())


def _change(values: Values) -> Change:
    if values["where"] == "migratable":
        return Change(gone=frozenset({"secretmem"}), migratable=Requests.secretmem)
    return Change(request=_in_movable if values["where"] == "movable" else _elsewhere)


POLICY = Policy(
    name="secretmem",
    sentence="Pages of memfd_secret() are allocated as movable memory, or are not",
    discussed=("Rapoport, Hildenbrand (linux-kernel 2020-11): endless offline, CMA defeated; movable until 5.14",),
    state="discussed",
    engine="guided",
    needs=(*PLACING, "mm_filemap_add_to_page_cache"),
    change=_change,
    keys=(
        Key("where", "text", "movable, unmovable, or migratable", "unmovable", ("movable", "unmovable", "migratable")),
    ),
    says="In movable memory they block every range they lie in until they are unmapped.",
)
