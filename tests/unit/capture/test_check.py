"""`check` on the files of three kernels, as `record.sh --check` copied them (kernels/*.txt: some events, no BTF)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.tracing import needs, needs_tracing
from tests.support.tracing import tracereplay as run
from tracereplay.capture.check import findings
from tracereplay.capture.kernel import Kernel, kernel_in
from tracereplay.capture.script import ScriptOptions, script
from tracereplay.errors import InputError

KERNELS = Path(__file__).parent / "kernels"
NO_CMA = "not here: cma_alloc_start, cma_alloc_finish, cma_alloc_busy_retry, cma_release, cma_alloc"


def tree(folder: Path, name: str) -> Path:
    """The copied files: `== path` before the content of each, `== path/` for an empty folder."""
    for part in (KERNELS / f"{name}.txt").read_text().split("== ")[1:]:
        path, _, content = part.partition("\n")
        place = folder / path
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.write_text(content)
    return folder


def found(kernel: Kernel) -> dict[str, bool]:
    lines = list(findings(kernel))
    assert len({line.what for line in lines}) == len(lines)
    return {line.what: line.ok for line in lines}


def text_of(kernel: Kernel) -> str:
    return "\n".join(str(line) for line in findings(kernel))


def test_hidden_symbols_are_said_with_what_shows_them(tmp_path: Path) -> None:
    setting = tmp_path / "proc/sys/kernel/kptr_restrict"
    what = "where kernel functions are"
    tree(tmp_path, "debian-6.1")
    setting.parent.mkdir(parents=True)
    for value, hidden in (("0\n", False), ("2\n", True)):
        setting.write_text(value)
        assert (found(kernel_in(tmp_path)).get(what) is False) == hidden


def test_a_distributions_kernel_has_probes_and_no_cma(tmp_path: Path) -> None:
    kernel = kernel_in(tree(tmp_path, "debian-6.1"))
    assert found(kernel) == {
        "kernel 6.1.0-56-cloud-amd64, x86_64": True,
        "tracefs": True,
        "5 of 10 tracepoints": True,
        "8 of 8 tracepoints": True,
        "1 of 1 tracepoints": True,
        "page_ref tracepoints": False,
        "17 probes": True,
        "proof of holders of a failing memory offline": True,
        "debugfs cma": False,
        "page_owner": False,
        "6 memory blocks": True,
        "CONFIG_CMA": False,
        "CONFIG_CMA_DEBUGFS": False,
        "CONFIG_MEMORY_HOTREMOVE": True,
        "CONFIG_DEBUG_PAGE_REF": False,
        "CONFIG_PAGE_OWNER": False,
        "CONFIG_KPROBE_EVENTS": True,
    }
    assert NO_CMA in text_of(kernel)
    assert {"get1", "biorel"} < set(kernel.probes)
    assert not {"getf", "upf"} & set(kernel.probes)


def test_a_debug_kernel_has_all(tmp_path: Path) -> None:
    kernel = kernel_in(tree(tmp_path, "lab-7.2"))
    assert set(found(kernel).values()) == {True}
    text = text_of(kernel)
    assert "9 of 9 tracepoints" in text
    assert "proof of holders of a failing CMA allocation: page_ref tracepoints" in text
    assert "not tried: these are copies of files" in text


def test_the_same_kernel_without_page_ref_proves_by_probes(tmp_path: Path) -> None:
    folder = tree(tmp_path, "lab-7.2")
    events = folder / "sys/kernel/tracing/available_events"
    events.write_text("".join(f"{line}\n" for line in events.read_text().split() if not line.startswith("page_ref:")))
    kernel = kernel_in(folder)
    assert found(kernel)["page_ref tracepoints"] is False
    by_probes = "CMA allocation: the count that refused the page, by probes"
    assert by_probes in text_of(kernel)
    functions = folder / "sys/kernel/tracing/available_filter_functions"
    functions.write_text(functions.read_text().replace("folio_mapping\n", ""))
    assert found(kernel_in(folder))["proof of holders of a failing CMA allocation"] is False
    (folder / "kernel.txt").write_text("7.2.13 riscv64\n")
    functions.write_text(functions.read_text() + "folio_mapping\n")
    assert "imb" not in kernel_in(folder).probes  # where the return address is, is not known there


def test_a_kernel_without_kprobes_cannot_tell_holders(tmp_path: Path) -> None:
    kernel = kernel_in(tree(tmp_path, "microvm-6.18"))
    lines = found(kernel)
    assert lines["kprobe events"] is False
    assert lines["proof of holders of a failing memory offline"] is False
    assert "proof of holders of a failing CMA allocation" not in lines
    assert (lines["CONFIG_KPROBE_EVENTS"], lines["CONFIG_MEMORY_HOTREMOVE"]) == (False, True)


def test_lockdown_closes_tracefs(tmp_path: Path) -> None:
    folder = tree(tmp_path, "debian-6.1")
    lockdown = folder / "sys/kernel/security/lockdown"
    lockdown.parent.mkdir(parents=True, exist_ok=True)
    lockdown.write_text("none integrity [confidentiality]\n")
    assert found(kernel_in(folder)) == {"kernel 6.1.0-56-cloud-amd64, x86_64": True, "tracefs": False}


def test_a_folder_without_copies_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kernel\.txt"):
        kernel_in(tmp_path)
    done = run("check", str(tmp_path))
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0)


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 40])
def test_a_damaged_configuration_tells_nothing(content: bytes, tmp_path: Path) -> None:
    folder = tree(tmp_path, "lab-7.2")
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/config.gz").write_bytes(content)
    assert kernel_in(folder).config == {}


def test_copies_of_this_kernel_say_what_trying_says(tmp_path: Path) -> None:
    needs_tracing()
    needs("dash")
    path = tmp_path / "record.sh"
    path.write_text(script(ScriptOptions()))
    subprocess.run(["dash", str(path), "--check", "-o", str(tmp_path / "copies")], check=True, capture_output=True)
    here, there = (run("check", *arguments).stdout.splitlines() for arguments in ([], [str(tmp_path / "copies")]))
    assert len(here) > 10
    told_by_trying = ("struct page", "vmemmap_base", "probes on", "probes refused")
    assert [line for line in here if not any(word in line for word in told_by_trying)] == [
        line.replace(" (not tried: these are copies of files)", "")
        for line in there if not any(word in line for word in told_by_trying)
    ]  # fmt: skip
