"""page_owner whose stacks are in a file of their own: told apart by content, joined on the handle."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from tests.support.captures import capture
from tests.support.page_owner import owner_rows
from tracereplay.cli.main import main
from tracereplay.errors import InputError
from tracereplay.losses import Loss
from tracereplay.model.result import Result
from tracereplay.parsers.snapshots.page_owner_files import PageOwnerFiles
from tracereplay.session import Session

RECORD = re.compile(r"(Page allocated via .*\nPFN .*\n)((?: .*\n)+)")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The real dump as a kernel of 6.19 writes it: records with handles, and each stack once beside them."""
    folder = tmp_path_factory.mktemp("split")
    text = gzip.decompress((capture("cma_bufferhead") / "page_owner.txt.gz").read_bytes()).decode()
    handles: dict[str, int] = {}
    dump = RECORD.sub(lambda record: f"{record[1]}handle: {handles.setdefault(record[2], len(handles) + 1)}\n", text)
    (folder / "page_owner").write_text(dump)
    shown = "".join(f"{stack}handle: {handle}\n\n" for stack, handle in handles.items())
    (folder / "show_stacks_handles").write_text(shown)
    return folder / "page_owner", folder / "show_stacks_handles"


@pytest.mark.parametrize("first", [0, 1])
def test_the_files_come_in_any_order(split: tuple[Path, Path], first: int) -> None:
    files = PageOwnerFiles.of([split[first], split[1 - first]])
    assert files.paths == split
    losses: list[Loss] = []
    span = [(0x1E800, 0x1EC00)]
    rows = list(files.rows(span, losses))
    expected, lost = owner_rows(capture("cma_bufferhead") / "page_owner.txt.gz", span)
    assert losses == lost
    assert len(rows) > 100
    assert [row["handle"] for row in expected] == [None] * len(rows)
    assert [row | {"handle": None} for row in rows] == expected


def inventory(*page_owner: Path) -> Result:
    folder = capture("cma_bufferhead")
    flags = next(folder.glob("kpageflags.before.*"))
    return Session(kpageflags=flags, layout=folder / "layout_before", page_owner=page_owner).blame()


def test_a_result_is_the_same_from_both_forms(split: tuple[Path, Path]) -> None:
    whole = inventory(capture("cma_bufferhead") / "page_owner.txt.gz")
    apart = inventory(*split)
    assert apart.attempts == whole.attempts
    assert [(source.id, source.role) for source in apart.inputs[-2:]] == [
        ("page_owner-0", "page_owner"),
        ("page_owner-1", "page_owner"),
    ]
    without = inventory(split[0])
    assert without.attempts[0].culprits  # by their flags
    assert any("an unknown place" in e.text for c in without.attempts[0].culprits for e in c.evidence)


def test_the_option_may_be_repeated(split: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = capture("cma_bufferhead")
    command = ["blame", "--layout", str(folder / "layout_before"), "--full"]
    assert main([*command, "--page-owner", str(split[1]), "--page-owner", str(split[0])]) == 0
    assert "bdev_getblk" in capsys.readouterr().out


def test_exactly_one_dump(split: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="show_stacks_handles: is no page_owner dump"):
        PageOwnerFiles.of([split[1]])
    with pytest.raises(InputError, match="is a second page_owner dump"):
        PageOwnerFiles.of([split[0], capture("cma_bufferhead") / "page_owner.txt.gz"])
    with pytest.raises(InputError, match="cannot be read"):
        PageOwnerFiles.of([split[0].parent / "absent"])


def test_stacks_without_handles_are_refused_when_read(split: tuple[Path, Path], tmp_path: Path) -> None:
    shown = tmp_path / "show_stacks"
    shown.write_text(" a+0x1/0x2\nnr_base_pages: 3\n\n")
    with pytest.raises(InputError, match="no stack with a handle"):
        list(PageOwnerFiles.of([split[0], shown]).rows([(0, 10)], []))
