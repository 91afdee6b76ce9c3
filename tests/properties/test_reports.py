"""Any result at all: every format takes it, JSON gives it back, tables keep its rows, no line is too wide."""

from __future__ import annotations

import contextlib
import json
from xml.etree import ElementTree as ET

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.result_strategies import RESULTS, TRY
from tracereplay.errors import UsageError
from tracereplay.model.redaction import redacted
from tracereplay.model.result import Result
from tracereplay.model.schema_json import schema_text
from tracereplay.model.tables import SPECS, result_tables
from tracereplay.reports import FORMATS
from tracereplay.reports.json import render_json
from tracereplay.reports.perfetto import render_perfetto
from tracereplay.reports.shared.style import Style

SCHEMA_CHECK = jsonschema.Draft202012Validator(json.loads(schema_text()))


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=25, deadline=None)
@given(RESULTS, st.booleans())
def test_every_format_takes_any_result_and_its_confidential_twin(format_: str, result: Result, full: bool) -> None:
    for one in (result, redacted(result)):
        said = FORMATS[format_](one, Style(full=full))
        assert said.endswith("\n")
        said.encode()


@settings(max_examples=60, deadline=None)
@given(RESULTS, st.booleans())
def test_text_takes_any_result(result: Result, full: bool) -> None:
    said = FORMATS["text"](result, Style(full=full))
    assert all(c.isprintable() or c == "\n" for c in said)


@settings(max_examples=60, deadline=None)
@given(RESULTS, st.booleans())
def test_markdown_takes_any_result(result: Result, full: bool) -> None:
    said = FORMATS["md"](result, Style(full=full))
    assert all(c.isprintable() or c == "\n" for c in said)


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_junit_is_xml_with_a_case_for_each_attempt(result: Result) -> None:
    root = ET.fromstring(FORMATS["junit"](result, Style()))
    assert len(root.findall(".//testcase")) == len(result.attempts)


@settings(max_examples=40, deadline=None)
@given(RESULTS)
def test_html_keeps_texts_out_of_its_scripts(result: Result) -> None:
    page = FORMATS["html"](result, Style())
    assert page.count("<script") == page.count("</script>") == 2
    data = page.split('id="data">')[1].split("</script>")[0]
    assert len(json.loads(data)["tables"]["attempts"]["id"]) == len(result.attempts)


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_perfetto_keeps_its_schema(result: Result) -> None:
    """What trace_processor asks for: fields of the schema, tracks under tracks that exist, slices that nest in time."""
    pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos  # noqa: PLC0415

    trace = protos.Trace()
    data = render_perfetto(result)
    trace.ParseFromString(data)
    trace.DiscardUnknownFields()
    assert trace.SerializeToString() == data
    tracks: dict[int, int] = {}
    times: dict[int, int] = {}
    depth: dict[int, int] = {}
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            described = packet.track_descriptor
            assert described.uuid not in tracks
            assert described.parent_uuid in (0, *tracks), "a parent comes before its children"
            tracks[described.uuid] = described.HasField("counter")
            continue
        event = packet.track_event
        assert 0 <= packet.timestamp < 1 << 63
        assert packet.timestamp >= times.get(event.track_uuid, 0) or tracks[event.track_uuid]
        times[event.track_uuid] = packet.timestamp
        assert (event.type == event.TYPE_COUNTER) == tracks[event.track_uuid]
        assert event.name or event.type != event.TYPE_SLICE_BEGIN
        depth[event.track_uuid] = depth.get(event.track_uuid, 0) + {1: 1, 2: -1}.get(event.type, 0)
        assert depth[event.track_uuid] >= 0


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_json_gives_it_back_and_keeps_the_schema(result: Result) -> None:
    text = render_json(result)
    assert msgspec.json.decode(text, type=Result) == result
    SCHEMA_CHECK.validate(json.loads(text))


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_tables_keep_every_row(result: Result) -> None:
    tables = result_tables(result)
    for name in ("inputs", "data_loss", "stacks", "counters", "blame", "attempts"):
        assert tables[name].num_rows == len(getattr(result, name))
    for name in ("tries", "map", "culprits"):
        assert tables[name].num_rows == sum(len(getattr(attempt, name)) for attempt in result.attempts)
    assert list(tables) == list(SPECS)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking takes long
@given(RESULTS, st.sampled_from(("map", "timeline", "blame", "hold-times", "occupancy")), st.none() | TRY)
def test_plots_draw_any_result_or_say_why_not(result: Result, kind: str, try_index: int | None) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    from tracereplay.reports.plots import render_plot  # noqa: PLC0415

    with contextlib.suppress(UsageError):
        assert render_plot(result, kind, "svg", try_index if kind == "map" else None).startswith(b"<?xml")
