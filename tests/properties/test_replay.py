"""The replay on made-up streams: whatever they hold, the compiled replay does as its oracle, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.captures import ROOT, capture
from tests.support.replay_twin import (
    ANON_MAPPING,
    FILE_MAPPING,
    Entry,
    assert_same,
    compiled_pages,
    compiled_suspects,
    entry,
    flags,
    part,
    present_pte,
    run_both,
    split,
    stream,
    swap_pte,
)
from tracereplay.layout.spans import Spans
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.range_snapshots import MARKS
from tracereplay.replay.state import State
from tracereplay.schema import ARGS, OP_INFO, ORDER, PFN, REPLAYED, IrqContext, Op, PageStream

PAGES = 24
TASKS = (7, 8, 9)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

pfns = st.integers(0, PAGES - 1)
counts = st.integers(0, 6)
small = st.sampled_from([-2048, -1024, -2, -1, 0, 1, 2, 1023, 1024, 2046, 2048])
page_flags = st.sampled_from(
    [0, flags("uptodate"), flags("locked"), flags("locked", "uptodate"), flags("writeback", "uptodate"), flags("head"),
     flags("private", "uptodate"), flags("owner_priv_1", "swapbacked"), flags("lru"), flags("lru", "uptodate")]
)  # fmt: skip
mappings = st.sampled_from([0, ANON_MAPPING, FILE_MAPPING, FILE_MAPPING + 64, 12345, FILE_MAPPING + 2])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """An event on one of a few pages, likely or not."""
    op = draw(st.sampled_from(sorted(op for op in REPLAYED if OP_INFO[op].event)))
    pfn, tid, cpu = draw(pfns), draw(st.sampled_from(TASKS)), draw(st.integers(0, 1))
    irq = draw(st.sampled_from(IrqContext))
    if op in (Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE):
        pte = swap_pte(pfn) if op is Op.SET_MIGRATION_PTE else present_pte(pfn)
        return entry(0, tid, op, 0, cpu=cpu, irq=irq, mapping=pte)
    if op is Op.ALLOC and draw(st.integers(0, 9)) == 0:
        return entry(0, tid, op, -1, cpu=cpu, irq=irq, order=draw(st.integers(0, 4)), flags=8)
    if op in (Op.CACHE_ADD, Op.CACHE_DELETE):
        return entry(0, tid, op, pfn, cpu=cpu, irq=irq, mapping=draw(st.integers(1, 3)), val=draw(counts), ret=5)
    if op in (Op.ALLOC, Op.FREE, Op.PCP_DRAIN, Op.BUDDY_TAKE):
        order = draw(st.sampled_from([0, 0, 0, 1, 2]))
        return entry(
            0, tid, op, pfn & -(1 << order), cpu=cpu, irq=irq, order=order, flags=draw(st.sampled_from([0, 8])), ret=1
        )
    return entry(
        0, tid, op, pfn, cpu=cpu, irq=irq, flags=draw(page_flags), count=draw(counts),
        mapcount=draw(st.sampled_from([-1, -1, 0, 1, 2, -129, -0x0B000001, 0x7FFFFFFF])), mapping=draw(mappings),
        val=draw(small), ret=draw(st.sampled_from([0, 1, 1])),
    )  # fmt: skip


def timed(items: list[Entry], step: int) -> PageStream:
    """The entries in order, `step` of them at one time stamp."""
    return stream([(at // step, *item[1:]) for at, item in enumerate(items)])


spans = st.lists(st.tuples(pfns, pfns).map(lambda two: (min(two), max(two) + 1)), min_size=1, max_size=2).map(tuple)
actions = st.lists(
    st.builds(
        ReplayAction,
        time_ns=st.integers(-1, 130),
        kind=st.sampled_from(sorted(set(ActionKind) - {ActionKind.COUNT, ActionKind.SNAPSHOT})),
        attempt=st.integers(0, 2),
        spans=spans,
        tid=st.sampled_from(TASKS),
        visited_end_pfn=pfns,
        named_pfn=st.integers(-1, PAGES),
        named_file=st.sampled_from([None, None, (1, 0), (2, 3)]),
    ),
    max_size=8,
)
streams = st.builds(timed, st.lists(entries(), max_size=80), st.integers(1, 3))


def everything(engine: Engine) -> tuple[object, ...]:
    """All that a replay leaves, independent of the rows it was kept in."""
    return compiled_pages(engine), compiled_suspects(engine), engine.table("failed_allocs").tolist()


@SLOW
@given(streams, actions)
def test_compiled_replay_and_oracle_agree(chunk: PageStream, asked: list[ReplayAction]) -> None:
    assert_same(*run_both([chunk], asked, background=TASKS[:1]))


@SLOW
@given(streams, actions, st.integers(-1, 130), spans)
def test_a_picture_is_what_a_replay_up_to_then_has(
    chunk: PageStream, asked: list[ReplayAction], time_ns: int, wanted: Spans
) -> None:
    there = Engine(machine="x86_64", actions=[*asked, ReplayAction(time_ns, ActionKind.SNAPSHOT, 1, wanted)])
    there.run([chunk])
    until = Engine(machine="x86_64", actions=[action for action in asked if action.time_ns <= time_ns])
    until.run([part(chunk, 0, int(np.searchsorted(chunk.time_ns, time_ns, "right")))])
    ((_, drawn),) = there.range_snapshots.taken[1]
    for (start_pfn, end_pfn), (first_pfn, runs) in zip(wanted, drawn, strict=True):
        rows = until.pages(start_pfn, end_pfn)
        assert first_pfn == start_pfn
        assert np.repeat(runs["state"], runs["pages"]).tolist() == rows["state"].tolist()
        assert np.repeat(runs["marks"], runs["pages"]).tolist() == (rows["marks"] & MARKS).tolist()
        assert (np.diff(runs["state"].astype(int) << 16 | runs["marks"]) != 0).all()


@SLOW
@given(streams, actions, st.lists(st.integers(0, 120), max_size=6))
def test_chunks_do_not_matter(chunk: PageStream, asked: list[ReplayAction], cuts: list[int]) -> None:
    whole, pieces = Engine(machine="x86_64", actions=asked), Engine(machine="x86_64", actions=asked)
    whole.run([chunk])
    pieces.run(split(chunk, cuts))
    assert everything(whole) == everything(pieces)
    for name in ("refs", "suspects", "claims", "files"):
        assert whole.table(name).tolist() == pieces.table(name).tolist()


@SLOW
@given(st.lists(entries(), max_size=60), st.randoms(use_true_random=False))
def test_order_at_equal_times_does_not_matter_between_cpus_and_pages(items: list[Entry], random: Random) -> None:
    """At each time, events of different CPUs on different pages: any order of them tells the same."""
    groups: list[list[Entry]] = []
    for item in items:
        alone = not Op.ALLOC <= item[3] <= Op.REF_UNFREEZE  # page table entries, and files that pages share
        if groups and not alone and not _pages(item) & set().union(*map(_pages, groups[-1])):
            groups[-1].append(item)
        else:
            groups.append([item])
    timed_groups = [[(at, cpu, *one[2:]) for cpu, one in enumerate(group)] for at, group in enumerate(groups)]
    there, back = Engine(machine="x86_64"), Engine(machine="x86_64")
    there.run([stream([one for group in timed_groups for one in group])])
    back.run([stream([one for group in timed_groups for one in random.sample(group, len(group))])])
    assert compiled_pages(there) == compiled_pages(back)


def _pages(item: Entry) -> set[int]:
    """The pages an entry names; all, where it may name a file or another page."""
    first, order = item[4][PFN], item[4][ORDER]
    named = Op.ALLOC <= item[3] <= Op.REF_UNFREEZE and not item[4][ARGS.index("mapping")]
    return set(range(first, first + (1 << order))) if named else set(range(-1, PAGES + 4))


@SLOW
@given(streams)
def test_pages_in_are_pages_out(chunk: PageStream) -> None:
    """Each page is where the last event that moved it put it, and nowhere else."""
    engine = Engine(machine="x86_64")
    engine.run([chunk])
    last: dict[int, State] = {}
    for op, args in zip(map(Op, chunk.op.tolist()), chunk.args.tolist(), strict=True):
        refused = op in (Op.REF_MOD_UNLESS, Op.REF_FREEZE) and args[ARGS.index("ret")] == 0
        if (op in FREE or op is Op.ALLOC or Op.REF_SET <= op <= Op.REF_UNFREEZE) and not refused and args[PFN] >= 0:
            last.update(dict.fromkeys(range(args[PFN], args[PFN] + (1 << args[ORDER])), FREE.get(op, State.ALLOCATED)))
    states = engine.pages(0, PAGES + 4)["state"]
    assert {pfn: State(int(state)) for pfn, state in enumerate(states) if state} == last


FREE = {Op.FREE: State.PCP, Op.BUDDY_TAKE: State.PCP, Op.PCP_DRAIN: State.BUDDY}


@SLOW
@given(streams, st.integers(0, PAGES - 1))
def test_a_new_life_resets_the_ledger(chunk: PageStream, pfn: int) -> None:
    engine = Engine(machine="x86_64")
    engine.run([chunk, stream([entry(1000, 7, Op.ALLOC, pfn, flags=8)])])
    page = engine.pages(pfn, pfn + 1)[0]
    assert engine.open_refs(pfn) == []
    assert (page["state"], page["alloc_ns"], page["alloc_tid"], page["file"]) == (State.ALLOCATED, 1000, 7, -1)
    assert engine.excess(pfn) is None  # no event has told whether it is anonymous or of a file


@SLOW
@given(streams, actions, st.sets(st.integers(0, 119)))
def test_lost_events_break_nothing(chunk: PageStream, asked: list[ReplayAction], lost: set[int]) -> None:
    kept = np.array([at not in lost for at in range(len(chunk))], np.bool_)
    thinned = chunk.select(kept)
    assert_same(*run_both([thinned], asked))


BOUNDS = """
import sys
import numpy as np
from tests.support.blame_engine import blame_engine, open_trace
from pathlib import Path
from tests.support.replay_twin import FLAG_BITS, part
from tracereplay.schema import REPLAYED
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.schema import ARGS, Op, PageStream

