"""Does the replay agree with the kernel's own snapshots? Writes benchmarks/replay_agreement.md, a row per capture.

.venv/bin/python -m benchmarks.replay_agreement [CAPTURE_DIR ...]

A capture says when its snapshots were taken in no field: the moment of each is found as the one at which the replay
disagrees least (one number chosen against 10^4 to 10^5 pages), and given in the table. The replay is seeded with
kpageflags.before at its moment, runs to the moment of kpageflags.after, is compared, runs to the end, and is compared
again with what changed since then set apart.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.kpageflags_check import ASPECTS, Aspect, History, compare, disagreeing, reasons
from tracereplay.analysis import REPLAYED, Trace
from tracereplay.attempts.find import questions
from tracereplay.parsers.snapshots.kpageflags import PageSnapshot, read_page_snapshots
from tracereplay.parsers.snapshots.layout import read_layout
from tracereplay.replay.engine import ActionKind, Engine
from tracereplay.replay.seed import seed, seed_cma
from tracereplay.replay.state import State
from tracereplay.schema import PageStream
from tracereplay.session import Session

TABLE = Path(__file__).with_suffix(".md")
ROOT = Path(__file__).resolve().parents[1]
GRID = 400  # moments tried, and again around the best one


def open_trace(folder: Path) -> Trace:
    """The trace of a capture with its layout, as blame has it."""
    path = next(folder / name for name in ("trace.dat", "perf.data") if (folder / name).exists())
    layout = folder / "layout_before"
    session = Session([path], layout=layout if layout.is_dir() else None)
    return session._traces(session._loss_book())[0]


def blame_engine(trace: Trace) -> Engine:
    """The engine that blame runs: with the questions of the attempts."""
    actions = questions(trace.events, trace.drafts, trace.has_page_ref)
    known = trace.page_engine()
    return Engine(known.page_flag_bits, known.machine, known.background_isolators, actions)


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
class Row:
    """What the table says of one capture."""

    name: str
    kernel: str
    before_ns: int
    after_ns: int
    at_before: tuple[int, int] = (0, 0)  # pages told by the events alone at kpageflags.before; those that agree
    touched: int = 0
    agreeing: int = 0
    touched_at_end: int = 0
    agreeing_at_end: int = 0
    not_comparable: int = 0
    aspects: dict[str, tuple[int, int]] = field(default_factory=dict)  # (told, agreeing)
    causes: Counter[str] = field(default_factory=Counter)
    causes_at_end: Counter[str] = field(default_factory=Counter)
    bitmap: tuple[int, int, int] | None = None  # bits, bits predicted right, pages of set bits that are in use
    free: tuple[int, int, int] | None = (
        None  # kernel's free CMA pages; the model's on buddy lists, and on per-cpu lists
    )

    @property
    def share(self) -> float:
        """Share of the touched pages that agree in everything told."""
        return self.agreeing / max(self.touched, 1)

    def cells(self) -> list[str]:
        """The row as the table prints it."""
        return [
            self.name,
            self.kernel,
            f"{self.before_ns / 1e9:.9f}",
            f"{self.after_ns / 1e9:.9f}",
            str(self.touched),
            _percent(self.agreeing, self.touched),
            *(f"{agree}/{told}" if told else "-" for told, agree in self.aspects.values()),
            str(self.not_comparable),
            _listed(self.causes),
            f"{_percent(self.at_before[1], self.at_before[0])} of {self.at_before[0]}",
            _percent(self.agreeing_at_end, self.touched_at_end),
            _listed(self.causes_at_end),
            "-" if self.bitmap is None else f"{self.bitmap[1]}/{self.bitmap[0]}, {self.bitmap[2]} in use",
            "-" if self.free is None else f"{self.free[0]}: {self.free[1]} + {self.free[2]}",
        ]


HEAD = [
    "capture", "kernel", "before, s", "after, s", "touched PFNs", "agree", *ASPECTS, "not comparable",
    "what disagrees", "unseeded, at before", "agree at the end", "what disagrees at the end",
    "CMA bitmap", "free CMA pages",
]  # fmt: skip


def measure(capture: Capture, before_ns: int, after_ns: int) -> Row:
    """Seed at `before_ns`, compare at `after_ns` and at the end."""
    info = capture.trace.reader.info
    row = Row(capture.path.name, info.kernel or "?", before_ns, after_ns)
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
            int(np.count_nonzero(touched & aspect.told)),
            int(np.count_nonzero(touched & aspect.told & aspect.agrees)),
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
    """Touched pages that both sides tell, and those of them that agree in every aspect told."""
    told = touched & aspects["free"].told
    return int(np.count_nonzero(told)), int(np.count_nonzero(told & ~disagreeing(aspects)))


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


def _compare_layout(row: Row, replay: Replay) -> None:
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


def find_moments(capture: Capture) -> tuple[int, int]:
    """When the two snapshots were taken: the moments at which the replay disagrees least."""
    times = np.concatenate([chunk.time_ns for chunk in capture.stream])

    def best(snapshot: PageSnapshot, seed_ns: int | None) -> int:
        chosen, low, high = 0, int(times[0]) if seed_ns is None else seed_ns, int(times[-1]) + 1
        for _ in range(2):
            moments = _candidates(times, low, high)
            chosen = _best_moment(capture, snapshot, moments, seed_ns)
            at = int(np.searchsorted(moments, chosen))
            low, high = int(moments[max(at - 1, 0)]), int(moments[min(at + 1, len(moments) - 1)])
        return chosen

    before_ns = best(capture.before, None)
    return before_ns, best(capture.after, before_ns)


def _candidates(times: npt.NDArray[np.int64], low: int, high: int) -> npt.NDArray[np.int64]:
    """Moments of [low, high] to try: evenly spread, and the ends of the longest silences."""
    inside = times[(times > low) & (times < high)]
    gaps = np.diff(inside, prepend=low)
    silences = inside[np.argsort(gaps, kind="stable")[-GRID:]] if len(inside) else inside
    return np.unique(np.concatenate([np.linspace(low, high, GRID).astype(np.int64), silences]))


def _best_moment(capture: Capture, snapshot: PageSnapshot, moments: npt.NDArray[np.int64], seed_ns: int | None) -> int:
    """The last of these moments with the smallest share of disagreement."""
    replay = Replay.begin(capture)
    if seed_ns is not None:
        replay.run_to(seed_ns)
        replay.seed()
    best, chosen = 1.0, int(moments[0])
    for moment in moments:
        replay.run_to(int(moment))
        aspects = replay.compare(snapshot).values()
        told = sum(int(np.count_nonzero(a.told)) for a in aspects)
        share = (sum(int(np.count_nonzero(a.differs)) for a in aspects) + 20) / (told + 100)
        if share <= best:  # where next to nothing is told yet, no disagreement means little
            best, chosen = share, int(moment)
    return chosen


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def _listed(counts: Counter[str]) -> str:
    return "; ".join(f"{number} {name}" for name, number in counts.most_common()) or "-"


def committed(table: Path = TABLE) -> dict[str, list[str]]:
    """The rows of the committed table by capture."""
    lines = [line for line in table.read_text().splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in rows if not set(row[0]) <= set("-: ")}


def captures(paths: list[str]) -> list[Path]:
    """The folders named, else those of the tree and, where present, beside it."""
    if paths:
        return [Path(path) for path in paths]
    folders = [ROOT / "fixtures" / "captures", ROOT.parent / "shared" / "captures"]
    by_name = {path.name: path for folder in reversed(folders) if folder.is_dir() for path in folder.iterdir()}
    return [by_name[name] for name in sorted(by_name) if by_name[name].is_dir()]


def main(*paths: str, say: Callable[[str], None] = print) -> None:
    """Measure and write the table."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for path in captures(list(paths)):
        capture = Capture.open(path)
        if capture is None:
            say(f"{path.name}: no trace with two page snapshots")
            continue
        row = measure(capture, *find_moments(capture))
        lines.append(f"| {' | '.join(row.cells())} |")
        say(f"{row.name:28} {_percent(row.agreeing, row.touched):>8} of {row.touched}   {_listed(row.causes)}")
    if not paths:
        TABLE.write_text(PREFACE + "\n".join(lines) + "\n")


