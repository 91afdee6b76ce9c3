"""Zip archives and Android bugreports: which file is taken, what is said of it, and what is refused."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

import tracereplay
from tests.support.captures import capture
from tracereplay.cli.main import main
from tracereplay.discovery.archive import opened_archives
from tracereplay.errors import InputError
from tracereplay.parsers.files import archive, bomb
from tracereplay.parsers.kernel_log import read_kernel_log

FREE = "            x-1     [000] d..1.   5.{:06d}: mm_page_free: page=000000004b0a4420 pfn=0x{:x} order=0\n"


def trace_text(events: int) -> str:
    return "# tracer: nop\n#\n" + "".join(FREE.format(n, n) for n in range(events))


def zipped(path: Path, files: dict[str, str | bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return str(path)


def bugreport(path: Path, sections: dict[str, str], files: dict[str, str | bytes] | None = None) -> str:
    text = "== dumpstate: 2024-05-01\n------ MEMORY INFO (/proc/meminfo) ------\nCmaTotal: 262144 kB\n"
    for title, body in sections.items():
        text += f"------ {title} ------\n{body}------ 0.072s was the duration of {title!r} ------\n\n"
    text += "------ SYSTEM LOG (logcat) ------\n05-01 cma_alloc: alloc failed\n"
    inner: dict[str, str | bytes] = {
        "main_entry.txt": "bugreport-x.txt",
        "bugreport-x.txt": text,
        "FS/proc/1/mountinfo": "1 2 0:1 / /\n",
    }
    return zipped(path, inner | (files or {}))


def kernel_log() -> str:
    return (capture("cma_pin_vmsplice") / "dmesg.txt").read_text()


def test_a_zipped_trace_is_read_like_the_trace(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text(trace_text(50))
    name = zipped(tmp_path / "a.zip", {"readme.md": "hello", "deep/trace.txt": trace_text(50)})
    with tracereplay.open(name) as session, tracereplay.open(plain) as same:
        assert session.reader.info.by_event == same.reader.info.by_event
        assert str(session.reader.info.path) == f"{name}!deep/trace.txt"
        ours, theirs = session.blame().inputs[0], same.blame().inputs[0]
        assert ours.sha256 == theirs.sha256  # of the content


def test_a_zipped_trace_dat(tmp_path: Path) -> None:
    trace = (capture("offline_dimm_einval") / "trace.dat").read_bytes()
    name = zipped(tmp_path / "a.zip", {"run/trace.dat": trace})
    with tracereplay.open(name) as session:
        assert session.reader.info.events > 1000


def test_of_several_the_largest_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = zipped(tmp_path / "a.zip", {"small.txt": trace_text(3), "large.txt": trace_text(30)})
    assert main(["info", name]) == 0
    out, err = capsys.readouterr()
    assert f"{name}: took large.txt, the largest of 2 traces" in err
    assert "small.txt" in err
    assert "30 events" in out
    assert main(["info", "--quiet", f"{name}!small.txt"]) == 0
    out, err = capsys.readouterr()
    assert "3 events" in out
    assert not err


def test_the_kernel_log_of_a_bugreport(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its section of the dumpstate text, and nothing of other sections."""
    log = kernel_log()
    name = bugreport(tmp_path / "b.zip", {"KERNEL LOG (dmesg)": log, "LAST KMSG (/sys/fs/pstore/x)": "[ 1.0] old\n"})
    plain = tmp_path / "dmesg.txt"
    plain.write_text(log)
    assert main(["blame", name, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert "took the section 'KERNEL LOG (dmesg)' of bugreport-x.txt; also there: LAST KMSG" in err
    assert '"role": "log"' in out
    inside = read_kernel_log(archive.member_path(name, "bugreport-x.txt", "KERNEL LOG (dmesg)"))
    alone = read_kernel_log(plain)
    assert (inside.lines, inside.tables.keys()) == (alone.lines, alone.tables.keys())
    assert all(inside.tables[kind].equals(alone.tables[kind]) for kind in alone.tables)


def test_a_log_of_the_boot_before(tmp_path: Path) -> None:
    """Where the kernel restarted and dmesg could not be read, the last one counts; or the file of pstore."""
    name = bugreport(tmp_path / "b.zip", {"LAST KMSG (/sys/fs/pstore/console-ramoops)": kernel_log()})
    assert opened_archives([name], {}).options["kernel_log"].endswith("#LAST KMSG (/sys/fs/pstore/console-ramoops)")
    name = bugreport(tmp_path / "c.zip", {}, {"FS/sys/fs/pstore/console-ramoops-0": kernel_log()})
    assert opened_archives([name], {}).options["kernel_log"] == f"{name}!FS/sys/fs/pstore/console-ramoops-0"


def test_a_trace_in_a_bugreport_comes_first(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"FS/data/misc/perfetto-traces/bugreport/trace.txt": trace_text(9)}
    name = bugreport(tmp_path / "b.zip", {"KERNEL LOG (dmesg)": kernel_log()}, files)
    opened = opened_archives([name], {"kernel_log": name})
    assert opened.inputs == (f"{name}!FS/data/misc/perfetto-traces/bugreport/trace.txt",)
    assert opened.options["kernel_log"] == f"{name}!bugreport-x.txt#KERNEL LOG (dmesg)"


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = zipped(tmp_path / "e.zip", {"readme.md": "hello"})
    with pytest.raises(InputError, match="neither a trace nor a kernel log"):
        opened_archives([empty], {})
    with pytest.raises(InputError, match="holds no file 'x'"):
        read_kernel_log(f"{empty}!x")
    whole = Path(zipped(tmp_path / "w.zip", {"trace.txt": trace_text(400)})).read_bytes()
    for size in range(4, len(whole), 97):
        (tmp_path / "cut.zip").write_bytes(whole[:size])
        with pytest.raises(InputError, match="damaged"):
            opened_archives([str(tmp_path / "cut.zip")], {})
    monkeypatch.setattr(bomb, "FREE_BYTES", 1 << 16)
    large = zipped(tmp_path / "bomb.zip", {"trace.txt": trace_text(3) + "#" * (1 << 23)})
    with pytest.raises(InputError, match="unpacks to more than"), tracereplay.open(large):
        pass


def test_damage_inside(tmp_path: Path) -> None:
    """A member whose bytes do not fit their checksum is refused in one line."""
    name = Path(zipped(tmp_path / "a.zip", {"trace.txt": trace_text(4000)}))
    data = bytearray(name.read_bytes())
    data[len(data) // 2] ^= 0xFF
    name.write_bytes(data)
    with pytest.raises(InputError) as caught, tracereplay.open(f"{name}!trace.txt"):
        pass
    assert "\n" not in str(caught.value)


def test_a_name_with_the_mark_is_a_file_first(tmp_path: Path) -> None:
    plain = tmp_path / "a!b.txt"
    plain.write_text(trace_text(2))
    with tracereplay.open(plain) as session:
        assert session.reader.info.events == 2


def test_ingest(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    name = zipped(tmp_path / "a.zip", {"t.txt": trace_text(5)})
    assert main(["ingest", name, "-o", str(tmp_path / "set"), "--quiet"]) == 0
    with tracereplay.open(tmp_path / "set") as session:
        assert session.reader.info.events == 5
