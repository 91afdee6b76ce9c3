"""How far the replay agrees with the kernel's own snapshots; benchmarks/replay_agreement.md has a row per capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.blame_engine import blame_engine, open_trace
from tests.support.captures import ROOT
from tests.support.kpageflags_check import ASPECTS, Aspect, History, compare, disagreeing, reasons
from tracereplay.analysis import Trace
from tracereplay.parsers.snapshots.kpageflags import PageSnapshot, read_page_snapshots
from tracereplay.parsers.snapshots.layout import read_layout
from tracereplay.replay.engine import ActionKind, Engine
from tracereplay.replay.seed import seed, seed_cma
from tracereplay.replay.state import State
from tracereplay.schema import REPLAYED, PageStream

TABLE = ROOT / "benchmarks" / "replay_agreement.md"


@dataclass(slots=True)
class Capture:
    """A trace with its two page snapshots, its events in memory."""

    path: Path
    trace: Trace
    before: PageSnapshot
    after: PageSnapshot
    stream: list[PageStream]

    @classmethod
    def open(cls, path: Path) -> Capture | None:
        """None where the folder has no trace with two snapshots of the same pages."""
        traces = [path / name for name in ("trace.dat", "perf.data") if (path / name).exists()]
        snapshots = {snapshot.label: snapshot for snapshot in read_page_snapshots(path)}
        if not traces or not {"before", "after"} <= snapshots.keys():
            return None
        trace = open_trace(path)
        stream = list(trace.reader.stream(REPLAYED))
        machine = trace.page_engine()
        for chunk in stream:
            machine.decode(chunk)
        return cls(path, trace, snapshots["before"], snapshots["after"], stream)

    def parts(self, start_ns: int, end_ns: int) -> Iterator[PageStream]:
        """The events of [start_ns, end_ns)."""
        for chunk in self.stream:
            low, high = np.searchsorted(chunk.time_ns, [start_ns, end_ns])
            if low < high:
                yield chunk.select(slice(low, high))


@dataclass(slots=True)
class Replay:
    """An engine on its way through a capture, and what the events said of the pages of the snapshots."""

    capture: Capture
    engine: Engine
    history: History
    now_ns: int = -(1 << 62)

    @classmethod
    def begin(cls, capture: Capture) -> Replay:
        """At the trace's begin, with the layout's CMA bitmaps."""
        engine = blame_engine(capture.trace)
        for start_pfn, bits, order_per_bit in _bitmaps(capture.path / "layout_before"):
            seed_cma(engine, start_pfn, bits, order_per_bit)
        return cls(capture, engine, History.blank(capture.after.start_pfn, len(capture.after.flags)))

    def run_to(self, end_ns: int) -> None:
        """Replay the events before this time."""
        for part in self.capture.parts(self.now_ns, end_ns):
            self.engine.feed(part)
            self.history.add(part)
        for action in self.engine.actions:
            if action.kind == ActionKind.TAKE and self.now_ns <= action.time_ns < end_ns:
                for start_pfn, end_pfn in action.spans:
                    self.history.add_range(start_pfn, end_pfn, action.time_ns)
        self.now_ns = end_ns

    def seed(self) -> None:
        """Fill in what kpageflags.before tells."""
        snapshot = self.capture.before
        seed(self.engine, snapshot.start_pfn, snapshot.flags, snapshot.mapcount)

    def compare(self, snapshot: PageSnapshot) -> dict[str, Aspect]:
        """With one of the snapshots, as things stand."""
        return compare(self.engine, snapshot.start_pfn, snapshot.flags, snapshot.mapcount)


@dataclass(slots=True)
class CaptureAgreement:
    """What the table says of one capture."""

    name: str
    kernel: str
    before_ns: int
    after_ns: int
    at_before: tuple[int, int] = (0, 0)  # pages known by the events alone at kpageflags.before; those that agree
    touched: int = 0
    agreeing: int = 0
    touched_at_end: int = 0
    agreeing_at_end: int = 0
    not_comparable: int = 0
    aspects: dict[str, tuple[int, int]] = field(default_factory=dict)  # (known, agreeing)
    causes: Counter[str] = field(default_factory=Counter)
    causes_at_end: Counter[str] = field(default_factory=Counter)
    bitmap: tuple[int, int, int] | None = None  # bits, bits predicted right, pages of set bits that are in use
    free: tuple[int, int, int] | None = (
        None  # kernel's free CMA pages; the model's on buddy lists, and on per-cpu lists
    )

    @property
    def share(self) -> float:
        """Share of the touched pages that agree in everything known."""
        return self.agreeing / max(self.touched, 1)

    def cells(self) -> list[str]:
        """The row as the table prints it."""
        return [
            self.name,
            self.kernel,
            f"{self.before_ns / 1e9:.9f}",
            f"{self.after_ns / 1e9:.9f}",
            str(self.touched),
            percent(self.agreeing, self.touched),
            *(f"{agree}/{known}" if known else "-" for known, agree in self.aspects.values()),
            str(self.not_comparable),
            listed(self.causes),
            f"{percent(self.at_before[1], self.at_before[0])} of {self.at_before[0]}",
            percent(self.agreeing_at_end, self.touched_at_end),
            listed(self.causes_at_end),
            "-" if self.bitmap is None else f"{self.bitmap[1]}/{self.bitmap[0]}, {self.bitmap[2]} in use",
            "-" if self.free is None else f"{self.free[0]}: {self.free[1]} + {self.free[2]}",
        ]


HEAD = [
    "capture", "kernel", "before, s", "after, s", "touched PFNs", "agree", *ASPECTS, "not comparable",
    "what disagrees", "unseeded, at before", "agree at the end", "what disagrees at the end",
    "CMA bitmap", "free CMA pages",
]  # fmt: skip


def measure(capture: Capture, before_ns: int, after_ns: int) -> CaptureAgreement:
    """Seed at `before_ns`, compare at `after_ns` and at the end."""
    info = capture.trace.reader.info
    row = CaptureAgreement(capture.path.name, info.kernel or "?", before_ns, after_ns)
    replay = Replay.begin(capture)
    replay.run_to(before_ns)
    first = replay.compare(capture.before)
    row.at_before = _agreeing(first, replay.history.touched)
    replay.seed()
    replay.run_to(after_ns)
    snapshot, seen = capture.after, replay.history
    touched = seen.touched
    aspects = replay.compare(snapshot)
    row.touched, row.agreeing = _agreeing(aspects, touched)
    row.not_comparable = int(np.count_nonzero(touched)) - row.touched
    for name, aspect in aspects.items():
        row.aspects[name] = (
            int(np.count_nonzero(touched & aspect.known)),
            int(np.count_nonzero(touched & aspect.known & aspect.agrees)),
        )
    nothing = History.blank(seen.start_pfn, len(seen.last_ns))
    has_losses = any(loss.kind.hides_events for loss in capture.trace.reader.losses)
    row.causes = _causes(aspects, touched, snapshot, seen, nothing, after_ns, has_losses)
    replay.history = nothing
    replay.run_to(1 << 62)
    replay.engine.finish()
    late = replay.compare(snapshot)
    all_touched = touched | nothing.touched
    row.touched_at_end, row.agreeing_at_end = _agreeing(late, all_touched)
    row.causes_at_end = _causes(late, all_touched, snapshot, seen, nothing, after_ns, has_losses)
    _compare_layout(row, replay)
    return row


def _agreeing(aspects: dict[str, Aspect], touched: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Touched pages that both sides tell, and those of them that agree in every aspect known."""
    known = touched & aspects["free"].known
    return int(np.count_nonzero(known)), int(np.count_nonzero(known & ~disagreeing(aspects)))


