"""Pages of block devices are allocated elsewhere."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Policy
from tracereplay.whatif.requests import Bytes, Requests, without_movable


def _request(requests: Requests) -> Bytes:
    return without_movable(requests, requests.block_devices())


POLICY = Policy(
    name="buffer-heads",
    sentence="Pages of block devices (file system metadata) lose __GFP_MOVABLE",
    discussed=("commit d87f639258a6 (Gushchin 2020): ext4 superblock readahead in non-movable memory",),
    state="discussed",
    engine="blockers",
    needs=("mm_filemap_add_to_page_cache",),
    change=lambda _values: Change(request=_request),
    says="Metadata read within the trace is elsewhere; what was read before stays where it was.",
)
