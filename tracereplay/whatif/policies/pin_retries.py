"""A long-term pin tries its migration again."""

from __future__ import annotations

from tracereplay.whatif.policies.spec import Change, Key, Policy, Retry

POLICY = Policy(
    name="pin-retries",
    sentence="A long-term pin that fails to migrate a page tries again n times, a sleep apart",
    discussed=("RFC: MADV_NOMOVABLE (linux-mm 2022-10), Hildenbrand: how often we retry",),
    state="discussed",
    engine="blockers",
    change=lambda values: Change(retry=Retry(("longterm_pin",), values["n"], values["sleep"])),
    keys=(
        Key("n", "count", "How many times", 10),
        Key("sleep", "duration", "How long before each", 20_000_000),
    ),
    says="Decided by when the temporary reference was dropped: needs page_ref, else only what a later attempt met.",
)
