"""A report's examples link to the blame pages of their traces."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.corpus.conftest import Put
from tracereplay.cli.main import main


@pytest.fixture
def store(put: Put, tmp_path: Path) -> str:
    for where in ("a b/one.dat", "two.dat"):
        put("offline_dimm_einval" if where == "two.dat" else "cma_bufferhead", where)
    place = str(tmp_path / "store")
    assert main(["corpus", "run", str(tmp_path / "traces"), "-o", place, "-q", "-j", "1"]) == 0
    return place


def test_examples_link_to_pages_that_are_there(
    store: str, put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out" / "corpus.html"
    page.parent.mkdir()
    pages = str(tmp_path / "blame pages")
    assert main(["corpus", "report", store, "--format", "html", "-o", str(page), "--pages", pages]) == 0
    html = page.read_text()
    links = set(re.findall(r'<a href="(\.\.[^"]*)"', html))
    assert len(links) == 2
    titles = {(page.parent / unquote(link)).read_text().split("<title>")[1].split("<")[0] for link in links}
    assert titles == {"cma_alloc failed - tracereplay", "memory_offline failed - tracereplay"}
    assert "most often: " in html
    put("offline_dimm_einval", "two.dat", sides=()).touch()  # as it was: only the content counts
    (tmp_path / "traces" / "a b" / "one.dat").unlink()
    capsys.readouterr()
    assert main(["corpus", "report", store, "--format", "html", "-o", str(page), "--pages", pages]) == 0
    assert "no page: " in capsys.readouterr().err
    assert len(set(re.findall(r'<a href="(\.\.[^"]*)"', page.read_text()))) == 1


def test_pages_need_a_page_to_link_from(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--format", "html"], ["-o", str(tmp_path / "x.txt")], []):
        assert main(["corpus", "report", store, "--pages", str(tmp_path / "p"), *arguments]) == 2
        assert "--pages goes with" in capsys.readouterr().err
