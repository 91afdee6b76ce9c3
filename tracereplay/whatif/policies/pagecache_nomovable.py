"""Page cache is not movable."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy
from tracereplay.whatif.requests import Bytes, Requests, without_movable


def _request(requests: Requests) -> Bytes:
    return without_movable(requests, requests.page_cache())


POLICY = Policy(
    name="pagecache-nomovable",
    sentence="Folios allocated for page cache lose __GFP_MOVABLE",
    discussed=("LSF/MM 2025 topic: migration of movable folios that are not (Hildenbrand, linux-fsdevel 2025-01)",),
    state="discussed",
    engine="blockers",
    needs=("mm_filemap_add_to_page_cache",),
    change=lambda _values: Change(request=_request),
    says="Culprits in page cache are elsewhere; movable memory is left to anonymous pages.",
)
