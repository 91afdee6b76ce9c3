"""The table of causes: for each with a predicate a page it applies to and one that only looks alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.attempt_tables import DRIVER, OTHER
from tests.unit.test_attempts_log import blank
from tracereplay.attempts.draft import Draft
from tracereplay.culprits.suspect import Ref, Run, SecretFile, Suspect
from tracereplay.culprits.table import BY_CODE, CAUSES, RANK, Obstacle, capped, decide, not_checkable
from tracereplay.layout.layout import Layout
from tracereplay.losses import Loss
from tracereplay.model.result import File
from tracereplay.replay.state import TYPED_MAPCOUNT, Mark, PageType, Reason, RefKind, State
from tracereplay.schema import Op

PFN, KERNEL = 500, 3
COMMS = {OTHER: "app", KERNEL: "kworker/0:1", DRIVER: "cma-driver"}
HELD = Mark.COUNTED | Mark.ANON | Mark.BORN
CACHED = Mark.COUNTED | Mark.FILE | Mark.BORN
BDEV = File(dev=3, ino=0xFE00010, index=7)
INTERNAL = File(dev=11, ino=1579, index=7)


def run(**changes: Any) -> Run:
    """An analysis of a machine without CMA areas, with page_ref events, without losses."""
    known: dict[str, Any] = {
        "layout": Layout(source="test"), "comm_of": COMMS.get, "has_page_ref": True, "flag_bits": {}, "losses": (),
        "dumps": {}, "migrate_failures": {}, "end_ns": 10_000,
    }  # fmt: skip
    return Run(**{**known, **changes})


def attempt(**changes: Any) -> Draft:
    """A failed offline by DRIVER from 100 to 1000, one of its migrations failed."""
    draft = Draft("memory_offline", DRIVER, 100, 1000, "failed", "event", errno="EBUSY", failed_migrations=1)
    for name, value in changes.items():
        setattr(draft, name, value)
    return draft


def taken(tid: int = OTHER, kind: RefKind = RefKind.GET, **changes: Any) -> Ref:
    """A reference taken before the attempt and still held."""
    val = 1024 if kind is RefKind.PIN else 1
    return replace(Ref(50, None, tid, None, val, 0, int(Op.REF_MOD_UNLESS), kind, False), **changes)


def page(**changes: Any) -> Suspect:
    """A movable page allocated by OTHER before the attempt, met at its failing test, nothing wrong with it."""
    values: dict[str, Any] = {
        "run": run(), "draft": attempt(), "awaited": False, "pfn": PFN, "pages": 1, "first_ns": 900, "last_ns": 900,
        "reasons": 0, "marks": HELD, "state": State.ALLOCATED, "order": 0, "count": 1, "mapcount": 0,
        "flags": frozenset({"lru", "uptodate"}), "post_flags": frozenset(), "gfp": 8, "alloc_ns": 10,
        "alloc_tid": OTHER, "file": None, "min_excess": 0, "confirmed": 0, "pending": False, "own": 0,
        "post_ns": None, "clear_ns": None,
        "clear_tid": None, "unlock_ns": None, "written_ns": None, "end_ns": None, "end_tid": None, "refs": [],
    }  # fmt: skip
    return Suspect(**{**values, **changes})


def held(**changes: Any) -> Suspect:
    """A page with one reference too many, taken up by the attempt, the excess confirmed."""
    values = {"reasons": Reason.EXCESS | Reason.LEFT, "marks": HELD | Mark.TOUCHED, "min_excess": 1, "confirmed": 1}
    return page(**{**values, **changes})


def cached(**changes: Any) -> Suspect:
    """A page-cache page that the attempt took up and left."""
    values = {"reasons": Reason.LEFT, "marks": CACHED | Mark.TOUCHED, "file": File(dev=1 << 20, ino=12, index=3)}
    return page(**{**values, **changes})


def dumped(suspect: Suspect, reason: str = "migration failure", **values: Any) -> Suspect:
    """The same page, which the kernel dumped."""
    row = blank("page_dumps", 0, DRIVER, pfn=PFN, reason=reason, **values)
    row["time_ns"] = 950
    return replace(suspect, run=replace(suspect.run, dumps={PFN: [row]}))


def in_cma(suspect: Suspect) -> Suspect:
    """The same page, of a CMA allocation."""
    return replace(suspect, draft=attempt(operation="cma_alloc"))


def lossy(suspect: Suspect) -> Suspect:
    """The same page, with events lost before the test."""
    lost = Loss("overrun", 5, start_ns=300, end_ns=400)
    assert lost.kind.hides_events
    return replace(suspect, run=replace(suspect.run, losses=[("loss-0", lost)]))


def stacked(suspect: Suspect, *frames: str) -> Suspect:
    """The same page, with a stack for every event."""
    return replace(suspect, run=replace(suspect.run, stack_of=lambda _ns, _cpu, _tid: frames))


def typed(kind: PageType) -> Suspect:
    """A page whose _mapcount holds a page type."""
    return page(marks=Mark.COUNTED | Mark.TYPED, mapcount=TYPED_MAPCOUNT + kind)


MAKERS = ("ring_buffer_resize+0x10",)
NO_REF = Mark.BORN

# code -> (hits, near misses)
CASES: dict[str, tuple[list[Suspect], list[Suspect]]] = {
    "hugetlb": (
        [typed(PageType.HUGETLB), dumped(page(), page_type="f4(hugetlb)")],
        [typed(PageType.SLAB), dumped(page(), page_type="f5(slab)")],
    ),
    "offline_or_hwpoison": (
        [typed(PageType.OFFLINE), dumped(page(), flags=["hwpoison"])],
        [typed(PageType.TABLE), dumped(page(), flags=["dirty"])],
    ),
    "secretmem": (
        [dumped(cached(), aops="secretmem_aops"), cached(gfp=0x102, file=INTERNAL)],
        [dumped(cached(), aops="shmem_aops"), cached(gfp=0x102), cached(gfp=0, file=INTERNAL)],
    ),
    "aio_ring": ([dumped(cached(), aops="aio_ctx_aops")], [dumped(cached(), aops="shmem_aops")]),
    "unmovable_allocation": (
        [
            page(reasons=Reason.UNMOVABLE, gfp=0),
            dumped(page(), "unmovable page", owner_tid=4, owner_gfp="GFP_KERNEL", owner_stack=MAKERS),
        ],
        [
            in_cma(page(reasons=Reason.UNMOVABLE, gfp=0)),
            page(reasons=Reason.UNMOVABLE, gfp=0, awaited=True),
            dumped(page(), "unmovable page", page_type="f4(hugetlb)"),
            page(gfp=0),
        ],
    ),
    "percpu_free": (
        [page(reasons=Reason.NAMED, state=State.PCP, marks=0)],
        [page(reasons=Reason.NAMED, state=State.BUDDY, marks=0), page(state=State.PCP, marks=0)],
    ),
    "writeback": (
        [cached(reasons=Reason.WRITEBACK), cached(reasons=Reason.NAMED, awaited=True)],
        [cached(), cached(reasons=Reason.NAMED)],
    ),
    "locked_folio": (
        [cached(reasons=Reason.LOCKED), cached(reasons=Reason.VISITED, awaited=True, marks=Mark.BORN | Mark.FILE)],
        [
            cached(),
            page(reasons=Reason.VISITED, awaited=True),
            cached(reasons=Reason.VISITED, marks=Mark.BORN | Mark.FILE),
        ],
    ),
    "pin_longterm": (
        [stacked(held(refs=[taken()]), "gup_fast+0x1", "ib_umem_get+0x2")],
        [stacked(held(refs=[taken()]), "vmsplice_to_pipe+0x2"), held(refs=[taken()])],
    ),
    "pin_short": (
        [
            held(refs=[taken()]),
            held(refs=[taken(kind=RefKind.PIN)], min_excess=1024, confirmed=1024),
            dumped(page(marks=0), refcount=1026, mapcount=1, anon=True),
        ],
        [
            held(),
            held(refs=[taken(KERNEL)]),
            held(refs=[taken(ns=950)]),
            held(refs=[taken(close_ns=800)]),
            held(refs=[taken()], min_excess=0, confirmed=0),
            held(refs=[taken()], awaited=True),
            held(refs=[taken(kind=RefKind.MOD)]),
            held(refs=[taken()], marks=CACHED, reasons=Reason.EXCESS),  # may be a fault's
            dumped(page(marks=0), refcount=3, mapcount=1, anon=True),
        ],
    ),
    "lru_batch": (
        [
            page(reasons=Reason.EXCESS, min_excess=1, confirmed=1, flags=frozenset(), alloc_ns=800,
                 refs=[taken(kind=RefKind.MOD, ns=801)]),
        ],
        [
            page(reasons=Reason.EXCESS, min_excess=1, confirmed=1, alloc_ns=800,
                 refs=[taken(kind=RefKind.MOD, ns=801)]),
            page(reasons=Reason.EXCESS, min_excess=1, confirmed=1, flags=frozenset(), alloc_ns=800, refs=[]),
            page(reasons=Reason.EXCESS, min_excess=1, confirmed=1, flags=frozenset(), first_ns=10**9, last_ns=10**9,
                 refs=[taken(kind=RefKind.MOD)]),
        ],
    ),
    "unsplittable_folio": (
        [cached(order=4, draft=attempt(errno="ENOMEM"))],
        [cached(order=0, draft=attempt(errno="ENOMEM")), cached(order=4), page(order=4, draft=attempt(errno="ENOMEM"))],
    ),
    "buffer_head": (
        [
            cached(file=BDEV, flags=frozenset({"private"})),
            cached(file=BDEV, marks=NO_REF | Mark.FILE, reasons=Reason.VISITED),
            dumped(page(marks=0), aops="def_blk_aops", flags=["private"], refcount=3, mapcount=0),
        ],
        [
            cached(file=BDEV),
            cached(file=BDEV, flags=frozenset({"private"}), draft=attempt(failed_migrations=0)),
            cached(file=BDEV, flags=frozenset({"private"}), reasons=Reason.LEFT | Reason.LOCKED),
            cached(marks=NO_REF | Mark.FILE, reasons=Reason.VISITED),
            dumped(page(marks=0), aops="ext4_aops", flags=["private"], refcount=3, mapcount=0),
        ],
    ),
    "no_migration_handler": (
        [dumped(cached(), aops="strange_aops", refcount=2, mapcount=0)],
        [
            dumped(cached(), aops="strange_aops", refcount=5, mapcount=0),
            dumped(cached(), aops="strange_aops", refcount=2, mapcount=0, flags=["private"]),
            dumped(cached(), "unmovable page", aops="strange_aops", refcount=2, mapcount=0),
        ],
    ),
    "nofs_skipped": (
        [cached(reasons=Reason.NAMED, marks=CACHED)],
        [cached(reasons=Reason.NAMED), cached(marks=CACHED), page(reasons=Reason.NAMED)],
    ),
    "extra_reference": (
        [held(), held(refs=[taken(KERNEL)]), page(run=run(has_page_ref=False), marks=NO_REF, reasons=Reason.VISITED)],
        [
            held(refs=[taken()]),
            held(marks=HELD, reasons=Reason.EXCESS),  # nobody took it up, nobody named it
            held(awaited=True),
            page(run=run(has_page_ref=False), marks=NO_REF, reasons=Reason.VISITED, gfp=0),
            page(run=run(has_page_ref=False), marks=NO_REF),
        ],
    ),
    "preexisting": (
        [page(reasons=Reason.NAMED, marks=0), page(reasons=Reason.NAMED, marks=0, state=State.UNSEEN)],
        [page(reasons=Reason.NAMED), page(marks=0), page(reasons=Reason.NAMED, marks=0, state=State.BUDDY)],
    ),
    "unknown": ([page(reasons=Reason.NAMED)], [page(), page(reasons=Reason.NAMED, awaited=True)]),
}  # fmt: skip

HITS = [
    pytest.param(code, suspect, id=f"{code}-{at}")
    for code, (hits, _) in CASES.items()
    for at, suspect in enumerate(hits)
]
MISSES = [
    pytest.param(code, one, id=f"{code}-{at}") for code, (_, misses) in CASES.items() for at, one in enumerate(misses)
]


def codes(suspect: Suspect) -> list[str]:
    """The causes found, in order."""
    return [cause.code for cause, _ in decide(suspect)]


def test_every_cause_with_a_predicate_has_a_hit_and_a_near_miss() -> None:
    assert {cause.code for cause in CAUSES if cause.predicate} == CASES.keys()
    assert all(hits and misses for hits, misses in CASES.values())


@pytest.mark.parametrize(("code", "suspect"), HITS)
def test_hit(code: str, suspect: Suspect) -> None:
    assert code in codes(suspect)


@pytest.mark.parametrize(("code", "suspect"), MISSES)
def test_near_miss(code: str, suspect: Suspect) -> None:
    assert code not in codes(suspect)


@pytest.mark.parametrize(("code", "suspect"), HITS)
def test_no_verdict_exceeds_the_ceiling_of_its_cause(code: str, suspect: Suspect) -> None:
    for cause, finding in decide(suspect):
        assert RANK[finding.verdict] <= RANK[cause.ceiling]
        assert RANK[finding.holder_verdict] <= RANK[cause.ceiling]
        assert set(finding.candidates) <= BY_CODE.keys()
        assert cause.code not in finding.candidates
    assert code in BY_CODE


PROVABLE: dict[str, Suspect] = {
    "pin_short": held(refs=[taken()]),
    "extra_reference": held(),
    "writeback": cached(reasons=Reason.WRITEBACK, awaited=True),
    "locked_folio": cached(reasons=Reason.LOCKED, awaited=True),
    "buffer_head": cached(file=BDEV, flags=frozenset({"private"})),
    "unmovable_allocation": page(reasons=Reason.UNMOVABLE, gfp=0),
    "secretmem": cached(gfp=0x102, file=INTERNAL, secret_file=SecretFile(tried=1, dumped_pfn=PFN + 1)),
}


def test_what_may_be_proved_is_proved_here() -> None:
    assert {c.code for c in CAUSES if c.predicate and c.ceiling == "proved"} == PROVABLE.keys()


@pytest.mark.parametrize("code", PROVABLE)
def test_a_proof_does_not_survive_lost_events(code: str) -> None:
    (proved,) = (finding for cause, finding in decide(PROVABLE[code]) if cause.code == code)
    (weak,) = (finding for cause, finding in decide(lossy(PROVABLE[code])) if cause.code == code)
    assert (proved.verdict, proved.weakened_by) == ("proved", [])
    assert (weak.verdict, weak.weakened_by) == ("suggested", ["loss-0"])


def _later(suspect: Suspect) -> Suspect:
    return replace(suspect, run=replace(suspect.run, losses=[("loss-0", Loss("overrun", 5, start_ns=950, end_ns=990))]))


@pytest.mark.parametrize("code", PROVABLE)
def test_a_loss_after_the_test_weakens_nothing(code: str) -> None:
    assert [f.verdict for cause, f in decide(_later(PROVABLE[code])) if cause.code == code] == ["proved"]


@pytest.mark.parametrize("mark", [Mark.AMBIGUOUS, Mark.CONFLICT])
def test_an_unsure_ledger_proves_no_holder(mark: Mark) -> None:
    unsure = held(refs=[taken()], marks=HELD | Mark.TOUCHED | mark)
    assert [(f.verdict, f.holder_verdict) for _, f in decide(unsure)] == [("suggested", "suggested")]


def test_two_takers_of_one_excess_are_both_unsure_and_of_two_both_proved() -> None:
    refs = [taken(), taken(11, ns=60)]
    assert [f.verdict for _, f in decide(held(refs=refs))] == ["suggested"]
    both = decide(held(refs=refs, min_excess=2, confirmed=2))
    assert [(f.holder.tid if f.holder else None, f.verdict) for _, f in both] == [(11, "proved"), (OTHER, "proved")]


def test_a_releaser_is_a_suggested_holder_unless_it_is_the_kernel_or_the_attempt() -> None:
    for tid, verdict in ((OTHER, "suggested"), (KERNEL, "unknown"), (DRIVER, "unknown"), (0, "unknown")):
        (found,) = (f for _, f in decide(held(clear_tid=tid, clear_ns=2000)))
        assert (found.holder_verdict, found.holder is None) == (verdict, verdict == "unknown")


def test_pin_release_is_the_last_of_its_references() -> None:
    two = [taken(close_ns=2000, close_tid=OTHER), taken(ns=60, close_ns=3000, close_tid=OTHER)]
    (found,) = (f for _, f in decide(held(refs=two, min_excess=2, confirmed=2)))
    assert (found.held_since_ns, found.released_ns) == (50, 3000)
    (open_,) = (f for _, f in decide(held(refs=[two[0], taken(ns=60)], min_excess=2, confirmed=2)))
    assert open_.released_ns is None


# -- order and obstacles -----------------------------------------------------------------------------------------------

ORDERED: list[tuple[str, Callable[[], Suspect], list[str]]] = [
    ("nature hides every other obstacle", lambda: page(reasons=Reason.UNMOVABLE | Reason.EXCESS, gfp=0, refs=[taken()],
     confirmed=1, min_excess=1, marks=HELD | Mark.TOUCHED), ["unmovable_allocation"]),
    ("hugetlb before unmovable", lambda: page(reasons=Reason.UNMOVABLE, gfp=0, marks=HELD | Mark.TYPED,
     mapcount=TYPED_MAPCOUNT + PageType.HUGETLB), ["hugetlb"]),
    ("writeback before lock", lambda: cached(reasons=Reason.WRITEBACK | Reason.LOCKED), ["writeback"]),
    ("long-term before short", lambda: stacked(held(refs=[taken()]), "ib_umem_get"), ["pin_longterm"]),
    ("I/O and a pin are two obstacles", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     refs=[taken()], min_excess=1, confirmed=1), ["writeback", "pin_short"]),
    ("the reference of the I/O itself is none", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     min_excess=1, confirmed=1), ["writeback"]),
    ("two unexplained references beside I/O are", lambda: cached(reasons=Reason.WRITEBACK | Reason.EXCESS | Reason.LEFT,
     min_excess=2, confirmed=2), ["writeback", "extra_reference"]),
    ("preexisting before unknown", lambda: page(reasons=Reason.NAMED, marks=0), ["preexisting"]),
    ("unknown only where nothing else is", lambda: held(reasons=Reason.NAMED | Reason.EXCESS), ["extra_reference"]),
    ("nothing of a page that is fine", page, []),
]  # fmt: skip


@pytest.mark.parametrize(("make", "found"), [case[1:] for case in ORDERED], ids=[case[0] for case in ORDERED])
def test_order(make: Callable[[], Suspect], found: list[str]) -> None:
    assert codes(make()) == found


def test_one_cause_of_each_obstacle() -> None:
    for hits, misses in CASES.values():
        for suspect in (*hits, *misses):
            obstacles = [BY_CODE[code].obstacle for code in dict.fromkeys(codes(suspect))]
            assert len(set(obstacles)) == len(obstacles) or Obstacle.REFERENCE in obstacles


def test_obstacles_do_not_go_back_and_forth_but_for_the_last_resort() -> None:
    """First match wins within an obstacle: its causes stand together, extra_reference behind all that explain one."""
    order = [cause.obstacle for cause in CAUSES if cause.code != "extra_reference"]
    assert order == sorted(order)


# -- the table itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.code for cause in CAUSES])
def test_every_code_has_its_words(cause: Any) -> None:
    assert cause.words
    assert cause.ceiling in RANK


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(CAUSES)


def test_the_weaker_verdict_wins() -> None:
    assert [capped(a, b) for a in RANK for b in RANK] == [
        "unknown", "unknown", "unknown", "unknown", "suggested", "suggested", "unknown", "suggested", "proved",
    ]  # fmt: skip


def test_what_a_trace_without_these_events_cannot_prove() -> None:
    everything = {event for cause in CAUSES for event in cause.needs}
    assert not_checkable(sorted(everything)) == []
    without = dict(not_checkable(sorted(everything - {"page_ref_mod"})))
    assert "pin_short" in without
    assert without["pin_short"] == "page_ref_mod"
    assert "unmovable_allocation" not in without
