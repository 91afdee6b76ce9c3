"""The stack of an event: the next one of its task on its CPU, also where a virtual CPU had to wait in between."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracereplay
from tests.support.kprobe_text import HEADER, VMEMMAP, page

PFN = 0x8010
TAKE = f"(try_grab_folio_fast+0x0/0x90) page={page(PFN)} refs=1 flags=0x2 rc=1 ch=0x0 vb={VMEMMAP:#x}"
STACK = " => try_grab_folio_fast\n => get_user_pages_fast\n => __do_sys_vmsplice\n"
SH = "         sh-7       [000] .....     3.{us:06d}: {event}: {payload}\n"


def line(us: int, rest: str, *, cpu: int = 0, tid: int = 21, flags: str = ".....") -> str:
    return f"     holder-{tid}      [{cpu:03d}] {flags}     1.{us:06d}: {rest}\n"


def mechanism(folder: Path, between: str, late_us: int, *, stacks: bool = True) -> str | None:
    """Of the holder whose take has its stack so much later, with these lines in between."""
    text = line(0, f"getf: {TAKE}") + between
    text += line(late_us, "<stack trace>").replace("<stack trace>: ", "<stack trace>") + STACK if stacks else ""
    refused = f"(move_to_new_folio+0x0/0x90) dst={page(9)} src={page(PFN)} mode=0 rc=2 mc=-1 mapping=0xff3f91a66ffcaf71"
    for us, event, payload in (
        (1, "sipr_r", "(c+0x1/0x2 <- start_isolate_page_range) s=0x8000 e=0x10000 ret=0"),
        (2, "mig", f"{refused} fl=0x2001d"),
        (3, "mig_r", f"(c+0x1/0x2 <- move_to_new_folio) src={page(PFN)} ret=-11"),
        (4, "mm_migrate_pages", "nr_succeeded=0 nr_failed=1 nr_thp_succeeded=0 nr_thp_failed=0 nr_thp_split=0 "
            "nr_split=0 mode=MIGRATE_SYNC reason=memory_hotplug"),
        (5, "off_r", "(c+0x1/0x2 <- offline_pages) pfn=0x8000 nr=0x8000 ret=-16"),
    ):  # fmt: skip
        text += SH.format(us=us, event=event, payload=payload)
    path = folder / "trace.txt"
    path.write_text(HEADER + text)
    (attempt,) = tracereplay.open([path]).blame().attempts
    (culprit,) = attempt.culprits
    return culprit.mechanism


ALLOCATION = "mm_page_free: page=0xffffea0000000040 pfn=0x1 order=0"


@pytest.mark.parametrize(
    "between",
    [
        "",
        line(3000, ALLOCATION, flags="..s.."),
        line(3000, ALLOCATION, flags="d.h.."),
        line(3000, ALLOCATION, cpu=1, tid=22),
        line(3000, ALLOCATION, tid=22),
    ],
    ids=["nothing", "softirq", "hardirq", "another CPU", "another task"],
)
@pytest.mark.parametrize("late_us", [3, 22_000])
def test_a_stack_may_be_late(late_us: int, between: str, tmp_path: Path) -> None:
    assert (
        mechanism(tmp_path, between.replace("1.003000", "1.000002") if late_us < 3000 else between, late_us)
        == "vmsplice"
    )


@pytest.mark.parametrize(
    "between",
    [line(3000, ALLOCATION), line(3000, f"getf: {TAKE}".replace(page(PFN), page(1)))],
    ids=["an event without a stack", "a take"],
)
def test_a_late_stack_may_be_of_another_event(between: str, tmp_path: Path) -> None:
    assert mechanism(tmp_path, between, 22_000) is None


def test_a_stack_that_is_too_late_is_none(tmp_path: Path) -> None:
    assert mechanism(tmp_path, "", 900_000) is None
    assert mechanism(tmp_path, "", 0, stacks=False) is None
