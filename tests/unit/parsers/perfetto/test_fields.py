"""The field numbers that are declared here are those that Perfetto publishes."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")

from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.perfetto import descriptions, names
from tracereplay.parsers.perfetto.fields import LAST_KNOWN_EVENT, MESSAGES, TRACE_PACKET_FIELD, Bundle, Event, Packet

protos: Any = perfetto_trace_pb2
PUBLISHED = {field.number: field for field in protos.FtraceEvent.DESCRIPTOR.fields}
UNSIGNED = {4, 6, 7, 13}  # uint64, fixed64, fixed32, uint32
STRING = 9


def numbers(message: str) -> dict[str, int]:
    return {field.name: field.number for field in getattr(protos, message).DESCRIPTOR.fields}


def test_envelopes() -> None:
    assert numbers("Trace") == {"packet": TRACE_PACKET_FIELD}
    packet = numbers("TracePacket") | {"sequence_id": numbers("TracePacket")["trusted_packet_sequence_id"]}
    for message, known in ((Packet, packet), (Bundle, numbers("FtraceEventBundle")), (Event, numbers("FtraceEvent"))):
        assert {one.name.lower(): one.value for one in message} == {
            one.name.lower(): known[one.name.lower()] for one in message
        }


@pytest.mark.parametrize("number", sorted(MESSAGES))
def test_message(number: int) -> None:
    ours, theirs = MESSAGES[number], PUBLISHED[number]
    assert ours.name == theirs.name
    published = [
        (one.number, one.name, one.type == STRING, one.type not in UNSIGNED) for one in theirs.message_type.fields
    ]
    said = [(one.number, one.name, one.is_text, one.is_text or one.is_signed) for one in ours.fields]
    assert said == published


def test_no_tracepoint_of_the_catalogue_is_forgotten() -> None:
    """Those that Perfetto has a message for; the others come as generic events."""
    typed = {field.name for field in PUBLISHED.values()}
    assert {name for name in SPECS if name in typed} <= {message.name for message in MESSAGES.values()}


def test_no_number_is_known_that_is_not_published() -> None:
    if version("perfetto").startswith("0.14."):
        pytest.skip("perfetto 0.14 is older than the last messages")
    assert max(PUBLISHED) >= LAST_KNOWN_EVENT


def test_numbers_in_descriptions() -> None:
    stats = numbers("FtraceCpuStats")
    assert {
        stats["overrun"]: "overrun",
        stats["commit_overrun"]: "dropped_events",
    }.items() <= descriptions._COUNTERS.items()
    assert descriptions._COUNTERS[stats["dropped_events"]] == "dropped_events"
    compact = {one.name: one.number for one in protos.FtraceEventBundle.CompactSched.DESCRIPTOR.fields}
    columns = ("intern_table", "switch_next_pid", "switch_next_comm_index", "waking_pid", "waking_comm_index")
    ours = (names.INTERN_TABLE, names.SWITCH_NEXT_PID, names.SWITCH_NEXT_COMM, names.WAKING_PID, names.WAKING_COMM)
    assert ours == tuple(compact[column] for column in columns)
