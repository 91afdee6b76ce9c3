"""The replay's tables grow in time, whatever the stream holds: nothing is written outside them, nothing hangs."""

from __future__ import annotations

from tests.support.replay_twin import FILE_MAPPING, entry, replayed, stream
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.state import END_PFN, SECTION_BITS, SECTION_PAGES, State, blank_pages
from tracereplay.schema import Op

WHOLE = ((0, 16),)
KINDS = (ActionKind.WATCH, ActionKind.TAKE, ActionKind.PROBE, ActionKind.UNWATCH)


def test_a_page_with_more_references_than_a_table_has_rows_at_first() -> None:
    takes = [
        entry(10 + at, 1000 + at, Op.REF_MOD_UNLESS, 5, val=1, count=2 + at, mapcount=-1, ret=1) for at in range(900)
    ]
    probe = ReplayAction(5000, ActionKind.PROBE, 1, WHOLE, named_pfn=5)
    engine = replayed(takes, [probe])
    assert len(engine.open_refs(5)) == 900
    assert len(engine.table("claims")) == 900


def test_a_reference_is_claimed_once_by_each_suspect() -> None:
    takes = [entry(10 + pfn, 7, Op.REF_MOD_UNLESS, pfn, val=1, count=2, mapcount=-1, ret=1) for pfn in (4, 5)]
    probes = [
        ReplayAction(100 + at, ActionKind.PROBE, at % 2, ((4, 5), (5, 6)), named_pfn=4 + at % 2) for at in range(8)
    ]
    engine = replayed(takes, probes)
    assert len(engine.table("suspects")) == len(engine.table("claims")) == 2


def test_one_file_of_many_mapping_pointers() -> None:
    """An inode is dropped and read again: another pointer, the same file."""
    entries = []
    for at in range(3000):
        ns = 10 * at
        entries += [
            entry(ns, 7, Op.ALLOC, 5, flags=8),
            entry(ns + 1, 7, Op.CACHE_ADD, 5, mapping=77, val=at, ret=3),
            entry(ns + 2, 7, Op.REF_MOD, 5, val=1, count=2, mapcount=-1, mapping=FILE_MAPPING + 64 * at),
            entry(ns + 3, 7, Op.FREE, 5),
        ]
    assert len(replayed(entries).table("files")) == 1


def test_many_files_and_failed_allocations() -> None:
    files = [entry(at, 7, Op.CACHE_ADD, at % 16, mapping=at, val=0, ret=3) for at in range(1000)]
    failed = [entry(2000 + at, 7, Op.ALLOC, -1, order=9, flags=8) for at in range(1000)]
    engine = replayed(files + failed)
    assert len(engine.table("files")) == len(engine.table("failed_allocs")) == 1000


def test_a_range_taken_where_no_event_was() -> None:
    engine = replayed([entry(1, 7, Op.FREE, 5)], [ReplayAction(2, ActionKind.TAKE, 0, ((1 << 20, (1 << 20) + 3),))])
    assert engine.pages(1 << 20, (1 << 20) + 4)["state"].tolist() == [3, 3, 3, 0]


def test_a_page_named_where_no_event_was() -> None:
    pfn = 1 << 20
    probe = ReplayAction(2, ActionKind.PROBE, 0, ((pfn, pfn + 3),), named_pfn=pfn + 1)
    assert replayed([entry(1, 7, Op.FREE, 5)], [probe]).table("suspects")["pfn"].tolist() == [pfn + 1]


def test_absurd_spans_cost_nothing() -> None:
    spans = ((-(1 << 62), -5), (0, 1 << 62), ((1 << 63) - 2, (1 << 63) - 1), (9, 3))
    actions = [ReplayAction(2, kind, 0, spans, named_pfn=1 << 60) for kind in KINDS]
    engine = Engine(actions=actions)
    engine.run([stream([entry(1, 7, Op.FREE, 5)])])
    assert engine.seen_sections().tolist() == [0]


def test_an_unaligned_allocation_whose_head_lies_in_a_section_nobody_saw() -> None:
    pfn = (1 << SECTION_BITS) + 5
    engine = replayed(
        [entry(1, 7, Op.ALLOC, pfn, order=16, flags=0)],
        [
            ReplayAction(0, ActionKind.WATCH, 0, ((pfn, pfn + 2),)),
            ReplayAction(9, ActionKind.PROBE, 0, ((pfn, pfn + 2),), named_pfn=pfn),
        ],
    )
    assert engine.table("suspects")["pfn"].tolist() == [pfn]


def test_page_frames_beyond_the_model() -> None:
    far = [END_PFN, (1 << 63) - 1, -(1 << 63), -2]
    ops = [op for op in Op if op not in (Op.NONE, Op.SET_MIGRATION_PTE, Op.REMOVE_MIGRATION_PTE, Op.ALLOC, Op.EXTFRAG)]
    engine = replayed([entry(1, 7, op, pfn, val=1, count=2, ret=1) for pfn in far for op in ops])
    assert not len(engine.seen_sections())


def test_a_damaged_trace_cannot_take_all_memory() -> None:
    engine = Engine(sections_limit=3)
    engine.run([stream([entry(at, 7, Op.ALLOC, at << SECTION_BITS) for at in range(1_000)])])
    assert len(engine.seen_sections()) == 3
    assert [loss.count for loss in engine.losses() if loss.code == "pfn_out_of_range"] == [997]


def test_rows_of_a_refused_section_are_left_out() -> None:
    engine = Engine(sections_limit=1)
    rows = blank_pages(2 * SECTION_PAGES)
    rows["state"] = State.BUDDY
    engine.write_pages(0, rows)
    states = engine.pages(0, len(rows))["state"]
    assert (states == State.BUDDY).sum() == SECTION_PAGES
    assert (states[SECTION_PAGES:] == State.UNSEEN).all()
