"""For each cause with a predicate pages that it applies to, and pages that only look alike."""

from __future__ import annotations

from tests.support.hand_made_suspects import (
    BDEV,
    CACHED,
    HELD,
    INTERNAL,
    KERNEL,
    attempt,
    cached,
    dumped,
    held,
    in_cma,
    page,
    run,
    stacked,
    taken,
    typed,
)
from tracereplay.culprits.suspect import Suspect
from tracereplay.replay.state import Mark, PageType, Reason, RefKind, State
from tracereplay.schema import IrqContext

MAKERS = ("ring_buffer_resize+0x10",)
NO_REF = Mark.ALLOC_SEEN

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
            page(reasons=Reason.UNMOVABLE, gfp=0, seen_in_wait=True),
            dumped(page(), "unmovable page", page_type="f4(hugetlb)"),
            page(gfp=0),
        ],
    ),
    "percpu_free": (
        [page(reasons=Reason.NAMED, state=State.PCP, marks=0)],
        [page(reasons=Reason.NAMED, state=State.BUDDY, marks=0), page(state=State.PCP, marks=0)],
    ),
    "writeback": (
        [cached(reasons=Reason.WRITEBACK), cached(reasons=Reason.NAMED, seen_in_wait=True)],
        [cached(), cached(reasons=Reason.NAMED)],
    ),
    "locked_folio": (
        [
            cached(reasons=Reason.LOCKED),
            cached(reasons=Reason.VISITED, seen_in_wait=True, marks=Mark.ALLOC_SEEN | Mark.FILE),
        ],
        [
            cached(),
            page(reasons=Reason.VISITED, seen_in_wait=True),
            cached(reasons=Reason.VISITED, marks=Mark.ALLOC_SEEN | Mark.FILE),
        ],
    ),
    "pin_longterm": (
        [stacked(held(refs=[taken()]), "gup_fast+0x1", "ib_umem_get+0x2")],
        [stacked(held(refs=[taken()]), "vmsplice_to_pipe+0x2"), held(refs=[taken()])],
    ),
    "pin_short": (
        [
            held(refs=[taken(kind=RefKind.PIN)], min_excess=1024, confirmed=1024),
            stacked(held(refs=[taken()]), "gup_fast+0x1", "pin_user_pages_fast+0x2"),
            dumped(page(marks=0), refcount=1026, mapcount=1, anon=True),
        ],
        [
            held(refs=[taken()]),
            held(refs=[taken(kind=RefKind.PIN)], min_excess=1, confirmed=1),
            dumped(page(marks=0), refcount=1025, mapcount=1, anon=True),
        ],
    ),
    "task_reference": (
        [held(refs=[taken()]), stacked(held(refs=[taken()]), "vmsplice_to_pipe+0x2")],
        [
            held(refs=[taken(kind=RefKind.PIN)], min_excess=1024, confirmed=1024),
            held(),
            held(refs=[taken(KERNEL)]),
            held(refs=[taken(ns=950)]),
            held(refs=[taken(close_ns=800)]),
            held(refs=[taken()], min_excess=0, confirmed=0),
            held(refs=[taken()], seen_in_wait=True),
            held(refs=[taken(kind=RefKind.MOD)]),
            held(refs=[taken(kind=RefKind.ISOLATION)]),
            held(refs=[taken(irq=IrqContext.INTERRUPT)]),  # the interrupted task took nothing
            held(refs=[taken(before=1)]),  # the excess was there before
            held(refs=[taken(met_ns=None)]),  # taken after the attempt had passed
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
        [
            held(),
            held(refs=[taken(KERNEL)]),
            page(context=run(has_page_ref=False), marks=NO_REF, reasons=Reason.VISITED),
        ],
        [
            held(refs=[taken()]),
            held(marks=HELD, reasons=Reason.EXCESS),  # nobody took it up, nobody named it
            held(seen_in_wait=True),
            page(context=run(has_page_ref=False), marks=NO_REF, reasons=Reason.VISITED, gfp=0),
            page(context=run(has_page_ref=False), marks=NO_REF),
        ],
    ),
    "preexisting": (
        [page(reasons=Reason.NAMED, marks=0), page(reasons=Reason.NAMED, marks=0, state=State.UNSEEN)],
        [page(reasons=Reason.NAMED), page(marks=0), page(reasons=Reason.NAMED, marks=0, state=State.BUDDY)],
    ),
    "unknown": ([page(reasons=Reason.NAMED)], [page(), page(reasons=Reason.NAMED, seen_in_wait=True)]),
}  # fmt: skip
