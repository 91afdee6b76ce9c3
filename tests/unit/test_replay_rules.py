"""Each rule of the replay, with events made by hand: where it holds, and a near miss where it must not.

Numbers in brackets are those of "What decides" in the captures' README, from which the rules were learned.
"""

from __future__ import annotations

import pytest

from tests.replay_twin import (
    ANON_MAPPING,
    FILE_MAPPING,
    Entry,
    entry,
    flags,
    present_pte,
    replayed,
    swap_pte,
)
from tracereplay.replay.engine import Action, ActionKind, Engine
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefKind, State, Tally
from tracereplay.schema import Op

PFN = 20
WHOLE = ((0, 64),)
MOVABLE = 8
APP, DRIVER, OTHER, WORKER = 7, 9, 8, 3
SET, MOD, UNLESS, PUT = Op.REF_SET, Op.REF_MOD, Op.REF_MOD_UNLESS, Op.REF_MOD_AND_TEST


def born(ns: int = 0, pfn: int = PFN, tid: int = APP, gfp: int = MOVABLE, order: int = 0) -> list[Entry]:
    """page_ref_set and mm_page_alloc, as the allocator emits them."""
    return [
        entry(ns, tid, SET, pfn, val=1, count=1, mapcount=-1),
        entry(ns, tid, Op.ALLOC, pfn, order=order, flags=gfp),
    ]


def ref(ns: int, tid: int, op: Op, val: int, count: int, mapcount: int, *, names: tuple[str, ...] = (), pfn: int = PFN,
        mapping: int = ANON_MAPPING, ret: int = 1) -> Entry:  # fmt: skip
    """A page_ref event of an anonymous page."""
    return entry(
        ns, tid, op, pfn, val=val, count=count, mapcount=mapcount, flags=flags(*names), mapping=mapping, ret=ret
    )


def anon(ns: int = 0, pfn: int = PFN) -> list[Entry]:
    """An anonymous page, mapped once, off the LRU batch: count 1, no excess."""
    return [*born(ns, pfn), ref(ns, APP, MOD, 1, 2, 0, pfn=pfn), ref(ns, APP, PUT, -1, 1, 0, pfn=pfn)]


def cached(ns: int = 0, pfn: int = PFN, mapcount: int = -1) -> list[Entry]:
    """A page-cache page: the cache holds one reference."""
    return [
        *born(ns, pfn),
        entry(ns, APP, Op.CACHE_ADD, pfn, mapping=12, val=3, ret=5),
        ref(ns, APP, MOD, 1, 2, mapcount, pfn=pfn, mapping=FILE_MAPPING),
    ]


def watched(end_ns: int = 100, kind: ActionKind = ActionKind.PROBE, **more: int) -> list[Action]:
    """An attempt by DRIVER from 10 on, probed at `end_ns`."""
    return [
        Action(10, ActionKind.WATCH, 0, WHOLE, DRIVER),
        Action(end_ns, kind, 0, WHOLE, DRIVER, visited_end_pfn=more.get("visited", 0), named_pfn=more.get("named", -1)),
    ]


def page(engine: Engine, pfn: int = PFN) -> dict[str, int]:
    """The page's row."""
    row = engine.pages(pfn, pfn + 1)[0]
    return {name: int(row[name]) for name in row.dtype.names or ()}


def takers(engine: Engine, pfn: int = PFN) -> list[tuple[int, int, int]]:
    """(tid, val, kind) of the open references, youngest first."""
    return [(int(r["tid"]), int(r["val"]), int(r["kind"])) for r in engine.open_refs(pfn)]


def suspects(engine: Engine) -> dict[int, int]:
    """Reasons by pfn."""
    return {int(row["pfn"]): int(row["reasons"]) for row in engine.table("suspects")}


# -- lives -------------------------------------------------------------------------------------------------------