PREFACE = """# The replay against the kernel's own snapshots

Written by `python -m benchmarks.replay_agreement`. `tests/accuracy/test_replay_agreement.py` holds the rows of the
captures in `fixtures/` to be current and at 98 % or more.

Each capture has a copy of /proc/kpageflags and /proc/kpagecount of one range (its CMA area or memory block) from before
and after what was asked of it, both taken *while the trace ran*, at moments that no file tells. The moment given is the
one at which the replay disagrees least. The replay is seeded with the copy before (pages that no event had named), runs
to the moment of the copy after, and is compared; then it runs to the end and is compared with the same copy again.

- *touched PFNs*: pages of the range that an event named up to then, or that cma_alloc got, and that both sides tell.
  *agree*: in every aspect told. *not comparable*: the block was offline by then (KPF_NOPAGE), or lies in a hole.
- The aspects count *agreeing/told*. *free*: KPF_BUDDY needs a page free in the model; a word of 0 (per-cpu list, or
  plain kernel memory) any page that is not on the buddy lists there; any other word a page in use.
  *anon*, *file*, *compound*: of pages in use on both sides and known as anonymous or file on both.
  *mapped* (kpagecount), *locked*, *writeback*: of those with page_ref events since their allocation. *locked* means
  locked and not up to date (a read under way), as PG_locked of a page's last event is stale otherwise; *mapped* is told
  of small pages. A dash: the trace or the copy does not tell it.
- *unseeded, at before*: the replay from nothing, at the moment of the copy before, of the pages it had then.
- *at the end*: the copy is older than the trace's end in most captures, and much of the range changed hands in between.
  A page that an event names after the moment is said to have been changed by it.
- *CMA bitmap*, of layout_after (taken at the end): bits that layout_before and the cma events predict right / bits, and
  the pages of set bits that are in use in the model. *free CMA pages*: of pagetypeinfo in layout_after, against the
  model's on buddy lists + on per-cpu lists (a page freed while isolated goes straight to the buddy lists: no event
  tells).
- layout_after was taken some time after the trace's end: what was freed or used since shows in it, unseen by the trace
  (the memory hog of cma_nomem was gone by then; the files that the trace was written to had been cached).
- buddyinfo cannot be compared further: it counts zones, of which the copies and the trace know a part.

"""

if __name__ == "__main__":
    main(*sys.argv[1:])
