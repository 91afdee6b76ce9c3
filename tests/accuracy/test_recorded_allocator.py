"""The recorded allocator on real captures: where every event is there, no page is taken that was not free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import fixture_captures, shared_captures, trace_of
from tracereplay.whatif.policies.spec import PLACING
from tracereplay.whatif.recorded import self_check
from tracereplay.whatif.replay import Replay

ALLOWED_PAGES = 2


def complete(capture: Path) -> bool:
    """Whether the events are there and none was lost."""
    meta = json.loads((capture / "capture_meta.json").read_text())
    return all(meta["events"].get(name) for name in PLACING) and not meta.get("events_lost")


CAPTURES = [capture for capture in (*fixture_captures(), *shared_captures()) if complete(capture)]
LOSSY = ("cma_ok_overrun", "offline_pin_overrun", "cma_pin_vmsplice_perf", "cma_pin_vmsplice_late")


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_every_page_taken_was_free(capture: Path) -> None:
    if capture.name in LOSSY:
        pytest.skip("events were lost, or the trace begins late")
    session = tracereplay.open(trace_of(capture), layout=capture / "layout_before")
    (facts,) = session.whatif_facts()
    checked = self_check(Replay(facts).recorded)
    assert checked["taken"] > 0
    assert checked["taken_not_free"] <= ALLOWED_PAGES
