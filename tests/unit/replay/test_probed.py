"""The ledger of references that kprobes saw, held to the same in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.replay_twin import Entry, entry, stream
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.state import Mark, Reason, RefKind, State
from tracereplay.schema import OP_INFO, REPLAYED, Op

ANON = 1
TAKES, RELEASES = (Op.PROBE_GET, Op.PROBE_PIN), (Op.PROBE_PUT, Op.PROBE_UNPIN)


@dataclass
class PlainPage:
    """A page's references, oldest first: [kind, tid, val, shared]; its count where migration told it."""

    refs: list[list[int]] = field(default_factory=list)
    count: int | None = None

    def apply(self, one: Entry) -> None:
        _, _, tid, number, args, _ = one
        op = Op(number)
        count, val, ret = args[4], args[7], args[8]
        kind = RefKind.PIN if op in (Op.PROBE_PIN, Op.PROBE_UNPIN) else RefKind.GET
        if op is Op.PROBE_MOVED:
            self.refs, self.count = [], None
        elif op is Op.PROBE_REFUSED:
            self.count = count
        elif op in TAKES:
            self._doubt(ret)
            unit = 1024 if kind is RefKind.PIN and val % 1024 == 0 else 1
            self.refs += [[kind, tid, unit, False] for _ in range(val // unit)]
            self._counted(val)
        else:
            self._release(kind, tid, val)
            self._counted(-val)

    def _counted(self, change: int) -> None:
        if self.count is not None:
            self.count = max(self.count + change, 0)

    def _doubt(self, lost: int) -> None:
        for ref in reversed(self.refs):
            if lost > 0 and ref[0] != RefKind.UNSURE and ref[2] <= lost:
                lost -= ref[2]
                ref[0] = RefKind.UNSURE

    def _release(self, kind: int, tid: int, left: int) -> None:
        while left > 0:
            same = [ref for ref in self.refs if ref[0] == kind]
            own = [ref for ref in same if ref[1] == tid]
            doubted = [ref for ref in self.refs if ref[0] == RefKind.UNSURE]
            chosen = own[-1] if own else same[0] if same else doubted[0] if doubted else None
            if chosen is None:
                return
            self._share(chosen)
            if chosen[2] > left:
                chosen[2] -= left
                return
            left -= chosen[2]
            self.refs = [ref for ref in self.refs if ref is not chosen]

    def _share(self, chosen: list[int]) -> None:
        """Another task's reference of the same kind may be the one that was meant."""
        rivals = (RefKind.PIN,) if chosen[0] == RefKind.PIN else (RefKind.GET,)
        for ref in self.refs:
            ref[3] = ref[3] or (ref[1] != chosen[1] and ref[0] in rivals)


@st.composite
def probe_entries(draw: st.DrawFn) -> Entry:
    op = draw(st.sampled_from([op for op in REPLAYED if not OP_INFO[op].event]))
    tid, pfn = draw(st.sampled_from([11, 12, 13])), draw(st.integers(0, 1))
    if op is Op.PROBE_REFUSED:
        return entry(0, tid, op, pfn, count=draw(st.integers(0, 5)), mapcount=-1, mapping=ANON)
    pins = op in (Op.PROBE_PIN, Op.PROBE_UNPIN)
    val = draw(st.sampled_from([1024, 2048, 3, 1] if pins else [1, 2, 8]))
    lost = draw(st.sampled_from([0, 0, 1, 2, 1024])) if op in TAKES else 0
    return entry(0, tid, op, pfn, val=val, count=-1, ret=lost)


@settings(max_examples=300, deadline=None)
@given(st.lists(probe_entries(), max_size=40))
def test_the_ledger_is_that_of_the_plain_twin(items: list[Entry]) -> None:
    engine = Engine(None)
    engine.run([stream([(at, *item[1:]) for at, item in enumerate(items)])])
    pages = [PlainPage(), PlainPage()]
    for item in items:
        pages[item[4][0]].apply(item)
    for pfn, page in enumerate(pages):
        row = engine.pages(pfn, pfn + 1)[0]
        refs = reversed(engine.open_refs(pfn))
        ours = [[int(ref["kind"]), int(ref["tid"]), int(ref["val"]), bool(ref["shared_ns"] >= 0)] for ref in refs]
        assert ours == page.refs
        assert (int(row["count"]) if row["marks"] & Mark.COUNT_KNOWN else None) == page.count


def test_a_take_of_many_pages_fits_into_small_tables() -> None:
    engine = Engine(None)
    engine.run([stream([entry(at, 11, Op.PROBE_GET, at % 9, val=512, count=-1) for at in range(200)])])
    assert sum(int(ref["val"]) for pfn in range(9) for ref in engine.open_refs(pfn)) == 200 * 512


def test_a_held_page_is_a_suspect_without_any_count() -> None:
    engine = Engine(None, actions=[ReplayAction(5, ActionKind.PROBE, 0, ((0, 8),), named_pfn=-1)])
    engine.run([stream([entry(1, 11, Op.PROBE_GET, 3, val=1, count=1)])])
    (suspect,) = engine.table("suspects")
    assert (int(suspect["pfn"]), int(suspect["reasons"])) == (3, Reason.HELD)


def test_a_moved_page_is_free() -> None:
    engine = Engine(None)
    items = [entry(1, 11, Op.PROBE_GET, 3, val=1, count=1), entry(2, 12, Op.PROBE_MOVED, 3)]
    engine.run([stream(items)])
    row = engine.pages(3, 4)[0]
    assert (int(row["state"]), int(row["refs"])) == (State.PCP, -1)
    assert row["marks"] & Mark.FROZEN


def test_entries_of_probes_and_of_tracepoints_mix() -> None:
    items = [
        entry(1, 9, Op.ALLOC, 3, flags=8), entry(2, 11, Op.PROBE_GET, 3, val=1, count=1), entry(3, 9, Op.FREE, 3),
        entry(4, 9, Op.ALLOC, 3, flags=8), entry(5, 12, Op.PROBE_GET, 3, val=1, count=1),
    ]  # fmt: skip
    engine = Engine(None)
    engine.run([stream(items)])
    assert [int(ref["tid"]) for ref in engine.open_refs(3)] == [12]
    assert np.array_equal(engine.table("refs")["close_ns"], [-1])
