"""`whatif` on real captures: null test, swap test, and answers that the captures' truth settles."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import tracereplay
from tests.support.captures import capture, trace_of
from tracereplay.model.whatif import Outcome, WhatIf
from tracereplay.whatif.page_rows import Rule
from tracereplay.whatif.question import parse_policy
from tracereplay.whatif.replay import Replay, with_rules
from tracereplay.whatif.scene import Scene

CAPTURES = ("cma_pin_vmsplice", "cma_pin_aio", "cma_bufferhead", "thp_split", "offline_thp_pin", "k72_cma_pin_vmsplice")
RUNS = 3


@cache
def replay_of(name: str) -> Replay:
    folder = capture(name)
    (facts,) = tracereplay.open(trace_of(folder), layout=folder / "layout_before").whatif_facts()
    return Replay(facts)


@cache
def under(name: str, policy: str) -> WhatIf:
    folder = capture(name)
    session = tracereplay.open(trace_of(folder), layout=folder / "layout_before")
    return session.whatif([parse_policy(policy)], runs=RUNS)


def failed(name: str, policy: str) -> Outcome:
    """The answer for the first attempt that failed."""
    return next(one for one in under(name, policy).results if one.recorded != "succeeded")


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("policy", ["none", "cma-ratio:percent=50"])
def test_the_kernels_own_rules_change_no_answer(name: str, policy: str) -> None:
    for one in under(name, policy).results:
        assert one.answer == ("succeeds" if one.recorded == "succeeded" else "still_fails")


@pytest.mark.parametrize("name", CAPTURES)
def test_a_rule_and_its_inverse_give_the_base_back(name: str) -> None:
    replay = replay_of(name)
    there = with_rules(replay.stock, {Rule.CMA_MODE: 1}, new_classes=False)
    back = with_rules(there, {Rule.CMA_MODE: 0}, new_classes=False)
    run = replay.run(back, replay.requests.want, None, 0)
    base = replay.base()
    assert np.array_equal(run.out, base.out)
    assert np.array_equal(run.blocks, base.blocks)
    assert np.array_equal(run.counts, base.counts)


@pytest.mark.parametrize("name", CAPTURES)
def test_the_model_reproduces_the_trace(name: str) -> None:
    assert replay_of(name).verdict[0] in ("good", "usable")


def test_planted_pins_are_not_in_cma_that_nobody_may_use() -> None:
    assert failed("cma_pin_vmsplice", "cma-ratio:never").answer == "succeeds"
    assert failed("cma_pin_vmsplice", "cma-ratio:first").answer == "still_fails"


def test_a_retry_succeeds_once_the_pins_are_released() -> None:
    answer = failed("cma_pin_vmsplice", "retry:n=20,sleep=100ms")
    assert (answer.answer, answer.bound) == ("succeeds", "estimate")
    assert answer.cost.wait_ns is not None
    assert 800_000_000 < answer.cost.wait_ns < 1_100_000_000
    assert failed("cma_pin_vmsplice", "retry:n=2,sleep=100ms").answer == "still_fails"


def test_a_task_that_retries_in_the_kernel_does_not_drop_its_own_reference() -> None:
    for one in under("cma_longterm_fail", "pin-retries:n=100,sleep=100ms").results:
        assert one.answer == "still_fails"


def test_a_rule_is_undone_from_the_trace_of_a_kernel_that_never_used_cma() -> None:
    """ab_churn__base is the kernel with the half rule: 43 % in CMA (38 % in a second boot), the last attempt fails."""
    document = under("ab_churn__never", "cma-ratio:percent=50")
    predicted = document.placement[0].predicted
    assert predicted is not None
    assert 0.33 < predicted < 0.5
    assert document.results[0].answer == "succeeds"
    assert document.results[-1].answer != "succeeds"  # file system metadata is in CMA then


def test_a_policy_for_another_file_system_changes_nothing() -> None:
    for fs in ("ext4", "xfs"):
        document = under("ab_fuse__base", f"indeterminate-mappings:fs={fs}")
        assert document.placement[0].predicted == document.placement[0].record
        assert [one.cost.wait_ns for one in document.results] == [None]


@pytest.mark.parametrize("name", ["offline_pin_nopageref", "ab_kalloc__movablecore"])
def test_a_rule_about_cma_changes_nothing_where_there_is_none(name: str) -> None:
    for one in under(name, "cma-ratio:never").results:
        assert one.answer == ("succeeds" if one.recorded == "succeeded" else "still_fails")


def test_a_file_system_on_a_block_device_is_not_fuse() -> None:
    for one in under("large_folio_split_fail", "fuse-writeback").results:
        assert one.cost.wait_ns is None


def test_a_policy_of_which_no_event_was_recorded_is_not_answered() -> None:
    document = under("ab_rounds_k__base", "pagecache-nomovable")
    assert {(one.answer, one.why) for one in document.results} == {("unknown", "events_not_recorded")}
    assert document.placement[0].predicted is None


def test_one_of_two_pinners_is_not_enough() -> None:
    assert failed("cma_pin_vmsplice", "nomovable:comm=pin-vmsplice").answer == "still_fails"
    both = "nomovable:comm=pin-vmsplice+nomovable:comm=pin-dead"
    assert failed("cma_pin_vmsplice", both).answer == "succeeds"


def test_metadata_is_elsewhere_where_page_cache_is_kept_out() -> None:
    assert failed("cma_bufferhead", "cma-anon-only").answer == "succeeds"
    assert failed("cma_bufferhead", "pagecache-nomovable").answer == "succeeds"


def test_what_was_not_recorded_is_said() -> None:
    document = under("cma_pin_vmsplice_stack", "cma-ratio:never")
    assert document.model[0].verdict == "unfit"
    assert {one.answer for one in document.results} == {"unknown"}
    assert {one.why for one in document.results} == {"events_not_recorded"}
    assert document.policies[0].missing == ["mm_page_alloc_zone_locked", "mm_page_pcpu_drain"]


@pytest.mark.parametrize("name", ["ab_secret_cma__base", "ab_secret_cma__movable"])
def test_splits_of_the_direct_map_are_those_the_kernel_counted(name: str) -> None:
    scene = Scene(replay_of(name), parse_policy("secretmem-pool"))
    assert scene.pool_need is not None
    counts = [vmstat(name, when)["direct_map_level2_splits"] for when in ("before", "after")]
    assert scene.pool_need.splits_recorded == counts[1] - counts[0] > 0


def vmstat(name: str, when: str) -> dict[str, int]:
    text = (capture(name) / f"layout_{when}" / "vmstat").read_text()
    return {word: int(number) for word, number in map(str.split, text.splitlines())}


def test_a_size_that_starved_the_kernel_is_said_to() -> None:
    (size,) = under("ab_kalloc__nomovable", "size-movable:pages=112640").sizing  # booted so: three OOM kills
    assert size.verdict == "starves"
    (size,) = under("ab_kalloc__nomovable", "size-movable:pages=40000").sizing
    assert size.verdict == "fits"
