"""Does the replay agree with the kernel's own snapshots? Writes benchmarks/replay_agreement.md, a row per capture.

.venv/bin/python -m benchmarks.replay_agreement [CAPTURE_DIR ...]

A capture says when its snapshots were taken in no field: the moment of each is found as the one at which the replay
disagrees least (one number chosen against 10^4 to 10^5 pages), and given in the table. The replay is seeded with
kpageflags.before at its moment, runs to the moment of kpageflags.after, is compared, runs to the end, and is compared
again with what changed since then set apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.captures import ROOT
from tests.support.replay_agreement import HEAD, TABLE, Capture, Replay, listed, measure, percent
from tracereplay.parsers.snapshots.kpageflags import PageSnapshot

GRID = 400  # moments tried, and again around the best one


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
        known = sum(int(np.count_nonzero(a.known)) for a in aspects)
        share = (sum(int(np.count_nonzero(a.differs)) for a in aspects) + 20) / (known + 100)
        if share <= best:  # where next to nothing is known yet, no disagreement means little
            best, chosen = share, int(moment)
    return chosen


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
        say(f"{row.name:28} {percent(row.agreeing, row.touched):>8} of {row.touched}   {listed(row.causes)}")
    if not paths:
        TABLE.write_text(PREFACE + "\n".join(lines) + "\n")


PREFACE = """# The replay against the kernel's own snapshots

Written by `python -m benchmarks.replay_agreement`. `tests/accuracy/test_replay_agreement.py` holds the rows of the
captures in `fixtures/` to be current and at 98 % or more.

Each capture has a copy of /proc/kpageflags and /proc/kpagecount of one range (its CMA area or memory block) from before
and after its run, both taken *while the trace ran*, at moments that no file tells. The moment given is the
one at which the replay disagrees least. The replay is seeded with the copy before (pages that no event had named), runs
to the moment of the copy after, and is compared; then it runs to the end and is compared with the same copy again.

- *touched PFNs*: pages of the range that an event named up to then, or that cma_alloc got, and that both sides tell.
  *agree*: in every aspect known. *not comparable*: the block was offline by then (KPF_NOPAGE), or is in a hole.
- The aspects count *agreeing/known*. *free*: KPF_BUDDY needs a page free in the model; a word of 0 (per-cpu list, or
  plain kernel memory) any page that is not on the buddy lists there; any other word a page in use.
  *anon*, *file*, *compound*: of pages in use on both sides and known as anonymous or file on both.
  *mapped* (kpagecount), *locked*, *writeback*: of those with page_ref events since their allocation. *locked* means
  locked and not up to date (a read under way), as PG_locked of a page's last event is stale otherwise; *mapped*: only
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
