"""Packed files that unpack to more than any trace or log would."""

from __future__ import annotations

from pathlib import Path

from tracereplay.errors import InputError

# Traces and logs pack to a tenth or a fiftieth. Beyond the first of these, more than that is a bomb.
FREE_BYTES = 1 << 30
LARGEST_RATIO = 400


def refuse_bomb(made_bytes: int, packed_bytes: int, what: str = "", path: Path | str | None = None) -> None:
    """Raises InputError where so much has come out of so little. what -- the file in an archive at `path`."""
    if made_bytes > FREE_BYTES and made_bytes > LARGEST_RATIO * packed_bytes:
        unpacks = f"{what} unpacks to more than {LARGEST_RATIO} times its size, as no trace does".lstrip()
        raise InputError(unpacks, path=path, advice="unpack it by hand")
