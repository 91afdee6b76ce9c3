"""What a corpus is made of: one source for each trace, with what is beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PACKED = ("", ".gz", ".zst", ".xz")


@dataclass(frozen=True, slots=True)
class Role:
    """How a side input of one role is called; earlier names win.

    beside -- what follows NAME next to the trace, NAME being its file name with or without suffix; own -- names in a
    folder that holds no other trace; packed -- whether it may be a packed text.
    """

    beside: tuple[str, ...]
    own: tuple[str, ...]
    packed: bool = True

    def names(self, trace_name: str, alone: bool) -> Iterator[str]:
        """Every name it may have beside this trace, best first."""
        shorter = trace_name.rpartition(".")[0], trace_name.partition(".")[0]
        for name in dict.fromkeys((trace_name, *filter(None, shorter))):
            yield from self._packed(f"{name}{suffix}" for suffix in self.beside)
        if alone:
            yield from self._packed(iter(self.own))

    def _packed(self, names: Iterator[str]) -> Iterator[str]:
        return (f"{name}{end}" for name in names for end in (PACKED if self.packed else ("",)))


ROLES: Mapping[str, Role] = {
    "layout": Role((".layout", ".layout.toml"), ("layout", "layout_before", "layout.toml"), packed=False),
    "kernel_log": Role((".dmesg", ".dmesg.txt"), ("dmesg", "dmesg.txt")),
    "page_owner": Role((".page_owner", ".page_owner.txt"), ("page_owner", "page_owner.txt")),
    "page_pinner": Role((".page_pinner", ".page_pinner.txt"), ("page_pinner", "page_pinner.txt")),
    "sidecar": Role((".toml", ".json"), ("metadata.toml", "metadata.json"), packed=False),
}
# Those that a session takes, by its options.
SIDES = ("layout", "kernel_log", "page_owner", "page_pinner")


@dataclass(frozen=True, slots=True)
class Source:
    """A trace and what was found beside it; paths are absolute, or URLs.

    sides -- path by role; metadata -- columns from the path by pattern; fingerprint -- changes when the sizes, times or
    tags of any of these files do; refused -- why none of it is read, "" where it is.
    """

    path: str
    sides: Mapping[str, str]
    metadata: Mapping[str, str]
    fingerprint: str
    size_bytes: int
    refused: str = ""

    def inputs(self) -> dict[str, str]:
        """The trace and its side inputs by role, those that the analysis reads."""
        return {"trace": self.path, **{role: path for role, path in self.sides.items() if role != "sidecar"}}


Entry = Mapping[str, Any]  # what fsspec says of a file: name, size, type, and a time or tag
