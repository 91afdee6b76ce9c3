"""The ledger of references: who took what, whose a put gives back, and how sure that is.

Events are made by hand; numbers in brackets are those of "What decides" in the captures' README.
"""

from __future__ import annotations

import pytest

from tests.support.hand_made_pages import (
    APP,
    DRIVER,
    MOD,
    OTHER,
    PFN,
    PUT,
    UNLESS,
    WORKER,
    anon,
    born,
    cached,
    page,
    ref,
    takers,
    watched,
)
from tests.support.replay_twin import FILE_MAPPING, Entry, entry, replayed
from tracereplay.replay.engine import ActionKind, Engine, ReplayAction
from tracereplay.replay.state import NO_EXCESS, Mark, RefEnd, RefKind
from tracereplay.schema import Op

HUGETLB = -0x0B000001
NEVER = -1


def claimed(engine: Engine) -> list[dict[str, int]]:
    """The references that a suspect claims, oldest first: they stay readable after their end."""
    rows = engine.table("refs")[engine.table("claims")["ref"]]
    return sorted(({name: int(row[name]) for name in rows.dtype.names or ()} for row in rows), key=lambda r: r["ns"])


def opened(engine: Engine, field: str) -> list[tuple[int, int]]:
    """(tid, this field) of the open references, youngest first."""
    return [(int(row["tid"]), int(row[field])) for row in engine.open_refs(PFN)]


# -- taking --------------------------------------------------------------------------------------------------------


def test_kinds_of_references() -> None:
    assert takers(replayed([*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)])) == [(OTHER, 1, RefKind.GET)]
    assert takers(replayed([*anon(), ref(5, OTHER, MOD, 1, 2, 0)])) == [(OTHER, 1, RefKind.MOD)]
    assert takers(replayed([*anon(), ref(5, OTHER, UNLESS, 1024, 1025, 0)])) == [(OTHER, 1024, RefKind.PIN)]


def test_a_refused_get_or_freeze_changes_nothing() -> None:  # [14] [15]
    for op in (UNLESS, Op.REF_FREEZE):
        refused = replayed([*anon(), ref(50, DRIVER, op, 1, 9, 4, ret=0)], watched())
        assert (page(refused)["count"], page(refused)["mapcount"], takers(refused)) == (1, 0, [])
        assert not page(refused)["marks"] & (Mark.ISOLATED | Mark.FROZEN)


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
    assert not page(engine)["marks"] & Mark.ISOLATED


# -- giving back ---------------------------------------------------------------------------------------------------


def test_a_put_gives_back_the_task_s_own_youngest() -> None:
    gets = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0), ref(7, APP, UNLESS, 1, 4, 0)]
    left = replayed([*gets, ref(8, APP, PUT, -1, 3, 0)]).open_refs(PFN)
    assert [(int(r["tid"]), int(r["ns"])) for r in left] == [(APP, 6), (OTHER, 5)]


def test_a_stranger_s_put_drains_the_batch_before_a_get() -> None:
    events = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, MOD, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert takers(replayed(events)) == [(OTHER, 1, RefKind.GET)]


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


# -- whose it was --------------------------------------------------------------------------------------------------


def test_a_put_among_gets_of_several_tasks_leaves_them_shared() -> None:
    one = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, UNLESS, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert opened(replayed(one), "shared_ns") == [(OTHER, NEVER)]
    two = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0)]
    assert opened(replayed(two), "shared_ns") == [(APP, NEVER), (OTHER, NEVER)]
    for giver in (WORKER, APP):  # a task's own put is matched to its get, and may have been meant for the other
        (left,) = opened(replayed([*two, ref(7, giver, PUT, -1, 2, 0)]), "shared_ns")
        assert left == ({WORKER: APP, APP: OTHER}[giver], 7)


def test_of_gets_those_that_stay_open_are_shared_not_the_one_that_ended() -> None:
    two = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0), ref(150, APP, PUT, -1, 2, 0)]
    rows = claimed(replayed(two, watched()))
    assert [(row["tid"], row["shared_ns"], row["end"]) for row in rows] == [
        (OTHER, 150, RefEnd.OPEN), (APP, NEVER, RefEnd.PUT),
    ]  # fmt: skip


def test_a_reference_is_shared_from_the_first_put_that_may_have_meant_it() -> None:
    gets = [ref(5 + at, tid, UNLESS, 1, 2 + at, 0) for at, tid in enumerate((OTHER, APP, APP))]
    puts = [ref(20, APP, PUT, -1, 3, 0), ref(30, APP, PUT, -1, 2, 0)]
    assert opened(replayed([*anon(), *gets, *puts]), "shared_ns") == [(OTHER, 20)]


