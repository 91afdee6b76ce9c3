"""Secretmem from a pool of large blocks."""

from __future__ import annotations

from tracereplay.errors import UsageError
from tracereplay.whatif.policies.spec import PLACING, Change, Key, Policy, Values
from tracereplay.whatif.pools import Pool
from tracereplay.whatif.requests import Bytes, Requests, without_movable


def _elsewhere(requests: Requests) -> Bytes:
    return without_movable(requests, requests.secretmem())


def _change(values: Values) -> Change:
    if values["order"] > 10:
        raise UsageError("secretmem-pool: order is at most 10 (MAX_PAGE_ORDER)")
    pool = Pool(values["order"], values["limit"], values["cma"])
    if pool.in_cma and not pool.limit_pages:
        raise UsageError("secretmem-pool: a pool in CMA takes limit=PAGES, which it never exceeds")
    return Change(pool=pool, request=_elsewhere)


POLICY = Policy(
    name="secretmem-pool",
    sentence="memfd_secret() takes its pages from a pool of blocks of one order, single pages where none is free",
    discussed=(
        "Rapoport, mm: introduce memfd_secret, v1 to v16 (linux-mm 2020-07 to 2021-01): a pool of PMDs, once of CMA",
    ),
    state="rejected",
    engine="guided",
    needs=(*PLACING, "mm_filemap_add_to_page_cache"),
    change=_change,
    keys=(
        Key("order", "count", "Order of the blocks; 9 is a PMD of 4 KiB pages", 9),
        Key("limit", "pages", "Pages the pool may have, 0: no limit", 0),
        Key("cma", "flag", "The blocks are taken from a CMA area; takes a limit"),
    ),
    says="How many blocks the peak of the record takes, whether so many were free, and how many splits of the direct "
    "map that saves, at best. In CMA the pool takes room for itself: attempts are unknown unless it leaves enough.",
)