def test_allocated_freed_drained_taken() -> None:
    assert page(replayed(born()))["state"] == State.ALLOCATED
    assert page(replayed([*born(), entry(1, APP, Op.FREE, PFN)]))["state"] == State.PCP
    assert page(replayed([entry(1, APP, Op.FREE, PFN), entry(2, APP, Op.PCP_DRAIN, PFN)]))["state"] == State.BUDDY


@pytest.mark.parametrize("refill", [0, 1])
def test_a_page_taken_from_the_buddy_lists_is_on_no_buddy_list(refill: int) -> None:
    """percpu_refill is 0 for CMA pages although they refill a per-cpu list."""
    events = [entry(1, APP, Op.PCP_DRAIN, PFN), entry(2, APP, Op.BUDDY_TAKE, PFN, ret=refill)]
    assert page(replayed(events))["state"] == State.PCP


def test_an_order_covers_its_pages_and_no_more() -> None:
    engine = replayed(born(order=2))
    assert [page(engine, pfn)["state"] for pfn in range(19, 25)] == [0, 3, 3, 3, 3, 0]
    assert page(engine, PFN + 3)["order"] == 2


def test_page_ref_set_before_its_allocation_is_the_same_life() -> None:
    engine = replayed(born(5))
    assert (page(engine)["alloc_ns"], page(engine)["alloc_tid"]) == (5, APP)
    assert page(engine)["marks"] & Mark.COUNTED
    assert not engine.losses()


def test_an_allocation_over_a_page_in_use_is_counted_as_lost_free() -> None:
    engine = replayed([*anon(), *born(9)[1:]])
    assert [loss.code for loss in engine.losses()] == ["alloc_over_live"]
    assert takers(engine) == []


def test_a_free_of_a_page_nobody_saw() -> None:
    assert [loss.code for loss in replayed([entry(1, APP, Op.FREE, PFN)]).losses()] == ["free_without_alloc"]
    assert not replayed([entry(1, APP, Op.PCP_DRAIN, PFN)]).losses()


def test_file_identity_does_not_outlive_its_page() -> None:  # [20]
    assert page(replayed(cached()))["file"] == 0
    engine = replayed([*cached(), entry(8, APP, Op.FREE, PFN), *anon(9)])
    assert (page(engine)["file"], page(engine)["marks"] & Mark.FILE) == (-1, 0)


def test_a_failed_allocation_is_kept_apart() -> None:  # [24]
    engine = replayed([entry(4, DRIVER, Op.ALLOC, -1, order=9, flags=MOVABLE)])
    assert engine.table("failed_allocs").tolist() == [(4, DRIVER, 9, MOVABLE)]
    assert not len(engine.seen_sections())


def test_a_page_in_use_whose_allocation_nobody_saw() -> None:
    engine = replayed([ref(3, APP, MOD, 1, 3, 0)])
    assert page(engine)["state"] == State.ALLOCATED
    assert not page(engine)["marks"] & Mark.BORN
    assert takers(engine) == [(APP, 1, RefKind.MOD)]


def test_a_split_ends_the_large_folio() -> None:
    huge = born(order=2)
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1, names=("head",))]))["order"] == 2
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1)]))["order"] == 0  # a head no more
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1, pfn=PFN + 1)]), PFN + 1)["order"] == 0  # tails have none


def test_a_cma_allocation_takes_its_range() -> None:
    take = [Action(50, ActionKind.TAKE, 0, ((PFN, PFN + 2),))]
    engine = replayed([entry(1, APP, Op.PCP_DRAIN, PFN, order=2), *anon(2, PFN + 1)], take)
    assert [page(engine, pfn)["state"] for pfn in range(PFN, PFN + 3)] == [
        State.ALLOCATED,
        State.ALLOCATED,
        State.BUDDY,
    ]
    assert not page(engine, PFN + 1)["marks"] & Mark.ANON  # it moved away, unseen
    begun = replayed([entry(40, DRIVER, SET, PFN, val=1, count=1, mapcount=-1)], take)
    assert page(begun)["alloc_ns"] == 40


# -- the expected count --------------------------------------------------------------------------------------------


