"""The Perfetto trace: slices that nest on tracks that exist, at the times of the result."""

from __future__ import annotations

import pytest

pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")

from typing import Any

from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from tests.support import result_examples as example
from tracereplay.model.result import Counter, Result
from tracereplay.reports.perfetto import render_perfetto

protos: Any = perfetto_trace_pb2
BEGIN, END, COUNTER = 1, 2, 4


def packets(result: Result) -> list[Any]:
    trace = protos.Trace()
    trace.ParseFromString(render_perfetto(result))
    return list(trace.packet)


def slices(result: Result) -> dict[str, list[tuple[str, int, int | None]]]:
    """(name, start, end) by the name of the track; fails where slices do not nest."""
    names: dict[int, str] = {}
    open_: dict[int, list[tuple[str, int]]] = {}
    done: dict[str, list[tuple[str, int, int | None]]] = {}
    for packet in packets(result):
        assert packet.trusted_packet_sequence_id
        if packet.HasField("track_descriptor"):
            assert packet.track_descriptor.uuid not in names
            names[packet.track_descriptor.uuid] = packet.track_descriptor.name
            continue
        event = packet.track_event
        stack = open_.setdefault(event.track_uuid, [])
        if event.type == BEGIN:
            assert not stack or packet.timestamp >= stack[-1][1]
            stack.append((event.name, packet.timestamp))
        elif event.type == END:
            name, start = stack.pop()
            assert packet.timestamp >= start
            done.setdefault(names[event.track_uuid], []).append((name, start, packet.timestamp))
    for uuid, stack in open_.items():
        done.setdefault(names[uuid], []).extend((name, start, None) for name, start in stack)
    return done


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_slices_nest(name: str) -> None:
    result = example.EXAMPLES[name]()
    assert bool(slices(result)) is bool(result.attempts)


def test_attempts_tries_and_holders_keep_their_times() -> None:
    result = example.pinned()
    tracks = slices(result)
    attempt = result.attempts[0]
    (failed,) = [s for s in tracks["cma_alloc reserved"] if s[0].startswith("FAILED")]
    assert failed[1:] == (attempt.start_ns, attempt.end_ns)
    assert sum(s[0].startswith("try") for s in tracks["cma_alloc reserved"]) == 17
    (held,) = tracks["task_reference: pin-vmsplice (145), 8 pages"]
    assert held == ("pin-vmsplice (145)", 6_130_493_000, 8_600_000_000)


def test_unseen_ends_are_open_or_said() -> None:
    culprits = [
        example.culprit(held_since_ns=None, released_ns=None, release="held_at_end"),
        example.culprit(id="c1", holder_name="driver", released_ns=None, release="unknown"),
    ]
    result = example.result(example.attempt(culprits=culprits))
    tracks = slices(result)
    assert tracks["task_reference: pin-vmsplice (145), 1 page"] == [
        ("pin-vmsplice (145) (taking not seen)", result.inputs[0].start_ns, None)
    ]
    ((_, _, end),) = tracks["task_reference: pin-vmsplice (145) and driver, 1 page"]
    assert end == result.attempts[0].end_ns


def test_counters_are_counters() -> None:
    result = example.result(counters=[Counter(scope="Movable", name="free", time_ns=n, pages=n * 10) for n in range(3)])
    values = [p.track_event.counter_value for p in packets(result) if p.track_event.type == COUNTER]
    assert values == [0, 10, 20]


def test_counters_lie_under_their_trace() -> None:
    tracks = {p.track_descriptor.name: p.track_descriptor for p in packets(example.pinned())}
    root = tracks["tracereplay cma_pin_vmsplice/trace.dat"]
    assert tracks["reserved cma_alloc pages"].parent_uuid == root.uuid
    assert tracks["reserved cma_alloc pages"].counter.unit_name == "pages"


def test_overlapping_attempts_lie_on_tracks_of_their_own() -> None:
    twice = [example.attempt(id=f"a{n}", tries=[]) for n in range(3)]
    found = [p for p in packets(example.result(*twice)) if p.HasField("track_descriptor")]
    assert sum(p.track_descriptor.name == "cma_alloc reserved" for p in found) == 3


def test_an_attempt_that_ends_before_it_began() -> None:
    drawn = slices(example.result(example.attempt(start_ns=20, end_ns=10)))
    spans = [(start, end) for row in drawn.values() for name, start, end in row if name.startswith("FAILED")]
    assert spans == [(20, 20)]
