"""What kpageflags says that pages are, run by run and counted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import captures
from tracereplay.culprits.snapshot_uses import RUNS_KEPT, count_uses, use_codes, use_runs
from tracereplay.model.result import USES
from tracereplay.replay.kpage_flags import PageWords
from tracereplay.schema import KPF
from tracereplay.session import Session

HEAD, TAIL = KPF.COMPOUND_HEAD, KPF.COMPOUND_TAIL
CASES = {
    "free": (KPF.BUDDY,),
    "anon": (KPF.ANON, KPF.LRU, KPF.SWAPBACKED, KPF.MMAP),
    "file": (KPF.LRU, KPF.UPTODATE),
    "shmem": (KPF.LRU, KPF.SWAPBACKED),
    "slab": (KPF.SLAB,),
    "page_table": (KPF.PGTABLE, KPF.MMAP),
    "hugetlb": (HEAD, KPF.HUGE),
    "reserved": (KPF.RESERVED,),
    "offline": (KPF.OFFLINE,),
    "no_page": (KPF.NOPAGE,),
    "other": (KPF.PRIVATE,),
}


def words(*pages: tuple[KPF, ...]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([sum(1 << flag for flag in flags) for flags in pages], np.uint64)


def named(*pages: tuple[KPF, ...]) -> list[str | None]:
    return [None if code < 0 else USES[code] for code in use_codes(words(*pages)).tolist()]


@pytest.mark.parametrize("use", USES)
def test_each_use_has_its_flags(use: str) -> None:
    assert named(CASES[use]) == [use]


def test_a_word_of_nothing_says_nothing() -> None:
    assert named(()) == [None]


def test_tails_are_what_their_head_is() -> None:
    assert named((HEAD, KPF.SLAB), (TAIL,), (TAIL,), (HEAD, KPF.PRIVATE), (TAIL,)) == ["slab"] * 3 + ["other"] * 2
    assert named((TAIL,), (KPF.LRU,)) == ["other", "file"]  # its head is outside


def test_runs_and_counts_keep_to_the_spans() -> None:
    copy = PageWords(100, words(*[CASES["free"]] * 4, *[CASES["anon"]] * 3, (), CASES["file"]))
    runs = [(run.start_pfn, run.pages, run.use) for run in use_runs(copy, ((90, 106), (108, 120)), None)]
    assert runs == [(100, 4, "free"), (104, 2, "anon"), (108, 1, "file")]
    assert [(one.use, one.pages) for one in count_uses(copy, ((90, 106), (108, 120)))] == [
        ("free", 4), ("anon", 2), ("file", 1),
    ]  # fmt: skip
    assert use_runs(copy, (), None) == []
    assert count_uses(copy, ((0, 50),)) == []


def test_very_many_runs_are_summed_up_by_blocks() -> None:
    pages = [CASES["anon"], CASES["anon"], CASES["file"]] * (2 * RUNS_KEPT)
    copy = PageWords(7, words(*pages))
    runs = use_runs(copy, ((0, 1 << 20),), 64)
    assert len(runs) <= RUNS_KEPT
    assert {run.use for run in runs} == {"anon"}
    assert sum(run.pages for run in runs) == len(pages)


def test_the_counts_of_a_capture_are_those_of_its_copy() -> None:
    folder = captures.capture("offline_thp_pin")
    copies = {name: next(folder.glob(f"{name}.before*")) for name in ("kpageflags", "kpagecount")}
    result = Session([folder / "trace.dat"], layout=folder / "layout_before", **copies).blame()  # type: ignore[arg-type]
    failed = next(a for a in result.attempts if a.outcome != "succeeded")
    assert failed.pages is not None
    assert failed.pages.from_snapshot
    assert sum(one.pages for one in failed.pages.uses) == failed.pages.from_snapshot
    inside = [run for run in failed.uses if 0x100000 <= run.start_pfn < 0x108000]
    assert inside == failed.uses
    assert {run.use for run in failed.uses} >= {one.use for one in failed.pages.uses}