def test_expected_of_an_anonymous_page_is_its_mappings() -> None:  # [12]
    assert replayed(anon()).excess(PFN) == 0
    assert replayed([*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]).excess(PFN) == 1


def test_expected_of_a_page_cache_page_has_the_cache_and_private_data() -> None:  # [9] [12]
    assert replayed(cached()).excess(PFN) == 1  # the LRU batch still holds it
    assert replayed([*cached(), ref(5, APP, PUT, -1, 1, -1, mapping=FILE_MAPPING)]).excess(PFN) == 0
    buffers = ref(5, APP, MOD, 0, 2, -1, names=("private",), mapping=FILE_MAPPING)
    assert replayed([*cached()[:2], buffers]).excess(PFN) == -1  # val 0 counts one mapping more


def test_expected_of_a_swap_cache_page_has_the_cache() -> None:
    events = [*born(), ref(1, APP, MOD, 1, 2, 0, names=("owner_priv_1",))]
    assert replayed(events).excess(PFN) == 0


def test_excess_is_not_told_without_count_or_mapping_or_of_page_types() -> None:
    assert replayed(born()).excess(PFN) is None
    assert replayed([*born(), ref(1, APP, MOD, 1, 2, -1, mapping=0)]).excess(PFN) is None
    assert replayed([*anon(), ref(1, APP, MOD, 1, 2, -0x0B000001)]).excess(PFN) is None


def test_a_pmd_mapped_huge_page_expects_one() -> None:  # [12]
    head = ("head",)
    huge = [*born(order=2), ref(1, APP, MOD, 1, 2, -1, names=head), ref(2, APP, PUT, -1, 1, -1, names=head)]
    assert replayed(huge).excess(PFN) == 0
    assert replayed([*huge, ref(3, OTHER, UNLESS, 1, 2, -1, names=head)]).excess(PFN) == 1
    # never more than the ledger knows to be taken: mappings of tails are not traced
    assert replayed([*huge, ref(3, OTHER, MOD, 5, 6, -1, names=head)]).excess(PFN) == 0
    locked = ref(3, DRIVER, UNLESS, 1, 2, -1, names=("head", "locked"))
    assert replayed([*huge, locked]).excess(PFN) is None


def test_of_a_large_file_folio_nothing_is_said() -> None:
    events = [*born(order=2), ref(1, APP, MOD, 4, 5, -1, names=("head",), mapping=FILE_MAPPING)]
    assert replayed(events).excess(PFN) is None


def test_page_type_is_kept_with_its_name() -> None:
    assert page(replayed([ref(1, APP, MOD, 1, 1, -0x0B000001)]))["mapcount"] == TYPED_MAPCOUNT + PageType.HUGETLB
    assert page(replayed([ref(1, APP, MOD, 1, 1, -1 & ~0x100)]))["mapcount"] == TYPED_MAPCOUNT + PageType.OFFLINE
    assert not page(replayed([ref(1, APP, MOD, 1, 1, -128)]))["marks"] & Mark.TYPED


# -- taking --------------------------------------------------------------------------------------------------------


def test_kinds_of_references() -> None:
    assert takers(replayed([*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)])) == [(OTHER, 1, RefKind.GET)]
    assert takers(replayed([*anon(), ref(5, OTHER, MOD, 1, 2, 0)])) == [(OTHER, 1, RefKind.MOD)]
    assert takers(replayed([*anon(), ref(5, OTHER, UNLESS, 1024, 1025, 0)])) == [(OTHER, 1024, RefKind.PIN)]


def test_a_refused_get_or_freeze_changes_nothing() -> None:  # [14] [15]
    for op in (UNLESS, Op.REF_FREEZE):
        refused = replayed([*anon(), ref(50, DRIVER, op, 1, 9, 4, ret=0)], watched())
        assert (page(refused)["count"], page(refused)["mapcount"], takers(refused)) == (1, 0, [])
        assert not page(refused)["marks"] & (Mark.TOUCHED | Mark.FROZEN)


