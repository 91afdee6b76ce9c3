"""CMA pages are not kept on per-CPU lists."""

from __future__ import annotations

from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.policies.spec import PLACING, Change, Policy

POLICY = Policy(
    name="cma-off-pcp",
    sentence="CMA pages are freed to and taken from the buddy lists directly",
    discussed=("Yescas, RFC: add PCP list for THP CMA (linux-arm-kernel 2025-08)",),
    state="discussed",
    engine="guided",
    needs=PLACING,
    change=lambda _values: Change(rules={Rule.OFF_PCP: 1}, gone=frozenset({"percpu_free"})),
    says="Pages on per-CPU lists no longer block; where pages are placed. The time that locking costs is not modelled.",
)
