"""Files mapped into memory: read where they lie, and released on the way."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Self

from tracereplay.errors import InputError

FORGET_BYTES = 1 << 25


class Mapped(mmap.mmap):
    """A file's bytes, read-only. What was read is released every FORGET_BYTES, or a long trace would count as ours.

    It can be read again at any time: it is then mapped once more.
    """

    _stretch = 0

    @classmethod
    def of(cls, path: Path, name: Path | None = None) -> Self:
        """Map a file; name -- what to call it where `path` is a copy. Errors: InputError where that cannot be done."""
        try:
            with path.open("rb") as file:
                return cls(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise InputError(f"cannot be read: {error}", path=name or path) from None

    def reading(self, at: int) -> None:
        """The byte `at` is about to be read."""
        if at // FORGET_BYTES != self._stretch:
            self._stretch = at // FORGET_BYTES
            self.madvise(mmap.MADV_DONTNEED)