def test_the_two_halves_of_a_fast_pin() -> None:  # [13]
    halves = [ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, MOD, 1023, 1025, 0)]
    assert takers(replayed([*anon(), *halves])) == [(OTHER, 1024, RefKind.PIN)]
    strangers = [ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, WORKER, MOD, 1023, 1025, 0)]
    assert takers(replayed([*anon(), *strangers])) == [(WORKER, 1023, RefKind.MOD), (OTHER, 1, RefKind.GET)]


def test_a_pin_let_go_in_one_by_somebody_else() -> None:  # [13]
    pin = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, MOD, 1023, 1025, 0)]
    assert takers(replayed([*pin, ref(9, 0, PUT, -1024, 1, 0)])) == []
    assert takers(replayed([*pin, ref(9, 0, PUT, -1, 1024, 0)])) == [(OTHER, 1024, RefKind.PIN)]


def test_gets_of_the_attempt_s_task_are_isolation_while_it_runs() -> None:  # [8] [21]
    during = replayed([*anon(), ref(50, DRIVER, UNLESS, 1, 2, 0)], watched())
    assert takers(during) == [(DRIVER, 1, RefKind.ISOLATION)]
    assert during.excess(PFN) == 0
    before = replayed([*anon(), ref(5, DRIVER, UNLESS, 1, 2, 0)], watched())
    assert takers(before) == [(DRIVER, 1, RefKind.GET)]
    assert before.excess(PFN) == 1
    after = replayed([*anon(), ref(101, DRIVER, UNLESS, 1, 2, 0)], watched(kind=ActionKind.UNWATCH))
    assert takers(after) == [(DRIVER, 1, RefKind.GET)]


def test_the_migrator_s_remaps_are_not_isolation() -> None:  # [6]
    engine = replayed([*anon(), ref(50, DRIVER, MOD, 1, 2, 0)], watched())
    assert takers(engine) == [(DRIVER, 1, RefKind.MOD)]
    assert not page(engine)["marks"] & Mark.TOUCHED


# -- giving back ---------------------------------------------------------------------------------------------------


def test_a_put_gives_back_the_task_s_own_youngest() -> None:
    gets = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0), ref(7, APP, UNLESS, 1, 4, 0)]
    left = replayed([*gets, ref(8, APP, PUT, -1, 3, 0)]).open_refs(PFN)
    assert [(int(r["tid"]), int(r["ns"])) for r in left] == [(APP, 6), (OTHER, 5)]


def test_a_stranger_s_put_drains_the_batch_before_a_get() -> None:
    events = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, MOD, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert takers(replayed(events)) == [(OTHER, 1, RefKind.GET)]


def test_a_stranger_s_put_among_several_takers_is_ambiguous() -> None:
    one = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, UNLESS, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert not page(replayed(one))["marks"] & Mark.AMBIGUOUS
    two = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert page(replayed(two))["marks"] & Mark.AMBIGUOUS


def test_an_unmap_closes_no_get_of_the_same_task() -> None:  # [5]
    taken = [*anon(), ref(5, APP, UNLESS, 1, 2, 0)]
    assert takers(replayed([*taken, ref(6, APP, PUT, -1, 1, -1)])) == [(APP, 1, RefKind.GET)]
    assert takers(replayed([*taken, ref(6, APP, PUT, -1, 1, 0)])) == []


def test_the_isolation_reference_dropped_by_another() -> None:  # [7]
    taken = [*anon(), ref(50, DRIVER, UNLESS, 1, 2, 0)]
    engine = replayed([*taken, ref(120, WORKER, PUT, -1, 1, 0)], watched())
    assert takers(engine) == []


def test_a_put_of_what_was_taken_unseen_closes_nothing() -> None:
    assert takers(replayed([*anon(), ref(5, WORKER, PUT, -1, 0, 0)])) == []


# -- mappings ------------------------------------------------------------------------------------------------------


