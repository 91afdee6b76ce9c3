"""Copies of what a machine says of its memory and tasks: `tracereplay snapshot`, and before and after a recording."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.target import MEMORY, Target

LARGEST_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
MOST_OPEN_FILES = 1 << 16


def snapshot(folder: Path, debug: Path | None, target: Target | None = None) -> list[str]:
    """Write a layout folder; returns what could not be copied."""
    folder.mkdir(parents=True, exist_ok=True)
    lacking = [one.source for one in wanted.SNAPSHOT_FILES if not _copy(Path(one.source), folder / one.target)]
    uname = os.uname()
    (folder / "uname").write_text(f"Linux {uname.nodename} {uname.release} {uname.version} {uname.machine} GNU/Linux\n")
    (folder / "page_size").write_text(f"{mmap.PAGESIZE}\n")
    _write(folder / "clocks", clocks())
    if debug is not None:
        _copy_areas(debug / "cma", folder / "cma")
    _write(folder / "memory_blocks.txt", _blocks())
    copy_names(folder)
    if target is not None:
        lacking += copy_page_words(folder, target)
    return lacking


def clocks() -> list[str]:
    """The wall clock and the clocks of traces, read one after the other: `boot 5078123456`, in ns."""
    return [f"{name} {time.clock_gettime_ns(number)}" for name, number in wanted.CLOCKS.items()]


def copy_names(folder: Path) -> None:
    """Write what names tasks, files and mounts: again at the end of a recording, for those that came meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    _copy(Path(wanted.MOUNTS.source), folder / wanted.MOUNTS.target)
    _write(folder / "ps.txt", ["PID TID COMMAND", *_tasks()])
    _write(folder / "commands.txt", _commands())
    _write(folder / "open_files.txt", [line for line, _ in zip(_open_files(), range(MOST_OPEN_FILES), strict=False)])


def copy_debug_files(folder: Path, debug: Path | None) -> None:
    """page_owner and page_pinner, where they are on."""
    for one in wanted.DEBUG_FILES if debug is not None else ():
        assert debug is not None
        _copy(debug / one.source, folder / one.target)


def _copy(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as file, target.open("wb") as copied:
            for _ in range(LARGEST_BYTES // CHUNK_BYTES):
                piece = file.read(CHUNK_BYTES)
                if not piece:
                    break
                copied.write(piece)
    except OSError:
        target.unlink(missing_ok=True)
        return False
    if not target.stat().st_size:
        target.unlink()
        return False
    return True


def _write(path: Path, lines: list[str]) -> None:
    if lines:
        path.write_text("".join(f"{line}\n" for line in lines), errors="replace")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:  # tasks end, files of sysfs refuse
        return ""


def _copy_areas(source: Path, target: Path) -> None:
    """CMA areas; since 6.15 an area has ranges."""
    for area in sorted(source.iterdir()) if source.is_dir() else ():
        for place in (area, *sorted((area / "ranges").glob("*"))):
            copied = target / place.relative_to(source)
            copied.mkdir(parents=True, exist_ok=True)
            for name in wanted.CMA_FILES:
                if (place / name).exists():
                    _copy(place / name, copied / name)


def _blocks() -> list[str]:
    lines = []
    for place in sorted(MEMORY.glob("memory[0-9]*")):
        node = next((path.name[4:] for path in place.glob("node[0-9]*")), None)
        words = [f"{name}={_text(place / name).strip()}" for name in ("state",)]
        words.append(f'valid_zones="{_text(place / "valid_zones").strip()}"')
        lines.append(" ".join([place.name, *words, *([f"node={node}"] if node else [])]))
    return lines


def _processes() -> Iterator[Path]:
    yield from (Path("/proc") / name for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int))


def _tasks() -> list[str]:
    lines = []
    for process in _processes():
        with contextlib.suppress(OSError):
            for task in sorted(os.listdir(process / "task"), key=int):
                comm = _text(process / "task" / task / "comm").rstrip("\n")
                if comm:
                    lines.append(f"{process.name} {task} {comm}")
    return lines


def _commands() -> list[str]:
    """PID, command line and control group, with tabs between."""
    lines = []
    for process in _processes():
        words = _text(process / "cmdline").replace("\0", " ").replace("\n", " ").replace("\t", " ").strip()
        group = _text(process / "cgroup").strip().replace("\n", " ")
        lines.append(f"{process.name}\t{words}\t{group}")
    return lines


def _open_files() -> Iterator[str]:
    """Files that tasks map or have open, each once: device as maps prints it, or mount, then inode and path.

    Nothing here looks at the files themselves: a stat of a file waits for its server, which may be what hangs.
    """
    seen: set[str] = set()
    for process in _processes():
        for line in (*_mapped_files(process), *_files_by_descriptor(process)):
            if line not in seen:
                seen.add(line)
                yield line


def _mapped_files(process: Path) -> Iterator[str]:
    for line in _text(process / "maps").splitlines():
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[4] != "0" and words[5].startswith("/"):
            yield " ".join(words[3:])


def _files_by_descriptor(process: Path) -> Iterator[str]:
    """fdinfo tells inodes since 5.14."""
    with contextlib.suppress(OSError):
        for number in os.listdir(process / "fd"):
            with contextlib.suppress(OSError):
                path = os.readlink(process / "fd" / number).encode("utf-8", "replace").decode().replace("\n", "\\012")
                fields = dict(
                    line.split(":", 1) for line in _text(process / "fdinfo" / number).splitlines() if ":" in line
                )
                if path.startswith("/") and "ino" in fields and "mnt_id" in fields:
                    yield f"mnt:{fields['mnt_id'].strip()} {fields['ino'].strip()} {path}"


def copy_page_words(folder: Path, target: Target, label: str = "") -> list[str]:
    """kpageflags and kpagecount of the target, eight bytes a page, named with the label; returns what is not there."""
    lacking = []
    for name in ("kpageflags", "kpagecount"):
        source = Path("/proc") / name
        try:
            words = _read_words(source, target)
            (folder / f"{name}{label}.{target.low:#x}-{target.high:#x}.bin").write_bytes(words)
        except OSError:
            lacking.append(str(source))
    return lacking


def _read_words(source: Path, target: Target) -> bytes:
    """The target's part of the file, or as much of it as there is."""
    size, words = (target.high - target.low) * 8, bytearray()
    with source.open("rb", buffering=0) as file:
        file.seek(target.low * 8)
        while len(words) < size and (piece := file.read(min(CHUNK_BYTES, size - len(words)))):
            words += piece
    return bytes(words)


def kernel_log(path: Path) -> bool:
    """The kernel log, as dmesg prints it; whether it could be read."""
    try:
        handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    lines = []
    try:
        while True:
            try:
                record = os.read(handle, 1 << 14)
            except BlockingIOError:
                break
            except BrokenPipeError:  # lines were overwritten while we read
                continue
            lines.append(_log_line(record))
    except OSError:
        return False
    finally:
        os.close(handle)
    path.write_bytes(b"".join(lines))
    return True


def _log_line(record: bytes) -> bytes:
    """`6,339,5140900,-;text` of /dev/kmsg -> `[    5.140900] text`; continuation lines (a blank first) are dropped."""
    head, _, text = record.partition(b";")
    fields = head.split(b",")
    microseconds = int(fields[2]) if len(fields) > 2 and fields[2].isdigit() else 0
    stamp = f"[{microseconds // 1_000_000:5d}.{microseconds % 1_000_000:06d}] ".encode()
    return stamp + text.split(b"\n")[0] + b"\n"


def free_bytes(folder: Path) -> int:
    """Room on the disk."""
    return shutil.disk_usage(folder).free