trace = open_trace(Path(sys.argv[1]))
engine = blame_engine(trace)
engine.run(trace.reader.stream(REPLAYED))
print(len(engine.table("suspects")), "suspects")

random = np.random.default_rng(int(sys.argv[2]))
extremes = np.array([-(1 << 63), -(1 << 62), -(1 << 32), -65536, -1025, -1024, -2, -1, 0, 1, 2, 5, 1023, 1024, 1 << 15,
                     (1 << 31) - 1, 1 << 31, (1 << 35) - 1, 1 << 35, 1 << 52, (1 << 63) - 1], np.int64)
near = np.array([0, 1, 2, 3, 31, 32767, 32768, 40000, 65535, -1], np.int64)
for _ in range(12):
    rows = 3000
    args = random.choice(extremes, (rows, len(ARGS)))
    far = random.choice(extremes[extremes < (1 << 30)], rows)
    args[:, 0] = np.where(random.random(rows) < 0.9, random.choice(near, rows), far)
    args[:, 1] = np.where(random.random(rows) < 0.98, random.integers(0, 4, rows), random.choice(extremes, rows))
    chunk = PageStream(
        np.sort(random.integers(0, 10_000, rows)), random.integers(0, 4, rows).astype(np.uint16),
        random.integers(-3, 4, rows).astype(np.int32), random.integers(0, 4, rows).astype(np.uint8),
        random.integers(0, 25, rows).astype(np.uint8), args,
    )
    chunk.args[np.isin(chunk.op, (Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE)), 4] = ~(5 << 9)
    actions = [
        ReplayAction(int(random.integers(0, 10_000)), ActionKind(int(random.choice([0, 1, 2, 3, 6, 7]))),
               int(random.integers(0, 3)),
               tuple(tuple(int(x) for x in random.choice(extremes, 2)) for _ in range(2)) + ((0, 70000),),
               int(random.integers(-3, 4)), int(random.choice(extremes)), int(random.choice(extremes)))
        for _ in range(12)
    ]
    wild = Engine(FLAG_BITS, "x86_64", (1, 2), actions)
    wild.run([part(chunk, 0, 1000), part(chunk, 1000, rows)])
print("held")
"""


def test_kernels_stay_inside_their_arrays() -> None:
    """A capture and garbage (extremes of int64 in every argument) with numba's bounds checks on."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BOUNDS, str(capture("cma_pin_vmsplice")), "2026"],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(ROOT / ".pytest_cache" / "bounds")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("held\n")
