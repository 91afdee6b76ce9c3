"""Page cache stays out of CMA."""

from __future__ import annotations

from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.policies.spec import PLACING, Change, Policy
from tracereplay.whatif.requests import Bytes, Requests, without_cma


def _request(requests: Requests) -> Bytes:
    return without_cma(requests, requests.page_cache())


POLICY = Policy(
    name="cma-anon-only",
    sentence="Page cache (files, block devices) may not use CMA; CMA pages bypass the per-CPU lists",
    discussed=("Qualcomm kernels: redirect page allocation to CMA, __GFP_CMA", "Android: lore cover.1604282969"),
    state="vendor",
    engine="guided",
    needs=(*PLACING, "mm_filemap_add_to_page_cache"),
    change=lambda _values: Change(rules={Rule.OFF_PCP: 1}, request=_request),
    says="Culprits in page cache are elsewhere. Without the bypass CMA pages reach page cache through the shared list.",
)