def test_a_fault_s_reference_becomes_the_mapping() -> None:  # [2] [4]
    plain = [*cached()[:2], ref(1, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING)]
    mapped = replayed([*plain, ref(2, OTHER, MOD, 1, 3, 0, mapping=FILE_MAPPING)])
    assert takers(mapped) == [(OTHER, 1, RefKind.MOD)]
    seven = [*cached()[:2], ref(1, APP, UNLESS, 1, 2, -1, mapping=FILE_MAPPING)]
    assert takers(replayed([*seven, ref(2, OTHER, MOD, 1, 3, 0, mapping=FILE_MAPPING)])) == [(OTHER, 1, RefKind.MOD)]
    assert len(takers(replayed([*seven, ref(2, OTHER, MOD, 1, 3, -1, mapping=FILE_MAPPING)]))) == 2


def test_a_mod_of_zero_turns_the_get_of_its_task_into_a_mapping() -> None:  # [2]
    fault = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, MOD, 0, 2, 0)]
    engine = replayed(fault)
    assert takers(engine) == []
    assert (page(engine)["mapcount"], engine.excess(PFN)) == (1, 0)
    stranger = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, WORKER, MOD, 0, 2, 0)]
    assert takers(replayed(stranger)) == [(OTHER, 1, RefKind.GET)]


def test_a_younger_get_of_another_task_makes_the_mapping_ambiguous() -> None:
    events = [*cached()[:2], ref(1, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING)]
    rival = ref(2, OTHER, UNLESS, 1, 3, -1, mapping=FILE_MAPPING)
    mapped = ref(3, WORKER, PUT, -1, 2, 0, mapping=FILE_MAPPING)
    assert page(replayed([*events, rival, mapped]))["marks"] & Mark.AMBIGUOUS
    assert not page(replayed([*events, mapped]))["marks"] & Mark.AMBIGUOUS


# -- conflicts -----------------------------------------------------------------------------------------------------


def test_a_count_that_contradicts_the_one_before_is_a_conflict_until_two_agree() -> None:
    agreeing = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    assert not page(replayed(agreeing))["marks"] & Mark.CONFLICT
    gap = [*anon(), ref(5, OTHER, UNLESS, 1, 5, 0)]
    assert page(replayed(gap))["marks"] & Mark.CONFLICT
    assert [loss.code for loss in replayed(gap).losses()] == ["count_resynchronised"]
    assert not page(replayed([*gap, ref(6, OTHER, PUT, -1, 4, 0)]))["marks"] & Mark.CONFLICT


def test_another_task_that_still_meets_the_excess_confirms_the_get() -> None:
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    met = [ref(50, DRIVER, UNLESS, 1, 3, 0), ref(51, DRIVER, PUT, -1, 2, 0)]
    assert replayed([*taken, *met], watched()).open_refs(PFN)[0]["confirmed"]
    assert not replayed(taken).open_refs(PFN)[0]["confirmed"]


# -- what a page's mapping pointer says --------------------------------------------------------------------------------


def test_the_mapping_pointer_tells_anonymous_from_file() -> None:
    assert page(replayed(anon()))["marks"] & (Mark.ANON | Mark.FILE) == Mark.ANON
    assert page(replayed(cached()))["marks"] & (Mark.ANON | Mark.FILE) == Mark.FILE
    movable_ops = [*born(), ref(1, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING + 2)]
    assert not page(replayed(movable_ops))["marks"] & (Mark.ANON | Mark.FILE)


def test_a_hashed_mapping_is_told_by_when_it_came() -> None:
    hashed = 0x199B80D9
    assert page(replayed([*born(), ref(1, APP, MOD, 1, 2, 0, mapping=hashed)]))["marks"] & Mark.ANON
    assert page(replayed([*born(), ref(1, APP, MOD, 1, 2, -1, mapping=hashed)]))["marks"] & Mark.FILE
    older = page(replayed([ref(1, APP, MOD, 1, 2, 0, mapping=hashed)]))["marks"]
    assert older & Mark.HASHED
    assert not older & (Mark.ANON | Mark.FILE)