PLAIN = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, MOD, 1, 3, 0)]


@pytest.mark.parametrize("giver", [APP, WORKER])
def test_a_plain_reference_of_another_task_that_ends_leaves_the_get_shared(giver: int) -> None:
    assert opened(replayed([*PLAIN, ref(7, giver, PUT, -1, 2, 0)]), "shared_ns") == [(OTHER, 7)]


def test_a_plain_reference_of_the_same_task_leaves_its_get_alone() -> None:
    own = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, OTHER, MOD, 1, 3, 0), ref(7, WORKER, PUT, -1, 2, 0)]
    assert opened(replayed(own), "shared_ns") == [(OTHER, NEVER)]


def test_a_plain_reference_that_ends_shares_no_pin_and_no_plain_one() -> None:
    others = [ref(5, OTHER, UNLESS, 1024, 1025, 0), ref(6, APP, MOD, 1, 1026, 0), ref(7, OTHER, MOD, 1, 1027, 0)]
    left = replayed([*anon(), *others, ref(8, WORKER, PUT, -1, 1026, 0)])
    assert opened(left, "shared_ns") == [(OTHER, NEVER), (OTHER, NEVER)]


def test_the_drain_of_an_lru_batch_shares_nothing() -> None:
    assert opened(replayed([*PLAIN, ref(7, WORKER, PUT, -1, 2, 0, names=("lru",))]), "shared_ns") == [(OTHER, NEVER)]


def test_what_an_isolating_task_drops_shares_nothing() -> None:
    def shared(ns: int, *actions: ReplayAction, background: tuple[int, ...] = ()) -> list[tuple[int, int]]:
        return opened(replayed([*PLAIN, ref(ns, DRIVER, PUT, -1, 2, 0)], actions, background), "shared_ns")

    assert shared(9, *watched()) == [(OTHER, 9)]
    assert shared(50, *watched()) == [(OTHER, NEVER)]
    assert shared(50, ReplayAction(40, ActionKind.ISOLATE, 0, (), DRIVER)) == [(OTHER, NEVER)]
    assert shared(50, ReplayAction(40, ActionKind.ISOLATE, 0, (), WORKER)) == [(OTHER, 50)]
    assert shared(50, background=(DRIVER,)) == [(OTHER, NEVER)]


def test_an_isolation_that_ends_shares_nothing() -> None:
    isolated = [*anon(), ref(20, OTHER, UNLESS, 1, 2, 0), ref(30, DRIVER, UNLESS, 1, 3, 0)]
    for giver in (DRIVER, WORKER):
        left = replayed([*isolated, ref(40, giver, PUT, -1, 2, 0)], watched())
        assert opened(left, "shared_ns") == [(OTHER, NEVER)]


def test_plain_references_and_pins_share_nothing_with_gets() -> None:
    mixed = [
        *anon(),
        ref(5, OTHER, MOD, 1, 2, 0),
        ref(6, WORKER, UNLESS, 1024, 1026, 0),
        ref(7, APP, UNLESS, 1, 1027, 0),
    ]
    assert opened(replayed([*mixed, ref(8, APP, PUT, -1, 1026, 0)]), "shared_ns") == [(WORKER, NEVER), (OTHER, NEVER)]
    pins = [*anon(), ref(5, OTHER, UNLESS, 1024, 1025, 0), ref(6, APP, UNLESS, 1024, 2049, 0)]
    assert opened(replayed([*pins, ref(7, WORKER, PUT, -1024, 1025, 0)]), "shared_ns") == [(APP, 7)]


def test_a_get_that_may_have_become_the_mapping_is_shared() -> None:
    events = [*cached()[:2], ref(2, APP, MOD, 1, 2, -1, mapping=FILE_MAPPING)]
    rival = ref(3, OTHER, UNLESS, 1, 3, -1, mapping=FILE_MAPPING)
    own = ref(3, APP, UNLESS, 1, 3, -1, mapping=FILE_MAPPING)
    mapped = ref(4, WORKER, MOD, 1, 4, 0, mapping=FILE_MAPPING)
    assert opened(replayed([*events, rival, mapped]), "shared_ns") == [(WORKER, NEVER), (OTHER, 4)]
    assert opened(replayed([*events, own, mapped]), "shared_ns") == [(WORKER, NEVER), (APP, NEVER)]
    older = ref(1, OTHER, UNLESS, 1, 2, -1, mapping=FILE_MAPPING)
    plain = ref(2, APP, MOD, 1, 3, -1, mapping=FILE_MAPPING)
    late = replayed([*events[:2], older, plain, mapped])
    assert opened(late, "shared_ns") == [(WORKER, NEVER), (OTHER, NEVER)]
    again = [
        ref(ns, tid, op, 1, ns, mapcount, mapping=FILE_MAPPING)
        for ns, tid, op, mapcount in ((2, APP, MOD, -1), (3, APP, MOD, -1), (4, OTHER, UNLESS, -1),
                                      (5, WORKER, UNLESS, 0), (6, WORKER, UNLESS, 1))
    ]  # fmt: skip
    first = replayed([*cached()[:2], *again])  # two plain ones became mappings: the first time counts
    assert opened(first, "shared_ns") == [(WORKER, NEVER), (WORKER, 6), (OTHER, 5)]


