"""Events of interrupts in the ledger: the task that happened to run has no part in them."""

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
    page,
    ref,
    suspects,
    takers,
    watched,
)
from tests.support.replay_twin import Entry, replayed
from tracereplay.replay.engine import Engine
from tracereplay.replay.state import Mark, RefKind
from tracereplay.schema import IrqContext, Op

TASK, INTERRUPT, UNKNOWN = IrqContext
TWO_GETS = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(6, APP, UNLESS, 1, 3, 0)]


def field(engine: Engine, name: str) -> list[tuple[int, int]]:
    """(tid, this field) of the open references, youngest first."""
    return [(int(row["tid"]), int(row[name])) for row in engine.open_refs(PFN)]


@pytest.mark.parametrize(("irq", "left"), [(TASK, OTHER), (UNKNOWN, OTHER), (INTERRUPT, APP)])
def test_a_put_in_an_interrupt_is_a_stranger_s(irq: IrqContext, left: int) -> None:
    """A stranger's put ends the oldest get; the task's own would end its own."""
    engine = replayed([*TWO_GETS, ref(7, APP, PUT, -1, 2, 0, irq=irq)])
    assert takers(engine) == [(left, 1, RefKind.GET)]
    assert field(engine, "shared_ns") == [(left, 7)]


def test_pins_too() -> None:
    pins = [*anon(), ref(5, OTHER, UNLESS, 1024, 1025, 0), ref(6, APP, UNLESS, 1024, 2049, 0)]
    assert takers(replayed([*pins, ref(7, APP, PUT, -1024, 1025, 0)])) == [(OTHER, 1024, RefKind.PIN)]
    assert takers(replayed([*pins, ref(7, APP, PUT, -1024, 1025, 0, irq=INTERRUPT)])) == [(APP, 1024, RefKind.PIN)]


def isolated(irq: IrqContext, *names: str) -> list[tuple[int, int, int]]:
    """What stays after a put on DRIVER, which has isolated a page that an LRU batch holds too."""
    taken = [*anon(), ref(20, APP, MOD, 1, 2, 0), ref(30, DRIVER, UNLESS, 1, 3, 0)]
    return takers(replayed([*taken, ref(40, DRIVER, PUT, -1, 2, 0, names=names, irq=irq)], watched()))


def test_an_interrupt_gives_no_isolation_back() -> None:
    for names in ((), ("lru",)):
        assert isolated(TASK, *names) == [(APP, 1, RefKind.MOD)]
        assert isolated(INTERRUPT, *names) == [(DRIVER, 1, RefKind.ISOLATION)]


def test_a_plain_reference_that_ends_in_an_interrupt_of_an_isolating_task_leaves_gets_shared() -> None:
    taken = [*anon(), ref(20, OTHER, UNLESS, 1, 2, 0), ref(30, APP, MOD, 1, 3, 0)]
    for irq, shared_ns in ((TASK, -1), (INTERRUPT, 40)):
        engine = replayed([*taken, ref(40, DRIVER, PUT, -1, 2, 0, irq=irq)], watched())
        assert field(engine, "shared_ns") == [(OTHER, shared_ns)]


def during(irq: IrqContext, *, op: Op = UNLESS, val: int = 1, count: int = 3) -> list[Entry]:
    """An event on DRIVER while it makes an attempt and OTHER holds the page."""
    return [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0), ref(50, DRIVER, op, val, count, 0, irq=irq)]


def test_an_interrupt_isolates_nothing_for_its_task() -> None:
    for irq, kind in ((TASK, RefKind.ISOLATION), (UNKNOWN, RefKind.ISOLATION), (INTERRUPT, RefKind.GET)):
        engine = replayed(during(irq), watched())
        assert takers(engine)[0] == (DRIVER, 1, kind)
        assert bool(page(engine)["marks"] & Mark.ISOLATED) == (kind is RefKind.ISOLATION)


def test_an_interrupt_does_not_come_to_a_page_for_an_attempt() -> None:
    """A write that ends on its CPU: the attempt has not met the page."""
    assert field(replayed(during(TASK), watched()), "met_ns")[1:] == [(OTHER, 50)]
    assert field(replayed(during(INTERRUPT), watched()), "met_ns")[1:] == [(OTHER, -1)]


def test_an_interrupt_migrates_nothing() -> None:
    for irq, frozen in ((TASK, True), (INTERRUPT, False)):
        engine = replayed(during(irq, op=Op.REF_FREEZE, val=2, count=0), watched())
        assert bool(page(engine)["marks"] & Mark.FROZEN) == frozen


def test_who_cleared_a_suspect_and_in_which_context() -> None:
    held = [*anon(), ref(5, OTHER, UNLESS, 1, 2, 0)]
    for irq in IrqContext:
        engine = replayed([*held, ref(150, WORKER, PUT, -1, 1, 0, irq=irq)], watched())
        assert suspects(engine)
        (row,) = engine.table("suspects")
        assert (int(row["clear_ns"]), int(row["clear_tid"]), int(row["clear_irq"])) == (150, WORKER, irq)
    (never,) = replayed(held, watched()).table("suspects")
    assert (int(never["clear_ns"]), int(never["clear_irq"])) == (-1, UNKNOWN)
