"""Where vmemmap begins, on machines without a symbol for it: arm64, other sizes of struct page, merged traces."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tracereplay
from tests.support.kprobe_text import KprobeText
from tracereplay.capture.pointers import page_pointers
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.capture.tracefs import Tracefs
from tracereplay.parsers.probes.pointers import StructPages, struct_pages
from tracereplay.parsers.probes.reader import with_probes
from tracereplay.schema import PFN, Op

X86, ARM64 = 0xFFFFEA0000000000, 0xFFFFFDFFC0000000
SHELLS = [["dash"], ["busybox", "sh"], ["mksh"]]


def lines(base: int, size: int, pfns: list[int]) -> str:
    return "".join(f"page={base + pfn * size:016x} pfn={pfn:#x} order=0\n" for pfn in pfns)


@pytest.mark.parametrize("base", [X86, ARM64 - 0x40000 * 64, 0xFF3DF1900000000 << 4])
@pytest.mark.parametrize("size", [56, 64, 72])
def test_base_and_size_are_what_all_lines_agree_on(base: int, size: int) -> None:
    assert struct_pages(lines(base, size, [0x40000, 0x40007, 0x88000])) == StructPages(base, size)


def test_decimal_page_frames_are_read() -> None:
    text = lines(X86, 64, [0x40000, 0x40007]).replace("0x40000", str(0x40000)).replace("0x40007", str(0x40007))
    assert struct_pages(text) == StructPages(X86, 64)


@pytest.mark.parametrize(
    "text",
    [
        "",
        lines(X86, 64, [0x40000]),
        lines(X86, 64, [0x40000, 0x40001]) + lines(X86 + 64, 64, [0x50000]),  # sections that are no one array
        "page=00000000a1b2c3d4 pfn=0x40000\npage=00000000f1e2d3c4 pfn=0x40001\n",  # hashed
        lines(X86, 64, [0x40000, 0x40001]).replace("ffffea", "0000ea"),
        lines(X86, 4096, [0x40000, 0x40001]),
        lines(X86, 60, [0x40000, 0x40001]),
    ],
)
def test_lines_that_do_not_tell(text: str) -> None:
    assert struct_pages(text) is None


@pytest.mark.parametrize("size", [56, 64])
def test_probes_of_a_machine_without_the_symbol_are_read(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ARM64 - 0x40000 * size
    text = KprobeText()
    for pfn in (0x40010, 0x9FFFF):
        text.add("holder-21", "getf", f"page={base + pfn * size:#x} refs=1 flags=0x2 rc=1 ch=0x0")
    bare = tracereplay.open([text.write(tmp_path)]).reader.unprobed  # type: ignore[attr-defined]
    assert [loss.code for loss in with_probes(bare).losses].count("vmemmap_base_unknown") == 1
    monkeypatch.setattr(type(bare), "page_pointers", lines(base, size, [0x40000, 0x50123]))
    (chunk,) = with_probes(bare).stream()
    assert chunk.op.tolist() == [Op.PROBE_GET] * 2
    assert chunk.args[:, PFN].tolist() == [0x40010, 0x9FFFF]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("base", [X86, ARM64 - 0x40000 * 64, 0xFFD3DF1900000000])
def test_the_script_computes_the_same(shell: list[str], base: int) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]}")
    text = script(ScriptOptions())
    functions = text[text.index("is_known_struct() {") : text.index("probed=; refused=")]
    for pfn in (0, 0x40000, 0x3FFFFFF, 0x7FFFFFFF):
        line = lines(base, 64, [pfn]).strip().removesuffix(" order=0")
        command = [*shell, "-c", f"{functions}\nbase_of '{line}'"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout, 16) == base, (pfn, done)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(("size", "known"), [(64, True), (56, False), (72, False)])
def test_the_script_sets_no_probes_where_struct_page_is_another(
    shell: list[str], size: int, known: bool, tmp_path: Path
) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]}")
    text = script(ScriptOptions())
    function = text[text.index("is_known_struct() {") : text.index("probed=; refused=")]
    path = tmp_path / "page_pointers"
    path.write_text(lines(ARM64, size, [0x40000, 0x40000, 0x40003, 0x99999]).replace(" order=0", ""))
    done = subprocess.run([*shell, "-c", f"{function}\nis_known_struct {path}"], check=False)
    assert (done.returncode == 0) is known
    path.write_text("")
    assert subprocess.run([*shell, "-c", f"{function}\nis_known_struct {path}"], check=False).returncode == 0


def test_a_kernel_without_the_option_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "instances").mkdir()
    assert page_pointers(Tracefs(tmp_path), "tracereplay_1_2_watch") == ""
    assert list((tmp_path / "instances").iterdir()) == []