def _causes(
    aspects: dict[str, Aspect], touched: npt.NDArray[np.bool_], snapshot: PageSnapshot, seen: History, later: History,
    moment_ns: int, has_losses: bool,
) -> Counter[str]:  # fmt: skip
    """Disagreeing pages by aspect and reason; a page counts once, with its first aspect."""
    counts: Counter[str] = Counter()
    left = touched.copy()
    for name, aspect in aspects.items():
        found = reasons(name, aspect.differs & left, snapshot.flags, seen, later, moment_ns, has_losses)
        counts.update({f"{name}: {reason}": number for reason, number in found.items()})
        left &= ~aspect.differs
    return counts


def _compare_layout(row: CaptureAgreement, replay: Replay) -> None:
    """layout_after: the CMA bitmap, and the pages of CMA type on the buddy lists."""
    engine, layout = replay.engine, read_layout(replay.capture.path / "layout_after")
    before = {start_pfn: bits for start_pfn, bits, _ in _bitmaps(replay.capture.path / "layout_before")}
    areas = _bitmaps(replay.capture.path / "layout_after")
    if not areas:
        return
    bits_total = bits_right = in_use = 0
    for start_pfn, bits, order_per_bit in areas:
        predicted = before.get(start_pfn, np.zeros_like(bits)).copy()
        _apply_cma_events(replay.capture.trace, predicted, start_pfn, order_per_bit)
        rows = engine.pages(start_pfn, start_pfn + (len(bits) << order_per_bit))
        taken = np.repeat(bits, 1 << order_per_bit)
        bits_total += len(bits)
        bits_right += int(np.count_nonzero(predicted == bits))
        in_use += int(np.count_nonzero(taken & (rows["state"] == State.ALLOCATED)))
    row.bitmap = bits_total, bits_right, in_use
    free = [r for r in layout.tables["free_areas"].to_pylist() if r["migratetype"] == "CMA"]
    states = np.concatenate([engine.pages(s, s + (len(b) << o))["state"] for s, b, o in areas])
    row.free = (
        sum(r["blocks"] << r["order"] for r in free),
        int(np.count_nonzero(states == State.BUDDY)),
        int(np.count_nonzero(states == State.PCP)),
    )


