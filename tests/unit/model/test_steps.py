"""Advice fits what was recorded and how the page was taken."""

from __future__ import annotations

import pytest

from tests.support import result_examples as example
from tracereplay.cli.main import main
from tracereplay.culprits.mechanisms import MECHANISMS
from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.selection import next_captures
from tracereplay.model.explain import EXPLANATIONS, capture
from tracereplay.model.explain.mechanism_steps import MECHANISM_STEPS
from tracereplay.model.explain.names import ERRNOS, FUNCTIONS, plain_name
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


def test_of_events_wanted_as_well_those_that_are_there_are_left_out() -> None:
    step = "Record -e filemap -e fuse or -e nfs -e kmem:mm_page_free as well: who reads what"
    for recorded, left in (
        ({"kmem"}, step),
        ({"filemap", "kmem:mm_page_free"}, "Record -e fuse or -e nfs as well: who reads what"),
        ({"nfs", "filemap"}, "Record -e kmem:mm_page_free as well: who reads what"),
        ({"filemap", "fuse", "kmem:mm_page_free"}, None),
    ):
        attempt = example.attempt(capture_next=[step])
        fit_steps([attempt], [], None, {attempt.input_id or "": frozenset(recorded)})
        assert attempt.capture_next == ([] if left is None else [left])


def test_messages_are_switched_on_of_functions_that_the_operation_calls() -> None:
    for operation, step in (("cma_alloc", capture.DUMP_CONTIG), ("memory_offline", capture.DUMP_HOTPLUG)):
        attempt = example.attempt(operation=operation, capture_next=[capture.DUMP_CONTIG, capture.DUMP_HOTPLUG])
        fit_steps([attempt], [], None)
        assert attempt.capture_next == [step]


def test_the_range_of_an_attempt_without_one_is_that_of_the_area_with_its_culprits() -> None:
    for start_pfn, span in (
        (0x1E8D1, "pfn >= 0xfc00 && pfn < 0x1fc00"),
        (0x108000, "pfn >= 0x108000 && pfn < 0x108004"),
    ):
        pinned = example.culprit(start_pfn=start_pfn, pages=4)
        attempt = example.attempt(operation="longterm_pin", tries=[], culprits=[pinned], capture_next=list(STEPS))
        attempt.request.start_pfn = attempt.area = None
        fit_steps([attempt], [], LAYOUT)
        assert span in attempt.capture_next[0]


def test_a_step_for_several_ranges_is_said_once_for_all_of_them() -> None:
    ranges = [(0x101600, 0x101800), (0x100000, 0x101000)]
    steps = [capture.PAGE_REF.replace("START", f"{low:#x}").replace("END", f"{end:#x}") for low, end in ranges]
    attempts = [
        example.attempt(id=step, capture_next=[step, capture.KERNEL_LOG]) for step in [*steps, capture.PAGE_REF]
    ]
    merged, log = next_captures(attempts)
    assert merged == capture.PAGE_REF.replace("START", "0x100000").replace("END", "0x101800")
    assert log == capture.KERNEL_LOG
    assert next_captures(attempts[2:])[0] == capture.PAGE_REF


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


@pytest.mark.parametrize(
    "name", ["EBUSY", "ebusy", "Test_Pages_Isolated", "migrate_pages()", "PIN_SHORT", "ALLOC_CONTIG_RANGE"]
)
def test_explain_takes_errno_functions_and_any_case(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    said = capsys.readouterr().out.lower()
    assert name.removesuffix("()").lower() in said
    assert any(code in said for code in EXPLANATIONS)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("-EBUSY", "ebusy"), ("-16", "ebusy"), ("16", "ebusy"), ("__folio_lock", "__folio_lock"),
     ("__alloc_contig_range_noprof+0x1f/0x2a0", "alloc_contig_range"),
     ("alloc_contig_range.isra.0", "alloc_contig_range"), ("-99999", "-99999"),
     ("-x", "-x"), ("", "")],
)  # fmt: skip
def test_names_are_taken_as_the_kernel_prints_them(spelled: str, name: str) -> None:
    assert plain_name(spelled) == name


def test_explain_takes_the_number_of_an_errno(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "-16"]) == 0
    assert capsys.readouterr().out.startswith("EBUSY:")


@pytest.mark.parametrize("causes", [causes for _, causes in (*ERRNOS.values(), *FUNCTIONS.values())])
def test_names_point_to_causes_that_exist(causes: tuple[str, ...]) -> None:
    assert set(causes) <= EXPLANATIONS.keys()
