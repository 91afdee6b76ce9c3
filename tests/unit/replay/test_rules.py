"""Each rule of the replay, with events made by hand: where it holds, and a near miss where it must not.

Numbers in brackets are those of "What decides" in the captures' README, from which the rules were learned.
"""

from __future__ import annotations

import pytest

from tests.support.hand_made_pages import (
    APP,
    DRIVER,
    MOD,
    MOVABLE,
    OTHER,
    PFN,
    PUT,
    SET,
    UNLESS,
    WORKER,
    anon,
    born,
    cached,
    page,
    ref,
    suspects,
    takers,
    watched,
)
from tests.support.replay_twin import (
    ANON_MAPPING,
    FILE_MAPPING,
    Entry,
    assert_same,
    entry,
    present_pte,
    replayed,
    run_both,
    stream,
    swap_pte,
)
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefKind, ReplayCounter, State
from tracereplay.schema import Op

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
    assert page(engine)["marks"] & Mark.COUNT_KNOWN
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
    assert not page(engine)["marks"] & Mark.ALLOC_SEEN
    assert takers(engine) == [(APP, 1, RefKind.MOD)]


def test_a_split_ends_the_large_folio() -> None:
    huge = born(order=2)
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1, names=("head",))]))["order"] == 2
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1)]))["order"] == 0  # a head no more
    assert page(replayed([*huge, ref(3, APP, MOD, 1, 2, -1, pfn=PFN + 1)]), PFN + 1)["order"] == 0  # tails have none


def test_a_cma_allocation_takes_its_range() -> None:
    take = [ReplayAction(50, ActionKind.TAKE, 0, ((PFN, PFN + 2),))]
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


HASHED = 0x199B80D9  # kernel text prints pointers hashed


def test_a_hashed_mapping_is_guessed_by_when_it_came() -> None:
    def kind(*events: Entry) -> int:
        return page(replayed(events))["marks"] & (Mark.ANON | Mark.FILE | Mark.GUESSED | Mark.HASHED)

    assert kind(*born(), ref(1, APP, MOD, 1, 2, 0, mapping=HASHED)) == Mark.ANON | Mark.GUESSED
    assert kind(*born(), ref(1, APP, MOD, 1, 2, -1, mapping=HASHED)) == Mark.FILE | Mark.GUESSED
    assert kind(ref(1, APP, MOD, 1, 2, 0, mapping=HASHED)) == Mark.HASHED  # in use before: not known
    added = entry(0, APP, Op.CACHE_ADD, PFN, mapping=12, val=3, ret=5)
    assert kind(*born(), added, ref(1, APP, MOD, 1, 2, 0, mapping=HASHED)) == Mark.FILE
    assert kind(*born(), ref(1, APP, MOD, 1, 2, 0, mapping=HASHED), added) == Mark.FILE
    assert kind(*born(), ref(1, APP, MOD, 1, 2, -1, mapping=HASHED), ref(2, APP, MOD, 1, 3, -1)) == Mark.ANON


def test_a_count_below_that_of_cache_and_mappings_refutes_a_guessed_file_page() -> None:
    """An anonymous page that was migrated here has its mapping before its first rmap, as a page-cache page has."""
    guessed = [*born(), ref(1, APP, MOD, 1, 2, -1, mapping=HASHED)]
    guess = Mark.FILE | Mark.GUESSED

    def kind(*events: Entry) -> int:
        return page(replayed([*guessed, *events]))["marks"] & (Mark.ANON | Mark.FILE | Mark.GUESSED)

    assert kind(ref(2, APP, PUT, -1, 1, 0, mapping=HASHED)) == Mark.ANON
    assert kind(ref(2, APP, PUT, -1, 1, -1, mapping=HASHED)) == guess  # not mapped: the cache has the one
    assert kind(ref(2, APP, MOD, 1, 2, 0, mapping=HASHED)) == guess
    assert kind(ref(2, APP, PUT, -1, 1, 0, names=("head",), mapping=HASHED)) == guess
    certain = [*cached(), ref(5, APP, PUT, -1, 1, 0, mapping=HASHED)]
    assert page(replayed(certain))["marks"] & (Mark.ANON | Mark.FILE) == Mark.FILE


