"""What `--policy` takes, and how policies combine."""

from __future__ import annotations

import pytest

from tracereplay.errors import UsageError
from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.policies.table import POLICIES
from tracereplay.whatif.question import every_policy, parse_policy

WANTED = (
    "none", "retry:n=20,sleep=100ms", "pin-retries:n=10,sleep=20ms", "cma-ratio:never", "cma-ratio:percent=0",
    "cma-ratio:percent=100", "cma-anon-only", "cma-off-pcp", "nomovable:comm=camerad", "pagecache-nomovable",
    "indeterminate-mappings:fs=fuse", "fuse-writeback:temp-pages", "secretmem:where=movable",
    "secretmem:where=unmovable", "size-movable:pages=112640", "size-cma:pages=65536",
    "cma-ratio:never+retry:n=3,sleep=1s",
)  # fmt: skip


@pytest.mark.parametrize("text", WANTED)
def test_policies_are_parsed(text: str) -> None:
    assert parse_policy(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "nosuch", "retry:n=x", "retry:n=-1", "retry:sleep=5", "retry:n", "cma-ratio", "cma-ratio:never,first",
     "cma-ratio:percent=101", "nomovable", "secretmem:where=moon", "none:n=1", "cma-ratio:never=1",
     "cma-ratio:percent=10+cma-ratio:percent=20", "retry:n=1+retry:n=2"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_policy(text)


def test_policies_combine() -> None:
    both = parse_policy("cma-ratio:percent=25+retry:n=3,sleep=1s")
    assert both.change.rules == {Rule.CMA_MODE: 0, Rule.NUM: 25, Rule.DEN: 100}
    assert both.change.retry is not None
    assert (both.change.retry.times, both.change.retry.sleep_ns) == (3, 10**9)
    assert both.engine == "guided"
    assert both.parameters == {"cma-ratio.percent": "25", "retry.n": "3", "retry.sleep": "1000000000"}


def test_every_policy_says_what_it_is() -> None:
    for name, policy in POLICIES.items():
        assert policy.name == name
        assert policy.sentence
        assert policy.says
        assert policy.discussed or policy.state == "none"
    assert {"retry", "cma-ratio:never"} <= {one.text for one in every_policy()}
