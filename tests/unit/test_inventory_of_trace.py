"""`--at`: what would block a range, from a trace of events that no capture holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracereplay.cli.main import main
from tracereplay.errors import UsageError
from tracereplay.model.result import Attempt
from tracereplay.opening import find_copies
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.style import Style
from tracereplay.schema import KPF
from tracereplay.session import Session

LAYOUT = """
page_size = 4096
memory_block_size = "64KiB"
[[zone]]
name = "Normal"
node = 0
start_pfn = 0
pages = 44
[[cma]]
name = "video"
start_pfn = 16
pages = 16
"""
BDEV = "dev 0:3 ino fe00010"
DATA = "dev 254:16 ino c"
SECRET = "dev 0:14 ino 2"
MOVABLE, KERNEL = "GFP_HIGHUSER_MOVABLE", "GFP_KERNEL"
AT_NS = 5_000_000_000


def line(seconds: float, event: str, task: str = "app-7") -> str:
    """A line of /sys/kernel/tracing/trace."""
    return f"{task:>16} [000] ..... {seconds:12.6f}: {event}\n"


def alloc(pfn: int, gfp: str = MOVABLE, seconds: float = 2.0) -> list[str]:
    """An allocation of one page."""
    return [line(seconds, f"mm_page_alloc: page=00000000a7af04b1 pfn={pfn:#x} order=0 migratetype=1 gfp_flags={gfp}")]


def counted(pfn: int, gfp: str = MOVABLE) -> list[str]:
    """The same where reference events are recorded."""
    text = f"page_ref_set: pfn={pfn:#x} flags=none count=1 mapcount=-1 mapping=0000000000000000 mt=1 val=1"
    return [line(1.9, text), *alloc(pfn, gfp)]


def ref(pfn: int, event: str, val: int, count: int, mapcount: int, flags: str, mapping: str, seconds: float) -> str:
    """A reference event."""
    text = f"{event}: pfn={pfn:#x} flags={flags} count={count} mapcount={mapcount} mapping={mapping} mt=1 val={val}"
    return line(seconds, text + ("" if event == "page_ref_mod" else f" ret={int(val > 0)}"))


def cached(pfn: int, file: str, flags: str, gfp: str = MOVABLE) -> list[str]:
    """A page-cache page: the cache holds a reference, and the private data another."""
    count = 2 if "private" in flags else 1
    return [
        *counted(pfn, gfp),
        line(2.1, f"mm_filemap_add_to_page_cache: {file} pfn={pfn:#x} ofs=0 order=0"),
        ref(pfn, "page_ref_mod", 1, count + 1, -1, flags, "0000000055306789", 2.2),
        ref(pfn, "page_ref_mod_and_test", -1, count, -1, flags, "0000000055306789", 2.3),
    ]


def anon(pfn: int) -> list[str]:
    """An anonymous page, mapped once."""
    mapping = "0000000055306701"
    return [*counted(pfn), ref(pfn, "page_ref_mod", 1, 2, 0, "uptodate|lru|swapbacked", mapping, 2.2),
            ref(pfn, "page_ref_mod_and_test", -1, 1, 0, "uptodate|lru|swapbacked", mapping, 2.3)]  # fmt: skip


def held(pfn: int) -> list[str]:
    """An anonymous page on which a task keeps a get."""
    return [*anon(pfn), ref(pfn, "page_ref_mod_unless", 1, 2, 0, "uptodate|lru|swapbacked", "0000000055306701", 3.0)]


def forked(pfn: int) -> list[str]:
    """An anonymous page with a plain reference whose mapping does not show yet."""
    return [*anon(pfn), ref(pfn, "page_ref_mod", 1, 2, 0, "uptodate|lru|swapbacked", "0000000055306701", 3.0)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "layout.toml").write_text(LAYOUT)
    return tmp_path


def trace(folder: Path, *parts: Sequence[str]) -> Path:
    """The lines in order of time, between a first event at 1 s and a last at 9 s, of a page far away."""
    lines = [*alloc(900, seconds=1.0), *(text for part in parts for text in part), *alloc(901, seconds=9.0)]
    lines.sort(key=lambda text: float(text.split("..... ")[1].split(":")[0]))
    path = folder / "trace.txt"
    path.write_text("# tracer: nop\n#\n" + "".join(lines))
    return path


def inventory(folder: Path, *parts: Sequence[str], snapshot: dict[str, Any] | None = None, **asked: Any) -> Attempt:
    options = {"layout": folder / "layout.toml", **(snapshot or {})}
    (attempt,) = Session([trace(folder, *parts)], **options).inventory(at=AT_NS, **asked).attempts
    pages = attempt.pages
    assert pages is not None
    assert pages.requested == pages.free + pages.moved + pages.held + pages.not_seen
    return attempt


def found(attempt: Attempt) -> list[tuple[int, int, str, str]]:
    assert {c.effect for c in attempt.culprits} <= {"would_block"}
    return [(c.start_pfn or 0, c.pages, c.cause, c.verdict) for c in attempt.culprits]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (cached(20, BDEV, "referenced|private"), [(20, 1, "buffer_head", "suggested")]),
        (cached(20, DATA, "referenced|uptodate|private"), []),  # the buffers of file data migrate
        (cached(20, BDEV, "referenced"), []),  # no buffers
        (cached(20, SECRET, "uptodate|unevictable", "GFP_HIGHUSER|__GFP_ZERO"), [(20, 1, "secretmem", "suggested")]),
        (cached(20, DATA, "uptodate|unevictable", "GFP_HIGHUSER|__GFP_ZERO"), []),  # of a mounted file system
        (held(20), [(20, 1, "task_reference", "suggested")]),
        (forked(20), []),
        (anon(20), []),
        (cached(20, DATA, "locked"), [(20, 1, "locked_folio", "suggested")]),
        (cached(20, DATA, "uptodate|writeback"), [(20, 1, "writeback", "suggested")]),
    ],
)  # fmt: skip
def test_what_an_attempt_would_meet(folder: Path, events: list[str], expected: list[tuple[int, int, str, str]]) -> None:
    assert found(inventory(folder, events)) == expected


def test_kernel_pages_block_a_memory_block_and_not_an_area(folder: Path) -> None:
    (row,) = found(inventory(folder, alloc(3, KERNEL), anon(20), block=0))
    assert row[:3] == (3, 1, "unmovable_allocation")
    assert found(inventory(folder, alloc(20, KERNEL), anon(21))) == []


def test_a_trace_that_cannot_tell_never_says_all_clear(folder: Path) -> None:
    without = inventory(folder, alloc(20))
    assert without.not_shown == ["references", "page_cache"]
    assert without.uncounted is None
    seen = inventory(folder, anon(20))
    assert seen.not_shown == ["page_cache"]
    assert seen.uncounted == 15  # the pages without events
    result = Session([folder / "trace.txt"], layout=folder / "layout.toml").inventory(at=AT_NS)
    for form in FORMATS:
        assert "Nothing would block migration" not in FORMATS[form](result, Style())


def test_a_time_outside_the_trace_is_refused(folder: Path) -> None:
    session = Session([trace(folder, anon(20))], layout=folder / "layout.toml")
    for time_ns in (999_999_999, 9_000_000_001):
        with pytest.raises(UsageError, match=r"is not in the trace: trace.txt has events from 1 s to 9 s"):
            session.inventory(at=time_ns)
    assert len(session.inventory(at=1_000_000_000).attempts) == 1


def test_several_times_cost_one_replay(folder: Path) -> None:
    session = Session([trace(folder, held(20))], layout=folder / "layout.toml")
    before, after = session.inventory(at=[2_500_000_000, AT_NS]).attempts
    assert [found(one) for one in (before, after)] == [[], [(20, 1, "task_reference", "suggested")]]


def test_a_block_with_a_hole_never_goes_offline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempt = inventory(folder, anon(20), block=2)  # pages 32..47, and the zone ends at 44
    assert attempt.cause == "not_isolatable"
    assert [(hole.start_pfn, hole.pages) for hole in attempt.holes] == [(44, 4)]
    assert inventory(folder, anon(20), block=0).cause is None
    command = ["blame", str(folder / "trace.txt"), "--layout", str(folder / "layout.toml"), "--at", "5", "-q"]
    assert main([*command, "--block", "2"]) == 0
    assert "memory2 can never go offline: 4 pages of it are no memory (PFN 0x2c-0x2f)" in capsys.readouterr().out


def test_would_pages_fit(folder: Path) -> None:
    events = [*held(20), *anon(25), *held(28)]
    eight = inventory(folder, events, pages=8, align_order=0).fit
    assert eight is not None
    assert not eight.fits
    assert eight.candidates == 9
    assert (eight.ranges[0].start_pfn, eight.ranges[0].blocked) == (16, 1)  # the fewest, and the lowest of those
    seven = inventory(folder, events, pages=7, align_order=0).fit
    assert seven is not None
    assert seven.fits
    (only,) = seven.ranges
    assert (only.start_pfn, only.to_move, only.not_seen, only.blocked) == (21, 1, 6, 0)
    aligned = inventory(folder, events, pages=7).fit  # to 8, as dma_alloc_contiguous() does
    assert aligned is not None
    assert (aligned.align_order, aligned.fits, [one.start_pfn for one in aligned.ranges]) == (3, False, [16, 24])
    with pytest.raises(UsageError, match="17 pages cannot fit in video, which has 16"):
        inventory(folder, events, pages=17)


def test_what_cma_alloc_took_is_given_out_until_it_is_released(folder: Path) -> None:
    took = [
        line(3.0, "cma_alloc_start: name=video count=4 align=0", "dma-9"),
        line(3.1, "cma_alloc_finish: name=video pfn=0x10 page=000000007f11d5f5 count=4 align=0 errorno=0", "dma-9"),
    ]
    attempt = inventory(folder, anon(20), took, pages=16, align_order=0)
    assert attempt.given_out == 4
    assert attempt.cause is None
    assert attempt.fit is not None
    assert attempt.fit.ranges[0].given_out == 4
    gave = [line(3.5, "cma_release: name=video pfn=0x12 page=000000007f11d5f5 count=2", "dma-9")]
    assert inventory(folder, anon(20), took, gave).given_out == 2


def snapshot(folder: Path, pages: dict[int, Sequence[KPF]]) -> dict[str, Any]:
    """kpageflags of 48 pages, free where nothing is said."""
    words = np.full(48, 1 << KPF.BUDDY, "<u8")
    for pfn, flags in pages.items():
        words[pfn] = sum(1 << flag for flag in flags)
    path = folder / "kpageflags.before.bin"
    path.write_bytes(words.tobytes())
    return {"kpageflags": path}


def test_a_snapshot_tells_of_pages_without_events(folder: Path) -> None:
    before = snapshot(folder, {3: (KPF.SLAB,), 5: (KPF.ANON, KPF.LRU, KPF.MMAP), 6: ()})
    known = inventory(folder, anon(7), snapshot=before, block=0)
    assert known.pages is not None
    assert (known.pages.free, known.pages.held, known.pages.not_seen) == (12, 3, 1)
    assert known.pages.from_snapshot == 14
    assert found(known) == [(3, 1, "unmovable_allocation", "suggested")]  # of the snapshot alone: never proved
    alone = inventory(folder, anon(7), block=0)
    assert alone.pages is not None
    assert (alone.pages.not_seen, alone.pages.from_snapshot) == (15, None)


def test_events_override_the_snapshot(folder: Path) -> None:
    before = snapshot(folder, {3: (KPF.SLAB,), 4: (KPF.SLAB,)})
    freed = line(2.0, "mm_page_free: page=00000000a7af04b1 pfn=0x3 order=0")
    attempt = inventory(folder, [freed], anon(5), anon(4), snapshot=before, block=0)
    assert found(attempt) == []
    assert attempt.pages is not None
    assert (attempt.pages.free, attempt.pages.held, attempt.pages.from_snapshot) == (14, 2, 13)


def test_the_snapshot_is_found_beside_the_trace_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trace(folder, anon(20))
    assert find_copies(path) == (None, None)
    copy = snapshot(folder, {})["kpageflags"]
    assert find_copies(path) == (copy, None)
    (folder / "kpagecount.before.bin").write_bytes(bytes(48 * 8))
    assert find_copies(path) == (copy, folder / "kpagecount.before.bin")
    assert main(["info", str(path), "--layout", str(folder / "layout.toml"), "-q"]) == 0
    assert "kpageflags.before.bin" in capsys.readouterr().out
    copy.write_bytes(bytes(7))
    assert main(["info", str(path), "--no-progress"]) == 0
    said = capsys.readouterr()
    assert "kpageflags.before.bin" not in said.out
    assert "not used: " in said.err


OWNED = """Page allocated via order {order}, mask 0xcc0(GFP_KERNEL), pid {tid}, tgid {tid} ({comm}), ts 900 ns
PFN {pfn:#x} type Unmovable Block 0 type Unmovable Flags 0x0(node=0|zone=0)
 {frame}+0x1/0x2

"""


def test_the_tracers_own_buffer_is_called_that(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "page_owner").write_text(
        OWNED.format(order=2, tid=8, comm="trace-cmd", pfn=4, frame="ring_buffer_resize")
        + OWNED.format(order=1, tid=116, comm="lab-main", pfn=8, frame="x")
    )
    options = ["--layout", str(folder / "layout.toml"), "--page-owner", str(folder / "page_owner"), "-q"]
    path = str(trace(folder, anon(20)))
    assert main(["blame", path, *options, "--at", "5", "--block", "0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "your trace buffer; without it the next is lab-main (116), 2 pages" in said
