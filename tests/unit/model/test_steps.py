"""Advice fits what was recorded and how the page was taken."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.cli.main import main
from tracereplay.culprits.mechanisms import MECHANISMS
from tracereplay.model.derived.advice import advice
from tracereplay.model.explain import EXPLANATIONS, capture
from tracereplay.model.explain.mechanism_steps import MECHANISM_STEPS
from tracereplay.model.explain.names import ERRNOS, FUNCTIONS
from tracereplay.model.result import Attempt, CmaArea, Input, LayoutSummary
from tracereplay.model.steps import fit_steps

STEPS = (capture.PAGE_REF, capture.REF_STACKS, capture.KERNEL_LOG, capture.CALLER_STACK)
LAYOUT = LayoutSummary(
    page_size=4096, source="test", cma_areas=[CmaArea(name="reserved", start_pfn=0xFC00, pages=65_536)]
)


def fitted(*inputs: Input, layout: LayoutSummary | None = LAYOUT) -> Attempt:
    attempt = example.attempt(capture_next=list(STEPS), culprits=[example.culprit(capture_next=[capture.REF_STACKS])])
    fit_steps([attempt], inputs, layout)
    return attempt


def test_nothing_is_asked_for_that_was_recorded_or_given() -> None:
    log = example.trace(id="i1", role="log")
    bare = fitted(example.trace(capabilities=[]))
    assert len(bare.capture_next) == len(STEPS)
    kept = fitted(example.trace(capabilities=["page_ref"]), log).capture_next
    assert [step.split(":")[0] for step in kept] == [
        "Record stacks of the references taken, to name the call", "While the attempt hangs, read where it sleeps",
    ]  # fmt: skip
    stacks = fitted(example.trace(capabilities=["page_ref", "stacks"]))
    assert stacks.culprits[0].capture_next == []


def test_another_traces_events_are_not_its_own() -> None:
    other = example.trace(id="i9", capabilities=["page_ref"])
    assert fitted(example.trace(capabilities=[]), other).capture_next[0].startswith("Record references")


def test_commands_hold_the_real_range_and_task() -> None:
    steps = fitted(example.trace(capabilities=[])).capture_next
    assert all("START" not in step and "..." not in step for step in steps)
    assert "-f 'pfn >= 0xfc00 && pfn < 0x1fc00'" in steps[0]
    assert "cat /proc/149/stack" in steps[3]
    tries = example.attempt().tries
    low, high = tries[0].start_pfn, max(t.end_pfn or 0 for t in tries)
    tried = fitted(example.trace(capabilities=[]), layout=None).capture_next[0]
    assert f"-f 'pfn >= {low:#x} && pfn < {high:#x}'" in tried


def test_what_is_not_known_keeps_its_word() -> None:
    attempt = example.attempt(capture_next=list(STEPS), task=None, tries=[])
    attempt.request.start_pfn = None
    fit_steps([attempt], [], None)
    assert "pfn >= START && pfn < END" in attempt.capture_next[0]
    assert "/proc/TID/stack" in attempt.capture_next[3]


@pytest.mark.parametrize("mechanism", MECHANISM_STEPS)
def test_advice_is_by_mechanism(mechanism: str) -> None:
    pinned = example.culprit(mechanism=mechanism)
    ((code, step),) = advice(example.result(example.attempt(cause="task_reference", culprits=[pinned])))
    assert (code, step) == ("task_reference", MECHANISM_STEPS[mechanism])
    assert ("pipe" in step) is (mechanism in ("vmsplice", "splice"))


def test_mechanisms_are_those_that_stacks_show() -> None:
    assert MECHANISM_STEPS.keys() <= {one.name for one in MECHANISMS}


def test_without_a_mechanism_the_usual_step_and_in_full_all() -> None:
    result = example.result(example.attempt(cause="task_reference", culprits=[example.culprit(mechanism=None)]))
    assert advice(result) == [("task_reference", EXPLANATIONS["task_reference"].what_to_do[0])]
    assert len(advice(result, full=True)) == len(EXPLANATIONS["task_reference"].what_to_do)


@pytest.mark.parametrize("name", ["EBUSY", "ebusy", "Test_Pages_Isolated", "migrate_pages()", "PIN_SHORT"])
def test_explain_takes_errno_functions_and_any_case(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    said = capsys.readouterr().out.lower()
    assert name.removesuffix("()").lower() in said
    assert any(code in said for code in EXPLANATIONS)


@pytest.mark.parametrize("causes", [causes for _, causes in (*ERRNOS.values(), *FUNCTIONS.values())])
def test_names_point_to_causes_that_exist(causes: tuple[str, ...]) -> None:
    assert set(causes) <= EXPLANATIONS.keys()
