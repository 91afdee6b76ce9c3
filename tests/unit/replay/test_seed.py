"""Seeding from page flags, and comparing with them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.support.kpageflags_check import READING_NS, History, Reason, compare, disagreeing, reasons
from tests.support.replay_twin import ANON_MAPPING, FLAG_BITS, Entry, entry, flags, stream
from tracereplay.replay.engine import Engine
from tracereplay.replay.kpage_flags import folio_orders
from tracereplay.replay.seed import seed, seed_cma
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, State
from tracereplay.schema import KPF, Op

ANON = (KPF.LRU, KPF.ANON, KPF.MMAP, KPF.UPTODATE)
FILE = (KPF.LRU, KPF.UPTODATE)


def words(*pages: tuple[KPF, ...]) -> npt.NDArray[np.uint64]:
    """kpageflags words."""
    return np.array([sum(1 << flag for flag in page) for page in pages], np.uint64)


def engine(*entries: Entry) -> Engine:
    """After these events."""
    made = Engine(FLAG_BITS)
    made.run([stream(entries)] if entries else [])
    return made


def test_seeded_pages() -> None:
    made = engine()
    snapshot = words((KPF.BUDDY,), ANON, FILE, (), (KPF.NOPAGE,), (KPF.PGTABLE,))
    counts = np.array([0, 2, 0, 0, 0, 0], np.uint64)
    assert seed(made, 100, snapshot, counts) == 4
    rows = made.pages(100, 106)
    assert rows["state"].tolist() == [State.BUDDY, State.ALLOCATED, State.ALLOCATED, 0, 0, State.ALLOCATED]
    assert rows["marks"].tolist() == [0, Mark.ANON, Mark.FILE, 0, 0, Mark.TYPED]
    assert rows["mapcount"].tolist() == [-1, 1, -1, -1, -1, TYPED_MAPCOUNT + PageType.TABLE]
    assert rows["page_flags"][1] == flags("uptodate", "lru")
    assert made.excess(101) is None  # mapped twice, but its count is not known


def test_what_events_told_stays() -> None:
    made = engine(entry(5, 7, Op.FREE, 100))
    assert seed(made, 100, words(ANON, ANON)) == 1
    assert made.pages(100, 102)["state"].tolist() == [State.PCP, State.ALLOCATED]


def test_folios_are_found_by_their_tails() -> None:
    head, tail = (*ANON, KPF.COMPOUND_HEAD), (*ANON, KPF.COMPOUND_TAIL)
    cut = words(tail, head, tail, tail, tail, ANON, head, tail, tail)
    assert folio_orders(cut).tolist() == [-1, 2, 2, 2, 2, 0, -1, -1, -1]
    made = engine()
    seed(made, 99, cut)
    assert made.pages(99, 108)["order"].tolist() == [0, 2, 2, 2, 2, 0, 0, 0, 0]
    assert made.pages(99, 100)["state"].tolist() == [State.UNSEEN]


def test_the_cma_bitmap_tells_pages_in_use() -> None:
    made = engine(entry(5, 7, Op.FREE, 101))
    assert seed_cma(made, 100, np.array([True, False]), 1) == 1
    assert made.pages(100, 104)["state"].tolist() == [State.ALLOCATED, State.PCP, 0, 0]


def mapped(pfn: int, ns: int = 1) -> list[Entry]:
    """An anonymous page, mapped once."""
    return [
        entry(ns, 7, Op.REF_SET, pfn, val=1, count=1, mapcount=-1),
        entry(ns, 7, Op.ALLOC, pfn, flags=8),
        entry(ns, 7, Op.REF_MOD, pfn, val=1, count=2, mapping=ANON_MAPPING, flags=flags("uptodate", "lru")),
    ]


def test_agreement_by_aspect() -> None:
    made = engine(*mapped(100), *mapped(101), *mapped(102), entry(9, 7, Op.FREE, 103), entry(9, 7, Op.PCP_DRAIN, 104))
    snapshot = words(ANON, FILE, (*ANON, KPF.WRITEBACK), (KPF.BUDDY,), ANON, ANON)
    aspects = compare(made, 100, snapshot, np.array([1, 0, 1, 0, 1, 1], np.uint64))
    assert aspects["free"].known.tolist() == [True] * 5 + [False]  # nobody named the last
    assert aspects["free"].differs.tolist() == [False, False, False, False, True, False]
    assert aspects["anon"].differs.tolist() == [False, True, False, False, False, False]
    assert aspects["mapped"].differs.tolist() == [False, True, False, False, False, False]
    assert aspects["writeback"].differs.tolist() == [False, False, True, False, False, False]
    assert disagreeing(aspects).tolist() == [False, True, True, False, True, False]
    assert not compare(made, 100, snapshot)["mapped"].known.any()


def test_a_word_of_nothing_is_any_page_off_the_buddy_lists() -> None:
    made = engine(*mapped(100), entry(9, 7, Op.FREE, 101), entry(9, 7, Op.PCP_DRAIN, 102))
    free = compare(made, 100, words((), (), ()))["free"]
    assert free.agrees.tolist() == [True, True, False]
    offline = compare(made, 100, words((KPF.NOPAGE,), (), ()))["free"]
    assert offline.known.tolist() == [False, True, True]


def test_reasons_for_disagreement() -> None:
    moment = 10 * READING_NS
    before, after = History.blank(100, 5), History.blank(100, 5)
    before.add(stream([entry(1, 7, Op.ALLOC, 100, order=1), entry(moment - 5, 7, Op.FREE, 102)]))
    after.add(stream([entry(moment + 5, 7, Op.ALLOC, 103)]))
    assert before.touched.tolist() == [True, True, True, False, False]
    differs = np.ones(5, np.bool_)
    known = words(ANON, (), ANON, ANON, ANON)
    assert reasons("free", differs, known, before, after, moment, False) == {
        Reason.LATER: 1, Reason.READING: 1, Reason.LIST: 1, Reason.UNTRACED: 2,
    }  # fmt: skip
    assert reasons("mapped", differs, known, before, after, moment, True) == {
        Reason.LATER: 1, Reason.READING: 1, Reason.MAPPING: 2, Reason.LOST: 1,
    }  # fmt: skip


def test_history_keeps_the_last_event_of_each_page() -> None:
    history = History.blank(100, 4)
    history.add(
        stream([entry(1, 7, Op.ALLOC, 100, order=2), entry(5, 7, Op.FREE, 101), entry(6, 7, Op.ALLOC, 96, order=2)])
    )
    history.add_range(103, 200, 9)
    assert history.last_ns.tolist() == [1, 5, 1, 9]