# -- LRU batches ---------------------------------------------------------------------------------------------------


def test_a_put_that_drains_the_lru_batch_does_not_end_the_get_of_its_task() -> None:
    """lru_add_drain() puts the page on the LRU and drops the batch's reference, in whichever task runs it."""
    taken = [*anon(), ref(5, APP, MOD, 1, 2, 0), ref(6, WORKER, UNLESS, 1, 3, 0)]
    drained = replayed([*taken, ref(7, WORKER, PUT, -1, 2, 0, names=("lru",))])
    assert takers(drained) == [(WORKER, 1, RefKind.GET)]
    own = replayed([*taken, ref(7, WORKER, PUT, -1, 2, 0)])  # off the LRU still: its own
    assert takers(own) == [(APP, 1, RefKind.MOD)]
    there = [ref(7, OTHER, MOD, 1, 4, 0, names=("lru",)), ref(8, WORKER, PUT, -1, 3, 0, names=("lru",))]
    assert takers(replayed([*taken, *there])) == [(OTHER, 1, RefKind.MOD), (APP, 1, RefKind.MOD)]  # on it before


def test_the_task_that_isolated_a_page_gives_its_reference_back_as_it_puts_the_page_on_the_lru() -> None:
    """move_folios_to_lru() sets PG_lru and drops the reference of the isolation, without a batch."""
    isolated = [*anon(), ref(20, APP, MOD, 1, 2, 0), ref(30, DRIVER, UNLESS, 1, 3, 0), ref(31, OTHER, MOD, 1, 4, 0)]
    back = replayed([*isolated, ref(40, DRIVER, PUT, -1, 3, 0, names=("lru",))], watched())
    assert takers(back) == [(OTHER, 1, RefKind.MOD), (APP, 1, RefKind.MOD)]
    other = replayed([*isolated, ref(40, WORKER, PUT, -1, 3, 0, names=("lru",))], watched())
    assert takers(other) == [(OTHER, 1, RefKind.MOD), (DRIVER, 1, RefKind.ISOLATION)]


def test_a_batch_whose_reference_was_not_seen_ends_nothing() -> None:
    taken = [*anon(), ref(5, WORKER, UNLESS, 1, 2, 0)]
    assert takers(replayed([*taken, ref(6, WORKER, PUT, -1, 1, 0, names=("lru",))])) == [(WORKER, 1, RefKind.GET)]


def test_a_get_taken_from_the_lru_is_given_back_as_its_task_puts_the_page_there_again() -> None:
    """Reclaim by a task that no window knows: isolate_lru_folios(), then move_folios_to_lru()."""
    got = [*anon(), ref(5, WORKER, UNLESS, 1, 2, 0, names=("lru",)), ref(6, APP, MOD, 1, 3, 0)]
    assert takers(replayed([*got, ref(7, WORKER, PUT, -1, 2, 0, names=("lru",))])) == [(APP, 1, RefKind.MOD)]
    seen = ref(7, OTHER, MOD, 1, 4, 0, names=("lru",))  # on the LRU meanwhile: the get is no isolation
    off, on = ref(8, OTHER, PUT, -1, 3, 0), ref(9, WORKER, PUT, -1, 2, 0, names=("lru",))
    assert takers(replayed([*got, seen, off, on])) == [(WORKER, 1, RefKind.GET)]


# -- ends ----------------------------------------------------------------------------------------------------------


def ends(after: list[Entry]) -> list[tuple[int, int]]:
    """(tid, end) of the references that were open at 100."""
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    return [(row["tid"], row["end"]) for row in claimed(replayed([*taken, *after], watched()))]


