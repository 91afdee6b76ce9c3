"""What the session really gives, from small real captures: it keeps the contract and every report takes it."""

from __future__ import annotations

import json
from functools import cache

import jsonschema  # type: ignore[import-untyped]
import pytest
from rich.cells import cell_len

import tracereplay
from tests.support import captures
from tracereplay.layout.spans import merge_spans
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Result
from tracereplay.model.schema_json import schema_text
from tracereplay.model.tables import result_tables
from tracereplay.reports import FORMATS
from tracereplay.reports.json import render_json
from tracereplay.reports.shared.style import Style

NAMES = ("offline_unmovable", "mixed_nopageref", "cma_bufferhead")


@cache
def blamed(name: str) -> Result:
    folder = captures.capture(name)
    log = folder / "dmesg.txt"
    return tracereplay.open(
        [captures.trace_of(folder)], layout=folder / "layout_before", kernel_log=log if log.exists() else None
    ).blame()


@pytest.mark.parametrize("name", NAMES)
def test_document_keeps_the_schema(name: str) -> None:
    jsonschema.validate(json.loads(render_json(blamed(name))), json.loads(schema_text()))


@pytest.mark.parametrize("name", NAMES)
def test_codes_and_references_are_known(name: str) -> None:
    result = blamed(name)
    losses, stacks = {loss.id for loss in result.data_loss}, {stack.id for stack in result.stacks}
    assert len({attempt.id for attempt in result.attempts}) == len(result.attempts)
    for attempt in result.attempts:
        assert attempt.cause is None or attempt.cause in EXPLANATIONS
        ids = {culprit.id for culprit in attempt.culprits}
        assert len(ids) == len(attempt.culprits)
        assert {run.culprit_id for run in attempt.map} - {None} <= ids
        for culprit in attempt.culprits:
            assert {culprit.cause, *culprit.candidates} <= EXPLANATIONS.keys()
            assert set(culprit.weakened_by) <= losses
            assert {item.stack_id for item in culprit.evidence} - {None} <= stacks
        if (pages := attempt.pages) is not None:
            assert pages.requested == pages.free + pages.moved + pages.held + pages.not_seen


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_text_take_it(name: str) -> None:
    result = blamed(name)
    assert result_tables(result)["attempts"].num_rows == len(result.attempts)
    for full in (False, True):
        said = FORMATS["text"](result, Style(width=80, full=full))
        assert all(cell_len(line) <= 80 for line in said.splitlines())
    assert "FAILED" in said


@pytest.mark.parametrize("name", [*NAMES, "cma_pin_vmsplice", "cma_retry_success", "offline_pin_nopageref"])
def test_the_map_of_each_try_covers_all_that_was_tried(name: str) -> None:
    for attempt in blamed(name).attempts:
        maps: dict[int, list[tuple[int, int]]] = {}
        for run in attempt.map:
            maps.setdefault(run.try_index, []).append((run.start_pfn, run.start_pfn + run.pages))
        covered = [merge_spans(runs) for runs in maps.values()]
        assert all(sum(end - start for start, end in runs) == sum(end - start for start, end in whole)
                   for runs, whole in zip(maps.values(), covered, strict=True)), "no page twice"  # fmt: skip
        assert len(set(covered)) <= 1
        failed = [one for one in attempt.tries if one.result != "succeeded"]
        if attempt.map and failed:
            assert max(maps) == failed[-1].index == failed[-1].map_try
            assert {one.map_try for one in attempt.tries} - {None} == set(maps)
            assert all(one.map_try is None or one.map_try >= one.index for one in attempt.tries)


def test_an_offline_that_loops_has_one_map_for_passes_that_look_alike() -> None:
    (attempt,) = [a for a in blamed("offline_pin_nopageref").attempts if len(a.tries) > 2000]
    assert len({run.try_index for run in attempt.map}) == 1
    assert sum(one.map_try is not None for one in attempt.tries) == 64


def test_a_pin_let_go_between_tries_is_in_the_way_of_the_earlier_ones_only() -> None:
    (attempt,) = [a for a in blamed("cma_retry_success").attempts if len(a.tries) > 80]
    for one in attempt.tries:
        if one.map_try is not None:
            shown = {run.culprit_id for run in attempt.map if run.try_index == one.map_try} - {None}
            blocked = {c.id for c in attempt.culprits if any(a <= one.index <= b for a, b in c.blocked_tries)}
            assert shown == blocked
