"""Copies of kpageflags and kpagecount."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.support.captures import capture, truth_of
from tracereplay.errors import InputError
from tracereplay.parsers.snapshots.kpageflags import read_page_snapshot, read_page_snapshots
from tracereplay.schema import KPF


def test_a_real_pair_before_and_after() -> None:
    after, before = read_page_snapshots(capture("cma_pin_vmsplice"))
    assert [after.label, before.label] == ["after", "before"]
    assert (before.start_pfn, before.end_pfn) == (0xFC00, 0x1FC00)
    assert before.flags.dtype == np.uint64
    assert before.mapcount is not None
    # Pages in use by tasks before; nearly all free once the area had been taken and given back.
    assert before.has(KPF.BUDDY).sum() < after.has(KPF.BUDDY).sum()
    assert not (before.has(KPF.BUDDY) & before.has(KPF.LRU)).any()
    # The two files were read moments apart.
    assert (before.mapcount[before.has(KPF.BUDDY)] > 0).mean() < 0.01


def test_planted_pages_have_the_flags_of_their_kind() -> None:
    """FUSE readahead: the culprits of the truth are the very pages locked at that moment."""
    folder = capture("cma_fuse_readahead")
    before = next(snapshot for snapshot in read_page_snapshots(folder) if snapshot.label == "before")
    planted = {
        pfn for culprit in truth_of(folder)["culprits"] for start, end in culprit["pfns"] for pfn in range(start, end)
    }
    locked = {before.start_pfn + int(at) for at in np.flatnonzero(before.has(KPF.LOCKED))}
    assert locked
    assert locked <= planted


def words(*values: int) -> bytes:
    return np.array(values, dtype="<u8").tobytes()


def test_flags_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "kpageflags.before.0x10-0x13.bin"
    path.write_bytes(words(1 << KPF.BUDDY, 0, 1 << KPF.LRU | 1 << KPF.ANON | 1 << KPF.SOFTDIRTY))
    snapshot = read_page_snapshot(path)
    assert snapshot.flags_of(0x10) == frozenset({KPF.BUDDY})
    assert snapshot.flags_of(0x12) == frozenset({KPF.LRU, KPF.ANON, KPF.SOFTDIRTY})
    assert snapshot.flags_of(0x13) is None
    assert snapshot.mapcount is None


def test_a_whole_copy_begins_at_pfn_0_and_a_range_can_be_passed(tmp_path: Path) -> None:
    path = tmp_path / "kpageflags.bin.gz"
    path.write_bytes(gzip.compress(words(1, 2, 3)))
    assert (read_page_snapshot(path).start_pfn, read_page_snapshot(path).end_pfn) == (0, 3)
    other = tmp_path / "flags"
    other.write_bytes(words(1, 2, 3))
    assert read_page_snapshot(other, pfn_range=(7, 10)).start_pfn == 7
    with pytest.raises(InputError, match="does not say which page frames"):
        read_page_snapshot(other)


@pytest.mark.parametrize(
    ("name", "start_pfn", "label"),
    [
        ("kpageflags.before.0xfc00-0xfc03.bin", 0xFC00, "before"),
        ("kpageflags.at-3s.0x0-0x3.bin", 0, "at-3s"),
        ("kpageflags.0x7-0xa", 7, None),
        ("kpageflags", 0, None),
        ("kpagecount.bin", 0, None),
    ],
)
def test_names(tmp_path: Path, name: str, start_pfn: int, label: str | None) -> None:
    (tmp_path / name).write_bytes(words(1, 2, 3))
    snapshot = read_page_snapshot(tmp_path / name)
    assert (snapshot.start_pfn, len(snapshot.flags), snapshot.label) == (start_pfn, 3, label)


@pytest.mark.parametrize("name", ["pageflags.bin", "kpageflags.before.0xfc00.bin", "kpagecgroup.bin"])
def test_other_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(words(1, 2, 3))
    with pytest.raises(InputError, match="does not say which page frames"):
        read_page_snapshot(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("kpageflags.x.0x0-0x3.bin", b"", "has 3 pages, the file none"),
        ("kpageflags.x.0x0-0x3.bin", words(1, 2, 3, 4), "has 3 pages, the file more"),
        ("kpageflags.x.0x0-0x3.bin", words(1, 2, 3)[:-1], "not a multiple of 8"),
        ("kpageflags.x.0x0-0x3.bin", words(1, 2, 3) + b"x", "the file more"),
        ("kpageflags.x.0x3-0x3.bin", b"", "not a range"),
        ("kpageflags.x.0x0-0xfffffffffffff.bin", b"", "not a range"),
        ("kpageflags.x.0x0-0x3.bin.gz", gzip.compress(words(1, 2, 3))[:-9], "cannot be read"),
        ("kpageflags.x.0x0-0x3.bin.gz", b"\x1f\x8b" + b"\0" * 30, "cannot be read"),
        ("kpageflags.x.0x0-0x3.bin.gz", gzip.compress(b"\0" * 10_000_000), "the file more"),
    ],
)
def test_wrong_sizes_and_damage(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_page_snapshot(path)


def test_the_counts_must_be_of_the_same_pages(tmp_path: Path) -> None:
    flags, counts = tmp_path / "kpageflags.x.0x0-0x2.bin", tmp_path / "kpagecount.x.0x1-0x3.bin"
    flags.write_bytes(words(1, 2))
    counts.write_bytes(words(0, 1))
    with pytest.raises(InputError, match="other pages than"):
        read_page_snapshot(flags, counts)
    # Not joined by name either: they are different moments or ranges.
    assert read_page_snapshots(tmp_path)[0].mapcount is None