def test_how_a_reference_ended() -> None:
    assert ends([]) == [(OTHER, RefEnd.OPEN)]
    assert ends([ref(150, OTHER, PUT, -1, 1, 0)]) == [(OTHER, RefEnd.PUT)]
    assert ends([entry(150, APP, Op.FREE, PFN)]) == [(OTHER, RefEnd.LIFE)]
    assert ends([ref(150, OTHER, MOD, 0, 2, 0)]) == [(OTHER, RefEnd.MAPPING)]
    assert ends([ref(150, WORKER, MOD, 1, 3, 1)]) == [(OTHER, RefEnd.MAPPING)]
    assert ends([ref(150, WORKER, MOD, 1, 2, 0)]) == [(OTHER, RefEnd.COUNT)]


def test_a_get_stamped_after_its_put_is_ended_by_the_next_count_without_excess() -> None:
    """The clocks of two CPUs differ: the put comes first in the trace, and the get would stay open for ever."""
    skewed = [*anon(), ref(5, WORKER, PUT, -1, 1, 0), ref(6, OTHER, UNLESS, 1, 2, 0)]
    assert takers(replayed(skewed)) == [(OTHER, 1, RefKind.GET)]
    contradicting = [*skewed, ref(40, APP, MOD, 1, 2, 0)]  # two with it, although two were known before
    assert page(replayed(contradicting))["marks"] & Mark.CONFLICT
    assert takers(replayed(contradicting)) == [(APP, 1, RefKind.MOD)]


def test_a_count_with_excess_ends_nothing() -> None:
    held = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, MOD, 1, 3, 0)]
    assert takers(replayed(held)) == [(APP, 1, RefKind.MOD), (OTHER, 1, RefKind.GET)]


HASHED = 0x199B80D9  # kernel text prints pointers hashed


def test_a_count_of_a_guessed_file_page_ends_nothing() -> None:
    """Were it anonymous it would be expected to have one less, and the get would be the one more."""

    def held(first: list[Entry], mapcount: int, mapping: int, count: int) -> list[tuple[int, int, int]]:
        get = ref(5, OTHER, UNLESS, 1, count + 1, mapcount, mapping=mapping)
        stale = ref(6, APP, MOD, 1, count + 1, mapcount, mapping=mapping)
        return takers(replayed([*first, get, stale]))[:2]

    mod = (APP, 1, RefKind.MOD)
    file = [*born(), ref(1, APP, MOD, 1, 2, -1, mapping=HASHED), ref(2, APP, PUT, -1, 1, -1, mapping=HASHED)]
    assert held(file, -1, HASHED, 1) == [mod, (OTHER, 1, RefKind.GET)]
    certain = [*cached(), ref(2, APP, PUT, -1, 1, -1, mapping=FILE_MAPPING)]
    assert held(certain, -1, FILE_MAPPING, 1) == [mod]
    anonymous = [*born(), ref(1, APP, MOD, 1, 2, 0, mapping=HASHED)]
    assert held(anonymous, 0, HASHED, 1) == [mod, mod]


def test_a_count_of_a_large_folio_ends_nothing() -> None:
    names = ("head",)
    huge = [*born(order=2), ref(1, APP, MOD, 1, 2, -1, names=names), ref(2, APP, PUT, -1, 1, -1, names=names)]
    held = [*huge, ref(5, OTHER, UNLESS, 1, 2, -1, names=names), ref(6, APP, MOD, 1, 2, -1, names=names)]
    assert takers(replayed(held)) == [(APP, 1, RefKind.MOD), (OTHER, 1, RefKind.GET)]


def test_an_isolation_reference_is_room_for_a_get() -> None:
    """Its isolator may have dropped it unseen instead."""
    held = [*anon(), ref(20, OTHER, UNLESS, 1, 2, 0), ref(30, DRIVER, UNLESS, 1, 3, 0), ref(31, WORKER, PUT, -1, 2, 0)]
    assert takers(replayed([*held, ref(32, WORKER, UNLESS, 1, 3, 0)], watched()))[1:] == [(OTHER, 1, RefKind.GET)]


# -- what was there before, who met it, the LRU --------------------------------------------------------------------


