"""/proc/kpageflags and /proc/kpagecount: one u64 per page frame, little endian (kernel: admin-guide/mm/pagemap.rst).

The kernel's files begin at PFN 0 and have no header, so a copied range says which in its name:
`kpageflags.before.0xfc00-0x1fc00.bin.gz` holds [0xfc00, 0x1fc00), taken "before". Without a range
(`kpageflags.bin`) it begins at PFN 0.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError
from tracereplay.schema import KPF

UInt64Array = npt.NDArray[np.uint64]

ADVICE = "copy it as: dd if=/proc/kpageflags bs=8 skip=START_PFN count=PAGES of=kpageflags.before.0xSTART-0xEND.bin"
# 2^29 page frames are 2 TiB of memory with 4 KiB pages: a range beyond is a mistake in the name.
PAGES_LIMIT = 1 << 29
_CHUNK_BYTES = 1 << 22
_NAME = re.compile(
    r"(?P<kind>kpageflags|kpagecount)(?:\.(?P<label>[\w-]+?))??"
    r"(?:\.0x(?P<start>[0-9a-fA-F]{1,13})-0x(?P<end>[0-9a-fA-F]{1,13}))?(?:\.bin)?(?:\.gz)?"
)


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """The page flags of [start_pfn, start_pfn + len(flags)) at one moment.

    flags -- uint64[n], bits as in `KPF`; mapcount -- uint64[n], mappings of each page, None without kpagecount;
    label -- the moment as the file names it: before, after.
    """

    start_pfn: int
    flags: UInt64Array
    mapcount: UInt64Array | None = None
    label: str | None = None

    @property
    def end_pfn(self) -> int:
        """First page frame after the range."""
        return self.start_pfn + len(self.flags)

    def has(self, flag: KPF) -> npt.NDArray[np.bool_]:
        """bool[n]: the pages with this flag."""
        return cast("npt.NDArray[np.bool_]", (self.flags & flag.mask) != 0)

    def flags_of(self, pfn: int) -> frozenset[KPF] | None:
        """The flags of one page, None outside the range."""
        if not self.start_pfn <= pfn < self.end_pfn:
            return None
        word = int(self.flags[pfn - self.start_pfn])
        return frozenset(flag for flag in KPF if word >> flag & 1)


@dataclass(frozen=True, slots=True)
class _Name:
    """What a file's name tells: kind (kpageflags or kpagecount), label, range."""

    kind: str
    label: str | None
    start_pfn: int
    end_pfn: int | None


def read_page_snapshot(
    flags_path: str | Path, count_path: str | Path | None = None, pfn_range: tuple[int, int] | None = None
) -> PageSnapshot:
    """Reads a copy of kpageflags and, where given, the kpagecount of the same range.

    pfn_range -- [start, end), overrides what the names say. Raises InputError where a size is not a multiple of 8 or
    more than that of the range, the ranges of the two files differ, or gzip data is damaged.
    """
    flags_path = Path(flags_path)
    name = _read_name(flags_path, pfn_range)
    flags = _read_words(flags_path, name.start_pfn, name.end_pfn)
    mapcount = None
    if count_path is not None:
        count_path = Path(count_path)
        count_name = _read_name(count_path, pfn_range)
        mapcount = _read_words(count_path, count_name.start_pfn, count_name.end_pfn)
        if count_name.start_pfn != name.start_pfn or len(mapcount) != len(flags):
            raise InputError(f"covers other pages than {flags_path.name}", path=count_path, advice=ADVICE)
    return PageSnapshot(name.start_pfn, flags, mapcount, name.label)


def read_page_snapshots(directory: str | Path) -> list[PageSnapshot]:
    """All snapshots in a directory, in the order of their names, kpagecount joined to the kpageflags it belongs to."""
    named = [(_NAME.fullmatch(path.name), path) for path in sorted(Path(directory).iterdir())]
    counts = {path.name.split(".", 1)[-1]: path for found, path in named if found and found["kind"] == "kpagecount"}
    return [
        read_page_snapshot(path, counts.get(path.name.split(".", 1)[-1]))
        for found, path in named
        if found and found["kind"] == "kpageflags"
    ]


def find_before(trace: str | Path) -> tuple[Path | None, Path | None]:
    """The copies of kpageflags and kpagecount named "before" that lie beside a trace; None where there is none.

    Of several the one of the most pages (the largest range in its name); of ranges as long, the first by name.
    """
    folder = Path(trace).parent
    if str(trace) == "-" or not folder.is_dir():
        return None, None
    named = [(found, path) for path in sorted(folder.iterdir()) if (found := _NAME.fullmatch(path.name))]
    copies = [(found, path) for found, path in named if found["kind"] == "kpageflags" and found["label"] == "before"]
    if not copies:
        return None, None
    _, flags = max(copies, key=lambda copy: int(copy[0]["end"] or "0", 16) - int(copy[0]["start"] or "0", 16))
    counts = flags.with_name(flags.name.replace("kpageflags", "kpagecount", 1))
    return flags, counts if counts.is_file() else None


def _read_name(path: Path, pfn_range: tuple[int, int] | None) -> _Name:
    found = _NAME.fullmatch(path.name)
    if found is None and pfn_range is None:
        raise InputError("the file name does not say which page frames it holds", path=path, advice=ADVICE)
    kind, label = (found["kind"], found["label"]) if found else ("kpageflags", None)
    if pfn_range is not None:
        start_pfn, end_pfn = pfn_range
    elif found and found["start"]:
        start_pfn, end_pfn = int(found["start"], 16), int(found["end"], 16)
    else:
        return _Name(kind, label, 0, None)
    if not 0 <= start_pfn < end_pfn <= 1 << 52 or end_pfn - start_pfn > PAGES_LIMIT:
        raise InputError(f"{start_pfn:#x}-{end_pfn:#x} is not a range of page frames", path=path, advice=ADVICE)
    return _Name(kind, label, start_pfn, end_pfn)


def _read_words(path: Path, start_pfn: int, end_pfn: int | None) -> UInt64Array:
    """The u64 words of a file of [start_pfn, end_pfn); any number of pages where that is None.

    Fewer than that is the part that the machine has: a read of /proc/kpageflags ends where its last memory ends
    (get_max_dump_pfn(), fs/proc/page.c).
    """
    limit_pages = PAGES_LIMIT if end_pfn is None else end_pfn - start_pfn
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            words: BinaryIO = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_gzip else file
            content = b"".join(_bounded(words, limit_pages * 8 + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", path=path, advice="copy it again") from None
    if end_pfn is None and len(content) > limit_pages * 8:
        raise InputError(f"holds more than {PAGES_LIMIT} pages", path=path, advice=ADVICE)
    if len(content) % 8 and len(content) < limit_pages * 8:
        raise InputError(f"{len(content)} bytes are not a multiple of 8", path=path, advice=ADVICE)
    if end_pfn is not None and not 0 < len(content) <= limit_pages * 8:
        held = "more" if content else "none"
        raise InputError(
            f"the range {start_pfn:#x}-{end_pfn:#x} has {limit_pages} pages, the file {held}", path=path, advice=ADVICE
        )
    return np.frombuffer(content, dtype="<u8").astype(np.uint64, copy=False)


def _bounded(file: BinaryIO, limit_bytes: int) -> Iterable[bytes]:
    """Chunks up to a limit: memory follows what the file really holds, not what its name or header claims."""
    left = limit_bytes
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk
