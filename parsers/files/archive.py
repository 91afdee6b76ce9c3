"""Files in zip archives, by names `ARCHIVE!MEMBER` or `ARCHIVE!MEMBER#SECTION`: unpacked once, read like any other.

A section is a part of a dumpstate text (Android's bugreport): what follows `------ KERNEL LOG (dmesg) ------` up to the
next such line. Sizes are checked while unpacking, not believed.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracereplay.errors import InputError
from tracereplay.parsers.files.bomb import refuse_bomb

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
MARK, SECTION_MARK = "!", "#"
MAX_MEMBERS = 1 << 17
PIECE_BYTES = 1 << 20
HEADING = b"------ "
LINE_BYTES = 1 << 16
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its name, and its size in bytes as the archive says."""

    name: str
    size_bytes: int


def is_archive(path: str | Path) -> bool:
    """Whether a file begins as a zip archive does."""
    try:
        if not Path(path).is_file():  # a pipe can be read only once
            return False
        with Path(path).open("rb") as file:
            return file.read(4).startswith(ZIP_MAGICS)
    except (OSError, ValueError):
        return False


def member_path(archive: str | Path, member: str, section: str = "") -> str:
    """The name that a member, or a section of it, is opened by."""
    return f"{archive}{MARK}{member}" + (f"{SECTION_MARK}{section}" if section else "")


def split_path(path: str | Path) -> tuple[Path, str, str] | None:
    """(archive, member, section) of such a name; None where no archive is in front."""
    text = str(path)
    at = text.find(MARK)
    while at >= 0:
        if is_archive(text[:at]):
            member, _, section = text[at + 1 :].partition(SECTION_MARK)
            return Path(text[:at]), member, section
        at = text.find(MARK, at + 1)
    return None


def members(archive: str | Path) -> list[Member]:
    """The files in an archive, largest first. Raises InputError where it is damaged or holds too many."""
    with _opened(archive) as file:
        entries = [one for one in file.infolist() if not one.is_dir() and not one.flag_bits & 1]
    if len(entries) > MAX_MEMBERS:
        raise InputError(f"the archive holds {len(entries)} files", path=archive, advice="unpack what is needed")
    found = [Member(one.filename, one.file_size) for one in entries]
    return sorted(found, key=lambda one: (-one.size_bytes, one.name))


def head_of(archive: str | Path, member: str, n_bytes: int) -> bytes:
    """The first bytes of a file in an archive; b"" where it cannot be unpacked."""
    try:
        with _opened(archive) as file, file.open(member) as data:
            return data.read(n_bytes)
    except (InputError, KeyError, *_DAMAGED):
        return b""


def sections_of(archive: str | Path, member: str) -> list[str]:
    """Titles of the sections of a dumpstate text that has some, in their order."""
    titles = []
    for line in _lines(archive, member):
        title = _title(line)
        if title:
            titles.append(title)
    return titles


def pieces_of(archive: Path, member: str, section: str) -> Iterator[bytes]:
    """The bytes of a member, or of one section of it. Raises InputError where they cannot be unpacked."""
    if not section:
        yield from _pieces(archive, member)
        return
    inside = False
    for line in _lines(archive, member):
        if line.startswith(HEADING):
            if inside:
                return
            inside = _title(line) == section
        elif inside:
            yield line
    if not inside:
        raise InputError(f"{member} has no section {section!r}", path=archive)


def _title(line: bytes) -> str:
    """`KERNEL LOG (dmesg)` of its heading; "" of other lines, and of those that say how long a section took."""
    if not line.startswith(HEADING) or not line.rstrip().endswith(b" ------") or b"was the duration of" in line:
        return ""
    return line.strip().strip(b"-").strip().decode("utf-8", "replace")


def _lines(archive: str | Path, member: str) -> Iterator[bytes]:
    """Lines of a text, long ones in parts."""
    left = b""
    for piece in _pieces(archive, member):
        lines = (left + piece).splitlines(keepends=True)
        left = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
        if len(left) > LINE_BYTES:
            yield left
            left = b""
    if left:
        yield left


def _pieces(archive: str | Path, member: str) -> Iterator[bytes]:
    made = 0
    try:
        with _opened(archive) as file, file.open(member) as data:
            packed_bytes = max(file.getinfo(member).compress_size, 1)
            while piece := data.read(PIECE_BYTES):
                made += len(piece)
                refuse_bomb(made, packed_bytes, member, archive)
                yield piece
    except KeyError:
        raise InputError(f"it holds no file {member!r}", path=archive) from None
    except _DAMAGED as error:
        raise InputError(f"{member} cannot be unpacked: {error}", path=archive, advice="copy it again") from None


def _opened(archive: str | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except _DAMAGED as error:
        raise InputError(f"the zip archive is damaged: {error}", path=archive, advice="copy it again") from None