def test_before_is_the_excess_that_no_known_reference_explains() -> None:
    unseen = [*anon(), ref(4, APP, MOD, 1, 4, 0), ref(5, OTHER, UNLESS, 1, 5, 0), ref(6, WORKER, UNLESS, 1, 6, 0)]
    # Two that nothing explains; the plain one explains itself, as the first get does.
    assert opened(replayed(unseen), "before") == [(WORKER, 2), (OTHER, 2), (APP, 2)]
    assert opened(replayed([*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]), "before") == [(OTHER, 0)]
    pinned = [*anon(), ref(5, OTHER, UNLESS, 1024, 1025, 0), ref(6, WORKER, UNLESS, 1, 1026, 0)]
    assert opened(replayed(pinned), "before") == [(WORKER, 0), (OTHER, 0)]
    isolated = [*anon(), ref(20, DRIVER, UNLESS, 1, 2, 0), ref(30, OTHER, UNLESS, 1, 3, 0)]  # no part of the excess
    assert opened(replayed(isolated, watched()), "before") == [(OTHER, 0), (DRIVER, 0)]
    unknown = [*born(), ref(5, OTHER, UNLESS, 1, 2, -1, mapping=0)]
    assert opened(replayed(unknown), "before") == [(OTHER, NO_EXCESS)]


def test_only_the_task_of_an_attempt_meets_a_reference() -> None:
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]

    def met(tid: int, *, active: bool, background: tuple[int, ...] = ()) -> list[tuple[int, int]]:
        visit = [ref(50, tid, MOD, 1, 3, 0), ref(51, tid, PUT, -1, 2, 0)]
        return opened(replayed([*taken, *visit], watched() if active else [], background), "met_ns")

    assert met(DRIVER, active=True) == [(OTHER, 50)]
    assert met(DRIVER, active=False) == [(OTHER, NEVER)]
    assert met(WORKER, active=True) == [(OTHER, NEVER)]
    assert met(WORKER, active=True, background=(WORKER,)) == [(OTHER, NEVER)]  # kswapd isolates, for no attempt
    assert met(DRIVER, active=True, background=(DRIVER,)) == [(OTHER, 50)]  # kcompactd, which allocates for one


def test_what_an_attempt_takes_itself_it_has_not_met() -> None:
    got = [*anon(), ref(50, DRIVER, UNLESS, 1, 2, 0)]
    assert opened(replayed(got, watched()), "met_ns") == [(DRIVER, NEVER)]


def test_on_lru_by_another_event_not_by_the_one_that_ends_it() -> None:
    """An isolated page is off the LRU: a get over which it is on the LRU isolates nothing."""
    got = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0, names=("lru",))]
    assert opened(replayed(got), "on_lru") == [(OTHER, 0)]
    seen = [*got, ref(50, WORKER, MOD, 1, 3, 0, names=("lru",))]
    assert opened(replayed(seen), "on_lru") == [(WORKER, 0), (OTHER, 1)]
    off = [*got, ref(50, WORKER, MOD, 1, 3, 0)]
    assert opened(replayed(off), "on_lru") == [(WORKER, 1), (OTHER, 0)]  # off the LRU when WORKER took it
    (ended,) = claimed(replayed([*got, ref(150, OTHER, PUT, -1, 1, 0, names=("lru",))], watched()))
    assert (ended["end"], ended["on_lru"]) == (RefEnd.PUT, 0)


def test_a_page_seen_on_the_lru_is_marked_until_the_next_watch() -> None:
    seen = [*anon(), ref(5, OTHER, MOD, 0, 1, 0, names=("lru",))]
    assert page(replayed(seen))["marks"] & Mark.ON_LRU
    assert not page(replayed(seen, watched()))["marks"] & Mark.ON_LRU
    assert not page(replayed(anon()))["marks"] & Mark.ON_LRU


def test_a_hugetlb_page_unfrozen_is_its_mapper_s_and_never_isolated() -> None:
    pool = [entry(1, APP, Op.REF_SET, PFN, val=1, count=1, mapcount=-1), ref(2, APP, Op.REF_FREEZE, 1, 0, HUGETLB)]
    engine = replayed([*pool, ref(3, APP, Op.REF_UNFREEZE, 1, 1, HUGETLB)])
    assert takers(engine) == [(APP, 1, RefKind.MOD)]
    assert (opened(engine, "on_lru"), opened(engine, "before")) == ([(APP, 1)], [(APP, NO_EXCESS)])
    assert takers(replayed([*pool, ref(4, APP, Op.REF_FREEZE, 1, 0, HUGETLB)])) == []


def test_an_attempt_that_is_over_meets_nothing() -> None:
    taken = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(60, DRIVER, MOD, 1, 3, 0)]
    over = [*watched(50, ActionKind.UNWATCH)]
    assert opened(replayed(taken, over), "met_ns") == [(DRIVER, NEVER), (OTHER, NEVER)]
    again = [*over, ReplayAction(55, ActionKind.WATCH, 1, ((0, 64),), DRIVER)]
    assert opened(replayed(taken, again), "met_ns") == [(DRIVER, NEVER), (OTHER, 60)]