def test_pages_of_one_mapping_are_pages_of_one_file() -> None:
    engine = replayed([*cached(), ref(5, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING, pfn=PFN + 1)])
    assert page(engine, PFN + 1)["file"] == page(engine)["file"] == 0
    assert engine.table("files").tolist() == [(5, 12)]


def test_a_page_taken_out_of_the_cache() -> None:
    engine = replayed([*cached(), entry(5, APP, Op.CACHE_DELETE, PFN, mapping=12, ret=5)])
    assert not page(engine)["marks"] & Mark.FILE


# -- what stands in the way ------------------------------------------------------------------------------------------


def test_nothing_stands_in_the_way_of_free_and_of_plain_pages() -> None:
    assert suspects(replayed([*anon(), entry(1, APP, Op.FREE, PFN + 1)], watched())) == {}


def test_an_excess_stands_in_the_way_if_it_was_there_all_the_time() -> None:  # [1] [3]
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    assert suspects(replayed(taken, watched())) == {PFN: Reason.EXCESS}
    between = [ref(50, OTHER, PUT, -1, 1, 0), ref(60, OTHER, UNLESS, 1, 2, 0)]
    assert suspects(replayed([*taken, *between], watched())) == {}


def test_a_page_isolated_and_left_stands_in_the_way() -> None:  # [7] [10]
    got = ref(50, DRIVER, UNLESS, 1, 2, 0)
    assert suspects(replayed([*anon(), got], watched())) == {PFN: Reason.LEFT}
    assert suspects(replayed([*anon(), got, ref(60, DRIVER, Op.REF_FREEZE, 2, 0, -1)], watched())) == {}
    assert suspects(replayed([*anon(), got, entry(60, DRIVER, Op.FREE, PFN)], watched())) == {}
    assert suspects(replayed([*anon(), got, ref(60, APP, Op.REF_FREEZE, 2, 0, -1)], watched())) == {PFN: Reason.LEFT}


def test_buffer_heads_have_no_excess_and_are_left() -> None:  # [9] [11]
    buffers = [
        *cached()[:2],
        ref(1, APP, MOD, 1, 2, -1, names=("private", "uptodate"), mapping=FILE_MAPPING),
        ref(50, DRIVER, UNLESS, 1, 3, -1, names=("private", "uptodate"), mapping=FILE_MAPPING),
    ]
    engine = replayed(buffers, watched())
    assert engine.excess(PFN) == 0
    assert suspects(engine) == {PFN: Reason.LEFT}


def test_locked_and_not_uptodate_is_a_read_under_way() -> None:  # [16]
    def read(*names: str) -> dict[int, int]:
        last = ref(5, APP, PUT, -1, 1, -1, names=names, mapping=FILE_MAPPING)
        return suspects(replayed([*cached(), last], watched()))

    assert read("locked") == {PFN: Reason.LOCKED}
    assert read("locked", "uptodate") == {}
    assert read("writeback", "uptodate") == {PFN: Reason.WRITEBACK}


def test_unmovable_by_its_gfp_if_it_was_there_before() -> None:
    assert suspects(replayed(born(gfp=0)[1:], watched())) == {PFN: Reason.UNMOVABLE}
    assert suspects(replayed(born(gfp=MOVABLE)[1:], watched())) == {}
    assert suspects(replayed(born(50, gfp=0)[1:], watched())) == {}


def test_without_references_what_was_visited_and_stayed() -> None:  # [17]
    old = born()[1:]
    assert suspects(replayed(old, watched(visited=PFN + 1))) == {PFN: Reason.VISITED}
    assert suspects(replayed(old, watched(visited=PFN))) == {}
    assert suspects(replayed([*old, entry(50, DRIVER, Op.FREE, PFN)], watched(visited=64))) == {}
    assert suspects(replayed(born(50)[1:], watched(visited=64))) == {}


def test_a_migration_entry_restored_on_its_pfn_is_a_failed_migration() -> None:  # [18]
    was = entry(50, DRIVER, Op.SET_MIGRATION_PTE, 0, mapping=swap_pte(PFN))
    back = entry(60, DRIVER, Op.REMOVE_MIGRATION_PTE, 0, mapping=present_pte(PFN))
    elsewhere = entry(60, DRIVER, Op.REMOVE_MIGRATION_PTE, 0, mapping=present_pte(PFN + 1))
    assert suspects(replayed([*born()[1:], was, back], watched())) == {PFN: Reason.RESTORED}
    assert suspects(replayed([*born()[1:], was, elsewhere], watched())) == {}


def test_the_page_the_kernel_names() -> None:
    assert suspects(replayed(anon(), watched(named=PFN))) == {PFN: Reason.NAMED}
    assert suspects(replayed([entry(1, APP, Op.FREE, PFN)], watched(named=PFN))) == {PFN: Reason.NAMED}
    assert suspects(replayed(born(order=2), watched(named=PFN + 3))) == {PFN: Reason.NAMED}  # the folio's head
    assert suspects(replayed(anon(), watched(named=PFN + 1))) == {PFN + 1: Reason.NAMED}


def test_a_tail_left_alone_stands_for_itself() -> None:
    parted = [*born(order=2, gfp=0)[1:], entry(5, APP, Op.FREE, PFN)]
    assert suspects(replayed(parted, watched())) == {PFN + at: Reason.UNMOVABLE for at in (1, 2, 3)}


# -- what became of it -----------------------------------------------------------------------------------------------


def test_what_became_of_a_suspect() -> None:
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    probed = watched()
    held = replayed(taken, probed).table("suspects")[0]
    assert (held["post_ns"], held["clear_ns"], held["end_ns"]) == (-1, -1, -1)
    let_go = replayed([*taken, ref(150, OTHER, PUT, -1, 1, 0)], probed).table("suspects")[0]
    assert (let_go["post_ns"], let_go["clear_ns"], let_go["clear_tid"], let_go["confirmed"]) == (150, 150, OTHER, 1)
    freed = replayed([*taken, entry(150, APP, Op.FREE, PFN)], probed).table("suspects")[0]
    assert (freed["end_ns"], freed["end_tid"]) == (150, APP)


def test_the_smallest_excess_of_before_within_and_after_counts() -> None:  # [3]
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    lagging = ref(150, OTHER, MOD, 1, 3, 1)  # the mapcount has grown: the get had become a mapping
    assert replayed([*taken, lagging], watched()).table("suspects")[0]["confirmed"] == 0
    same = ref(150, WORKER, MOD, 1, 3, 0)
    assert replayed([*taken, same], watched()).table("suspects")[0]["confirmed"] == 1


def test_a_suspect_keeps_the_references_open_at_its_probe() -> None:
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(150, OTHER, PUT, -1, 1, 0), ref(160, APP, UNLESS, 1, 2, 0)]
    engine = replayed(taken, watched())
    claimed = engine.table("refs")[engine.table("claims")["ref"]]
    assert claimed[["ns", "tid", "close_ns", "close_tid"]].tolist() == [(5, OTHER, 150, OTHER)]


def test_a_watch_begins_before_the_events_of_its_time_and_a_probe_comes_after_them() -> None:
    at_begin = replayed([*anon(), ref(10, DRIVER, UNLESS, 1, 2, 0)], watched())
    assert takers(at_begin) == [(DRIVER, 1, RefKind.ISOLATION)]
    at_probe = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(100, OTHER, PUT, -1, 1, 0)]
    assert suspects(replayed(at_probe, watched())) == {}


def test_every_event_is_counted_and_those_beyond_the_model_apart() -> None:
    engine = replayed([*anon(), entry(5, APP, Op.FREE, 1 << 60)])
    assert engine._mem.tally[Tally.EVENTS] == 5
    assert [loss.code for loss in engine.losses()] == ["pfn_out_of_range"]
