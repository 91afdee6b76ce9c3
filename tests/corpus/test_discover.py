"""Which files are traces, and what belongs to each."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from tests.support.captures import FIXTURES
from tracereplay.corpus.metadata import parse_sidecar, path_pattern
from tracereplay.discovery.discover import TRACE_NAMES, discover
from tracereplay.discovery.sources import Source
from tracereplay.errors import InputError, UsageError


def found(*places: Path | str, names: tuple[str, ...] = TRACE_NAMES) -> list[Source]:
    return list(discover([str(place) for place in places], lambda _path: {}, names))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def sides(source: Source, root: Path) -> dict[str, str]:
    return {role: str(Path(path).relative_to(root)) for role, path in source.sides.items()}


def test_a_folder_of_captures() -> None:
    """Each has a folder of its own: one trace, with the layout and the log of that folder, and nothing else."""
    sources = found(FIXTURES)
    assert len(sources) == len(list(FIXTURES.glob("*/trace.dat"))) + len(list(FIXTURES.glob("*/perf.data")))
    for source in sources:
        folder = Path(source.path).parent
        assert {("layout", "layout_before"), ("kernel_log", "dmesg.txt")} <= sides(source, folder).items()
        assert ("page_owner" in source.sides) == (folder / "page_owner.txt.gz").exists()
        assert source.size_bytes == Path(source.path).stat().st_size


def test_what_lies_beside_a_trace_belongs_to_it_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.dat", "a.layout/zoneinfo", "a.dmesg", "a.toml", "b.dat.zst", "b.dat.page_owner.gz", "dmesg.txt")
    a, b = found(tmp_path)
    assert sides(a, tmp_path) == {"layout": "a.layout", "kernel_log": "a.dmesg", "sidecar": "a.toml"}
    assert sides(b, tmp_path) == {"page_owner": "b.dat.page_owner.gz"}


def test_names_that_are_traces(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.dat",
        "b/perf.data",
        "c.trace.gz",
        "notes.txt",
        ".hidden/x.dat",
        "set/dataset.json",
        "raw/per_cpu/x",
        "store/runs/x",
        "store/attempts/x",
        "store/culprits/x",
        "store/events/y/dataset.json",
    )
    assert [Path(source.path).name for source in found(tmp_path)] == ["a.dat", "perf.data", "c.trace.gz", "raw", "set"]
    assert [Path(source.path).name for source in found(tmp_path, names=("*.txt",))] == ["notes.txt", "raw", "set"]
    assert [Path(source.path).name for source in found(tmp_path / "notes.txt")] == ["notes.txt"]
    assert [Path(source.path).name for source in found(tmp_path / "*.txt", tmp_path / "a.dat", tmp_path / "a.*")] == [
        "notes.txt",
        "a.dat",
    ]


def test_a_folder_is_listed_once_for_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's `*.dat` names thousands of files of one folder."""
    touch(tmp_path, *(f"{n}.dat" for n in range(50)), "7.dmesg", "dmesg.txt")
    listed: list[str] = []
    ls = LocalFileSystem.ls

    def counted(self: LocalFileSystem, path: str, **more: Any) -> Any:
        listed.append(path)
        return ls(self, path, **more)

    monkeypatch.setattr(LocalFileSystem, "ls", counted)
    sources = found(*sorted(tmp_path.glob("*.dat")))
    assert len(sources) == 50
    assert [sides(one, tmp_path) for one in sources if one.sides] == [{"kernel_log": "7.dmesg"}]
    assert listed == [str(tmp_path)]


def test_globs_of_folders_are_walked(tmp_path: Path) -> None:
    touch(tmp_path, "x/1/a.dat", "x/2/b.dat", "y/c.dat")
    assert [Path(one.path).name for one in found(tmp_path / "x" / "*")] == ["a.dat", "b.dat"]


def test_a_trace_that_is_not_there_is_a_source_still(tmp_path: Path) -> None:
    """Its run will say so; the others go on."""
    assert [source.path for source in found(tmp_path / "none.dat")] == [str(tmp_path / "none.dat")]


