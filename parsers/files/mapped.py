"""Files read where they lie: mapped into memory and released on the way, or copied out piece by piece."""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from tracereplay.errors import InputError

FORGET_BYTES = 1 << 25


class OpenFile:
    """A file's bytes, copied by reads: that takes half the time of a copy from a mapping.

    name -- what to call it where `path` is a copy. Errors: InputError where it cannot be opened.
    """

    def __init__(self, path: Path, name: Path | None = None) -> None:
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"cannot be read: {error}", path=name or path) from None
        weakref.finalize(self, os.close, self.fd)
        self._n_bytes = os.fstat(self.fd).st_size

    def __len__(self) -> int:
        return self._n_bytes

    def copy(self, begin: int, out: npt.NDArray[np.uint8]) -> None:
        """Fill `out` with the bytes from `begin` on. Raises ValueError where the file has become shorter."""
        done = 0
        while done < len(out):
            n_bytes = os.preadv(self.fd, [out.data[done:]], begin + done)
            if n_bytes <= 0:
                raise ValueError(f"{len(out) - done} bytes less than when the file was opened")
            done += n_bytes


class Mapped(mmap.mmap):
    """A file's bytes, read-only. After FORGET_BYTES of reading all is released, or a long trace would count as ours.

    It can be read again at any time: it is then mapped once more. `file` is for what is better copied.
    """

    file: OpenFile
    _unreleased_bytes = 0

    @classmethod
    def of(cls, path: Path, name: Path | None = None) -> Self:
        """Map a file; name -- what to call it where `path` is a copy. Errors: InputError where that cannot be done."""
        file = OpenFile(path, name)
        try:
            mapped = cls(file.fd, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise InputError(f"cannot be read: {error}", path=name or path) from None
        mapped.file = file
        return mapped

    def reading(self, begin: int, end: int) -> None:
        """Bytes [begin, end) are about to be read. By their number: several places may be read in turn."""
        self._unreleased_bytes += end - begin
        if self._unreleased_bytes > FORGET_BYTES:
            self._unreleased_bytes = 0
            self.madvise(mmap.MADV_DONTNEED)
