"""cma_alloc tries again."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy, Retry

POLICY = Policy(
    name="retry",
    sentence="cma_alloc that found no range begins again at the area's start, n times, a sleep apart",
    discussed=("Goldsworthy, v1 to v4 (linux-mm 2020-08 to 2020-09); v2 to v4 retried for ever, Fainelli objected",),
    state="posted",
    engine="blockers",
    change=lambda values: Change(retry=Retry(("cma_alloc",), values["n"], values["sleep"])),
    keys=(
        Key("n", "count", "How many times", 8),
        Key("sleep", "duration", "How long before each", 100_000_000),
    ),
    says="The earliest time at which nothing known blocked. Without page_ref a release is known only as an interval.",
)
