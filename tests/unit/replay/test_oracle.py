"""The compiled replay against its oracle, on real captures with the questions that blame asks."""

from __future__ import annotations

import pytest

from tests.support.blame_engine import blame_engine, open_trace
from tests.support.captures import capture
from tests.support.replay_twin import assert_same, part, run_both
from tracereplay.replay.engine import ActionKind
from tracereplay.schema import REPLAYED, PageStream

EVENTS = 150_000  # the oracle does some 50,000 a second


@pytest.mark.parametrize(
    "name", ["cma_pin_vmsplice", "cma_pin_aio", "k72_cma_fuse_writeback", "mixed_nopageref", "offline_thp_pin"]
)
def test_same_state_references_and_suspects(name: str) -> None:
    trace = open_trace(capture(name))
    engine = blame_engine(trace)
    watched = min(action.time_ns for action in engine.actions)
    chunks: list[PageStream] = []
    left = EVENTS
    # The events around the first attempt: the oracle is too slow for all of them.
    for chunk in trace.reader.stream(REPLAYED):
        first = max(int(chunk.time_ns.searchsorted(watched)) - EVENTS // 2, 0) if not chunks else 0
        chunks.append(part(chunk, first, min(first + left, len(chunk))))
        left -= len(chunks[-1])
        if left <= 0:
            break
    compiled, oracle = run_both(chunks, engine.actions, engine.page_flag_bits, engine.background_isolators)
    assert_same(compiled, oracle)
    if any(action.kind == ActionKind.PROBE for action in engine.actions):
        assert len(compiled.table("suspects"))