def test_a_guessed_anonymous_page_is_certain_once_its_count_is_too_low_for_the_page_cache() -> None:
    guessed = [*born(), ref(1, APP, MOD, 1, 2, 0, mapping=HASHED)]

    def kind(*events: Entry) -> int:
        return page(replayed([*guessed, *events]))["marks"] & (Mark.ANON | Mark.FILE | Mark.GUESSED)

    assert kind(ref(2, APP, PUT, -1, 1, 0, mapping=HASHED)) == Mark.ANON
    assert kind(ref(2, APP, MOD, 1, 3, 1, mapping=HASHED)) == Mark.ANON | Mark.GUESSED
    assert kind(ref(2, APP, PUT, -1, 1, -1, mapping=HASHED)) == Mark.ANON | Mark.GUESSED  # not mapped
    assert kind(ref(2, APP, PUT, -1, 0, 0, mapping=HASHED)) == Mark.ANON | Mark.GUESSED  # a count of 0 tells nothing
    assert kind(ref(2, APP, PUT, -1, 1, 0, names=("head",), mapping=HASHED)) == Mark.ANON | Mark.GUESSED
    again = ref(3, APP, MOD, 1, 2, 0, mapping=HASHED)
    assert kind(ref(2, APP, PUT, -1, 1, 0, mapping=HASHED), again) == Mark.ANON


def test_the_excess_of_a_refuted_guess_is_forgotten() -> None:
    private = ("private",)
    file = [*born(), ref(1, APP, MOD, 1, 2, -1, mapping=HASHED)]
    low = ref(20, APP, PUT, -1, 1, -1, names=private, mapping=HASHED)  # the cache and buffer heads: one too few
    assert page(replayed([*file, low], watched()))["min_excess"] == -1
    refuting = ref(30, APP, MOD, 0, 1, 0, names=private, mapping=HASHED)
    assert page(replayed([*file, low, refuting], watched()))["min_excess"] == 0
    swapped = ("owner_priv_1",)
    anonymous = [*born(), ref(1, APP, MOD, 1, 2, 0, names=swapped, mapping=HASHED)]
    low = ref(20, DRIVER, UNLESS, 1, 2, 0, names=swapped, mapping=HASHED)  # mapped, in swap, isolated: one too few
    certain = ref(30, DRIVER, PUT, -1, 1, 0, mapping=HASHED)
    engine = replayed([*anonymous, low, certain], watched())
    assert page(engine)["marks"] & (Mark.ANON | Mark.GUESSED) == Mark.ANON
    assert page(engine)["min_excess"] == -1  # it was an anonymous page's all along


@pytest.mark.parametrize("name", ["owner_priv_1", "swapcache"])
def test_the_swap_cache_has_a_flag_of_two_names(name: str) -> None:
    bits = {"locked": 0, name: 10}
    swapped = entry(5, APP, MOD, PFN, val=1, count=2, mapcount=-1, flags=1 << 10, mapping=ANON_MAPPING)
    engine, oracle = run_both([stream([*anon(), swapped])], flag_bits=bits)
    assert_same(engine, oracle)
    assert engine.excess(PFN) == 1


def test_pages_of_one_mapping_are_pages_of_one_file() -> None:
    engine = replayed([*cached(), ref(5, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING, pfn=PFN + 1)])
    assert page(engine, PFN + 1)["file"] == page(engine)["file"] == 0
    assert engine.table("files").tolist() == [(5, 12)]


def test_a_page_taken_out_of_the_cache() -> None:
    engine = replayed([*cached(), entry(5, APP, Op.CACHE_DELETE, PFN, mapping=12, ret=5)])
    assert page(engine)["marks"] & Mark.FILE  # the cache's own reference is still counted
    gone = replayed([*cached(), ref(6, APP, PUT, -1, 0, -1, mapping=0)])
    assert not page(gone)["marks"] & Mark.FILE
    uncounted = [entry(1, APP, Op.ALLOC, PFN), entry(2, APP, Op.CACHE_ADD, PFN, mapping=12, ret=5)]
    deleted = replayed([*uncounted, entry(5, APP, Op.CACHE_DELETE, PFN, mapping=12, ret=5)])
    assert not page(deleted)["marks"] & Mark.FILE


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


def test_a_page_on_the_lru_is_movable_whatever_it_was_allocated_for() -> None:
    for mapping in (ANON_MAPPING, FILE_MAPPING):
        events = [*born(gfp=0), ref(1, APP, MOD, 0, 1, -1, mapping=mapping)]
        assert suspects(replayed(events, watched())) == {}
    neither = [*born(gfp=0), ref(1, APP, MOD, 0, 1, -1, mapping=0)]
    assert suspects(replayed(neither, watched())) == {PFN: Reason.UNMOVABLE}


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
    assert engine._mem.tally[ReplayCounter.EVENTS] == 5
    assert [loss.code for loss in engine.losses()] == ["pfn_out_of_range"]