def _apply_cma_events(trace: Trace, bits: npt.NDArray[np.bool_], start_pfn: int, order_per_bit: int) -> None:
    """Set what cma_alloc_finish got, clear what cma_release gave back, in order of time."""
    tables = trace.reader.tables(("cma_alloc_finish", "cma_release"))
    changes = []
    for name, table in tables.items():
        for event in table.select(
            ["time_ns", "pfn", "count", *(["page"] if name == "cma_alloc_finish" else [])]
        ).to_pylist():
            if name == "cma_release" or event["page"]:
                changes += [(event["time_ns"], name == "cma_alloc_finish", event["pfn"], event["count"])]
    for _, taken, pfn, count in sorted(changes):
        first, last = pfn - start_pfn, pfn - start_pfn + count
        if 0 <= first < len(bits) << order_per_bit:
            bits[first >> order_per_bit : (last + (1 << order_per_bit) - 1) >> order_per_bit] = taken


def _bitmaps(layout: Path) -> list[tuple[int, npt.NDArray[np.bool_], int]]:
    """(start_pfn, bool[bits], order_per_bit) of each CMA area whose bitmap is known."""
    found = []
    for area in read_layout(layout).tables["cma_areas"].to_pylist() if layout.is_dir() else []:
        if area["bitmap"]:
            words = np.array(area["bitmap"], "<u4")
            bits = np.unpackbits(words.view(np.uint8), bitorder="little").astype(np.bool_)
            found.append((area["start_pfn"], bits[: area["pages"] >> area["order_per_bit"]], area["order_per_bit"]))
    return found


def percent(part: int, whole: int) -> str:
    """As the table prints a share."""
    return f"{100 * part / whole:.2f} %" if whole else "-"


def listed(counts: Counter[str]) -> str:
    """Counts with their names, the largest first."""
    return "; ".join(f"{number} {name}" for name, number in counts.most_common()) or "-"


def committed(table: Path = TABLE) -> dict[str, list[str]]:
    """The rows of the committed table by capture."""
    lines = [line for line in table.read_text().splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in rows if not set(row[0]) <= set("-: ")}
