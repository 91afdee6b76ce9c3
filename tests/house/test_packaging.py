"""What is shipped: a wheel built from the sdist, as a distributor would."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.support.captures import ROOT

USED = ("polars", "pandas", "plots", "perfetto", "corpus", "dask")  # extras
# Tracked folders at the top of the tree, and where the wheel has them.
ROOMS = {"tracereplay": "tracereplay", "parsers": "tracereplay/parsers", "reports": "tracereplay/reports"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(sdist, wheel); the wheel is built from the unpacked sdist, without network."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def in_wheel(built: tuple[Path, Path]) -> set[str]:
    with zipfile.ZipFile(built[1]) as archive:
        return set(archive.namelist())


def tracked(folder: str) -> set[PurePosixPath]:
    """Files git knows below a folder, relative to it; symlinks left out."""
    listing = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listing:
        pytest.skip("not a git checkout")
    return {PurePosixPath(name).relative_to(folder) for name in listing if not (ROOT / name).is_symlink()}


def test_the_lowest_versions_tried_are_those_promised() -> None:
    """Of all that reading, drawing and a corpus take."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in USED for one in extras[name] if ">=" in one)]
    tried = [line for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if "==" in line]
    wanted += [one for one in extras["dev"] if one.split(">=")[0] in ("hypothesis", "jsonschema", "pytest")]
    # `X>=1.2` promises 1.2.0.
    promised = (
        (name, version if version.count(".") > 1 else f"{version}.0")
        for name, version in (one.split(">=") for one in wanted)
    )
    assert tried == sorted(f"{name}=={version}" for name, version in promised)


def test_tracereplay_is_the_only_top_level_name(in_wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tracereplay"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_tracked_file_of_the_package_is_in_the_wheel(in_wheel: set[str], room: str) -> None:
    """Templates, schema and explanations too, not only modules."""
    wanted = {f"{ROOMS[room]}/{path}" for path in tracked(room) if (ROOT / room / path).exists()}
    assert wanted - in_wheel == set()
    assert f"{ROOMS[room]}/__init__.py" in in_wheel


def test_the_wheel_has_no_file_twice_and_nothing_compiled(built: tuple[Path, Path], in_wheel: set[str]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        assert len(archive.namelist()) == len(in_wheel)
    assert not [name for name in in_wheel if name.endswith((".pyc", ".nbi", ".nbc")) or "__pycache__" in name]
    assert "tracereplay/py.typed" in in_wheel


def test_the_sdist_holds_sources_tests_and_docs_and_no_fixture(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {PurePosixPath(*PurePosixPath(member.name).parts[1:]) for member in archive}
    tops = {path.parts[0] for path in names if path.parts}
    assert {"tracereplay", "parsers", "reports", "tests", "docs", "pyproject.toml", "README.md", "LICENSE"} <= tops
    assert not tops & {"fixtures", ".venv", "benchmarks"}
    assert PurePosixPath("parsers/base.py") in names
    assert PurePosixPath("tracereplay/parsers/base.py") not in names


def test_the_installed_wheel_is_imported_from_the_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Unpacked on a path of its own: parsers and reports are found inside it, not in the tree."""
    with zipfile.ZipFile(built[1]) as archive:
        archive.extractall(tmp_path)
    script = (
        "import tracereplay, tracereplay.parsers.base as a, tracereplay.reports as b; "
        "print(tracereplay.__file__, a.__file__, b.__file__, sep='\\n')"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert all(line.startswith(str(tmp_path)) for line in done.stdout.split())
