"""Files mapped into memory: read where they lie, and released on the way."""

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


class Mapped(mmap.mmap):
    """A file's bytes, read-only. After FORGET_BYTES of reading all is released, or a long trace would count as ours.

    It can be read again at any time: it is then mapped once more.
    """

    _unreleased_bytes = 0
    _fd = -1

    @classmethod
    def of(cls, path: Path, name: Path | None = None) -> Self:
        """Map a file; name -- what to call it where `path` is a copy. Errors: InputError where that cannot be done."""
        try:
            with path.open("rb") as file:
                mapped = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
                mapped._fd = os.dup(file.fileno())
                weakref.finalize(mapped, os.close, mapped._fd)
                return mapped
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise InputError(f"cannot be read: {error}", path=name or path) from None

    def copy(self, begin: int, out: npt.NDArray[np.uint8]) -> None:
        """Fill `out` with the bytes from `begin` on: by a read, which takes half the time of a copy from the mapping.

        Raises ValueError where the file has become shorter.
        """
        done = 0
        while done < len(out):
            n_bytes = os.preadv(self._fd, [out.data[done:]], begin + done)
            if n_bytes <= 0:
                raise ValueError(f"{len(out) - done} bytes less than when the file was opened")
            done += n_bytes

    def reading(self, begin: int, end: int) -> None:
        """Bytes [begin, end) are about to be read. By their number: several places may be read in turn."""
        self._unreleased_bytes += end - begin
        if self._unreleased_bytes > FORGET_BYTES:
            self._unreleased_bytes = 0
            self.madvise(mmap.MADV_DONTNEED)
