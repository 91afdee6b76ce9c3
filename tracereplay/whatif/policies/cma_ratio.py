"""How much of the free memory has to be CMA before movable allocations take from it."""

from __future__ import annotations

from tracereplay.errors import UsageError
from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.policies.spec import PLACING, Change, Key, Policy, Values


def _change(values: Values) -> Change:
    if (values["percent"] is not None) + values["never"] + values["first"] != 1:
        raise UsageError("cma-ratio takes one of percent=P, never, first")
    if values["never"]:
        return Change(rules={Rule.CMA_MODE: 1})
    percent = 0 if values["first"] else values["percent"]
    return Change(rules={Rule.CMA_MODE: 0, Rule.NUM: percent, Rule.DEN: 100})


POLICY = Policy(
    name="cma-ratio",
    sentence="Movable allocations take CMA pages first while these are more than P % of the zone's free pages",
    discussed=(
        "commit 16867664936e (Gushchin 2020): the rule of today, one half",
        "CMA_AGGRESSIVE (linux-kernel 2014-10)",
        "a tunable (linux-mm 2023-01)",
        "Raspberry Pi kernel PR 4964: sixteenths",
        "CMA balancing RFC (van der Linden 2025-09)",
    ),
    state="discussed",
    engine="guided",
    needs=PLACING,
    change=_change,
    keys=(
        Key("percent", "percent", "Share of the free pages; 50 is the kernel's own, 0: while any CMA page is free"),
        Key("never", "flag", "No allocation may use CMA (ALLOC_CMA is never set)"),
        Key("first", "flag", "The same as percent=0"),
    ),
    says="Where culprits would have been, and how many pages are kept out of CMA. Pages that cma_free() puts on "
    "per-CPU lists still reach movable users under `never`, as in the record.",
)
