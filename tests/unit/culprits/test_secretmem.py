"""Secret memory: what an attempt tried of one of its files, the other pages of the file, and pages that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.attempt_tables import (
    AREA,
    DRIVER,
    LAYOUT,
    MS,
    OTHER,
    attempt_events,
    checked,
    joined,
    migration,
    row,
    scanned,
)
from tests.support.log_rows import blank
from tests.support.replay_twin import FLAG_BITS, Entry, entry, stream
from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.find import find_attempts, plan_probes
from tracereplay.attempts.inventory import Question, inventory_attempts, plan_inventory_probes
from tracereplay.attempts.log import Log
from tracereplay.attempts.probe_key import ProbeKey
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.decide import judge
from tracereplay.culprits.logged import unreplayed
from tracereplay.culprits.secretmem import looks_secret
from tracereplay.culprits.suspect import SecretFile, Suspect
from tracereplay.culprits.table import BY_CODE, decide
from tracereplay.dev_t import BDEV_FIRST
from tracereplay.layout.layout import Layout
from tracereplay.losses import Loss
from tracereplay.model.result import Attempt, Culprit, File
from tracereplay.replay.engine import Engine
from tracereplay.replay.state import Mark, Reason
from tracereplay.schema import Op

START = AREA.start_pfn
SECRET = 0x140DCA  # GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO
PLAIN = SECRET & ~0x100
AIO_RING = 0x140DC0  # GFP_USER|__GFP_COMP|__GFP_ZERO
ANON_DEV, DISK = 29, 254 << 20 | 16
INO = 4711
FIRST, SECOND, ABOVE = START + 4, START + 5, START + 90


def page(pfn: int, gfp: int = SECRET, dev: int = ANON_DEV, ino: int = INO) -> list[Entry]:
    """A page allocated and put into the page cache."""
    return [
        entry(1 * MS, OTHER, Op.ALLOC, pfn, flags=gfp),
        entry(2 * MS, OTHER, Op.CACHE_ADD, pfn, mapping=ino, val=pfn, ret=dev),
    ]


EVENTS = joined(
    {"cma_alloc_start": [row(10, name=AREA.name, count=128, align=0)]},
    scanned(20, START, START + 32),
    migration(21, 22, moved=0, failed=2),
    checked(30, START, START + 128, FIRST),
    {"cma_alloc_finish": [row(31, name=AREA.name, pfn=START, page=0, count=128, align=0, errorno=-16)]},
)


def run_of(layout: Layout = LAYOUT, **changes: Any) -> AnalysisContext:
    """What the analysis knows."""
    known: dict[str, Any] = {
        "layout": layout, "comm_of": {OTHER: "keyring", DRIVER: "driver"}.get, "has_page_ref": False, "flag_bits": {},
        "losses": (), "dumps": {}, "migrate_failures": {}, "end_ns": 10_000 * MS,
    }  # fmt: skip
    return AnalysisContext(**{**known, **changes})


def culprits(pages: Sequence[Entry], layout: Layout = LAYOUT, **changes: Any) -> list[Culprit]:
    """Those of one cma_alloc that gave up the batch of FIRST and SECOND."""
    entries = sorted(pages)
    events = attempt_events(EVENTS, entries)
    drafts = find_attempts(events, layout, Log())
    engine = Engine(actions=plan_probes(events, drafts, has_page_ref=False))
    engine.run([stream(entries)])
    (attempt,) = judge(run_of(layout, **changes), engine, events, drafts, "trace-0")
    return attempt.culprits


def rows(found: Sequence[Culprit]) -> list[tuple[int, int, str, str, str]]:
    """What is said of which pages."""
    return [(c.start_pfn or 0, c.pages, c.cause, c.effect, c.verdict) for c in found]


def dumped(pfn: int, **values: Any) -> dict[int, list[dict[str, Any]]]:
    """The kernel's dump of a page during the attempt."""
    line = blank("page_dumps", 0, DRIVER, pfn=pfn, reason="migration failure", **values)
    return {pfn: [{**line, "time_ns": 25 * MS}]}


def test_pages_tried_blocked_and_the_others_of_the_file_would_have() -> None:
    found = culprits([*page(FIRST), *page(SECOND), *page(ABOVE)])
    assert rows(found) == [
        (FIRST, 2, "secretmem", "blocked", "suggested"),
        (ABOVE, 1, "secretmem", "would_block", "suggested"),
    ]
    assert {c.holder.comm if c.holder else None for c in found} == {"keyring"}
    assert found[0].blocked_tries == [(0, 0)]
    assert found[0].primary


def test_the_file_of_a_released_kernel_is_not_movable() -> None:
    highuser = SECRET & ~0x08
    assert [c.cause for c in culprits([*page(FIRST, highuser), *page(ABOVE, highuser)])] == ["secretmem"] * 2


STACK = ["folio_alloc+0x5a/0xa0", "secretmem_fault+0xd5/0x330"]


@pytest.mark.parametrize("values", [{"aops": "secretmem_aops"}, {"aops": "0xffffffff8181a380", "owner_stack": STACK}])
def test_a_dump_of_one_page_settles_its_file(values: dict[str, Any]) -> None:
    found = culprits([*page(FIRST), *page(SECOND), *page(ABOVE)], dumps=dumped(FIRST, **values))
    assert rows(found) == [
        (FIRST, 2, "secretmem", "blocked", "proved"),
        (ABOVE, 1, "secretmem", "would_block", "proved"),
    ]
    assert {c.holder_verdict for c in found} == {"suggested"}


def test_a_dump_of_another_file_settles_nothing() -> None:
    found = culprits([*page(FIRST), *page(SECOND, ino=8)], dumps=dumped(SECOND, aops="secretmem_aops"))
    assert [(c.start_pfn, c.verdict) for c in found] == [(FIRST, "suggested"), (SECOND, "proved")]


