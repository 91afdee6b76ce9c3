"""Kernel logs -> dumped pages, lists of free pages, sizes, encodings, lines that are no attempts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import FAILED, UNMOVABLE
from tracereplay.model.derived.advice import advice
from tracereplay.model.derived.selection import next_captures


def dump(flags: str, reason: str, *more: str, counts: str = "refcount:1 mapcount:0", mapping: str = "0" * 16) -> str:
    lines = [f"page: {counts} mapping:{mapping} index:0x0 pfn:0x108123", *more, flags, f"page dumped because: {reason}"]
    return "".join(f"[  456.{number:06}] {line}\n" for number, line in enumerate(lines))


BDEV = "aops:def_blk_aops ino:800010"
EXT4 = 'aops:ext4_da_aops ino:2a dentry name:"a"'
ANON = "anon flags: 0x17(uptodate|{}swapbacked|node=0|zone=2)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # has_unmovable_pages()
        (dump("flags: 0x17(reserved|node=0)", "unmovable page"), ("memory_offline", "unmovable_allocation")),
        (dump("flags: 0x17()", "unmovable page", "page_type: f2(table)"), ("memory_offline", "unmovable_allocation")),
        (dump("flags: 0x17(head|node=0)", "unmovable page", "page_type: f4(hugetlb)"), ("memory_offline", "hugetlb")),
        (dump("flags: 0x17(hwpoison|node=0)", "unmovable page"), ("memory_offline", "offline_or_hwpoison")),
        (dump(ANON.format(""), "unmovable page"), ("memory_offline", "unknown")),
        (dump("flags: 0x17(uptodate|node=0)", "unmovable page", 'aops:ext4_da_aops ino:2a dentry name:"a"'),
         ("memory_offline", "unknown")),
        (dump("flags: 0x17(uptodate)", "unmovable page", "aops:secretmem_aops ino:2"), ("memory_offline", "secretmem")),
        # migrate_pages(): one reference is the isolation's
        (dump(ANON.format(""), "migration failure", counts="refcount:2 mapcount:0"), ("unknown", "extra_reference")),
        (dump(ANON.format("owner_priv_1|"), "migration failure", counts="refcount:2 mapcount:0"),
         ("unknown", "unknown")),
        (dump(ANON.format("swapcache|"), "migration failure", counts="refcount:3 mapcount:0"),
         ("unknown", "extra_reference")),
        (dump(ANON.format(""), "migration failure", counts="refcount:1026 mapcount:1"), ("unknown", "pin_short")),
        (dump("flags: 0x17(uptodate|private|node=0)", "migration failure", "aops:def_blk_aops ino:800010",
              counts="refcount:3 mapcount:0", mapping="00000000aaaaaaaa"), ("unknown", "buffer_head")),
        (dump("flags: 0x17(uptodate|node=0)", "migration failure", 'aops:ext4_da_aops ino:2a dentry name:"a"',
              counts="refcount:2 mapcount:0", mapping="00000000aaaaaaaa"), ("unknown", "unknown")),
        (dump("flags: 0x17(uptodate|writeback|node=0)", "migration failure", "aops:fuse_file_aops ino:2",
              counts="refcount:3 mapcount:0", mapping="00000000aaaaaaaa"), ("unknown", "writeback")),
        # do_migrate_range()
        (dump("flags: 0x17()", "isolation failed", "aops:zsmalloc_aops ino:1"),
         ("memory_offline", "no_migration_handler")),
        (dump("flags: 0x17(uptodate|active)", "isolation failed"), ("memory_offline", "unknown")),
        # of somebody else
        (dump("flags: 0x17(slab|node=0)", "kasan: bad access detected"), None),
        (dump("flags: 0x17(node=0)", "nonzero mapcount"), None),
        (dump("flags: 0x17(node=0)", "hwpoison: unhandlable page"), None),
    ],
)  # fmt: skip
def test_dumped_pages(blame: Any, text: str, expected: tuple[str, str] | None) -> None:
    attempts = blame(text).attempts
    if expected is None:
        assert attempts == []
        return
    (attempt,) = attempts
    (culprit,) = attempt.culprits
    assert (attempt.operation, attempt.cause, culprit.cause, culprit.start_pfn) == (
        expected[0],
        expected[1],
        expected[1],
        0x108123,
    )
    assert culprit.verdict == (
        "proved" if culprit.cause == "extra_reference" else "unknown" if culprit.cause == "unknown" else "suggested"
    )


def test_a_page_that_linux_next_called_unmovable_for_anybody(blame: Any) -> None:
    (attempt,) = blame(dump("flags: 0x3ff(slab|head)", "has_unmovable_pages")).attempts
    (culprit,) = attempt.culprits
    assert (attempt.operation, attempt.outcome, culprit.cause) == ("unknown", "unknown", "unmovable_allocation")


def test_a_page_that_a_patch_dumps_for_test_pages_isolated(blame: Any) -> None:
    text = dump("flags: 0x3ff(uptodate|lru|head)", "test_pages_isolated: -EBUSY")
    (attempt,) = blame(text + "[  456.100000] " + FAILED.format(n=512, e=16)).attempts
    assert [(attempt.operation, c.start_pfn, c.cause) for c in attempt.culprits] == [("cma_alloc", 0x108123, "unknown")]


def test_a_page_named_without_a_count_and_dumped_without_a_reason(blame: Any) -> None:
    text = (
        "migrating pfn 20005 failed\n"
        "page:ffffea0000800140 count:6 mapcount:2 mapping:ffff888dff4bdda8 index:0x2\n"
        'xfs_address_space_operations [xfs]\nname:"a b"\nflags: 0x5fffffc0000004(uptodate)\n'
    )
    (attempt,) = blame(text).attempts
    (culprit,) = attempt.culprits
    assert (attempt.operation, culprit.start_pfn, culprit.cause) == ("memory_offline", 0x20005, "extra_reference")


def test_a_dump_without_its_flags_proves_nothing(blame: Any) -> None:
    text = (
        "migrating pfn 20005 failed ret:1\n"
        "page:000000009e72a120 refcount:3 mapcount:0 mapping:000000003325dda1 index:0x1 pfn:0x20005\n"
    )
    (culprit,) = blame(text).attempts[0].culprits
    assert (culprit.cause, culprit.verdict) == ("unknown", "unknown")


def test_a_dump_of_a_failed_cma_allocation(blame: Any) -> None:
    text = dump(ANON.format(""), "migration failure", counts="refcount:2 mapcount:0")
    (attempt,) = blame(text + "[  456.100000] " + FAILED.format(n=512, e=16)).attempts
    assert (attempt.operation, attempt.errno, attempt.cause) == ("cma_alloc", "EBUSY", "extra_reference")


def test_a_dump_in_one_line(blame: Any) -> None:
    text = dump("flags: 0x17(reserved|node=0)", "unmovable page", "raw: 00ff 00ff", "page_type: 0xffffffff()")
    (attempt,) = blame(" ".join(line.split("] ")[1] for line in text.splitlines())).attempts
    assert [(c.start_pfn, c.cause) for c in attempt.culprits] == [(0x108123, "unmovable_allocation")]


def test_a_page_without_its_frame(blame: Any) -> None:
    text = "page:c00c0000007d1b40 refcount:3 mapcount:0 mapping:c0000001fc03e950 index:0xe7b\nflags: 0x3f(reserved)\n"
    (attempt,) = blame(text + UNMOVABLE).attempts
    (culprit,) = attempt.culprits
    assert (culprit.start_pfn, culprit.page_address, culprit.pages) == (None, "c00c0000007d1b40", 1)
    assert (attempt.start_ns, attempt.log_line, attempt.id) == (None, 1, "memory_offline-x-line1")


@pytest.mark.parametrize(
    ("listed", "pages", "errno", "expected"),
    [
        ("4@572+166@1114=> 170 free of 2048 total pages", 256, 12, ("bitmap_full", False, 166)),
        ("4@572+300@1110=> 304 free of 2048 total pages", 256, 12, ("bitmap_full", False, 300)),  # not at its alignment
        ("4@572+300@1024=> 304 free of 2048 total pages", 256, 12, ("destination_enomem", True, 300)),
        ("=> 170 free of 2048 total pages", 256, 12, ("bitmap_full", False, None)),
        ("=> 1700 free of 2048 total pages", 256, 12, ("bitmap_full", None, None)),
        ("=> 1700 free of 2048 total pages", 256, 16, ("unknown", None, None)),
        ("=> 170 free of 2048 total pages", 256, 16, ("bitmap_full", False, None)),
        ("300@1024=> 300 free of 2048 total pages", 256, 16, ("unknown", True, 300)),
        ("=> 4096 free of 4096 total pages", 8192, 12, ("bitmap_full", False, None)),
        ("4@572+\n166@1114\n=> 170 free of 2048 total pages", 256, 12, ("bitmap_full", False, 166)),
        ("4@572+166@1114=&gt; 170 free of 2048 total pages", 256, 12, ("bitmap_full", False, 166)),
    ],
)
def test_the_bitmap_is_arithmetic(blame: Any, listed: str, pages: int, errno: int, expected: tuple[Any, ...]) -> None:
    (attempt,) = blame(FAILED.format(n=pages, e=errno) + "cma: number of available pages: " + listed + "\n").attempts
    assert attempt.bitmap is not None
    assert (attempt.cause, attempt.bitmap.fits, attempt.bitmap.largest_run) == expected


LIST = "+".join(["3@125", "20@172", "108@41620", "483@44061", *(f"300@{at}" for at in range(45440, 75440, 1000))])


@pytest.mark.parametrize("prefix", ["", "> ", ">>>>> "])
@pytest.mark.parametrize("width", [29, 40, 81])
def test_a_list_wrapped_anywhere_even_within_a_number(blame: Any, prefix: str, width: int) -> None:
    parts = [LIST[at : at + width] for at in range(0, len(LIST), width)]
    lines = [
        "cma: number of available pages:",
        *parts[:2],
        "",
        *parts[2:-1],
        parts[-1] + "=> 9614 free",
        "of 81920 total pages",
    ]
    text = FAILED.format(n=256, e=16) + "".join(f"{prefix}{line.strip()}\n" for line in lines)
    (attempt,) = blame(text).attempts
    assert attempt.bitmap is not None
    found = attempt.bitmap
    assert (found.free_pages, found.total_pages, found.largest_run, found.fits) == (9614, 81920, 483, True)


def test_a_list_without_its_sum_swallows_nothing(blame: Any) -> None:
    text = FAILED.format(n=4, e=16) + "cma: number of available pages:\n3@125+20@172+\n" + FAILED.format(n=8, e=16)
    assert [attempt.request.pages for attempt in blame(text).attempts] == [4, 8]


def test_quoted_printable_within_a_wrapped_quotation(blame: Any) -> None:
    text = (
        "> > [  285.193431][T14882] page: refcount:2 mapcount:0 mapping:000000000000=\n0000\n"
        "> >   index:0x7f20671f7 pfn:0x442b6a\n"
        "> > [  285.198085][T14882] anon flags: 0x5fff0000002091c(referenced|uptodat=\ne|\n"
        "> >   dirty|active|swapbacked|node=3D1|zone=3D3)\n"
        "> > [  285.207196][T14882] page dumped because: migration failure\n"
    )
    (attempt,) = blame(text).attempts
    (culprit,) = attempt.culprits
    assert (culprit.start_pfn, culprit.cause) == (0x442B6A, "extra_reference")


def test_sizes_of_rounded_ranges(blame: Any) -> None:
    (attempt,) = blame("[    1.000001] alloc_contig_range: [1f3800, 1f78c4) PFNs busy\n").attempts
    assert (attempt.request.pages, attempt.request.pages_at_most) == (None, 0x40C4)
    text = (
        "[    1.000001] alloc_contig_range: [a2e00, a3400) PFNs busy\n[    1.000002] x: failed to get 6291456 bytes\n"
    )
    assert blame(text).attempts[0].request.pages == 0x600


def test_addresses_without_a_page_size(blame: Any) -> None:
    text = "[    1.000001] memory offlining [mem 0x140000000-0x147ffffff] failed due to notifier failure\n"
    result = blame(text)
    request = result.attempts[0].request
    assert (request.start_address, request.end_address, request.pages) == (0x140000000, 0x148000000, None)
    assert [loss.code for loss in result.data_loss] == ["page_size_unknown"]
    result = blame(text, page_size_bytes=65536)
    assert (result.attempts[0].request.start_pfn, result.attempts[0].request.pages) == (0x14000, 0x800)
    assert result.data_loss == []


def test_wall_clocks_are_kept(blame: Any) -> None:
    attempts = blame("[Fri Nov 20 12:00:00 2026] " + FAILED.format(n=4, e=12)).attempts
    assert [(a.start_ns, a.end_ns, a.wall_clock) for a in attempts] == [(None, None, "Fri Nov 20 12:00:00 2026")]


def test_the_newest_first(blame: Any) -> None:
    lines = [f"Nov 20 12:00:0{second} host kernel: {FAILED.format(n=second, e=12)}" for second in range(1, 6)]
    assert [a.request.pages for a in blame("".join(reversed(lines))).attempts] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\0" * 64 + text.encode() + b"\0" * 64,
        lambda text: b"\x80\x81 bytes of a console\n" + text.encode(),
    ],
)  # fmt: skip
def test_encodings(blame: Any, change: Any) -> None:
    text = "[    1.000001] " + FAILED.format(n=4, e=12)
    assert [a.request.pages for a in blame(change(text)).attempts] == [4]


def test_memory_removed_while_it_is_online_is_no_attempt(blame: Any) -> None:
    result = blame(
        "[   86.380228] removing memory fails, because memory [0x0000000150000000-0x0000000157ffffff] is onlined\n"
        "[   86.431225] kmem dax0.0: mapping0: 0x150000000-0x33fffffff cannot be hotremoved until the next reboot\n"
    )
    assert result.attempts == []
    assert [loss.detail for loss in result.data_loss] == ["2 lines of memory that is removed while it is online"]


@pytest.mark.parametrize(
    "line",
    [
        "[drm:vc4_bo_create [vc4]] *ERROR* Failed to allocate from CMA:",
        "videodev 1.camera: dma_alloc_coherent of size 307200 failed",
        "codec 1.video: dma alloc of size 3133440\nfailed",
        "rproc remoteproc0: dma_alloc_coherent failed: 6291456",
        "xrt_bo_alloc: cma_alloc failed, size=1048576",
        "nic 0000:02:00.0: swiotlb: coherent allocation failed, size=4096",
        "DMA: failed to allocate 256 KiB pool for atomic coherent allocation",
    ],
)
def test_drivers_alone_are_no_attempts_and_are_named(blame: Any, line: str) -> None:
    result = blame(f"[    1.000001] {line}\n")
    assert result.attempts == []
    (loss,) = result.data_loss
    assert (loss.code, loss.count) == ("log_driver_failures", 1)
    assert "line 1" in loss.detail


def test_drivers_beside_the_kernels_own_line_are_not(blame: Any) -> None:
    driver = "x 1.camera: dma_alloc_coherent of size 16384 failed\n"
    beside = "[    1.000002] " + FAILED.format(n=4, e=12) + "[    1.000003] " + driver
    assert blame(beside).data_loss == []
    assert blame(FAILED.format(n=4, e=12) + driver).data_loss == []
    (loss,) = blame(beside + "[   99.000001] " + driver).data_loss
    assert (loss.code, loss.count) == ("log_driver_failures", 1)
    source = '\tdev_err(dev, "dma_alloc_coherent of size %ld failed\\n", size); /* 4096 */\n'
    assert blame(source).data_loss == []


def test_a_page_that_a_debugging_patch_names_before_its_dump(blame: Any) -> None:
    (attempt,) = blame(
        ": [  476.575516] has_unmovable_pages: pfn:0x10dfec00, found:0x1, count:0x0\n"
        ": [  476.582103] page:ffffea0437fb0000 count:1 mapcount:1 mapping:ffff880e05239841 index:0x7f26e5000\n"
        ": [  476.592645] flags: 0x5fffffc0090034(uptodate|lru|active|swapbacked)\n"
    ).attempts
    assert (attempt.operation, attempt.outcome) == ("unknown", "unknown")
    assert [culprit.start_pfn for culprit in attempt.culprits] == [0x10DFEC00]


@pytest.mark.parametrize(
    ("text", "recognised"),
    [
        ("soft offline: 0x61c00 hugepage failed to isolate\n", "1 soft offlines of single pages"),
        ("Soft offline: 0x61c00: page already poisoned\n", "1 soft offlines of single pages"),
        ("cma: Failed to reserve 512 MiB\n", "1 lines of a CMA area that was not reserved at boot"),
        ("hugetlb_cma: reservation failed: err -12, node 1\n", "1 lines of a CMA area that was not reserved at boot"),
        ("> PFN 0x207233 type Movable Block 4153 type CMA Flags 0x40(lru)\n",
         "1 lines of page_owner records (pass their file as --page-owner)"),
        ("dax0.0: failed to offline memory: Operation not supported\n",
         "1 lines of daxctl, which could not offline memory"),
    ],
)  # fmt: skip
def test_lines_that_are_recognised(blame: Any, text: str, recognised: str) -> None:
    result = blame(text)
    assert result.attempts == []
    assert [(loss.code, loss.detail) for loss in result.data_loss] == [("log_without_attempt", recognised)]


def test_lines_that_show_no_attempt_are_named(blame: Any) -> None:
    soft = "soft offline: 0xbfa8f: page migration failed 1, type 1\n"
    result = blame(soft + dump("flags: 0x1()", "nonzero mapcount"))
    (loss,) = result.data_loss
    assert (loss.code, loss.detail) == (
        "log_without_attempt", "1 page dumps (nonzero mapcount), 1 soft offlines of single pages",
    )  # fmt: skip
    (loss,) = blame("[    1.0] cma_alloc: could not, sorry\n").data_loss
    assert (loss.code, loss.count) == ("log_lines_unknown", 1)


@pytest.mark.parametrize(
    ("line", "kernel"),
    [
        ("CPU: 2 PID: 1 Comm: swapper/0 Not tainted 5.3.0-1013-raspi2 #15-Ubuntu", "5.3.0-1013-raspi2"),
        ("CPU: 2 PID: 1 Comm: x Tainted: G        W  O      6.1.0-rc3+ #1", "6.1.0-rc3+"),
        ("3.18.0-rc1+yocto+gc943ff8 #2 Not tainted", "3.18.0-rc1+yocto+gc943ff8"),
        ("Linux host 5.10.0-8-amd64 #1 SMP Debian", "5.10.0-8-amd64"),
        ("> - Kernel: 6.17.0-8-qcom-x1e (Ubuntu)", "6.17.0-8-qcom-x1e"),
    ],
)
def test_any_line_may_name_the_kernel(blame: Any, line: str, kernel: str) -> None:
    assert blame(line + "\n" + FAILED.format(n=4, e=12)).inputs[0].kernel == kernel


def test_page_owner_beside_a_log(tmp_path: Path, blame: Any) -> None:
    owners = tmp_path / "page_owner"
    owners.write_text(
        "> Page allocated via order 0, mask 0x100c48(GFP_NOFS|__GFP_MOVABLE), pid 1, tgid 1 (mount), ts 812 ns\n"
        "> PFN 0xe0010 type Movable Block 1792 type CMA Flags 0x17ff(uptodate|lru|node=0)\n"
        ">  post_alloc_hook+0x1/0x2\n>  bdev_getblk+0x1/0x2\n>  ext4_sb_bread+0x3/0x4\n>\n"
        "> Page allocated via order 0, mask 0x1100ca(GFP_HIGHUSER_MOVABLE), pid 146, tgid 146 (app), ts 813 ns\n"
        "> PFN 0xe0300 type Movable Block 1792 type CMA Flags 0x17ff(uptodate|lru|node=0)\n>  prep_new+0x1/0x2\n>\n"
    )
    (attempt,) = blame("alloc_contig_range: [e0000, e0200) PFNs busy\n", page_owner=owners).attempts
    (culprit,) = attempt.culprits
    assert (culprit.start_pfn, culprit.cause, culprit.effect) == (0xE0010, "buffer_head", "would_block")
    assert culprit.allocated_by is not None
    assert culprit.allocated_by.comm == "mount"
    assert "ext4_sb_bread" in culprit.evidence[0].text
    assert attempt.cause == "unknown"


def test_a_dump_printed_after_the_end_of_its_offline_is_no_bug(blame: Any) -> None:
    """Lines of several CPUs may be shuffled: the dump, cut before its reason, then begins an attempt of its own."""
    found = blame(
        "[    9.000001] migrating pfn 100 failed ret:1\n"
        "[    9.000002] memory offlining [mem 0x200000000-0x20fffffff] failed due to failure to isolate range\n"
        "[    9.000003] page:00000000aa refcount:3 mapcount:1 mapping:00000000aa index:0x7f pfn:0x100\n"
        "[    9.000004] flags: 0x17fffe0000000(uptodate|lru|swapbacked|node=0|zone=2)\n"
    )
    assert {c.start_pfn for attempt in found.attempts for c in attempt.culprits} == {0x100}


def test_a_dump_that_is_quoted_again_and_wrapped(blame: Any) -> None:
    once = dump("flags: 0x17(locked|node=0|zone=2)", "unmovable page", "aops:0x0 ino:1", counts="refcount:1 mapcount:0")
    other = once.replace("0x108123", "0x108124")
    text = once + "Why?\n" + "".join(f"> {line}\n" for line in once.replace("flags: ", "flags:\n").splitlines())
    (attempt,) = blame(text).attempts
    assert [(culprit.start_pfn, culprit.cause) for culprit in attempt.culprits] == [(0x108123, "unknown")]
    bare = "\n".join(line.partition("] ")[2] for line in (once + other).splitlines())
    found = blame(once.replace("[  456.0", "[  456.1") + "> " + bare.replace("\n", "\n> ") + "\n").attempts
    assert [(c.start_pfn, c.cause) for a in found for c in a.culprits][-1] == (0x108124, "unknown")


def test_a_failure_that_nothing_explains_gets_the_steps_of_its_own_only(blame: Any) -> None:
    result = blame(FAILED.format(n=4, e=16))
    assert advice(result) == []
    assert any("alloc_contig_dump_pages" in step for step in next_captures(result.attempts))
