"""What the session really gives, from small real captures: it keeps the contract and every report takes it."""

from __future__ import annotations

import json
from functools import cache

import jsonschema  # type: ignore[import-untyped]
import pytest
from rich.cells import cell_len

import tracereplay
from tests import captures
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Result
from tracereplay.model.schema_json import schema_text
from tracereplay.model.tables import result_tables
from tracereplay.reports import FORMATS
from tracereplay.reports.json import render_json
from tracereplay.reports.style import Style

NAMES = ("offline_unmovable", "mixed_nopageref", "cma_bufferhead")


@cache
def blamed(name: str) -> Result:
    folder = captures.capture(name)
    return tracereplay.open(
        [captures.trace_of(folder)], layout=folder / "layout_before", kernel_log=folder / "dmesg.txt"
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
