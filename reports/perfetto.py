"""The result as a Perfetto trace, for ui.perfetto.dev and trace_processor, beside the recording it comes from.

Tracks: attempts by operation and area, tries nested in them; waits; one track for each cause and holder; counters.
Written with the protobuf classes of the `perfetto` package. Its format is track_event.proto of that project: slices
begin and end on a track by its uuid, and tracks carry the name of what they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tracereplay.errors import UsageError
from tracereplay.model.derived.hold_timeline import Lane, lanes
from tracereplay.model.result import Attempt, Result, Task, Try
from tracereplay.reports.shared.attempt_wording import headline, headline_word, verdict
from tracereplay.reports.shared.holder_wording import lane_holder, lane_label
from tracereplay.reports.shared.premise_wording import why
from tracereplay.reports.shared.wording import page_size_bytes, task_name
from tracereplay.units import format_pfn

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

SEQUENCE = 1  # all packets are of one writer
MAX_TIME_NS = (1 << 63) - 1

Annotations = dict[str, int | str | None]


def render_perfetto(result: Result) -> bytes:
    """The trace. Times are those of the result's clock; negative ones are drawn at 0.

    Raises UsageError where the `perfetto` package is not installed.
    """
    try:
        from perfetto.trace_builder.proto_builder import TraceProtoBuilder  # noqa: PLC0415
    except ImportError:
        raise UsageError("perfetto is not installed: pip install 'tracereplay[perfetto]'") from None
    return _Writer(TraceProtoBuilder(), result).written()


class _Writer:
    """Packets, and the uuids given to tracks so far."""

    def __init__(self, builder: TraceProtoBuilder, result: Result) -> None:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos  # noqa: PLC0415

        self.protos: Any = protos  # generated code: its enums have no static type worth the name
        self.builder = builder
        self.result = result
        self.tracks = 0

    def written(self) -> bytes:
        roots: dict[str, int] = {}
        for source in self.result.inputs:
            attempts = [a for a in self.result.attempts if a.input_id == source.id and a.start_ns is not None]
            if attempts:
                root = roots[source.id] = self.track(f"tracereplay {source.path}")
                self.attempts(attempts, root)
                self.holds(attempts, root, source.start_ns or 0)
        self.counters(roots)
        data: bytes = self.builder.serialize()
        return data

    def attempts(self, attempts: list[Attempt], root: int) -> None:
        kinds: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            name = attempt.operation if attempt.area is None else f"{attempt.operation} {attempt.area}"
            kinds.setdefault(name, []).append(attempt)
        for name, members in kinds.items():
            for row in _rows(members):  # attempts that overlap need rows of their own
                track = self.track(name, root)
                for attempt in row:
                    self.attempt(attempt, track)
            if any(attempt.waits for attempt in members):
                waits = self.track(f"{name}: waits", root)
                for wait in sorted((w for a in members for w in a.waits), key=lambda w: w.start_ns):
                    self.slice(waits, wait.start_ns, wait.end_ns, wait.kind, {"pfn": _pfn(wait.start_pfn)})

    def attempt(self, attempt: Attempt, track: int) -> None:
        name = f"{headline_word(attempt)} {headline(attempt, page_size_bytes(self.result))}"
        notes: Annotations = {
            "verdict": verdict(attempt, self.result), "id": attempt.id, "cause": attempt.cause, "errno": attempt.errno,
            "culprits": len(attempt.culprits),
        }  # fmt: skip
        since = _start(attempt)
        self.begin(track, since, name, notes)
        until = None if attempt.end_ns is None else max(since, attempt.end_ns)
        for tried in attempt.tries:
            since = self.tried(tried, since, until, track)
        if until is not None:
            self.end(track, until)

    def tried(self, tried: Try, since_ns: int, until_ns: int | None, track: int) -> int:
        """Drawn within its attempt and after the try before it, as slices on one track must be. Returns its end."""
        last = MAX_TIME_NS if until_ns is None else until_ns
        start = min(max(tried.start_ns or since_ns, since_ns), last)
        end = min(max(tried.end_ns or start, start), last)
        notes: Annotations = {
            "start_pfn": _pfn(tried.start_pfn), "end_pfn": _pfn(tried.end_pfn),
            "first_blocking_pfn": _pfn(tried.first_blocking_pfn),
        }  # fmt: skip
        self.slice(track, start, end, f"try {tried.index}: {tried.result}", notes)
        return end

    def holds(self, attempts: list[Attempt], root: int, trace_start_ns: int) -> None:
        known_until = max(a.end_ns if a.end_ns is not None else _start(a) for a in attempts)
        for lane in lanes(attempts):
            track = self.track(f"{lane.first.cause}: {lane_label(lane, page_size_bytes(self.result))}", root)
            for bar in lane.bars:
                start = trace_start_ns if bar.start_ns is None else bar.start_ns
                unseen = " (taking not seen)" if bar.start_ns is None else ""
                self.begin(track, start, f"{lane_holder(lane)}{unseen}", _annotations(lane, self.result))
                if not bar.still_held:  # else it lasts to the end of the trace
                    self.end(track, max(start, known_until if bar.end_ns is None else bar.end_ns))

    def counters(self, roots: dict[str, int]) -> None:
        tracks: dict[tuple[str | None, str, str], int] = {}
        for counter in self.result.counters:
            key = (counter.input_id, counter.scope, counter.name)
            if key not in tracks:
                root = roots.get(counter.input_id or "")
                tracks[key] = self.track(f"{counter.scope} {counter.name} pages", root, counter=True)
            packet = self.event(tracks[key], counter.time_ns, self.protos.TrackEvent.TYPE_COUNTER)
            packet.track_event.counter_value = counter.pages

    def track(self, name: str, parent: int | None = None, *, counter: bool = False) -> int:
        self.tracks += 1
        packet = self.builder.add_packet()
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.track_descriptor.uuid = self.tracks
        packet.track_descriptor.name = name
        if parent is not None:
            packet.track_descriptor.parent_uuid = parent
        if counter:
            packet.track_descriptor.counter.unit_name = "pages"
        return self.tracks

    def slice(self, track: int, start_ns: int, end_ns: int, name: str, notes: Annotations) -> None:
        self.begin(track, start_ns, name, notes)
        self.end(track, max(start_ns, end_ns))

    def begin(self, track: int, time_ns: int, name: str, notes: Annotations) -> None:
        packet = self.event(track, time_ns, self.protos.TrackEvent.TYPE_SLICE_BEGIN)
        packet.track_event.name = name
        for key, value in notes.items():
            if value is not None:
                note = packet.track_event.debug_annotations.add()
                note.name = key
                if isinstance(value, int):
                    note.int_value = value
                else:
                    note.string_value = value

    def end(self, track: int, time_ns: int) -> None:
        self.event(track, time_ns, self.protos.TrackEvent.TYPE_SLICE_END)

    def event(self, track: int, time_ns: int, kind: Any) -> TracePacket:
        packet = self.builder.add_packet()
        packet.timestamp = max(time_ns, 0)
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.track_event.type = kind
        packet.track_event.track_uuid = track
        return packet


def _start(attempt: Attempt) -> int:
    """Its start; those without a time are not drawn."""
    return attempt.start_ns or 0


def _rows(attempts: Iterable[Attempt]) -> list[list[Attempt]]:
    """As few rows as hold them without overlap."""
    rows: list[list[Attempt]] = []
    ends: list[int] = []
    for attempt in sorted(attempts, key=_start):
        end = MAX_TIME_NS if attempt.end_ns is None else max(_start(attempt), attempt.end_ns)
        free = next((place for place, until in enumerate(ends) if until <= _start(attempt)), None)
        if free is None:
            rows.append([attempt])
            ends.append(end)
        else:
            rows[free].append(attempt)
            ends[free] = end
    return rows


def _annotations(lane: Lane, result: Result) -> Annotations:
    first = lane.first
    verdicts = dict.fromkeys(c.verdict for c in lane.culprits)
    whys = dict.fromkeys(filter(None, (why([c], result) for c in lane.culprits)))
    return {
        "cause": first.cause, "pages": lane.pages, "verdict": ", ".join(verdicts), "first pfn": _pfn(first.start_pfn),
        "mechanism": first.mechanism, "not proved": "; ".join(whys) or None,
        "taken by": _names(c.taken_by for c in lane.culprits),
        "released by": _names(c.released_by for c in lane.culprits),
    }  # fmt: skip


def _names(tasks: Iterable[Task | None]) -> str | None:
    return ", ".join(dict.fromkeys(task_name(task) for task in tasks if task is not None)) or None


def _pfn(pfn: int | None) -> str | None:
    return None if pfn is None else format_pfn(pfn)