def test_the_fingerprint_follows_every_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.dat", "a.layout/zoneinfo", "other.txt")
    (before,) = found(tmp_path)
    (tmp_path / "other.txt").write_text("other")
    assert found(tmp_path) == [before]
    (tmp_path / "a.layout" / "zoneinfo").write_text("Node 0")
    assert found(tmp_path)[0].fingerprint != before.fingerprint


def test_links(tmp_path: Path) -> None:
    """What a link leads to counts; one that leads nowhere costs only its own trace."""
    touch(tmp_path, "real/layout/zoneinfo", "a.dat")
    (tmp_path / "a.layout").symlink_to(tmp_path / "real" / "layout")
    (tmp_path / "gone.dat").symlink_to(tmp_path / "nowhere")
    before, gone = found(tmp_path)
    assert sides(before, tmp_path) == {"layout": "a.layout"}
    assert gone.path.endswith("gone.dat")
    (tmp_path / "real" / "layout" / "zoneinfo").write_text("Node 0")
    assert found(tmp_path)[0].fingerprint != before.fingerprint


def test_folders_deeper_than_python_recurses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on a disk: neither pathlib nor pytest could make and remove such a tree."""
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    fs = MemoryFileSystem()
    for name in ("/t/b.dat", f"/t/{'a/' * 1200}x.dat", "/t/a/a/y.dat"):
        fs.store[name] = MemoryFile(fs, name, b"trace")
    assert [source.path.rpartition("/")[2] for source in found("memory://t")] == ["x.dat", "y.dat", "b.dat"]


def test_urls(tmp_path: Path) -> None:
    """Whatever fsspec reads: here a zip file, with a trace and its log."""
    with zipfile.ZipFile(tmp_path / "box.zip", "w") as box:
        box.writestr("x/a.dat", b"trace")
        box.writestr("x/a.dmesg", b"log")
    (source,) = found(f"zip://x::file://{tmp_path}/box.zip")
    assert source.path == f"zip://x/a.dat::file://{tmp_path}/box.zip"
    assert source.sides == {"kernel_log": f"zip://x/a.dmesg::file://{tmp_path}/box.zip"}


@pytest.mark.parametrize("place", ["nosuch://x/y"])
def test_what_no_file_system_knows(place: str) -> None:
    with pytest.raises(UsageError, match="no file system"):
        found(place)


def test_metadata_from_the_path() -> None:
    columns = path_pattern("{build}/{Device Name}/*.dat".replace(" ", "_"))
    assert columns("/farm/7.1/board-a/x.dat") == {"build": "7.1", "device_name": "board-a"}
    assert columns("/x.dat") == {}
    assert path_pattern("farm/{build}/**/*.dat")("/farm/7/a/b/x.dat") == {"build": "7"}
    assert path_pattern("{path}/*")("/a/b") == {"meta_path": "a"}  # `path` is a column of its own
    for wrong in ("*.dat", "{build", ""):
        with pytest.raises(UsageError):
            path_pattern(wrong)


def test_metadata_beside_the_trace() -> None:
    text = b'Build = "7"\nday = 2026-01-02\n[device]\nram = 4\ntags = ["a", "b"]\nrooted = true\n'
    assert parse_sidecar(text, "x.toml") == {
        "build": "7", "day": "2026-01-02", "device_ram": "4", "device_tags": "a,b", "device_rooted": "true",
    }  # fmt: skip
    assert parse_sidecar(b'{"status": "x", "none": null}', "x.json") == {"meta_status": "x"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *(("x.json", data) for data in (b"[1]", b"{", b"\xff", b"[" * 100_000)),
        ("x.json", b"{%s}" % b",".join(b'"a%d": 1' % n for n in range(100))),
        ("x.toml", b"a" + b".a" * 3000 + b" = 1"),  # deeper than what reads it
        ("x.toml", b"a = 0x" + b"f" * 8000),  # a number that Python does not write out
        ("x.toml", b"a = [0x" + b"f" * 8000 + b"]"),
    ],
)
def test_metadata_that_is_none(name: str, data: bytes) -> None:
    with pytest.raises(InputError, match=re.escape(name)):
        parse_sidecar(data, name)


def test_metadata_that_no_table_can_hold() -> None:
    assert parse_sidecar(b'{"build": "x\\ud800"}', "x.json") == {"build": "x\\ud800"}
