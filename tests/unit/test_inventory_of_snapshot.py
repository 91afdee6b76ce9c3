"""What would stand in the way, from kpageflags, kpagecount and page_owner without a trace, against what was planted."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.captures import capture, truth_of
from tracereplay.cli.main import main
from tracereplay.errors import InputError, UsageError
from tracereplay.model.result import Attempt, Culprit
from tracereplay.reports import FORMATS
from tracereplay.reports.shared.style import Style
from tracereplay.schema import KPF
from tracereplay.session import Session

ANON = (KPF.LRU, KPF.ANON, KPF.MMAP, KPF.UPTODATE, KPF.SWAPBACKED)
UNMAPPED = (KPF.LRU, KPF.ANON, KPF.UPTODATE, KPF.SWAPBACKED)
BUFFERS = (KPF.LRU, KPF.PRIVATE)
LAYOUT = """
page_size = 4096
memory_block_size = "64KiB"
[[zone]]
name = "Normal"
node = 0
start_pfn = 0
pages = 32
[[zone]]
name = "Movable"
node = 0
start_pfn = 32
pages = 16
[[cma]]
name = "video"
start_pfn = 16
pages = 16
"""


def of_capture(name: str, label: str, *, page_owner: bool = False) -> list[Attempt]:
    folder = capture(name)
    block = truth_of(folder)["range"][0] // 32768 if name.startswith("offline") else None
    session = Session(
        kpageflags=next(folder.glob(f"kpageflags.{label}.*")),
        kpagecount=next(folder.glob(f"kpagecount.{label}.*")),
        layout=folder / f"layout_{label}",
        page_owner=folder / "page_owner.txt.gz" if page_owner else None,
    )
    return session.inventory(block=block).attempts


def by_mechanism(name: str, culprits: Iterable[Culprit]) -> dict[tuple[str, str], int]:
    """Pages by cause and by what had been planted there (`not planted` for none)."""
    truth = truth_of(capture(name))
    planted = {
        pfn: culprit["mechanism"].split(" ")[0]
        for culprit in [*truth["culprits"], *truth.get("post_hoc_culprits", [])]
        for start, end in culprit["pfns"]
        for pfn in range(start, end)
    }
    pages = ((c.cause, pfn) for c in culprits for pfn in range(c.start_pfn or 0, (c.start_pfn or 0) + c.pages))
    return dict(Counter((cause, planted.get(pfn, "not planted")) for cause, pfn in pages))


# All that the flags can tell; pins of mapped pages show nowhere (the other pages planted in these captures).
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cma_bufferhead", {("buffer_head", "ext4_metadata_buffers"): 133}),
        ("cma_fuse_readahead", {("locked_folio", "fuse_readahead_locked"): 32}),
        ("k72_cma_fuse_writeback", {("writeback", "fuse_writeback"): 64}),
        ("offline_writeback", {("writeback", "writeback_stalled"): 256}),
        ("cma_pin_vmsplice", {("extra_reference", "vmsplice_orphan"): 4}),
        ("k72_cma_pin_vmsplice", {("extra_reference", "vmsplice_orphan"): 4}),
        ("offline_pin_nopageref", {("extra_reference", "vmsplice_orphan"): 3}),
        (
            "mixed_nopageref",
            {("buffer_head", "ext4_metadata_buffers"): 33, ("extra_reference", "vmsplice_orphan"): 3},
        ),
        ("cma_longterm_fail", {}),
        ("cma_pin_aio", {}),
        ("cma_pin_shm", {}),
        ("cma_ok", {}),
        ("k72_cma_ok", {}),
        ("cma_nomem", {}),
        ("offline_thp_pin", {}),
        ("offline_ok", {}),
        ("thp_split", {}),
        # 66 slab pages and 2 page tables: the kernel refused the block for an unmovable page.
        ("offline_dimm_einval", {("unmovable_allocation", "not planted"): 68}),
    ],
)
def test_what_was_planted_is_found_and_nothing_else(name: str, expected: dict[tuple[str, str], int]) -> None:
    (attempt,) = of_capture(name, "before")
    assert by_mechanism(name, attempt.culprits) == expected
    assert attempt.inventory
    assert {c.effect for c in attempt.culprits} <= {"would_block"}
    assert {c.verdict for c in attempt.culprits if c.cause != "unmovable_allocation"} <= {"suggested"}
    assert all(c.holder is None and c.evidence for c in attempt.culprits)
    pages = attempt.pages
    assert pages is not None
    assert pages.requested == pages.free + pages.held + pages.not_seen


def test_page_owner_names_the_allocators_and_tells_metadata_by_its_stack() -> None:
    (attempt,) = of_capture("cma_bufferhead", "before", page_owner=True)
    assert by_mechanism("cma_bufferhead", attempt.culprits) == {("buffer_head", "ext4_metadata_buffers"): 133}
    allocators = {c.allocated_by.comm for c in attempt.culprits if c.allocated_by}
    assert "fs-meta" in allocators
    assert all(c.allocated_by for c in attempt.culprits)


def test_page_owner_alone() -> None:
    """Two more pages than with kpageflags: freed when the dump of page_owner was made, as the flags say."""
    folder = capture("cma_bufferhead")
    result = Session(page_owner=folder / "page_owner.txt.gz", layout=folder / "layout_before").blame()
    assert by_mechanism("cma_bufferhead", result.attempts[0].culprits) == {
        ("buffer_head", "ext4_metadata_buffers"): 133,
        ("buffer_head", "not planted"): 2,
    }


def test_what_cma_alloc_has_given_out_is_told() -> None:
    (attempt,) = of_capture("cma_pin_vmsplice", "after")
    assert attempt.cause is None  # an area that is merely in use
    assert attempt.given_out == 256
    assert attempt.pages is not None
    assert attempt.pages.held == 269  # 256 given out, 13 in use


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "layout.toml").write_text(LAYOUT)
    return tmp_path


def snapshot(folder: Path, pages: Mapping[int, Sequence[KPF]], mapped: Sequence[int] = ()) -> dict[str, Any]:
    """48 pages, free where nothing is said."""
    words = np.full(48, 1 << KPF.BUDDY, "<u8")
    counts = np.zeros(48, "<u8")
    for pfn, flags in pages.items():
        words[pfn] = sum(1 << flag for flag in flags)
    counts[list(mapped)] = 1
    (folder / "kpageflags.bin").write_bytes(words.tobytes())
    (folder / "kpagecount.bin").write_bytes(counts.tobytes())
    return {
        "kpageflags": folder / "kpageflags.bin",
        "kpagecount": folder / "kpagecount.bin",
        "layout": folder / "layout.toml",
    }


def found(session: Session, **asked: Any) -> list[tuple[int, int, str, str]]:
    (attempt,) = session.inventory(**asked).attempts
    return [(c.start_pfn or 0, c.pages, c.cause, c.verdict) for c in attempt.culprits]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((KPF.SLAB,), [("unmovable_allocation", "proved")]),
        ((KPF.PGTABLE, KPF.MMAP), []),
        ((KPF.PGTABLE,), [("unmovable_allocation", "proved")]),
        ((KPF.RESERVED,), [("unmovable_allocation", "suggested")]),
        ((KPF.HUGE, KPF.COMPOUND_HEAD), [("hugetlb", "suggested")]),
        ((KPF.OFFLINE,), [("offline_or_hwpoison", "suggested")]),
        ((KPF.HWPOISON, *ANON), []),  # an offline passes over it
        ((KPF.WRITEBACK, KPF.LRU), [("writeback", "suggested")]),
        ((KPF.LOCKED, KPF.LRU), [("locked_folio", "suggested")]),
        ((KPF.LOCKED, KPF.LRU, KPF.UPTODATE), []),
        ((KPF.LOCKED, *UNMAPPED), []),  # on its way in or out
        (BUFFERS, [("buffer_head", "suggested")]),
        ((*BUFFERS, KPF.UPTODATE), []),  # file data
        ((KPF.PRIVATE,), []),  # zsmalloc, perf
        (UNMAPPED, [("extra_reference", "suggested")]),
        ((*UNMAPPED, KPF.SWAPCACHE), []),
        (tuple(flag for flag in UNMAPPED if flag != KPF.LRU), []),  # a fault that has not ended
        (ANON, []),
        ((KPF.NOPAGE, KPF.RESERVED), []),
        ((KPF.BUDDY, KPF.RESERVED), []),
        ((), []),
    ],
)
def test_flags_of_a_page(files: Path, flags: tuple[KPF, ...], expected: list[tuple[str, str]]) -> None:
    session = Session(**snapshot(files, {5: flags}))
    assert found(session, block=0) == [(5, 1, *row) for row in expected]


def test_areas_and_movable_zones_hold_no_kernel_pages(files: Path) -> None:
    session = Session(**snapshot(files, {17: (KPF.SLAB,), 40: (KPF.SLAB,), 20: (KPF.HWPOISON, *ANON)}))
    assert found(session) == [(20, 1, "offline_or_hwpoison", "suggested")]
    assert found(session, area="video") == found(session)
    assert found(session, block=2) == []


def test_a_folio_counts_as_one(files: Path) -> None:
    head, tail = (*UNMAPPED, KPF.COMPOUND_HEAD), (*UNMAPPED, KPF.COMPOUND_TAIL)
    whole = {20: head, 21: tail, 22: tail, 23: tail}
    assert found(Session(**snapshot(files, whole))) == [(20, 4, "extra_reference", "suggested")]
    partly = {**whole, 22: (*tail, KPF.MMAP)}
    assert found(Session(**snapshot(files, partly, mapped=[22]))) == []


def owner(pfn: int, order: int, kind: str, *frames: str) -> str:
    stack = "".join(f" {frame}+0x1/0x2\n" for frame in frames)
    return (
        f"Page allocated via order {order}, mask 0xcc0(GFP_KERNEL), pid 7, tgid 7 (maker), ts 9000 ns\n"
        f"PFN {pfn:#x} type {kind} Block 0 type Unmovable Flags 0x0(node=0|zone=0)\n{stack}\n"
    )


def test_page_owner_tells_kernel_pages_without_flags(files: Path) -> None:
    dump = files / "page_owner"
    dump.write_text(
        owner(2, 1, "Unmovable", "ring_buffer_resize")
        + owner(6, 0, "Unmovable", "x")  # free since, by its flags
        + owner(8, 0, "Movable", "secretmem_fault")
        + owner(9, 0, "Movable", "do_anonymous_page")
    )
    session = Session(**snapshot(files, {2: (), 3: (), 8: ANON, 9: ANON}), page_owner=dump)
    (attempt,) = session.inventory(block=0).attempts
    assert found(session, block=0) == [
        (2, 2, "unmovable_allocation", "suggested"),
        (8, 1, "secretmem", "suggested"),
    ]
    allocated = attempt.culprits[0].allocated_by
    assert allocated is not None
    assert (allocated.comm, allocated.order) == ("maker", 1)
    assert "ring_buffer_resize" in attempt.culprits[0].evidence[0].text


def test_what_the_copy_does_not_cover_is_told(files: Path) -> None:
    options = snapshot(files, {17: UNMAPPED})
    short = files / "kpageflags.now.0x10-0x18.bin"
    short.write_bytes((files / "kpageflags.bin").read_bytes()[0x10 * 8 : 0x18 * 8])
    result = Session(kpageflags=short, layout=options["layout"]).blame()
    assert [(loss.code, loss.count) for loss in result.data_loss if loss.code == "snapshot_incomplete"] == [
        ("snapshot_incomplete", 8)
    ]
    with pytest.raises(UsageError, match="no page of memory0, which is PFN 0x0-0xf"):
        Session(kpageflags=short, layout=options["layout"]).inventory(block=0)


def test_questions_that_cannot_be_asked(files: Path) -> None:
    options = snapshot(files, {})
    with pytest.raises(UsageError, match="pass --layout"):
        Session(kpageflags=options["kpageflags"]).blame()
    with pytest.raises(UsageError, match="kpageflags go with a trace, or alone"):
        Session(kernel_log=capture("offline_dimm_einval") / "dmesg.txt", **options)
    with pytest.raises(UsageError, match="goes with a copy of kpageflags"):
        Session(kpagecount=options["kpagecount"], page_owner=None)
    with pytest.raises(UsageError, match="show one moment"):
        Session(**options).inventory(at=5)
    with pytest.raises(UsageError, match="no CMA area 'x'"):
        Session(**options).inventory(area="x")
    absent = snapshot(files, dict.fromkeys(range(32, 48), (KPF.NOPAGE,)))
    with pytest.raises(UsageError, match="memory2 is offline"):
        Session(**absent).inventory(block=2)
    (files / "huge.toml").write_text('[[cma]]\nname = "huge"\nstart_pfn = 0\npages = 0x10000000000\n')
    with pytest.raises(UsageError, match="huge has 1099511627776 pages, an inventory takes 4194304"):
        Session(kpageflags=options["kpageflags"], layout=files / "huge.toml").blame()
    packed = files / "kpageflags.bin.gz"
    packed.write_bytes(gzip.compress(bytes(16))[:-4])
    with pytest.raises(InputError, match="cannot be read"):
        Session(kpageflags=packed, layout=options["layout"]).blame()


@pytest.mark.parametrize("form", FORMATS)
def test_every_report_tells_it(files: Path, form: str) -> None:
    result = Session(**snapshot(files, {17: UNMAPPED})).blame()
    report = FORMATS[form](result, Style())
    assert "extra_reference" in report


def test_the_command(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = snapshot(files, {17: UNMAPPED})
    command = ["blame", "--kpageflags", str(options["kpageflags"]), "--layout", str(options["layout"])]
    assert main([*command, "--kpagecount", str(options["kpagecount"]), "--area", "video"]) == 0
    said = capsys.readouterr().out
    assert "were the range requested when the snapshot was taken" in said
    assert "1 page  extra_reference  suggested  PFN 0x11" in said
    assert main([*command, "--area", "video", "--pages", "8", "--align", "2"]) == 0
    assert "8 contiguous pages aligned to 4 pages fit, as far as is known: PFN 0x14-0x1b" in capsys.readouterr().out
    assert main([*command, "--align", "2"]) == 2
    assert main([*command, "--pages", "17"]) == 2
    assert "17 pages cannot fit in video, which has 16" in capsys.readouterr().err
    assert main([*command, "--at", "5"]) == 2
    assert main(["blame", "--area", "video", "--kernel-log", "x"]) == 2
    assert "--area, --block and --pages go with --at TIME" in capsys.readouterr().err