ALIKE = {
    "not zeroed": page(FIRST, PLAIN),
    "on a disk": page(FIRST, dev=DISK),
    "a block device's own cache": page(FIRST, dev=BDEV_FIRST, ino=254 << 20 | 16),
    "an AIO ring": page(FIRST, AIO_RING),
    "anonymous": [entry(1 * MS, OTHER, Op.ALLOC, FIRST, flags=SECRET)],
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_looks_alike_is_not_called_secret(name: str) -> None:
    assert "secretmem" not in {c.cause for c in culprits(ALIKE[name])}


def test_a_mounted_file_system_is_no_internal_one() -> None:
    mounted = replace(LAYOUT, file_systems={ANON_DEV: "tmpfs"})
    assert "secretmem" not in {c.cause for c in culprits([*page(FIRST), *page(ABOVE)], mounted)}


def test_a_page_taken_out_of_the_cache_after_it_was_tried_is_still_secret_memory() -> None:
    gone = entry(25 * MS, OTHER, Op.CACHE_DELETE, FIRST, mapping=INO, val=FIRST, ret=ANON_DEV)
    assert rows(culprits([*page(FIRST), gone])) == [(FIRST, 1, "secretmem", "blocked", "suggested")]


def test_a_file_of_which_nothing_was_tried_is_not_blamed() -> None:
    found = culprits([*page(FIRST, PLAIN), *page(ABOVE, ino=8)])
    assert {c.start_pfn for c in found} == {FIRST}


def test_an_inventory_lists_all_of_it() -> None:
    entries = sorted([*page(FIRST), *page(ABOVE), *page(START + 50, AIO_RING, ino=9)])
    drafts = inventory_attempts(Question(AREA.name), 5 * MS, LAYOUT)
    engine = Engine(actions=plan_inventory_probes(drafts, [ProbeKey(0).encode()]))
    engine.run([stream(entries)])
    (attempt,) = judge(run_of(), engine, attempt_events({}), drafts, "trace-0")
    assert isinstance(attempt, Attempt)
    assert rows(attempt.culprits) == [
        (FIRST, 1, "secretmem", "would_block", "suggested"),
        (ABOVE, 1, "secretmem", "would_block", "suggested"),
    ]


# -- with page_ref events, page by page -------------------------------------------------------------------------------


def suspect(**changes: Any) -> Suspect:
    """An unevictable page of an internal file that was isolated and left, allocated before the trace."""
    draft = DetectedAttempt("memory_offline", DRIVER, 0, 1000, "interrupted", "inferred", failed_migrations=1)
    values: dict[str, Any] = {
        "marks": Mark.COUNT_KNOWN | Mark.FILE | Mark.ISOLATED, "reasons": int(Reason.LEFT), "count": 3, "mapcount": 0,
        "flags": frozenset({"uptodate", "dirty", "unevictable"}), "file": File(dev=ANON_DEV, ino=INO, index=1),
    }  # fmt: skip
    return replace(unreplayed(run_of(has_page_ref=True), draft, FIRST, 0, 900), **{**values, **changes})


def test_flags_tell_a_page_allocated_before_the_trace() -> None:
    (said,) = decide(suspect())
    assert (said[0].code, said[1].verdict, said[1].holder) == ("secretmem", "suggested", None)
    assert looks_secret(suspect(file=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": frozenset({"uptodate", "dirty"})},
        {"flags": frozenset({"unevictable", "mlocked"})},
        {"flags": frozenset({"unevictable", "swapbacked"})},
        {"flags": frozenset({"unevictable", "private"})},
        {"reasons": Reason.LEFT | Reason.EXCESS, "min_excess": 1, "confirmed": 1},
        {"draft": DetectedAttempt("memory_offline", DRIVER, 0, 1000, "interrupted", "inferred")},
        {"order": 4},
        {"seen_in_wait": True},
        {"marks": Mark.COUNT_KNOWN | Mark.ANON | Mark.ISOLATED},
        {"marks": Mark.COUNT_KNOWN | Mark.FILE | Mark.ISOLATED | Mark.ALLOC_SEEN, "gfp": PLAIN},
    ],
)
def test_near_misses(changes: dict[str, Any]) -> None:
    assert "secretmem" not in {cause.code for cause, _ in decide(suspect(**changes))}


def test_the_proof_of_a_page_of_a_dumped_file_needs_its_life_without_loss() -> None:
    born = {"marks": Mark.COUNT_KNOWN | Mark.FILE | Mark.ALLOC_SEEN, "gfp": SECRET, "alloc_ns": 100, "alloc_tid": OTHER}
    kin = suspect(**born, reasons=int(Reason.ZEROED), secret_file=SecretFile(tried=1, dumped_pfn=SECOND))
    assert [f.verdict for _, f in decide(kin)] == ["proved"]
    lossy = replace(kin.context, losses=[("loss-0", Loss("overrun", 5, start_ns=300, end_ns=400))])
    assert [(f.verdict, f.weakened_by) for _, f in decide(replace(kin, context=lossy))] == [("suggested", ["loss-0"])]
    assert BY_CODE["secretmem"].ceiling == "proved"


def test_pages_are_noted_however_small_the_tables_are() -> None:
    many = [one for pfn in range(START, START + 2000) for one in page(pfn)]
    drafts = inventory_attempts(Question(AREA.name), 5 * MS, LAYOUT)
    engine = Engine(FLAG_BITS, actions=plan_inventory_probes(drafts, [0]))
    engine.run([stream(sorted(many))])
    assert set(engine.table("suspects")["pfn"].tolist()) == set(range(START, START + 2000))
