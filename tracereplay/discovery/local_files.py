"""Files of this machine as fsspec lists them, for an installation without it: what `discover` asks of a file system."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any


class LocalFiles:
    """The part of fsspec's local file system that finding traces needs."""

    protocol = "file"

    def exists(self, path: str) -> bool:
        """Whether it is there."""
        return os.path.exists(path)

    def isdir(self, path: str) -> bool:
        """Whether it is a folder, or a link to one."""
        return os.path.isdir(path)

    def glob(self, pattern: str) -> list[str]:
        """The paths that match."""
        return sorted(glob.glob(pattern))

    def ls(self, path: str, detail: bool) -> list[Mapping[str, Any]]:
        """The entries of a folder; of a file its own."""
        assert detail
        return [self.info(entry.path) for entry in os.scandir(path)] if os.path.isdir(path) else [self.info(path)]

    def info(self, path: str) -> Mapping[str, Any]:
        """What is known of one entry; of a link what it leads to, if anything."""
        found = os.lstat(path)
        is_link = stat.S_ISLNK(found.st_mode)
        if is_link and os.path.exists(path):
            found = os.stat(path)
        kinds = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "link"))
        kind = next((kind for is_kind, kind in kinds if is_kind(found.st_mode)), "other")
        return {"name": path, "size": found.st_size, "mtime": found.st_mtime, "ino": found.st_ino, "type": kind,
                "islink": is_link}  # fmt: skip

    def find(self, path: str, detail: bool) -> dict[str, Mapping[str, Any]]:
        """Every file below a folder."""
        assert detail
        return {name: self.info(name) for name in _below(path)}


def _below(path: str) -> Iterator[str]:
    for at, _, names in os.walk(path):
        yield from (os.path.join(at, name) for name in names)
