"""Page cache of file systems that may never finish their I/O is not movable."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy, Values
from tracereplay.whatif.requests import Bytes, Requests, without_movable


def _change(values: Values) -> Change:
    def request(requests: Requests) -> Bytes:
        return without_movable(requests, requests.of_file_system(values["fs"]))

    return Change(request=request)


POLICY = Policy(
    name="indeterminate-mappings",
    sentence="Page cache of this file system is allocated without __GFP_MOVABLE",
    discussed=("LSF/MM 2025 topic (Hildenbrand, linux-fsdevel 2025-01); Wilcox's reply (linux-mm 2025-01)",),
    state="discussed",
    engine="blockers",
    needs=("mm_filemap_add_to_page_cache",),
    change=_change,
    keys=(Key("fs", "text", "File system type", "fuse"),),
    says="Which devices are of a file system is in mountinfo, not in a trace; else: those that attempts waited for.",
)
